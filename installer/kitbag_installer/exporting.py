"""What is in a bundle, into a tree that uv takes for a mirror, and that pip and uv install from.

::

    <export>/20260101/cpython-3.13.5+20260101-….tar.gz     the mirror of CPython
    <export>/pypy/…  graalpy/…  pyodide/…                  the mirrors of the others
    <export>/download-metadata.json                        a list for uv, with publishers' addresses
    <export>/download-metadata-direct.json                 a list with whole addresses
    <export>/wheels/…  simple/…                            packages, and an index of them
    <export>/requirements-….txt  pylock.….toml             environments, for pip and for uv
    <export>/SHA256SUMS, README.txt

A new tree is made beside its place and renamed. In one that is there already each file comes in one
step, archives and wheels before the texts that name them, so a run that is cut short can be done
again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import FileSystemError, NoMatch, UsageError, file_system_error
from kitbag_installer.environments.wheelhouse import (
    hashes_in,
    label_of,
    lock_text,
    place_of_lock,
    place_of_requirements,
    place_of_wheel,
    requirements_text,
)
from kitbag_installer.exported import (
    ExportedBuild,
    ExportedEnvironment,
    ExportedWheel,
    ExportResult,
)
from kitbag_installer.exportitems import action_for, archive_item, path_in, wheel_item, write_item
from kitbag_installer.exporttree import check_places, place_for, read_inventory, write_texts
from kitbag_installer.mirrors import cached_name, can_unpack, entry_of, place_in, place_of
from kitbag_installer.placing import PARTIAL, has_bytes, has_content, written

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.environments import Environment
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.reporting import Reporter
    from kitbag_bundles.requests import Request


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


def export_bundle(
    bundle: Bundle,
    builds: Sequence[Build],
    environments: Sequence[Environment],
    directory: str,
    *,
    base_url: str,
    force: bool,
    reporter: Reporter,
    uv_cache: str = "",
) -> ExportResult:
    """Write ``builds`` and ``environments`` to the tree at the absolute path ``directory``.

    A tree that is there is added to. ``base_url``, which ends in a slash, is where the direct list
    says that the tree is; empty for where it is now. ``uv_cache`` is a folder that gets the
    archives under the names of uv's own cache. Raises :class:`UsageError` for a place that is no
    export or has other files by the same names (``force`` replaces those),
    :class:`DigestMismatch` for a damaged archive or wheel, :class:`FileSystemError`. After an
    error nothing half written is left.
    """
    exporter = _Exporter(bundle, builds, environments, directory, reporter, force=force)
    with _clear_errors(directory):
        with place_for(directory) as folder:
            done = exporter.fill(folder, base_url or _as_url(directory))
        if uv_cache:
            os.makedirs(uv_cache, exist_ok=True)
            for each in done.builds:
                _cache(path_in(directory, each.place), each, uv_cache)
    for each in done.builds:
        if not can_unpack(each.place):
            reporter.warn(f"uv cannot unpack archives like {each.place}; kitbag can")
    return done


class _Exporter:
    def __init__(
        self,
        bundle: Bundle,
        builds: Sequence[Build],
        environments: Sequence[Environment],
        directory: str,
        reporter: Reporter,
        *,
        force: bool,
    ) -> None:
        """Find out what is to go where; raises :class:`BundleError` for what can't."""
        self._bundle = bundle
        self._builds = builds
        self._directory = directory
        self._reporter = reporter
        self._force = force
        self._texts = {each: _texts(bundle, each) for each in environments}
        used = {name for each in environments for name in each.wheels}
        self._wheels = [wheel for wheel in bundle.manifest.wheels if wheel.filename in used]
        self._items = [
            *(archive_item(bundle, build) for build in builds),
            *(wheel_item(bundle, wheel) for wheel in self._wheels),
        ]
        places = [place for texts in self._texts.values() for place in texts]
        check_places([*(item.place for item in self._items), *places])

    def fill(self, folder: str, base: str) -> ExportResult:
        """Bring everything, and all that tells of it, into ``folder``."""
        inventory = read_inventory(folder, self._directory, force=self._force)
        for build in self._builds:
            self._check_entry(build, inventory.entries)
        changes = {each: self._change(folder, texts) for each, texts in self._texts.items()}
        actions = {
            item.place: action_for(folder, self._directory, item, force=self._force)
            for item in self._items
        }
        self._write_items(folder, actions)
        for texts in self._texts.values():
            for place, data in texts.items():
                inventory.digests[place] = _sha256(data)
                _write(path_in(folder, place), data)
        for build in self._builds:
            name, entry = entry_of(build, place_of(build))
            inventory.entries[name] = entry
        inventory.digests.update({item.place: item.sha256 for item in self._items})
        write_texts(folder, inventory, base)
        return ExportResult(
            self._directory,
            tuple(
                ExportedBuild(each, place_of(each), actions[place_of(each)])
                for each in self._builds
            ),
            tuple(
                ExportedWheel(each, place_of_wheel(each), actions[place_of_wheel(each)])
                for each in self._wheels
            ),
            tuple(
                ExportedEnvironment(each, requirements, lock, changes[each])
                for each, (requirements, lock) in self._texts.items()
            ),
            inventory.implementations,
            inventory.has_lists,
            inventory.has_wheels,
        )

    def _check_entry(self, build: Build, entries: dict[str, Any]) -> None:
        """Refuse to put another archive of a build into a list."""
        place = place_of(build)
        name, entry = entry_of(build, place)
        earlier = entries.get(name)
        if earlier is None or earlier == entry or self._force:
            return
        # An entry that says less of the same archive is no other build.
        same = isinstance(earlier, dict) and earlier.get("sha256") == entry["sha256"]
        if not same or place_in(earlier) != place:
            raise UsageError(
                f"{self._directory} has another archive of {build.key}, {place_in(earlier)}; "
                "--force puts this one into its list, or export to another directory"
            )

    def _change(self, folder: str, texts: dict[str, bytes]) -> str:
        """What is to be done for an environment; refuses to replace one of other wheels."""
        paths = {path_in(folder, place): data for place, data in texts.items()}
        if not any(os.path.lexists(path) for path in paths):
            return "written"
        if all(has_bytes(path, data) for path, data in paths.items()):
            return "present"
        if not self._force:
            for place, data in texts.items():
                path = path_in(folder, place)
                if os.path.lexists(path) and not _same_wheels(path, data):
                    raise UsageError(
                        f"{path_in(self._directory, place)} is there and names other wheels than "
                        "the bundle; --force replaces it, or export to another directory"
                    )
        return "replaced"

    def _write_items(self, folder: str, actions: dict[str, str]) -> None:
        wanted = [item for item in self._items if actions[item.place] != "present"]
        size = sum(item.size for item in wanted)
        free = shutil.disk_usage(folder).free
        if free < size:
            raise FileSystemError(
                f"cannot export to {self._directory}: it needs {size:,} bytes and {free:,} are free"
            )
        if wanted:
            label = f"exporting to {self._directory}"
            with self._reporter.progress(label, size) as progress:
                for item in wanted:
                    write_item(folder, self._bundle, item, progress)


def _texts(bundle: Bundle, environment: Environment) -> dict[str, bytes]:
    """Requirements and lock of an environment, by place."""
    wheels = bundle.manifest.wheels_of(environment)
    label = label_of(environment, bundle.manifest.environments)
    return {
        place_of_requirements(label): requirements_text(environment, wheels),
        place_of_lock(label): lock_text(environment, wheels),
    }


def _same_wheels(path: str, data: bytes) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return hashes_in(file.read()) == hashes_in(data)


def _write(path: str, data: bytes) -> None:
    if not has_bytes(path, data):
        with written(path) as file:
            file.write(data)


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _as_url(directory: str) -> str:
    from pathlib import Path

    return Path(directory).as_uri().rstrip("/") + "/"


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


@contextlib.contextmanager
def _clear_errors(directory: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise file_system_error(error, directory) from None
