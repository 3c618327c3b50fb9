"""Builds whose interpreters are scripts that the shell header takes for a Python.

They answer its question, and when kitbag is handed over to them they say who they are and remove
the scratch folder as kitbag would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bundled import bundle_archives, host_key
from .members import below, program, write_archive

if TYPE_CHECKING:
    from pathlib import Path

    from kitbag_bundles.keys import BuildKey

# Of what the header gives: -I -S -B -c SCRIPT PYZ BUNDLE SCRATCH BASE ARGUMENT...
_SCRIPT = """#!/bin/sh
[ $# -gt 5 ] || { echo "3 13 True"; exit 0; }
echo "started $0 as @key@"
rm -rf "$8"
"""


def stand_in_script(key: BuildKey) -> bytes:
    """The interpreter of the stand-in for `key`."""
    return _SCRIPT.replace("@key@", str(key)).encode()


def stand_in_bundle(folder: Path, *keys: BuildKey) -> Path:
    """Write a bundle with header of stand-ins for `keys`, or of one for this machine."""
    archives = []
    for key in keys or (host_key(),):
        members = [program(f"bin/python{key.version.minor_text}", stand_in_script(key))]
        archive = folder / f"{key}.tar.gz"
        write_archive(below("python", members), archive, ".tar.gz")
        archives.append((archive, key))
    return bundle_archives(folder / "stand-in.kitbag", archives, header=True)
