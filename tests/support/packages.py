"""What environments are made of, as resolvers would pick it: choices, picks, plans, a supply.

::

    with serving({"/app-1.0-py3-none-any.whl": wheel.read_bytes()}) as server:
        plan = planned(key, pick_of(wheel, server.url), pick_of(sdist))
        materials, ready = gather_all([choice_of(archive)], [plan], supply, …)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.cache import Cache
from kitbag_packer.catalogs.model import Offer
from kitbag_packer.environments.model import For, Pick, Planned, Spec
from kitbag_packer.gathering import Supply
from kitbag_packer.resolution import Choice
from kitbag_packer.upstream import parse_filename

from .downloading import FAST
from .wheels import sha256_of

if TYPE_CHECKING:
    from kitbag_bundles.keys import BuildKey
    from kitbag_packer.downloads.settings import DownloadSettings


def supply_in(folder: Path, settings: DownloadSettings = FAST) -> Supply:
    """A cache in ``folder`` and settings without long waits."""
    return Supply(Cache(folder, SilentReporter()), settings)


def choice_of(archive: Path, base: str = "", key: BuildKey | None = None) -> Choice:
    """The archive of a build, below the address ``base`` or as a file."""
    said = parse_filename(archive.name)
    assert said is not None
    key = key or said.key
    assert key is not None
    url = _address(archive, base)
    offer = Offer(
        key=key,
        filename=archive.name,
        release=said.release,
        flavor=said.flavor,
        url=url,
        canonical=url if base else "",
        sha256=sha256_of(archive),
    )
    return Choice(str(key), key.target, offer)


def pick_of(file: Path, base: str = "", **fields: Any) -> Pick:
    """A wheel or a source distribution, below the address ``base`` or as a file."""
    wheel = file.suffix == ".whl"
    name, version = file.name.removesuffix(".tar.gz").removesuffix(".zip").split("-")[:2]
    given = {
        "name": re.sub(r"[-_.]+", "-", name).lower(),
        "version": version,
        "kind": "wheel" if wheel else "sdist",
        "filename": file.name,
        "urls": (_address(file, base),),
        "sha256": sha256_of(file),
        "size": file.stat().st_size,
        "reason": "" if wheel else "it has a source distribution alone",
    }
    return Pick(**{**given, **fields})


def made_for(key: BuildKey) -> For:
    """What an environment of a build is made for."""
    return For(key.implementation, str(key.version), key.variant, key.target, key)


def planned(place: BuildKey | For, *picks: Pick, name: str = "app", **fields: Any) -> Planned:
    """An environment with these picks."""
    spec = Spec(name, "lock", fields.pop("path", Path("pylock.toml")), **fields)
    place = place if isinstance(place, For) else made_for(place)
    return Planned(spec, place, tuple(sorted(picks, key=lambda pick: pick.name)))


def _address(file: Path, base: str) -> str:
    return base + quote(file.name) if base else file.absolute().as_uri()
