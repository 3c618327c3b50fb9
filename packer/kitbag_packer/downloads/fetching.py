"""Fetches many archives side by side into the cache; one that fails does not stop the others."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from kitbag_bundles.errors import Interrupted, KitbagError, file_system_error
from kitbag_packer.downloads.addresses import host_of, is_local, shown
from kitbag_packer.downloads.retries import Stopped
from kitbag_packer.downloads.throttling import Limiter
from kitbag_packer.downloads.turns import Turn, Turns
from kitbag_packer.errors import DownloadError, OfflineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kitbag_packer.cache import Cache, Entry
    from kitbag_packer.downloads.client import Web
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.downloads.watching import Track, Watcher
    from kitbag_packer.reporting import PackerReporter

_THREADS = 128
"""At most; most of them wait for their turn or for another process."""
_TICK = 0.1
"""Seconds between two looks at those that wait for another process."""
_LEND_AFTER = 0.3
"""Seconds of such a wait after which somebody else gets the turn."""
_GRACE = 2.0
"""Seconds in which threads may end in order when everything stops."""


@dataclass(frozen=True)
class Download:
    """One archive to get."""

    label: str
    """What people see: the key of the build."""
    urls: tuple[str, ...]
    """Where it is, the best address first; the others are tried in turn."""
    filename: str
    """Upstream's name, decoded."""
    sha256: str
    """In hex; empty when unknown, and then the one that was seen counts."""
    size: int | None = None
    """Bytes, where known."""
    package: bool = False
    """Whether it belongs to a package. Archives of builds are few and long, files of packages many
    and short: neither takes the turns of the other at one host."""


@dataclass(frozen=True)
class Fetched:
    """What became of some downloads; every one of them is in one of the two."""

    entries: Mapping[Download, Entry]
    failures: Mapping[Download, KitbagError]
    """In the order in which the downloads were asked for."""


def fetch(
    downloads: Sequence[Download],
    cache: Cache,
    settings: DownloadSettings,
    reporter: PackerReporter,
    arrived: Callable[[Download, Entry], None] | None = None,
) -> Fetched:
    """Get ``downloads`` into ``cache``, those that are there already without any network.

    ``arrived`` is called in the calling thread for each one as soon as it is there, while the
    others go on; an error that it raises ends everything. Raises :class:`Interrupted` and what
    ``arrived`` raises; failures of downloads are returned.
    """
    found, missing = _look_up(downloads, cache)
    failures: dict[str, KitbagError] = {}
    jobs = []
    for number, group in enumerate(missing):
        urls = _allowed(group, settings)
        if urls:
            jobs.append(_Job(number, group, urls))
        elif (entry := _from_uv(group[0], cache)) is not None:
            found |= dict.fromkeys(group, entry)
        else:
            failures[_identity(group[0])] = _nowhere(group[0], cache)
    entries = dict(found)
    told = arrived or _nobody
    if jobs:
        with (
            reporter.downloads(len(jobs)) as watcher,
            _Crew(jobs, cache, settings, watcher) as crew,
        ):
            for download, entry in found.items():
                told(download, entry)
            for job, outcome in crew.results():
                if isinstance(outcome, KitbagError):
                    failures[job.identity] = outcome
                    continue
                for download in job.group:
                    entries[download] = outcome
                    told(download, outcome)
    else:
        for download, entry in found.items():
            told(download, entry)
    return Fetched(
        {each: entries[each] for each in downloads if each in entries},
        {each: failures[_identity(each)] for each in downloads if each not in entries},
    )


@dataclass(frozen=True)
class _Job:
    """Downloads of the same bytes, which are fetched once."""

    number: int
    group: tuple[Download, ...]
    urls: tuple[str, ...]

    @property
    def identity(self) -> str:
        return _identity(self.group[0])


class _Crew:
    """The threads that fetch; a context manager that ends them, whatever happens."""

    def __init__(
        self, jobs: Sequence[_Job], cache: Cache, settings: DownloadSettings, watcher: Watcher
    ) -> None:
        self._cache = cache
        self._settings = settings
        self._stop = threading.Event()
        self._limiter = Limiter(settings.limit_rate)
        self._turns = Turns(settings, self._stop)
        self._left = len(jobs)
        self._done: SimpleQueue[tuple[_Job, Entry | Exception]] = SimpleQueue()
        self._waits: dict[int, tuple[float, Turn]] = {}
        self._web: Web | None = None
        self._todo = deque(
            (job, watcher.track(job.group[0].label, job.group[0].size)) for job in jobs
        )
        online = [url for job in jobs for url in job.urls if not is_local(url)]
        if online:
            from kitbag_packer.downloads.client import Web

            self._web = Web(settings)
            for scheme in dict.fromkeys(url.partition(":")[0].lower() for url in online):
                self._web.prepare(scheme)
        # They end with the process, so that one which hangs in a name look-up holds up nobody.
        self._threads = [
            threading.Thread(target=self._work, daemon=True, name=f"download-{number}")
            for number in range(min(len(jobs), _THREADS))
        ]

    def __enter__(self) -> _Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._left:
            self._stop.set()
            if self._web is not None:
                self._web.abort()
        until = time.monotonic() + _GRACE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if self._web is not None and not any(each.is_alive() for each in self._threads):
            self._web.__exit__(*exc)

    def results(self) -> Iterator[tuple[_Job, Entry | KitbagError]]:
        """What became of each job, as it comes; an error that is nobody's failure is raised."""
        while self._left:
            try:
                job, outcome = self._done.get(timeout=_TICK)
            except Empty:
                self._lend()
                continue
            if isinstance(outcome, Exception) and not isinstance(outcome, KitbagError):
                raise outcome
            self._left -= 1
            yield job, outcome

    def _lend(self) -> None:
        """Take the turn from those that wait for another process."""
        now = time.monotonic()
        for since, turn in list(self._waits.values()):
            if now - since >= _LEND_AFTER:
                turn.give_back()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                job, track = self._todo.popleft()
            except IndexError:
                return
            turn = Turn(self._turns, job.number, "packages" if job.group[0].package else "")
            outcome: Entry | Exception
            try:
                outcome = self._get(job, track, turn)
                track.finish()
            except (Stopped, Interrupted):
                return
            except OSError as error:
                outcome = file_system_error(error, str(self._cache.folder))
                track.fail(str(outcome))
            except KitbagError as error:
                outcome = error
                track.fail(str(error))
            except Exception as error:  # noqa: BLE001 - the calling thread raises it
                outcome = error
            finally:
                turn.give_back()
            self._done.put((job, outcome))

    def _get(self, job: _Job, track: Track, turn: Turn) -> Entry:
        from kitbag_packer.downloads.transfer import Transfer

        wanted = job.group[0]
        entry = _from_uv(wanted, self._cache)
        if entry is not None:
            return entry
        turn.take(job.urls[0])
        with contextlib.ExitStack() as stack:
            self._waits[job.number] = time.monotonic(), turn
            try:
                place = stack.enter_context(
                    self._cache.partial(
                        job.identity, wanted.label, size=wanted.size, stopped=self._stop.is_set
                    )
                )
            finally:
                del self._waits[job.number]
            # Another process may have got it meanwhile.
            entry = self._cache.find(wanted.sha256) if wanted.sha256 else None
            if entry is not None:
                return entry
            transfer = Transfer(
                wanted,
                job.urls,
                self._settings,
                web=self._online,
                turn=turn,
                limiter=self._limiter,
                track=track,
                stop=self._stop,
            )
            sha256, url = transfer.run(place)
            return self._cache.keep(
                place.data, sha256=sha256, filename=wanted.filename, url=shown(url)
            )

    def _online(self) -> Web:
        assert self._web is not None, "only local addresses"
        return self._web


def _look_up(
    downloads: Sequence[Download], cache: Cache
) -> tuple[dict[Download, Entry], list[tuple[Download, ...]]]:
    """What is in the cache, and the others, those of the same bytes together."""
    found: dict[Download, Entry] = {}
    missing: dict[str, list[Download]] = {}
    for download in dict.fromkeys(downloads):
        entry = cache.find(download.sha256) if download.sha256 else None
        if entry is None:
            missing.setdefault(_identity(download), []).append(download)
        else:
            found[download] = entry
    return found, [tuple(group) for group in missing.values()]


def _from_uv(download: Download, cache: Cache) -> Entry | None:
    from kitbag_packer.cache.uvcache import take

    return take(cache, download.sha256, download.filename) if download.sha256 else None


def _identity(download: Download) -> str:
    """What the cache calls its partial file."""
    if download.sha256:
        return download.sha256
    address = shown(download.urls[0]) if download.urls else download.filename
    return "url-" + hashlib.sha256(address.encode()).hexdigest()


def _allowed(group: Sequence[Download], settings: DownloadSettings) -> tuple[str, ...]:
    urls = dict.fromkeys(url for download in group for url in download.urls)
    return tuple(url for url in urls if is_local(url) or not settings.offline)


def _nowhere(download: Download, cache: Cache) -> KitbagError:
    if not download.urls:
        remedy = "name another catalog with --catalog"
        if download.package:
            remedy = "name the --cache-dir of a machine that locked it, or make the lock anew"
        return DownloadError(
            f"{download.filename} is not in the cache {cache.folder}, and nobody says where else "
            f"it is; {remedy}"
        )
    hosts = ", ".join(dict.fromkeys(host_of(url) for url in download.urls))
    return OfflineError(
        f"{download.filename} is not in the cache {cache.folder}, and --offline keeps kitbag from "
        f"fetching it from {hosts}; run it once without --offline, or name another "
        "--cache-dir"
    )


def _nobody(download: Download, entry: Entry) -> None:
    pass
