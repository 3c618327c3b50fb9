"""Write a completion script for a shell: commands, options and file names at the Tab key.

The script goes to stdout. It is made from the commands' own options, so make it again after an
upgrade of kitbag.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from kitbag_packer.reporting import PackerReporter

SHELLS = ("bash", "zsh", "fish")
EPILOG = """\
examples:
  kitbag completion bash > ~/.local/share/bash-completion/completions/kitbag
  kitbag completion zsh > "${fpath[1]}/_kitbag"
  kitbag completion fish > ~/.config/fish/completions/kitbag.fish
"""
_FILES = ("BUNDLE", "FILE", "IN", "OUT", "PATH", "PLACE")
_FOLDERS = ("DIR",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")


def run(options: argparse.Namespace, reporter: PackerReporter) -> int:
    """Do it; returns the exit status."""
    import shtab

    sys.stdout.write(shtab.complete(_whole_parser(), options.shell) + "\n")
    return 0


def _whole_parser() -> argparse.ArgumentParser:
    """One parser of everything: the command line itself has one for each verb."""
    import argparse
    import importlib

    from kitbag_installer.cli.parsing import verb_parser
    from kitbag_packer.cli import VERBS

    parser = argparse.ArgumentParser("kitbag")
    parser.add_argument("-V", "--version", action="store_true", help="show kitbag's version")
    verbs = parser.add_subparsers(metavar="COMMAND")
    for verb, (module, summary) in VERBS.items():
        own = verb_parser(verb, importlib.import_module(module))
        sub = verbs.add_parser(verb, parents=[own], help=summary, add_help=False)
        for action in sub._actions:  # noqa: SLF001  # argparse tells them in no other way
            _complete_paths(action)
    return parser


def _complete_paths(action: argparse.Action) -> None:
    """Tell shtab, which looks for this attribute, which arguments are paths."""
    import shtab

    name = action.metavar or ""
    if name in _FILES:
        action.complete = shtab.FILE  # type: ignore[attr-defined]
    elif name in _FOLDERS:
        action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
