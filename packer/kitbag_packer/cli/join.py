"""Make one file of a bundle's volumes.

Nothing needs this: every command reads volumes as they are. The joined file is byte for byte the
bundle that was split, and is checked against its own digest on the way.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import add_output

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter

EPILOG = """\
examples:
  kitbag join tools.kitbag.001 tools.kitbag
  kitbag join /media/stick tools.kitbag
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "bundle", metavar="VOLUMES", help="any of the volumes, or a directory that holds one set"
    )
    parser.add_argument("output", metavar="FILE", help="the bundle to write")
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_packer.cli.split import render
    from kitbag_packer.volumes.copying import join

    if not options.output:
        raise UsageError("name the bundle to write")
    destination = Path(options.output)
    if destination.is_dir():
        raise UsageError(f"{destination}: a directory; name a file")
    render(join(Path(options.bundle), destination, reporter), as_json=options.json)
    return 0
