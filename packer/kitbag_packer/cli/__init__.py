"""The whole command line: the packer's verbs and all of the installer's."""

from __future__ import annotations

from kitbag_installer import cli

TYPE_CHECKING = False  # importing typing takes as long as all the rest of --version
if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = {
    "pack": ("kitbag_packer.cli.pack", "make a bundle of archives and installed Pythons"),
    **cli.VERBS,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kitbag`` and return its exit status."""
    return cli.main(argv, verbs=VERBS)
