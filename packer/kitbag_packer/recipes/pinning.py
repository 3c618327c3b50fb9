"""From planned environments to a lock's words, and from these back to what is to be fetched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kitbag_packer.environments.carrying import made_for
from kitbag_packer.environments.model import DIRECTORY, VCS, For, Pick, Planned
from kitbag_packer.recipes.packages import EnvironmentPin, PackagePin
from kitbag_packer.recipes.whereabouts import Whereabouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from kitbag_packer.cache import Cache
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.recipes.lock import Lock
    from kitbag_packer.recipes.packages import Chosen
    from kitbag_packer.recipes.recipe import Recipe
    from kitbag_packer.reporting import PackerReporter


def pinned(
    planned: Planned, chosen: Chosen, folder: Path, sizes: Mapping[str, int]
) -> EnvironmentPin:
    """``planned`` in the words of a lock.

    ``folder`` is the recipe's; ``sizes`` has the bytes of every file by its SHA-256. Raises
    :class:`UsageError` for a source that no other machine can have.
    """
    place = planned.made_for
    where = Whereabouts.of(planned.spec, folder)
    packages = tuple(_pin(pick, where, sizes) for pick in planned.picks)
    return EnvironmentPin(
        planned.spec.name, place.key, place.target, place.version, chosen, packages
    )


def planned_of(lock: Lock, recipe: Recipe) -> tuple[Planned, ...]:
    """What ``lock`` says of the environments of ``recipe``, which it goes with."""
    options = {each.name: each for each in recipe.environments}
    releases = {pin.key: pin.release for pin in lock.pins}
    found = []
    for pin in lock.environments:
        spec, key = options[pin.name].spec(recipe.folder), pin.python
        where = Whereabouts.of(spec, recipe.folder)
        place = For("cpython", pin.version, "", pin.target)
        if key is not None:
            place = made_for(key, releases.get(key, ""))
        found.append(Planned(spec, place, tuple(_pick(each, where) for each in pin.packages)))
    return tuple(found)


def measured(
    planned: Iterable[Planned],
    folder: Path,
    cache: Cache,
    settings: DownloadSettings,
    reporter: PackerReporter,
) -> dict[str, int]:
    """Bytes of every file among the picks, by SHA-256; what nobody tells is fetched.

    So is a file that a lock can't say the place of: the cache has it then. Raises
    :class:`DownloadError`.
    """
    sizes: dict[str, int] = {}
    asked: dict[str, Pick] = {}
    fetched: dict[str, Pick] = {}
    for each in planned:
        where = Whereabouts.of(each.spec, folder)
        for pick in each.picks:
            if not pick.is_file:
                continue
            entry = cache.find(pick.sha256)
            if entry is not None:
                sizes[pick.sha256] = entry.size
            elif not any(where.public(pick.urls)):
                fetched[pick.sha256] = pick
            elif pick.size is not None:
                sizes[pick.sha256] = pick.size
            else:
                asked[pick.sha256] = pick
    answers = _ask(list(asked.values()), settings)
    sizes |= {sha256: size for sha256, size in answers.items() if size is not None}
    fetched |= {sha256: pick for sha256, pick in asked.items() if sha256 not in sizes}
    return sizes | _fetch(list(fetched.values()), cache, settings, reporter)


def _ask(picks: Sequence[Pick], settings: DownloadSettings) -> dict[str, int | None]:
    from kitbag_packer.downloads.sizes import measure

    if not picks:
        return {}
    sizes = measure([pick.urls for pick in picks], settings)
    return {pick.sha256: size for pick, size in zip(picks, sizes, strict=True)}


def _fetch(
    picks: Sequence[Pick], cache: Cache, settings: DownloadSettings, reporter: PackerReporter
) -> dict[str, int]:
    from kitbag_packer.downloads.fetching import Download, fetch
    from kitbag_packer.errors import raise_all

    if not picks:
        return {}
    downloads = [
        Download(pick.filename, pick.urls, pick.filename, pick.sha256, pick.size) for pick in picks
    ]
    done = fetch(downloads, cache, settings, reporter)
    raise_all(
        list(done.failures.values()),
        reporter,
        "packages could not be fetched, see above; nothing is locked",
    )
    return {entry.sha256: entry.size for entry in done.entries.values()}


def _pin(pick: Pick, where: Whereabouts, sizes: Mapping[str, int]) -> PackagePin:
    what = f"{pick.name} {pick.version}".strip()
    url, path, repository = "", "", ""
    if pick.is_file:
        url, path = where.public(pick.urls)
    elif pick.kind == DIRECTORY:
        path = where.folder(pick.path, what)
    elif pick.kind == VCS:
        repository = where.repository(pick.repository, what)
    return PackagePin(
        name=pick.name,
        version=pick.version,
        kind=pick.kind,
        filename=pick.filename,
        url=url,
        path=path,
        size=sizes[pick.sha256] if pick.is_file else 0,
        sha256=pick.sha256,
        direct=pick.direct,
        vcs=pick.vcs,
        repository=repository,
        commit=pick.commit,
        revision=pick.revision,
        subdirectory=pick.subdirectory,
        reason=pick.reason,
    )


def _pick(pin: PackagePin, where: Whereabouts) -> Pick:
    is_file = pin.kind not in (DIRECTORY, VCS)
    path = where.locate(pin.path) if pin.path else None
    urls: tuple[str, ...] = ()
    if is_file:
        near = (path.as_uri(),) if path and (os.path.isfile(path) or not pin.url) else ()
        urls = (*near, *([pin.url] if pin.url else []))
    return Pick(
        name=pin.name,
        version=pin.version,
        kind=pin.kind,
        filename=pin.filename,
        urls=urls,
        sha256=pin.sha256,
        size=pin.size if is_file else None,
        direct=pin.direct,
        path=str(path) if path and not is_file else "",
        vcs=pin.vcs,
        repository=where.locate_repository(pin.repository) if pin.repository else "",
        commit=pin.commit,
        revision=pin.revision,
        subdirectory=pin.subdirectory,
        reason=pin.reason,
    )
