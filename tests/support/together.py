"""Measures how long an interpreter and forty wheels take to fetch, alone and together."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from kitbag_packer.downloads.settings import DownloadSettings
from kitbag_packer.gathering import gather_all
from kitbag_packer.reporting import QuietReporter

from .packages import choice_of, pick_of, planned, supply_in
from .webserver import serving
from .wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

WHEELS = 40


class Times(NamedTuple):
    """Seconds, from empty caches to materials and environments that are checked."""

    interpreter: float
    wheels: float
    together: float

    @property
    def ratio(self) -> float:
        """Of both together to the slower of the two alone."""
        return self.together / max(self.interpreter, self.wheels)


def make_wheels(folder: Path, size: int) -> list[Path]:
    """Forty wheels of about ``size`` bytes."""
    return [
        make_wheel(
            folder,
            f"package-{number}",
            files={f"package_{number}.bin": random.Random(number).randbytes(size)},
        )
        for number in range(WHEELS)
    ]


def measure(folder: Path, archive: Path, wheels: list[Path], rate: float) -> Times:
    """Gather from one server that sends ``rate`` bytes a second on each connection."""
    content = {f"/{each.name}": each.read_bytes() for each in (archive, *wheels)}
    with serving(content, rate=rate) as server:
        choice = choice_of(archive, server.url)
        plan = planned(choice.offer.key, *(pick_of(each, server.url) for each in wheels))
        seconds = []
        for number, (choices, plans) in enumerate(
            [([choice], []), ([], [plan]), ([choice], [plan])]
        ):
            supply = supply_in(folder / str(number), DownloadSettings())
            began = time.perf_counter()
            gather_all(choices, plans, supply, QuietReporter(), scratch=folder / "scratch")
            seconds.append(time.perf_counter() - began)
    return Times(*seconds)
