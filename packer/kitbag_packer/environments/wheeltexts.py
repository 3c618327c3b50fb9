"""Texts in a wheel's ``.dist-info``: METADATA and ``entry_points.txt``.

The latter: https://packaging.python.org/en/latest/specifications/entry-points/.
"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass

from kitbag_bundles.errors import ArchiveError
from kitbag_installer.environments.scripts import entry_points

_REFERENCE = re.compile(
    r"(?P<module>\w+(?:\.\w+)*)\s*:\s*(?P<object>\w+(?:\.\w+)*)\s*(?:\[[^\[\]]*\]\s*)?"
)
_UNFIT = re.compile(r"[/\\\x00-\x1f\x7f]")
_GROUPS = ("console_scripts", "gui_scripts")


@dataclass(frozen=True)
class Texts:
    """What else is read."""

    metadata: bytes
    entry_points: bytes
    """Empty where there are none."""


@dataclass(frozen=True)
class Metadata:
    """What METADATA tells."""

    version: str
    """As it is written there."""
    requires_python: str


def parse_metadata(data: bytes, name: str, version: str, filename: str) -> Metadata:
    """What METADATA tells, which must be that of ``name`` in ``version``.

    Raises :class:`ArchiveError`.
    """
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    found = _fields(data)
    said, said_version = found.get("name", ""), found.get("version", "")
    try:
        alike = Version(said_version) == Version(version)
    except InvalidVersion:
        alike = False
    if "metadata-version" not in found or canonicalize_name(said) != name or not alike:
        raise _bad(filename, f"METADATA is of {said!a} {said_version!a}")
    return Metadata(said_version, found.get("requires-python", ""))


def parse_scripts(data: bytes, filename: str) -> dict[str, str]:
    """Console and GUI scripts of ``entry_points.txt``: names and references, ``module:object``.

    Raises :class:`ArchiveError` for what can't be read, for a name that is no file's, and for what
    an install would read in another way.
    """
    parser = configparser.RawConfigParser(delimiters=("=",), strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(data.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error) as error:
        why = " ".join(str(error).split())
        raise ArchiveError(
            f"{filename}: entry_points.txt can't be read ({why}); do not use this wheel"
        ) from None
    scripts: dict[str, str] = {}
    for group in _GROUPS:
        for name, text in parser.items(group) if parser.has_section(group) else ():
            found = _REFERENCE.fullmatch(text.strip())
            if not found or _UNFIT.search(name) or name in (".", "..") or name in scripts:
                raise _bad(filename, f"entry_points.txt has the script {name!a} = {text!a}")
            scripts[name] = f"{found['module']}:{found['object']}"
    points = entry_points(data, filename)
    if scripts != {point.name: f"{point.module}:{point.attribute}" for point in points}:
        raise _bad(filename, "entry_points.txt does not mean the same to all who read it")
    return scripts


def _fields(data: bytes) -> dict[str, str]:
    """The first of each field of a header as in a mail, names in lower case."""
    from email.parser import BytesHeaderParser
    from email.policy import compat32

    message = BytesHeaderParser(policy=compat32).parsebytes(data)
    found: dict[str, str] = {}
    for name, value in message.items():
        found.setdefault(name.lower(), " ".join(str(value).split()))
    return found


def _bad(filename: str, what: str) -> ArchiveError:
    return ArchiveError(f"{filename}: {what}; do not use this wheel")
