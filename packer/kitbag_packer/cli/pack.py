"""Make a bundle of archives and installed Pythons.

An archive travels byte for byte. An installed CPython is taken apart: its own files only, without
the packages that were added to it, in the shape that can be installed anywhere. The same builds
give the same bundle, byte for byte, whatever the order, the place and the day.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_installer.cli.options import add_output

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.packing import Packed

EPILOG = """\
examples:
  kitbag pack --from cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz \\
              --from python3.12 -o tools.kitbag
  kitbag pack --from ~/.pyenv/versions/3.12.1 -o py312.kitbag
  kitbag pack --from build.tar.gz --key cpython-3.13.5-linux-x86_64-gnu -o own.kitbag
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        default=[],
        metavar="PATH",
        help="what to pack: an archive of a build (.tar.gz, .tgz, .tar.zst, .tar.xz, .tar.bz2, "
        ".zip, .7z), the prefix of an installed CPython, or an interpreter such as python3.12; "
        "may be given several times",
    )
    parser.add_argument(
        "--key", metavar="KEY", help="the build's key, where the name of its archive does not tell"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the bundle to write")
    parser.add_argument(
        "--format",
        choices=("kitbag", "dir"),
        default="kitbag",
        help="one file (the default), or the same members in a directory",
    )
    parser.add_argument(
        "--name", default="python", help="a name for the bundle, shown by kitbag show"
    )
    parser.add_argument(
        "--bundle-version", default="", metavar="VERSION", help="the bundle's own version"
    )
    parser.add_argument(
        "--with-tests",
        action="store_true",
        help="take the test suite of an installed CPython along",
    )
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_bundles.keys import BuildKey
    from kitbag_packer.packing import PackOptions, pack

    packed = pack(
        options.sources,
        Path(options.output),
        PackOptions(
            name=options.name,
            version=options.bundle_version,
            key=BuildKey.parse(options.key) if options.key else None,
            with_tests=options.with_tests,
            directory=options.format == "dir",
        ),
        reporter,
    )
    _render(packed, as_json=options.json)
    return 0


def _render(packed: Packed, *, as_json: bool) -> None:
    from kitbag_bundles.manifest import to_table
    from kitbag_installer.cli.terminal import human_size, write_json, write_line

    if as_json:
        write_json(
            {
                "bundle": str(packed.path),
                "size": packed.size,
                "sha256": packed.sha256,
                "manifest": to_table(packed.manifest),
            }
        )
        return
    builds = packed.manifest.builds
    count = f"{len(builds)} build{'s' if len(builds) > 1 else ''}"
    write_line(f"Packed {count} into {packed.path} ({human_size(packed.size)})")
    for build in builds:
        size, unpacked = human_size(build.payload.size), human_size(build.unpacked_size)
        write_line(f" + {build.key} ({size}, {unpacked} unpacked)")
    if packed.sha256:
        write_line(f"sha256 {packed.sha256}")
