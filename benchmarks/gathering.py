"""Times the fetching of an interpreter and forty wheels: each alone, and both together.

One server on loopback sends so many bytes a second on each connection that each of the two takes
some seconds. Every run begins with empty caches and ends with all of it checked and looked through.

    python benchmarks/gathering.py [--runs N] [--where DIR]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.interpreters import packable_interpreters
from support.pbs import make_pbs_archive
from support.together import WHEELS, Times, make_wheels, measure

SECONDS = 10.0
"""That the interpreter alone takes, and the wheels on four connections."""


def gathering_times(work: Path, runs: int) -> list[Times]:
    """The times of ``runs`` runs, after one that does not count."""
    archive = make_pbs_archive(packable_interpreters((3, 9))[0], work / "archives")
    rate = archive.stat().st_size / SECONDS
    wheels = make_wheels(work / "wheels", int(4 * SECONDS * rate / WHEELS))
    measure(work / "first", archive, wheels[:4], rate * 100)
    return [measure(work / f"run-{number}", archive, wheels, rate) for number in range(runs)]


def report_gathering(work: Path, runs: int) -> None:
    """Print them as a table in Markdown."""
    times = gathering_times(work, runs)
    print(f"\n### Fetch one interpreter and {WHEELS} wheels from a throttled server\n")
    print("| what | median s | min s | max s | ratio to the slower alone |")
    print("|---|---:|---:|---:|---:|")
    for name in ("interpreter", "wheels", "together"):
        taken = [getattr(each, name) for each in times]
        ratio = statistics.median(
            seconds / max(each.interpreter, each.wheels)
            for seconds, each in zip(taken, times, strict=True)
        )
        print(
            f"| {name} | {statistics.median(taken):.2f} | {min(taken):.2f} | {max(taken):.2f} "
            f"| {ratio:.2f} |",
            flush=True,
        )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--where", type=Path, help="a directory to work in")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kitbag-bench-", dir=chosen.where) as work:
        report_gathering(Path(work), chosen.runs)


if __name__ == "__main__":
    main()
