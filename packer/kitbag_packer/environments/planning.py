"""Environments times builds: what is in each, before anything is fetched."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kitbag_bundles.errors import KitbagError
from kitbag_packer.environments.carrying import made_for, pairs
from kitbag_packer.environments.model import Planned
from kitbag_packer.environments.refusals import Attempt, told_once
from kitbag_packer.errors import raise_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_packer.downloads.settings import DownloadSettings
    from kitbag_packer.environments.carrying import Carried
    from kitbag_packer.environments.locks import Locks
    from kitbag_packer.environments.model import For, Spec
    from kitbag_packer.reporting import PackerReporter

_AT_A_TIME = 4
"""Locks read side by side: most of the time another program works."""


def plan_carried(
    carried: Carried,
    builds: Mapping[BuildKey, str],
    settings: DownloadSettings,
    reporter: PackerReporter,
) -> tuple[Planned, ...]:
    """Every environment that travels along, for ``builds``: their keys and releases.

    Raises what :func:`plan` raises, and :class:`UsageError` or :class:`NoMatch` for environments
    that are for none of them.
    """
    from kitbag_packer.environments.indexes import know_accounts

    if not carried.specs:
        if settings.accounts is not None:
            for spec in dict.fromkeys(each.spec for each in carried.planned):
                know_accounts(spec, settings.accounts, os.environ)
        return in_order(carried.planned)
    keys = sorted(builds, key=lambda key: key.order())
    places = carried.wheelhouse or [made_for(key, builds[key]) for key in keys]
    return plan(pairs(carried.specs, places), settings, reporter)


def plan(
    wanted: Sequence[tuple[Spec, For]], settings: DownloadSettings, reporter: PackerReporter
) -> tuple[Planned, ...]:
    """What is in each environment, in the order of names and builds.

    Credentials that are met on the way are put into the accounts of ``settings``. Raises the error
    of the one that has no answer, or one of the gravest kind for several, which were told before.
    """
    from kitbag_packer.environments.locks import Locks

    locks = Locks(reporter, accounts=settings.accounts, offline=settings.offline)
    with ThreadPoolExecutor(_AT_A_TIME, "plan") as threads:
        try:
            attempts = list(threads.map(lambda pair: _attempt(pair[0], pair[1], locks), wanted))
        except BaseException:
            locks.uv.stop()
            raise
    raise_all(
        told_once(attempts),
        reporter,
        "things keep environments from being packed, see above; nothing was fetched",
    )
    return in_order(
        Planned(each.spec, each.place, each.chosen.picks) for each in attempts if each.chosen
    )


def in_order(planned: Iterable[Planned]) -> tuple[Planned, ...]:
    """``planned`` by names, builds and targets: the order of a bundle."""
    return tuple(sorted(planned, key=_order))


def _order(planned: Planned) -> tuple[object, ...]:
    key = planned.made_for.key
    return (planned.spec.name, key.order() if key else (), str(planned.made_for.target))


def _attempt(spec: Spec, place: For, locks: Locks) -> Attempt:
    from kitbag_packer.environments.choosing import choose
    from kitbag_packer.environments.platforms import Platform

    try:
        platform = Platform.of(place, spec.glibc, place.release)
        lock, path = locks.read(spec, place), locks.lock_of(spec)
        return Attempt(spec, place, choose(spec, lock, platform, path), path)
    except KitbagError as error:
        return Attempt(spec, place, error=error)
