"""The lines of the live display, as data: what fits into how many columns and lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_packer.cli.progress.board import State, Status
from kitbag_packer.cli.progress.measures import (
    Countdown,
    show_again,
    show_amount,
    show_rate,
    show_share,
    show_time,
)
from kitbag_packer.cli.progress.output import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_packer.cli.progress.board import Overview

Row = tuple[tuple[str, str], ...]
"""One line: pieces of text, each with its style."""

_GAP = 2
_LONGEST_BAR = 30
_SHORTEST_BAR = 8
_NARROW_LABEL = 12
_WIDE_LABEL = 28


@dataclass(frozen=True)
class Space:
    """What the terminal offers."""

    width: int
    height: int
    plain: bool
    """Whether its encoding is poor."""


@dataclass(frozen=True)
class _Line:
    label: str
    share: float | None
    cells: dict[str, str]
    note: str = ""
    tail: str = ""
    """The end of the note, which stays when the rest does not fit."""
    style: str = ""


def lay_out(
    view: Overview, works: Sequence[Status], space: Space, clocks: dict[int, Countdown], now: float
) -> list[Row]:
    """One line for each download that goes on, each other work, and the whole.

    ``clocks`` keeps the times left between two calls. Every line is at most ``space.width``
    columns wide; there are at most ``space.height`` of them.
    """
    active = [each for each in view.each if each.state in (State.RUNNING, State.PAUSED)]
    lines = [_line(each, clocks, now) for each in active]
    lines += [_line(each, clocks, now) for each in works]
    last = [_whole(view, clocks, now)] if view.count > 1 and view.open else []
    room = max(space.height - len(last), 0)
    if len(lines) > room:
        hidden = len(lines) - max(room - 1, 0)
        lines = lines[: max(room - 1, 0)]
        if room > 0:
            last.insert(0, _Line(f"and {hidden} more", None, {}, style="dim"))
    lines += last
    return _fit(lines, space)


def _line(status: Status, clocks: dict[int, Countdown], now: float) -> _Line:
    label = printable(status.label)
    if status.state is State.PAUSED:
        clocks.pop(status.number, None)
        tail = show_again(status.resumes_in, status.attempt)
        return _Line(label, None, {}, printable(status.reason), tail, "yellow")
    return _Line(label, _share(status.done, status.total), _cells(status, clocks, now))


def _whole(view: Overview, clocks: dict[int, Countdown], now: float) -> _Line:
    label = f"{view.finished} of {view.count} done"
    if view.failed:
        label += f", {view.failed} failed"
    whole = view.whole
    cells = _cells(whole, clocks, now)
    if not view.surely:
        cells |= {"share": "", "amount": show_amount(whole.done, whole.total, at_least=True)}
        return _Line(label, None, cells, style="bold")
    return _Line(label, _share(whole.done, whole.total), cells, style="bold")


def _cells(status: Status, clocks: dict[int, Countdown], now: float) -> dict[str, str]:
    cells = {
        "share": show_share(status.done, status.total),
        "amount": show_amount(status.done, status.total),
    }
    if status.done == status.total:
        return cells | {"left": "checking" if status.number >= 0 else ""}
    clock = clocks.setdefault(status.number, Countdown())
    left = clock.left(status.left, now)
    if left is not None:
        cells["left"] = f"{show_time(left)} left"
    if status.rate is not None:
        cells["rate"] = show_rate(status.rate)
    return cells


def _share(done: int, total: int | None) -> float | None:
    if total is None or done > total:
        return None
    return done / total if total else 1.0


def _fit(lines: list[_Line], space: Space) -> list[Row]:
    """Choose the columns that fit, and give each its width."""
    longest = max((len(line.label) for line in lines), default=0)
    chosen: dict[str, int] = {}
    used = 0
    for name, least in (
        ("share", _NARROW_LABEL),
        ("left", _NARROW_LABEL),
        ("rate", _NARROW_LABEL),
        ("amount", _WIDE_LABEL),
    ):
        width = max((len(line.cells.get(name, "")) for line in lines), default=0)
        if width and min(longest, least) + used + _GAP + width <= space.width:
            chosen[name] = width
            used += _GAP + width
    label = max(min(longest, space.width - used), 1)
    bar = min(space.width - used - label - _GAP, _LONGEST_BAR)
    if bar < _SHORTEST_BAR or all(line.share is None for line in lines):
        bar = 0
    return [_row(line, label, bar, chosen, space) for line in lines]


def _row(line: _Line, label: int, bar: int, columns: dict[str, int], space: Space) -> Row:
    dots = "..." if space.plain else "…"
    name = _shortened(line.label, label, dots)
    if line.tail:
        # When to go on is what people wait for: the label gives way to it.
        label = min(label, max(space.width - _GAP - len(line.tail), _NARROW_LABEL))
        name = f"{_shortened(line.label, label, dots):<{label}}"
        note = _note(line, space.width - label - _GAP, dots)
        return _cut([(f"{name}{' ' * _GAP}", ""), (note, line.style)], space.width)
    row = [(f"{name:<{label}}", line.style)]
    if bar:
        row.append((" " * _GAP, ""))
        row += _bar(line.share, bar, plain=space.plain)
    for column in ("share", "amount", "rate", "left"):
        if column in columns:
            text = line.cells.get(column, "")
            padded = f"{text:<{columns[column]}}" if column == "left" else (
                f"{text:>{columns[column]}}"
            )  # fmt: skip
            row.append((f"{' ' * _GAP}{padded}", line.style))
    return _cut(row, space.width)


def _bar(share: float | None, width: int, *, plain: bool) -> list[tuple[str, str]]:
    if share is None:
        return [(" " * width, "")]
    full, empty = ("=", " ") if plain else ("━", "─")
    filled = int(share * width)
    return [(full * filled, "green"), (empty * (width - filled), "dim")]


def _note(line: _Line, width: int, dots: str) -> str:
    whole = f"{line.note}; {line.tail}"
    if len(whole) <= width:
        return whole
    room = width - len(line.tail) - len(dots) - 2
    return f"{line.note[:room]}{dots}; {line.tail}" if room >= 4 else line.tail


def _shortened(text: str, width: int, dots: str) -> str:
    """Both ends of a key tell something: the version, and what it runs on."""
    if len(text) <= width:
        return text
    if width <= len(dots) + 2:
        return text[:width]
    kept = width - len(dots)
    start = (kept + 1) // 2
    return f"{text[:start]}{dots}{text[len(text) - (kept - start) :]}"


def _cut(row: list[tuple[str, str]], width: int) -> Row:
    found = []
    for text, style in row:
        found.append((text[:width], style))
        width -= len(text[:width])
    while found and not found[-1][0].strip():
        found.pop()
    return tuple(found)
