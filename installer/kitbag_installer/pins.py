"""Pins: lines that a rollback turned to an older patch, and that stay there.

``<root>/.kitbag/pins.json`` maps each such line, by the name of its minor-version link, to

- ``patch``: the version that its link shall lead to,
- ``newest`` and ``release``: the highest version that was there when it was rolled back, and the
  release of that. Whatever is newer comes without the fault that the rollback was for, so it ends
  the pin.

The file is written in one step. What in it can't be understood is ignored, with a warning from the
commands that change the root, and is gone after the next change.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import Version
from kitbag_installer.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.roots import Root

PINS = "pins.json"


class Pin(NamedTuple):
    """Where a line is held, and what was the newest of it then."""

    patch: Version
    newest: Version
    release: str

    def holds(self, patches: Collection[Version], release: str) -> bool:
        """Whether it still counts for a line of ``patches``; ``release`` is their highest's."""
        from kitbag_installer.releases import is_newer_release

        if self.patch not in patches:
            return False
        highest = max(patches)
        if highest == self.newest and is_newer_release(release, self.release):
            return False
        return self.patch < highest <= self.newest


def read_pins(root: Root) -> dict[str, Pin]:
    """The pins of ``root`` by line, those that can be understood."""
    pins, _ = _read(root)
    return pins


def write_pins(root: Root, pins: Mapping[str, Pin]) -> None:
    """Remember exactly ``pins``; the file goes with the last. Raises :class:`OSError`."""
    import json

    known, damaged = _read(root)
    if known == dict(pins) and not damaged:
        return
    path = _path(root)
    if not pins:
        os.unlink(path)
        return
    table = {
        line: {"patch": str(pin.patch), "newest": str(pin.newest), "release": pin.release}
        for line, pin in pins.items()
    }
    os.makedirs(root.own, exist_ok=True)
    text = json.dumps(table, indent=1, sort_keys=True) + "\n"
    replace_file(root, path, text.encode("ascii"), 0o644)


def warn_of_damage(root: Root, reporter: Reporter) -> None:
    """Tell if there are pins that can't be understood."""
    _, damaged = _read(root)
    if damaged:
        reporter.warn(
            f"{_path(root)}: damaged; a rollback that it told of is forgotten, "
            "say it again with kitbag rollback"
        )


def _read(root: Root) -> tuple[dict[str, Pin], bool]:
    """The pins, and whether there was anything else."""
    import json

    try:
        with open(_path(root), encoding="ascii") as file:
            table = json.load(file)
    except FileNotFoundError:
        return {}, False
    except (OSError, ValueError, RecursionError):
        return {}, True
    if not isinstance(table, dict):
        return {}, True
    pins = {line: _parse(value) for line, value in table.items()}
    good = {line: pin for line, pin in pins.items() if pin is not None}
    return good, len(good) < len(pins)


def _parse(value: object) -> Pin | None:
    if not isinstance(value, dict):
        return None
    patch, newest, release = (value.get(name) for name in Pin._fields)
    if not (isinstance(patch, str) and isinstance(newest, str) and isinstance(release, str)):
        return None
    try:
        return Pin(Version.parse(patch), Version.parse(newest), release)
    except UsageError:
        return None


def _path(root: Root) -> str:
    return os.path.join(root.own, PINS)
