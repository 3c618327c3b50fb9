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
_FILES = ("BUNDLE", "BUNDLE | REQUEST", "FILE", "IN", "OUT", "PATH", "PLACE")
_FOLDERS = ("DIR",)
_NAMED = {
    "run": "NAME",
    **dict.fromkeys(
        ("installed", "uninstall", "rollback", "repair", "relocate", "compile", "doctor"), "REQUEST"
    ),
}
"""Which argument of a verb may be the name of an installed environment."""

_ROOT = "${KITBAG_ROOT:-${XDG_DATA_HOME:-$HOME/.local/share}/kitbag/python}"
_ENVIRONMENTS = {
    "bash": """\
_kitbag_environments() {
  compgen -W "$(ls "ROOT/envs" 2> /dev/null)" -- "$1"
}
""".replace("ROOT", _ROOT),
    "zsh": """\
_kitbag_environments() {
  local -a names
  names=("ROOT"/envs/*(N/:t))
  compadd -a names
}
""".replace("ROOT", _ROOT),
    "fish": """\
function _kitbag_environments
  set -l root "$HOME/.local/share/kitbag/python"
  test -n "$XDG_DATA_HOME"; and set root "$XDG_DATA_HOME/kitbag/python"
  test -n "$KITBAG_ROOT"; and set root "$KITBAG_ROOT"
  command ls "$root/envs" 2> /dev/null
end
""",
}
"""Functions that know the names in the default root; no Python is started for them."""
_COMPLETE = {
    "bash": "_kitbag_environments",
    "zsh": "_kitbag_environments",
    "fish": "(_kitbag_environments)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")


def run(options: argparse.Namespace, reporter: PackerReporter) -> int:
    """Do it; returns the exit status."""
    import shtab

    script = shtab.complete(_whole_parser(), options.shell, preamble=_ENVIRONMENTS[options.shell])
    sys.stdout.write(script + "\n")
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
            _complete(action, _NAMED.get(verb, ""))
    return parser


def _complete(action: argparse.Action, named: str) -> None:
    """Tell shtab, which looks for this attribute, which arguments are paths or names."""
    import shtab

    name = action.metavar or ""
    if name in _FILES:
        action.complete = shtab.FILE  # type: ignore[attr-defined]
    elif name in _FOLDERS:
        action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    elif name and name == named:
        action.complete = _COMPLETE  # type: ignore[attr-defined]
