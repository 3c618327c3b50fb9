"""What an export tells of itself: digests, lists, index and README, and what an earlier run left.

All of that follows from what is in the tree. Only :data:`Inventory.digests` and the entries of
uv's list are read back when an export is added to.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitbag_bundles import sums
from kitbag_bundles.errors import BundleError, IntegrityError, UsageError
from kitbag_bundles.members import WHEELS
from kitbag_bundles.names import check_member_names
from kitbag_installer.environments.coremetadata import SUFFIX, core_metadata, requires_python
from kitbag_installer.environments.simpleindex import FOLDER, START, Listed, index_pages
from kitbag_installer.environments.wheelhouse import labels_among
from kitbag_installer.mirrors import DIRECT_LIST, LIST, implementation_at, place_in
from kitbag_installer.placing import (
    can_be_filled,
    filled_folder,
    has_bytes,
    locked_folder,
    new_folder,
    written,
)
from kitbag_installer.readme import export_readme

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

README = "README.txt"
_TEXTS = (LIST, DIRECT_LIST, README)


@dataclass(frozen=True)
class Inventory:
    """What is in an export."""

    digests: dict[str, str]
    """SHA-256 in hex by place: of archives, wheels, and the texts of environments."""
    entries: dict[str, Any]
    """uv's list."""

    @property
    def implementations(self) -> tuple[str, ...]:
        """Whose archives are there, sorted."""
        places = [each for each in self.digests if "/" in each and not each.startswith(WHEELS)]
        return tuple(sorted({implementation_at(place) for place in places}))

    @property
    def has_wheels(self) -> bool:
        """Whether there is an index to be made."""
        return any(place.startswith(WHEELS) for place in self.digests)

    @property
    def has_lists(self) -> bool:
        """Whether lists for uv tell of something."""
        return bool(self.entries) or not self.has_wheels


def read_inventory(folder: str, directory: str, *, force: bool) -> Inventory:
    """What an earlier export to ``folder``, which people know as ``directory``, says that it has.

    Raises :class:`IntegrityError` for one that is damaged; with ``force`` it counts as empty.
    """
    if not _is_export(folder):
        return Inventory({}, {})
    entries: Any = {}
    try:
        with open(os.path.join(folder, sums.MEMBER), "rb") as file:
            digests = sums.parse(file.read())
        if LIST in digests or os.path.lexists(os.path.join(folder, LIST)):
            with open(os.path.join(folder, LIST), encoding="utf-8") as text:
                entries = json.load(text)
        if not isinstance(entries, dict):
            raise ValueError(LIST)
    except (FileNotFoundError, ValueError, IntegrityError):
        if force:
            return Inventory({}, {})
        raise IntegrityError(
            f"{directory}: {LIST} or {sums.MEMBER} is damaged; --force makes them anew, "
            "for what is exported now"
        ) from None
    kept = {
        place: digest
        for place, digest in digests.items()
        if place not in _TEXTS and not place.startswith(FOLDER) and not place.endswith(SUFFIX)
    }
    return Inventory(kept, entries)


def write_texts(folder: str, inventory: Inventory, base: str) -> None:
    """Write all that tells of ``inventory`` where it is not there; ``base`` as in the export."""
    from hashlib import sha256

    texts = {}
    if inventory.has_lists:
        texts[LIST] = _as_json(inventory.entries)
        texts[DIRECT_LIST] = _as_json(_direct(inventory, base))
    if inventory.has_wheels:
        metadata = _metadata(folder, inventory)
        texts.update({place + SUFFIX: data for place, data in metadata.items() if data})
        texts.update(index_pages(_wheels(folder, inventory, metadata)))
    labels = labels_among(inventory.digests)
    readme = export_readme(inventory.implementations, labels, lists=inventory.has_lists)
    texts[README] = readme.encode("ascii")
    listed = {name: sha256(data).hexdigest() for name, data in texts.items()}
    # The sums first: without them a list is not believed, and without a list they do no harm.
    texts = {sums.MEMBER: sums.render({**inventory.digests, **listed}), **texts}
    for name, data in texts.items():
        path = os.path.join(folder, *name.split("/"))
        if not has_bytes(path, data):
            with written(path) as file:
                file.write(data)


def check_places(places: Iterable[str]) -> None:
    """Raise :class:`BundleError` unless files can be at all of ``places`` at once."""
    try:
        check_member_names([*places, *_TEXTS, START, sums.MEMBER])
    except BundleError as error:
        raise BundleError(f"the bundle cannot be exported as a whole: {error}") from None


def place_for(directory: str) -> contextlib.AbstractContextManager[Any]:
    """Where to write, and what becomes of it; raises :class:`UsageError` for what is no export."""
    if not os.path.lexists(directory):
        parent = os.path.dirname(directory)
        if not os.path.isdir(parent):
            raise UsageError(f"cannot export to {directory}: there is no directory {parent}")
        return new_folder(directory)
    if not os.path.isdir(directory):
        raise UsageError(f"cannot export to {directory}: it is not a directory")
    if can_be_filled(directory):
        return filled_folder(directory)
    if not _is_export(directory):
        raise UsageError(
            f"cannot export to {directory}: it is neither empty nor an earlier export; "
            "name another directory"
        )
    return _added_to(directory)


@contextlib.contextmanager
def _added_to(directory: str) -> Iterator[str]:
    with locked_folder(directory):
        yield directory


def _is_export(folder: str) -> bool:
    return any(os.path.lexists(os.path.join(folder, *name.split("/"))) for name in (LIST, START))


def _direct(inventory: Inventory, base: str) -> dict[str, Any]:
    from urllib.parse import quote

    return {
        name: {**entry, "url": base + quote(place_in(entry), safe="/")}
        for name, entry in inventory.entries.items()
        if place_in(entry) in inventory.digests
    }


def _metadata(folder: str, inventory: Inventory) -> dict[str, bytes]:
    """The metadata of the wheels that are there, by place; of one that somebody took away, none."""
    found = {}
    for place in inventory.digests:
        if place.startswith(WHEELS):
            with contextlib.suppress(FileNotFoundError):
                found[place] = core_metadata(os.path.join(folder, *place.split("/")))
    return found


def _wheels(folder: str, inventory: Inventory, metadata: Mapping[str, bytes]) -> dict[str, Listed]:
    from hashlib import sha256

    return {
        place[len(WHEELS) :]: Listed(
            inventory.digests[place],
            os.path.getsize(os.path.join(folder, *place.split("/"))),
            requires_python(data),
            sha256(data).hexdigest() if data else "",
        )
        for place, data in metadata.items()
    }


def _as_json(table: dict[str, Any]) -> bytes:
    return (json.dumps(table, indent=1, sort_keys=True) + "\n").encode("ascii")
