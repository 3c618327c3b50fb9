"""Builds out of a bundle into a tree that uv takes for a mirror.

::

    <export>/20260101/cpython-3.13.5+20260101-….tar.gz     the mirror of CPython
    <export>/pypy/…  graalpy/…  pyodide/…                  the mirrors of the others
    <export>/download-metadata.json                        a list for uv, with publishers' addresses
    <export>/download-metadata-direct.json                 a list with whole addresses
    <export>/SHA256SUMS, README.txt

A new tree is made beside its place and renamed. In one that is there already each file comes in one
step, archives before the lists that name them, so a run that is cut short can be done again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitbag_bundles import sums
from kitbag_bundles.container import CHUNK
from kitbag_bundles.errors import (
    BundleError,
    DigestMismatch,
    FileSystemError,
    IntegrityError,
    NoMatch,
    UsageError,
    file_system_error,
)
from kitbag_bundles.names import check_member_names
from kitbag_bundles.volumes import accused
from kitbag_installer.mirrors import (
    DIRECT_LIST,
    LIST,
    address_of,
    cached_name,
    can_unpack,
    entry_of,
    implementation_at,
    place_in,
    place_of,
)
from kitbag_installer.placing import (
    PARTIAL,
    can_be_filled,
    filled_folder,
    has_bytes,
    has_content,
    locked_folder,
    new_folder,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.reporting import Progress, Reporter
    from kitbag_bundles.requests import Request

README = "README.txt"


@dataclass(frozen=True)
class ExportedBuild:
    """One build of an export."""

    build: Build
    place: str
    """Its archive, relative to the export."""
    action: str
    """``written``, ``replaced``, or ``present`` where the right file was there already."""

    @property
    def url(self) -> str:
        """The publisher's address, which the list gives."""
        return address_of(self.build.implementation, self.place)


@dataclass(frozen=True)
class ExportResult:
    """What an export did."""

    directory: str
    builds: tuple[ExportedBuild, ...]
    implementations: tuple[str, ...]
    """All that the tree has archives of, earlier ones included."""


def choose_builds(builds: Sequence[Build], requests: Sequence[Request]) -> tuple[Build, ...]:
    """Every build that a request matches, for whatever target; all of them without a request.

    Raises :class:`NoMatch`, naming the request, if one of them matches nothing.
    """
    by_key = {build.key: build for build in builds}
    chosen = set() if requests else set(by_key)
    for request in requests:
        found = request.choose(by_key)
        if not found:
            have = ", ".join(sorted(map(str, by_key))) or "no builds"
            raise NoMatch(f"no build in the bundle matches {request.text!r}; it has {have}")
        chosen.update(found)
    return tuple(by_key[key] for key in sorted(chosen, key=lambda key: key.order()))


def export_builds(
    bundle: Bundle,
    builds: Sequence[Build],
    directory: str,
    *,
    base_url: str,
    force: bool,
    reporter: Reporter,
    uv_cache: str = "",
) -> ExportResult:
    """Write ``builds`` to the tree at the absolute path ``directory``, or add them to it.

    ``base_url``, which ends in a slash, is where the direct list says that the tree is; empty for
    where it is now. ``uv_cache`` is a folder that gets the archives under the names of uv's own
    cache. Raises :class:`UsageError` for a place that is no export or has other files by the same
    names (``force`` replaces those), :class:`DigestMismatch` for a damaged archive,
    :class:`FileSystemError`. After an error nothing half written is left.
    """
    places = {build.key: place_of(build) for build in builds}
    _check_places(places.values())
    base = base_url or _as_url(directory)
    with _clear_errors(directory):
        exporter = _Exporter(bundle, directory, base, reporter, force=force)
        with _place(directory) as folder:
            done = exporter.fill(folder, builds)
        if uv_cache:
            os.makedirs(uv_cache, exist_ok=True)
            for each in done.builds:
                _cache(os.path.join(directory, *each.place.split("/")), each, uv_cache)
    for each in done.builds:
        if not can_unpack(each.place):
            reporter.warn(f"uv cannot unpack archives like {each.place}; kitbag can")
    return done


class _Exporter:
    def __init__(
        self, bundle: Bundle, directory: str, base: str, reporter: Reporter, *, force: bool
    ) -> None:
        self._bundle = bundle
        self._directory = directory
        self._base = base
        self._reporter = reporter
        self._force = force

    def fill(self, folder: str, builds: Sequence[Build]) -> ExportResult:
        """Bring ``builds`` and all that tells of them into ``folder``."""
        digests, entries = self._read(folder)
        actions = {build.key: self._action(folder, build, entries) for build in builds}
        wanted = [build for build in builds if actions[build.key] != "present"]
        size = sum(build.payload.size for build in wanted)
        _check_space(folder, self._directory, size)
        if wanted:
            label = f"exporting to {self._directory}"
            with self._reporter.progress(label, size) as progress:
                for build in wanted:
                    self._write_archive(folder, build, progress)
        done = tuple(ExportedBuild(each, place_of(each), actions[each.key]) for each in builds)
        for each in done:
            name, entry = entry_of(each.build, each.place)
            entries[name] = entry
            digests[each.place] = each.build.payload.sha256
        self._write_texts(folder, digests, entries)
        found = {implementation_at(place) for place in digests if "/" in place}
        return ExportResult(self._directory, done, tuple(sorted(found)))

    def _read(self, folder: str) -> tuple[dict[str, str], dict[str, Any]]:
        """Digests and list of an earlier export; empty where there is none."""
        if not os.path.lexists(os.path.join(folder, LIST)):
            return {}, {}
        try:
            with open(os.path.join(folder, sums.MEMBER), "rb") as file:
                digests = sums.parse(file.read())
            with open(os.path.join(folder, LIST), encoding="utf-8") as text:
                entries = json.load(text)
            if not isinstance(entries, dict):
                raise ValueError(LIST)
        except (FileNotFoundError, ValueError, IntegrityError):
            if self._force:
                return {}, {}
            raise IntegrityError(
                f"{self._directory}: {LIST} or {sums.MEMBER} is damaged; --force makes them anew, "
                "for the builds that are exported now"
            ) from None
        texts = (LIST, DIRECT_LIST, README)
        return {name: each for name, each in digests.items() if name not in texts}, entries

    def _action(self, folder: str, build: Build, entries: dict[str, Any]) -> str:
        """What is to be done for a build; refuses to replace what is not the same."""
        place = place_of(build)
        name, entry = entry_of(build, place)
        earlier = entries.get(name)
        if earlier is not None and earlier != entry and not self._force:
            # An entry that says less of the same archive is no other build.
            same = isinstance(earlier, dict) and earlier.get("sha256") == entry["sha256"]
            if not same or place_in(earlier) != place:
                raise UsageError(
                    f"{self._directory} has another archive of {build.key}, {place_in(earlier)}; "
                    "--force puts this one into its list, or export to another directory"
                )
        path = os.path.join(folder, *place.split("/"))
        if not os.path.lexists(path):
            return "written"
        if has_content(path, build.payload.size, build.payload.sha256):
            return "present"
        if not self._force:
            raise UsageError(
                f"{os.path.join(self._directory, *place.split('/'))} is there and is not the "
                f"archive of {build.key} that the bundle has; --force replaces it"
            )
        return "replaced"

    def _write_archive(self, folder: str, build: Build, progress: Progress) -> None:
        import hashlib

        path = os.path.join(folder, *place_of(build).split("/"))
        digest = hashlib.sha256()
        view = memoryview(bytearray(min(CHUNK, build.payload.size + 1)))
        with written(path) as file, self._bundle.open_payload(build) as stream:
            while True:
                count = stream.readinto(view)
                if not count:
                    break
                digest.update(view[:count])
                file.write(view[:count])
                progress.advance(count)
            if digest.hexdigest() != build.payload.sha256:
                damaged = DigestMismatch(
                    f"{self._bundle.path}: {build.payload.member} does not have its SHA-256; "
                    "the bundle is damaged, copy it again"
                )
                raise accused(damaged, self._bundle.accuse_payload(build))

    def _write_texts(self, folder: str, digests: dict[str, str], entries: dict[str, Any]) -> None:
        from hashlib import sha256
        from urllib.parse import quote

        direct = {
            name: {**entry, "url": self._base + quote(place_in(entry), safe="/")}
            for name, entry in entries.items()
            if place_in(entry) in digests
        }
        found = {implementation_at(place) for place in digests}
        texts = {
            LIST: _as_json(entries),
            DIRECT_LIST: _as_json(direct),
            README: _readme(found).encode("ascii"),
        }
        listed = {name: sha256(data).hexdigest() for name, data in texts.items()}
        # The sums first: without them a list is not believed, and without a list they do no harm.
        texts = {sums.MEMBER: sums.render({**digests, **listed}), **texts}
        for name, data in texts.items():
            path = os.path.join(folder, name)
            if not has_bytes(path, data):
                with written(path) as file:
                    file.write(data)


def _as_json(table: dict[str, Any]) -> bytes:
    return (json.dumps(table, indent=1, sort_keys=True) + "\n").encode("ascii")


def _as_url(directory: str) -> str:
    from pathlib import Path

    return Path(directory).as_uri().rstrip("/") + "/"


def _check_places(places: Sequence[str] | Any) -> None:
    try:
        check_member_names([*places, LIST, DIRECT_LIST, README, sums.MEMBER])
    except BundleError as error:
        raise BundleError(f"the builds cannot be exported together: {error}") from None


def _place(directory: str) -> contextlib.AbstractContextManager[Any]:
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
    if not os.path.lexists(os.path.join(directory, LIST)):
        raise UsageError(
            f"cannot export to {directory}: it is neither empty nor an earlier export; "
            "name another directory"
        )
    return _added_to(directory)


@contextlib.contextmanager
def _added_to(directory: str) -> Iterator[str]:
    with locked_folder(directory):
        yield directory


def _cache(path: str, exported: ExportedBuild, folder: str) -> None:
    """Give uv's cache the archive at ``path``: as a hard link, or as a copy elsewhere."""
    payload = exported.build.payload
    target = os.path.join(folder, cached_name(payload.sha256, exported.place))
    if has_content(target, payload.size, payload.sha256):
        return
    partial = target + PARTIAL
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)
    try:
        try:
            os.link(path, partial)
        except OSError:
            shutil.copyfile(path, partial)
        os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def _check_space(folder: str, directory: str, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise FileSystemError(
            f"cannot export to {directory}: it needs {size} bytes and there are {free} left"
        )


@contextlib.contextmanager
def _clear_errors(directory: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise file_system_error(error, directory) from None


def _readme(implementations: set[str]) -> str:
    from kitbag_installer.readme import mirror_readme

    return mirror_readme(implementations)
