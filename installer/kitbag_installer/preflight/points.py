"""The points at which a target fails, and the one answer that names them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import DoesNotFit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.reporting import Reporter

CODES = (
    *("target", "cpu", "os-version", "node", "loader", "libraries"),
    *("path-text", "occupied", "read-only", "permission", "noexec", "path-length", "name-length"),
    *("symlinks", "case", "space", "inodes", "bin-dir", "additions"),
)
"""Every code, in the order in which points are told."""


class Point(NamedTuple):
    """One thing that keeps a target from taking an install."""

    code: str
    """One of :data:`CODES`; stable."""
    message: str
    """What is wrong, of what, and what to do: one line."""
    advice: bool = False
    """Whether it may be wrong, so that ``force`` overrides it."""


def in_order(points: Sequence[Point]) -> tuple[Point, ...]:
    """``points`` by the order of their codes; those of one code stay as they are."""
    return tuple(sorted(points, key=lambda point: CODES.index(point.code)))


def stopping(points: Sequence[Point], *, force: bool) -> tuple[Point, ...]:
    """Those of ``points`` that an install does not get past."""
    return tuple(point for point in points if not (force and point.advice))


def refuse(points: Sequence[Point], where: str, *, force: bool, reporter: Reporter) -> None:
    """Raise :class:`DoesNotFit` if any of ``points`` stops an install into ``where``.

    One point is the error; several are warnings, and the error sums them up. What ``force``
    overrides is a warning.
    """
    stops = stopping(points, force=force)
    for point in points:
        if point not in stops or len(stops) > 1:
            reporter.warn(point.message)
    if not stops:
        return
    advice = "; --force tries it all the same" if all(point.advice for point in stops) else ""
    message = stops[0].message
    if len(stops) > 1:
        message = (
            f"{short(where)}: {len(stops)} things are in the way, see the warnings above; "
            "nothing was written"
        )
    raise DoesNotFit(f"{message}{advice}", [point._asdict() for point in stops])


def short(path: str) -> str:
    """``path`` for a message; one that no system takes is cut."""
    return path if len(path) <= 400 else f"{path[:200]}…{path[-100:]}"
