"""Bundles in volumes, small enough for many tries, and every part different from every other."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.writing import write_bundle

from .bundles import LINUX, OLDER, bundle_members, packed_build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kitbag_packer.sources import MemberSource

BASE = "tools.kitbag"
SIZE = 8192


def noisy_members(seed: int = 1, archive: int = 30_000) -> Sequence[MemberSource]:
    """The members of a bundle whose archives are noise: another seed, other bytes, same sizes."""
    noise = random.Random(seed)
    builds = [packed_build(key, noise.randbytes(archive)) for key in (LINUX, OLDER)]
    return bundle_members(builds, extra={"meta/noise": noise.randbytes(9000)})


def noisy_volumes(folder: Path, seed: int = 1, size: int = SIZE, archive: int = 30_000) -> bytes:
    """Write such a bundle into volumes in ``folder``; returns the bytes of the whole."""
    folder.mkdir(exist_ok=True)
    members = noisy_members(seed, archive)
    write_bundle(folder / BASE, members, volume_size=size, reporter=SilentReporter())
    return b"".join(path.read_bytes() for path in parts_of(folder))


def parts_of(folder: Path) -> list[Path]:
    """The parts in ``folder``, in order."""
    return sorted(folder.glob(f"{BASE}.[0-9][0-9][0-9]"))


def sums_of(folder: Path) -> Path:
    """The file with the sums."""
    return folder / f"{BASE}.sha256"
