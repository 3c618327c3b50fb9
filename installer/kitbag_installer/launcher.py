"""Leaves kitbag itself behind: ``<root>/.kitbag/kitbag.pyz`` and a ``kitbag`` command.

So the verbs that look after installs work when the stick is gone. The command is a small shell
script that runs the file with whichever installed CPython is there.
"""

from __future__ import annotations

import io
import os
import re
import shlex
from typing import TYPE_CHECKING

from kitbag_installer.files import replace_file
from kitbag_installer.trampolines import MARK

if TYPE_CHECKING:
    from kitbag_installer.roots import Root

PYZ = "kitbag.pyz"
COMMAND = "kitbag"
_VERSION_FILE = "kitbag_bundles/__init__.py"


def leave_kitbag(root: Root, pyz: bytes) -> bool:
    """Keep ``pyz`` in the root unless a newer one is there; returns whether it was written."""
    place = os.path.join(root.own, PYZ)
    try:
        with open(place, "rb") as file:
            present = file.read()
    except FileNotFoundError:
        present = b""
    if present == pyz or (present and _version(present) > _version(pyz)):
        return False
    os.makedirs(root.own, exist_ok=True)
    replace_file(root, place, pyz, 0o644)
    return True


def write_command(root: Root, bin_dir: str, *, force: bool) -> str:
    """Write the ``kitbag`` command; returns its path, or ``""`` if another file has the name."""
    path = os.path.join(bin_dir, COMMAND)
    text = _script(root).encode("utf-8", "surrogateescape")
    present = _content(path)
    if present == text:
        return path
    if not force and not may_write_command(path):
        return ""
    os.makedirs(bin_dir, exist_ok=True)
    replace_file(root, path, text, 0o755)
    return path


def may_write_command(path: str) -> bool:
    """Whether nothing is at ``path``, or a ``kitbag`` command of ours."""
    present = _content(path)
    return present is None or MARK.encode("ascii") in present


def remove_command(root: Root, bin_dir: str) -> bool:
    """Remove the ``kitbag`` command if it is this root's."""
    path = os.path.join(bin_dir, COMMAND)
    if _content(path) != _script(root).encode("utf-8", "surrogateescape"):
        return False
    os.unlink(path)
    return True


def _script(root: Root) -> str:
    """The newest CPython comes last in the list, as far as a shell's sorting goes."""
    return f"""\
#!/bin/sh
{MARK}
root={shlex.quote(root.path)}
python=
for found in "$root"/cpython-3.9.*/bin/python3 "$root"/cpython-3.[1-9][0-9].*/bin/python3; do
    [ -x "$found" ] && python=$found
done
if [ ! -d "$root" ]; then
    echo "kitbag: $root is gone; if it was moved to NEW, mend it with" >&2
    echo "  NEW/cpython-3.*/bin/python3 NEW/.kitbag/kitbag.pyz relocate" >&2
    exit 5
fi
if [ -z "$python" ]; then
    echo "kitbag: no CPython 3.9 or newer is installed in $root; use the bundle instead" >&2
    exit 5
fi
exec "$python" -I -S -B "$root/.kitbag/kitbag.pyz" "$@"
"""


def _content(path: str) -> bytes | None:
    """What is at ``path``; ``None`` for nothing, empty for what is no small plain file."""
    if not os.path.lexists(path):
        return None
    if os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) > 65536:
        return b""
    with open(path, "rb") as file:
        return file.read()


def _version(pyz: bytes) -> tuple[int, ...]:
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(pyz)) as archive:
            text = archive.read(_VERSION_FILE).decode("utf-8")
    except Exception:  # noqa: BLE001  # on a damaged file zipfile raises anything; any is newer
        return ()
    found = re.search(r'^__version__ = "([0-9.]+)', text, re.MULTILINE)
    return tuple(int(part) for part in found.group(1).split(".") if part) if found else ()
