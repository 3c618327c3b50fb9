"""The whole command line: the packer's verbs and all of the installer's."""

from __future__ import annotations

from kitbag_installer import cli

TYPE_CHECKING = False  # importing typing takes as long as all the rest of --version
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

VERBS = {
    "pack": ("kitbag_packer.cli.pack", "make a bundle"),
    "lock": ("kitbag_packer.cli.lock", "pin what a recipe asks for"),
    "list": ("kitbag_packer.cli.list", "list what can be packed"),
    "catalog": ("kitbag_packer.cli.catalog", "fetch or show the lists of builds"),
    "cache": ("kitbag_packer.cli.cache", "look after what was downloaded"),
    "split": ("kitbag_packer.cli.split", "cut a bundle into volumes for small media"),
    "join": ("kitbag_packer.cli.join", "make one file of a bundle's volumes"),
    "convert": ("kitbag_packer.cli.convert", "write a bundle in another form"),
    **cli.VERBS,
    "completion": ("kitbag_packer.cli.completion", "write a completion script for a shell"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kitbag`` and return its exit status."""
    return cli.main(argv, verbs=VERBS, reporter=_reporter)


def _reporter(verb: str, options: argparse.Namespace) -> Any:
    if verb in cli.VERBS:
        return cli.terminal_reporter(verb, options)
    from kitbag_packer.cli.progress import reporter_for

    return reporter_for(options)
