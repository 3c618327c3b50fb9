"""Files of packages as they arrive: wheels are looked through, and what has no wheel is built.

All of it goes on in threads of its own while the downloads go on; what comes of it does not depend
on the order.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import ArchiveError, Interrupted, KitbagError
from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.downloads.addresses import is_local, shown
from kitbag_packer.downloads.fetching import Download
from kitbag_packer.environments.builders import Builders
from kitbag_packer.environments.building import Building, Outcome, sources
from kitbag_packer.environments.builtmemory import BuiltMemory
from kitbag_packer.environments.conflicts import conflicts
from kitbag_packer.environments.directurls import direct_url
from kitbag_packer.environments.model import WHEEL, Ready, WheelFile
from kitbag_packer.environments.processes import Processes
from kitbag_packer.environments.wheelmemory import WheelMemory
from kitbag_packer.environments.wheels import inspect_wheel
from kitbag_packer.errors import NoWheel, raise_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_packer.cache import Entry
    from kitbag_packer.environments.building import Source
    from kitbag_packer.environments.model import Pick, Planned
    from kitbag_packer.gathering import Supply
    from kitbag_packer.materials import Material
    from kitbag_packer.reporting import PackerReporter


class Packages:
    """The packages of some environments on their way; a context manager that ends all work."""

    def __init__(
        self,
        planned: Sequence[Planned],
        keys: Iterable[BuildKey],
        supply: Supply,
        scratch: Path,
        reporter: PackerReporter,
        jobs: int = 0,
    ) -> None:
        """``keys`` are the builds that are there or to come.

        Wheels are built in a new folder in ``scratch``, and stay there.
        """
        scratch.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix="wheels-", dir=scratch))
        self._planned = planned
        self._reporter = reporter
        self._memory = WheelMemory(supply.cache.folder)
        self._downloads: dict[Pick, Download] = {}
        for pick in sorted({p for each in planned for p in each.picks if p.is_file}, key=_order):
            self._downloads[pick] = _download(pick)
        self._sources = sources(planned)
        self._waiting = list(self._sources)
        self._entries: dict[str, Entry] = {}
        self._wheels: dict[tuple[str, str], Future[WheelFile]] = {}
        self._built: dict[Source, Future[Outcome]] = {}
        self._processes = Processes()
        self._builders = Builders(keys, place / "interpreters")
        self._building = Building(
            self._builders,
            self._processes,
            place / "built",
            supply.settings.accounts or Accounts(),
            os.environ,
            offline=supply.settings.offline,
            memory=BuiltMemory(supply.cache),
        )
        count = jobs or os.cpu_count() or 1
        self._inspectors = ThreadPoolExecutor(count, "inspect")
        self._workers = ThreadPoolExecutor(count, "build")

    def __enter__(self) -> Packages:
        self._start_builds()
        return self

    def __exit__(self, *exc: object) -> None:
        self._processes.stop()
        self._builders.give_up()
        for pool in (self._inspectors, self._workers):
            pool.shutdown(cancel_futures=True)

    @property
    def downloads(self) -> tuple[Download, ...]:
        """What has to be fetched, the largest first: then none is left alone in the end."""
        return tuple(dict.fromkeys(self._downloads.values()))

    def material(self, material: Material) -> None:
        """A build is there."""
        self._builders.arrived(material)
        self._start_builds()

    def arrived(self, download: Download, entry: Entry) -> None:
        """A file is there."""
        self._entries[entry.sha256] = entry
        if download.filename.endswith(".whl"):
            place = (entry.sha256, download.filename)
            if place not in self._wheels:
                self._wheels[place] = self._inspectors.submit(self._inspect, entry, download)
        else:
            self._start_builds()

    def finish(self, failed: Mapping[Download, KitbagError]) -> tuple[Ready, ...]:
        """Wait for the rest; the environments, complete.

        ``failed`` are the downloads that did, also of builds; if only those did, nothing is
        complete, and nothing comes back. Raises the error of the one thing that failed, or one
        of the gravest kind for several, which were told before, in the order of the packages.
        """
        if failed:
            # What can't be packed need not be built.
            self._processes.stop()
        self._builders.give_up()
        mine = sorted(self.downloads, key=lambda each: (each.filename, each.sha256))
        failures = [failed[each] for each in mine if each in failed]
        wheels: dict[tuple[str, str], WheelFile] = {}
        for place, future in sorted(self._wheels.items(), key=lambda item: item[0][::-1]):
            try:
                wheels[place] = future.result()
            except KitbagError as error:
                failures.append(error)
        outcomes: dict[Source, Outcome] = {}
        for source, building in sorted(self._built.items(), key=lambda item: item[0].what):
            try:
                outcomes[source] = building.result()
            except Interrupted:
                continue
            except KitbagError as error:
                failures.append(error)
            else:
                failures += outcomes[source].failures
        self._raise(failures)
        if failed:
            return ()
        for source in self._sources:
            for note in outcomes[source].notes:
                self._reporter.info(f"{source.what}: {note}")
        return self._ready(wheels, outcomes)

    def _raise(self, failures: Iterable[KitbagError]) -> None:
        # One that several environments have in common is told once.
        once = {str(failure): failure for failure in failures}
        raise_all(
            list(once.values()),
            self._reporter,
            "packages could not be had, see above; what arrived is kept, so the next run goes on "
            "from there",
        )

    def _start_builds(self) -> None:
        """Build whatever has its source and its interpreter."""
        for source in list(self._waiting):
            file = None
            if source.pick.is_file:
                entry = self._entries.get(source.pick.sha256)
                if entry is None:
                    continue
                file = entry.path
            if self._builders.is_there(self._building.waits_for(source)):
                self._waiting.remove(source)
                self._reporter.info(f"{source.what}: building a wheel of its source")
                self._built[source] = self._workers.submit(self._building.make, source, file)

    def _inspect(self, entry: Entry, download: Download) -> WheelFile:
        found = self._memory.recall(entry.path, download.filename, entry.sha256)
        if found is None:
            found = inspect_wheel(entry.path, download.filename, entry.sha256)
            self._memory.remember(found)
        return found

    def _ready(
        self,
        wheels: Mapping[tuple[str, str], WheelFile],
        outcomes: Mapping[Source, Outcome],
    ) -> tuple[Ready, ...]:
        built: dict[tuple[int, Pick], WheelFile] = {}
        for source, outcome in outcomes.items():
            for number, wheel in outcome.wheels.items():
                planned, pick = source.users[number]
                built[id(planned), pick] = wheel
        failures: list[KitbagError] = []
        found: list[Ready] = []
        for planned in self._planned:
            mine: dict[str, WheelFile] = {}
            for pick in planned.picks:
                if pick.kind == WHEEL:
                    wheel = _addressed(wheels[pick.sha256, pick.filename], pick)
                else:
                    wheel = built[id(planned), pick]
                wheel = _with(wheel, direct_url=direct_url(pick))
                failures += _mismatches(wheel, pick, planned)
                mine[wheel.wheel.filename] = wheel
            names = sorted(mine, key=str.encode)
            found.append(Ready(planned, tuple(mine[name] for name in names)))
        for ready in found:
            failures += conflicts(ready)
        self._raise(failures)
        return tuple(found)


def _order(pick: Pick) -> tuple[object, ...]:
    return (-(pick.size or 0), pick.filename, pick.sha256, pick.urls)


def _download(pick: Pick) -> Download:
    return Download(pick.filename, pick.urls, pick.filename, pick.sha256, pick.size, package=True)


def _addressed(found: WheelFile, pick: Pick) -> WheelFile:
    """With the public address that the lock gives."""
    url = next((shown(url) for url in pick.urls if not is_local(url)), "")
    return _with(found, url=url)


def _with(found: WheelFile, **facts: str) -> WheelFile:
    return dataclasses.replace(found, wheel=dataclasses.replace(found.wheel, **facts))  # type: ignore[arg-type]


def _mismatches(file: WheelFile, pick: Pick, planned: Planned) -> list[KitbagError]:
    """Where a wheel is not what the lock says, or not for the environment's Python."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    wheel, place = file.wheel, planned.made_for
    try:
        alike = not pick.version or Version(pick.version) == Version(wheel.version)
    except InvalidVersion:
        alike = pick.version == wheel.version
    if wheel.name != pick.name or not alike:
        return [
            ArchiveError(
                f"{wheel.filename}: its lock says that it is {pick.name} {pick.version}, and it is "
                f"{wheel.name} {wheel.version}; make the lock anew"
            )
        ]
    try:
        wanted = SpecifierSet(file.requires_python)
    except InvalidSpecifier:
        return []
    # Where only the minor version is known, one patch that will do is enough.
    versions = [place.version, *([f"{place.version}.9999"] if place.version.count(".") < 2 else [])]
    if any(wanted.contains(version, prereleases=True) for version in versions):
        return []
    return [
        NoWheel(
            f"environment {planned.spec.name} on {place.target}: {wheel.filename} is for Python "
            f"{wanted}, and this is {place.version}; take another version of it"
        )
    ]
