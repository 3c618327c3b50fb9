"""Options that several verbs share, and what the environment says in their place."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kitbag_bundles.errors import NoMatch, UsageError
from kitbag_installer.roots import Root, default_bin_dir, default_root

if TYPE_CHECKING:
    import argparse

    from kitbag_installer.bytecode.modes import BytecodeOptions

_TRUTHS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
REQUEST_HELP = (
    "which builds: 3.13, 3.13.5, 3.14t, 3.13+debug, '>=3.11,<3.13', cpython@3.12, pypy3.11, "
    "graalpy, latest, or a key such as cpython-3.13.5-linux-x86_64-gnu"
)


def add_root(parser: argparse.ArgumentParser) -> None:
    """``--root``."""
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="the directory that holds installed builds (KITBAG_ROOT; otherwise "
        "$XDG_DATA_HOME/kitbag/python, that is ~/.local/share/kitbag/python)",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """``--json`` and ``--quiet``."""
    parser.add_argument("--json", action="store_true", help="write the result as JSON to stdout")
    add_quiet(parser)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """``--quiet``."""
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="no progress and no remarks, only warnings"
    )


def add_requests(
    parser: argparse.ArgumentParser, default: str, *, environments: bool = False
) -> None:
    """Positional requests, with ``environments`` also names of those."""
    names = ", or names of environments" if environments else ""
    parser.add_argument(
        "requests",
        nargs="*",
        metavar="REQUEST",
        help=f"{REQUEST_HELP}{names}; without one {default}",
    )


def chosen_root(options: argparse.Namespace) -> Root:
    """The root that the options, the environment or the place of this program name.

    By the name that its builds have for it, if it can be reached by several.
    """
    from kitbag_installer.aliases import as_known

    return as_known(named_root(options))


def named_root(options: argparse.Namespace) -> Root:
    """The same by just the name that is given."""
    if options.root is not None:
        if not options.root:
            raise UsageError("--root is empty; name a directory")
        return Root.at(options.root)
    return default_root(os.environ, sys.argv[0] if sys.argv else "")


def present_root(options: argparse.Namespace) -> Root:
    """As :func:`chosen_root`; raises :class:`NoMatch` for ``--root`` of what is not there.

    A check that finds nothing wrong in a mistyped place would be no check.
    """
    return _there(options, chosen_root(options))


def present_named_root(options: argparse.Namespace) -> Root:
    """As :func:`present_root`, by just the name that is given."""
    return _there(options, named_root(options))


def _there(options: argparse.Namespace, root: Root) -> Root:
    if options.root is not None and not os.path.isdir(root.path):
        raise NoMatch(f"there is no root at {root.path}; name the one of an install with --root")
    return root


def chosen_bin_dir(options: argparse.Namespace) -> str:
    """The bin directory, empty for ``--no-bin``."""
    if options.no_bin:
        return ""
    given: str | None = options.bin_dir
    if given is not None:
        if not given:
            raise UsageError("--bin-dir is empty; name a directory, or say --no-bin")
        return os.path.abspath(os.path.expanduser(given))
    found = default_bin_dir(os.environ)
    if not found:
        raise UsageError("HOME is not set; name a directory with --bin-dir DIR, or say --no-bin")
    return found


def chosen_jobs(options: argparse.Namespace) -> int:
    """How much may go on side by side: ``--jobs``, ``KITBAG_JOBS``, or the CPUs we may use."""
    given = getattr(options, "jobs", None)
    text = given if given is not None else os.environ.get("KITBAG_JOBS", "")
    if text:
        if not str(text).isdecimal() or int(text) < 1:
            raise UsageError(f"{text!r} is no number of jobs; write 1 or more")
        return int(text)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def chosen_bytecode(compile: bool | None) -> BytecodeOptions:  # noqa: A002  # as the field
    """What to do about bytecode: the option, ``KITBAG_COMPILE_BYTECODE``, Python's own variables.

    Raises :class:`UsageError` for values that they can't have.
    """
    from kitbag_installer.bytecode.modes import BytecodeOptions, chosen_mode

    if compile is None:
        text = os.environ.get("KITBAG_COMPILE_BYTECODE", "")
        if text and text.lower() not in _TRUTHS:
            raise UsageError(f"KITBAG_COMPILE_BYTECODE is {text!r}; set it to 1 or 0")
        compile = _TRUTHS.get(text.lower())  # noqa: A001
    if not compile:
        return BytecodeOptions(compile)
    return BytecodeOptions(compile, *chosen_mode(os.environ))
