"""A real CPython that says it is another patch release, so that there are two of one minor version.

The build is the interpreter's own in every bit but two files: its standard library tells it another
patch when it starts, and so does a header. It runs, imports and makes environments like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.keys import BuildKey

from .bundled import bundle_archives
from .members import below, write_archive
from .pbs import archive_name, pbs_members

if TYPE_CHECKING:
    from pathlib import Path

    from .interpreters import Interpreter
    from .members import Member

# What is imported first of all that is not frozen into the interpreter.
_FIRST = "/encodings/__init__.py"
_SAYS = """
def _say_patch():
    import sys
    from collections import namedtuple
    fields = ("major", "minor", "micro", "releaselevel", "serial")
    said = sys.version_info[:2] + ({patch}, "final", 0)
    sys.version_info = namedtuple("version_info", fields)(*said)
    sys.version = "%d.%d.%d " % said[:3] + sys.version.partition(" ")[2]


_say_patch()
"""


def patch_key(interpreter: Interpreter, patch: int) -> BuildKey:
    """The key of ``interpreter`` as that patch."""
    return BuildKey.parse(f"cpython-{interpreter.minor}.{patch}-linux-{interpreter.machine}-gnu")


def patch_bundle(folder: Path, interpreter: Interpreter, patch: int) -> Path:
    """Write a bundle of ``interpreter``, slim, as that patch of its minor version."""
    said = interpreter._replace(full_version=f"{interpreter.minor}.{patch}")
    pristine = pbs_members(interpreter, slim=True)
    members = [_told(member, interpreter, said, patch) for member in pristine]
    name = archive_name(said, "install_only_stripped", "20260101", ".tar.gz")
    archive = write_archive(below("python", members), folder / name, ".tar.gz")
    key = patch_key(interpreter, patch)
    return bundle_archives(folder / f"{key}.kitbag", [(archive, key)])


def _told(member: Member, interpreter: Interpreter, said: Interpreter, patch: int) -> Member:
    if member.path.endswith(_FIRST):
        return member._replace(data=member.data + _SAYS.format(patch=patch).encode())
    if member.path.endswith("/patchlevel.h"):
        versions = interpreter.full_version.encode(), said.full_version.encode()
        return member._replace(data=member.data.replace(*versions))
    return member
