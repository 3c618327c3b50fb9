"""What a choice of builds means: how much there is to fetch, and how large the bundle gets."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kitbag_packer.downloads.addresses import addresses, is_local, local_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kitbag_packer.cache import Cache
    from kitbag_packer.catalogs.model import Offer
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.resolution import Choice

HERE, LOCAL, AWAY = "here already", "a local file", ""
"""Where an archive is: in the cache, in a file of this machine, or to be fetched."""
_INSTALLER = 380_000
_LIST_SHARE = 50
"""A bundle's own bytes, roughly: the installer, and per build a list of files, a 50th of it."""
_AT_A_TIME = 8
_PATIENCE = 4.0
"""Seconds for a connection and for an answer: a size is only nice to have."""


@dataclass(frozen=True)
class Part:
    """One archive of a plan."""

    key: str
    place: str
    """One of ``HERE``, ``LOCAL``, ``AWAY``."""
    size: int | None
    """Bytes, ``None`` while nobody knows."""


@dataclass(frozen=True)
class Plan:
    """All archives of a bundle."""

    parts: tuple[Part, ...]

    def total(self, *places: str) -> tuple[int, int]:
        """Bytes of the archives at ``places``, or of all, and how many are of unknown size."""
        sizes = [part.size for part in self.parts if not places or part.place in places]
        return sum(size or 0 for size in sizes), sizes.count(None)


class Survey:
    """Finds out where archives are and how large, in the background for those that are away.

    Nothing of it outlives the process, and nothing is written.
    """

    def __init__(
        self,
        choices: Sequence[Choice],
        cache: Cache,
        settings: DownloadSettings,
        mirrors: Sequence[str],
        measure: Callable[[Sequence[tuple[str, ...]], DownloadSettings], list[int | None]],
    ) -> None:
        """``measure`` is :func:`kitbag_packer.downloads.sizes.measure`.

        Raises :class:`UsageError` for a mirror that is none.
        """
        self._parts = []
        self._unknown: list[tuple[int, tuple[str, ...]]] = []
        self._answered = threading.Event()
        self._measure = measure
        # Whoever waits looks at the screen; a link that answers slowly is not tried for minutes.
        self._settings = replace(
            settings,
            retries=1,
            connect_timeout=min(settings.connect_timeout, _PATIENCE),
            read_timeout=min(settings.read_timeout, _PATIENCE),
        )
        for number, choice in enumerate(choices):
            urls = addresses(choice.offer, mirrors)
            part = _look(choice.offer, urls, cache)
            self._parts.append(part)
            if part.size is None and part.place == AWAY and not settings.offline:
                self._unknown.append((number, urls))
        if self._unknown:
            threading.Thread(target=self._ask, daemon=True).start()
        else:
            self._answered.set()

    def finished(self, seconds: float) -> bool:
        """Wait at most ``seconds``; whether there is nothing more to learn."""
        return self._answered.wait(seconds)

    def plan(self) -> Plan:
        """What is known by now."""
        return Plan(tuple(self._parts))

    def _ask(self) -> None:
        try:
            for start in range(0, len(self._unknown), _AT_A_TIME):
                batch = self._unknown[start : start + _AT_A_TIME]
                sizes = self._measure([urls for _, urls in batch], self._settings)
                for (number, _), size in zip(batch, sizes, strict=True):
                    self._parts[number] = replace(self._parts[number], size=size)
        finally:
            self._answered.set()


def _look(offer: Offer, urls: Sequence[str], cache: Cache) -> Part:
    entry = cache.find(offer.sha256) if offer.sha256 else None
    if entry is not None:
        return Part(str(offer.key), HERE, entry.size)
    if urls and is_local(urls[0]):
        return Part(str(offer.key), LOCAL, _file_size(local_path(urls[0])) or offer.size)
    return Part(str(offer.key), AWAY, offer.size)


def _file_size(path: str) -> int | None:
    import os

    try:
        return os.stat(path).st_size
    except OSError:
        return None


def describe(plan: Plan, human_size: Callable[[int], str]) -> list[str]:
    """``plan`` for people, line by line; ``human_size`` writes bytes."""
    sizes = ["?" if part.size is None else human_size(part.size) for part in plan.parts]
    width = max(map(len, sizes), default=0)
    lines = [
        f"  {size:>{width}}  {part.key}{f'  ({part.place})' if part.place else ''}"
        for size, part in zip(sizes, plan.parts, strict=True)
    ]
    fetched, missing = plan.total(AWAY)
    to_fetch = _amount(fetched, missing, human_size) if fetched or missing else "nothing"
    count = len(plan.parts)
    builds = f"{count} build{'s' if count > 1 else ''}"
    archives, unknown = plan.total()
    own = _INSTALLER + archives // _LIST_SHARE if archives else 0
    whole = _amount(archives + own, unknown, human_size)
    return [*lines, f"  {builds}; to fetch: {to_fetch}; the bundle: {whole}"]


def _amount(known: int, unknown: int, human_size: Callable[[int], str]) -> str:
    if not unknown:
        return f"about {human_size(known)}"
    return f"more than {human_size(known)} ({unknown} unknown)" if known else "unknown"
