"""What an index tells of a wheel from its METADATA, so that nobody has to download it for that.

https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

import re

SUFFIX = ".metadata"
"""An index has the metadata of a wheel at the wheel's address with this behind it (PEP 658)."""
_LARGEST = 1 << 22
_MEMBER = re.compile(r"[^/]+\.dist-info/METADATA")
_SPECIFIERS = re.compile(r"[\w.*+!<>=~, ()-]+", re.ASCII)


def core_metadata(path: str) -> bytes:
    """The METADATA of the wheel at ``path``; empty where it has none that can be read.

    A wheel without it is found out when it is installed; an index can do without. Raises
    :class:`OSError` where the file can't be read.
    """
    import zipfile
    import zlib

    # The last for offsets that no file can have.
    unsound = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError)
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as wheel:
                found = [each for each in wheel.infolist() if _MEMBER.fullmatch(each.filename)]
                if len(found) != 1 or found[0].file_size > _LARGEST:
                    return b""
                return wheel.read(found[0])
        except unsound:
            return b""


def requires_python(metadata: bytes) -> str:
    """Which versions of Python a wheel is for, ``>=3.9``; empty if it does not say so plainly."""
    for line in metadata.splitlines():
        if not line.strip():
            break
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"requires-python":
            text = value.decode("utf-8", "replace").strip()
            return text if _SPECIFIERS.fullmatch(text) else ""
    return ""
