"""Cut a bundle into volumes for small media.

The parts, tools.kitbag.001 and so on, are byte ranges of the bundle, and a small file beside them,
tools.kitbag.sha256, says what they are. Every command that takes a bundle takes any one of them, or
the directory that holds them, and reads across all: there is no need to join them again.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import add_output

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.volumes.copying import Copied

EPILOG = """\
examples:
  kitbag split tools.kitbag
  kitbag split tools.kitbag --volume-size 700MB -o /media/stick/tools.kitbag
"""
DEFAULT = "4GiB-1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle: a file, or volumes of one")
    parser.add_argument(
        "--volume-size",
        metavar="SIZE",
        default=DEFAULT,
        help="the most bytes of a volume, such as 4GiB-1, 2GiB or 700MB; rounded down to a "
        f"multiple of 4096 (default: {DEFAULT}, what FAT32 holds)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="NAME",
        help="what the volumes are called, without the number (default: as the bundle)",
    )
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_packer.volumes.copying import split
    from kitbag_packer.volumes.sizes import parse_volume_size

    size = parse_volume_size(options.volume_size)
    if options.output == "":
        raise UsageError("--output is empty; name the volumes, without a number")
    source = Path(options.bundle)
    destination = Path(options.output) if options.output is not None else source
    if destination.is_dir():
        raise UsageError(f"{destination}: a directory; name the volumes with -o NAME")
    check_unnumbered(destination)
    render(split(source, destination, size, reporter), as_json=options.json)
    return 0


def check_unnumbered(destination: Path) -> None:
    """Raise :class:`UsageError` if volumes would get two numbers."""
    if re.fullmatch(r"\.[0-9]{3}", destination.suffix):
        raise UsageError(f"{destination}: name the volumes without a number, with -o NAME")


def render(copied: Copied, *, as_json: bool) -> None:
    """Show what was written."""
    from kitbag_installer.cli.terminal import human_size, write_json, write_line

    if as_json:
        table: dict[str, Any] = {
            "bundle": copied.path,
            "size": copied.size,
            "sha256": copied.sha256,
            "volumes": [os.path.basename(path) for path in copied.volumes],
        }
        write_json(table)
        return
    write_line(f"Wrote {named(copied.path, copied.volumes)} ({human_size(copied.size)})")
    write_line(f"sha256 {copied.sha256}")


def named(path: str, volumes: tuple[str, ...]) -> str:
    """What was written, for people."""
    if len(volumes) < 2:
        return volumes[0] if volumes else path
    return f"{volumes[0]} to {volumes[-1].rpartition('.')[2]}"
