"""The command line: parse, call, render. One module for each verb, imported when it is named.

``kitbag.pyz`` has the verbs of the target side; the packer adds its own to the same machinery.
"""

from __future__ import annotations

import os
import sys

from kitbag_bundles import __version__

TYPE_CHECKING = False  # importing typing takes as long as all the rest of --version
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

VERBS: dict[str, tuple[str, str]] = {
    "install": ("kitbag_installer.cli.install", "install builds from a bundle"),
    "show": ("kitbag_installer.cli.show", "tell what is in a bundle"),
    "verify": (
        "kitbag_installer.cli.verify",
        "check every byte of a bundle or of what is installed",
    ),
    "run": ("kitbag_installer.cli.run", "run a program of an installed environment"),
    "installed": ("kitbag_installer.cli.installed", "list what is installed"),
    "uninstall": ("kitbag_installer.cli.uninstall", "remove what is installed"),
    "rollback": ("kitbag_installer.cli.rollback", "go back to what was there before"),
    "repair": ("kitbag_installer.cli.repair", "mend what is damaged from a bundle"),
    "relocate": ("kitbag_installer.cli.relocate", "mend what is installed after a move"),
    "compile": ("kitbag_installer.cli.compile", "compile what is installed to bytecode"),
    "doctor": ("kitbag_installer.cli.doctor", "check in depth whether it all works"),
    "export": ("kitbag_installer.cli.export", "write a mirror that uv and pip can use"),
}
_HELP = ("-h", "--help", "help")
_BUNDLE_VERBS = ("install", "show", "verify", "repair", "export")


def terminal_reporter(verb: str, options: argparse.Namespace) -> Any:
    """The reporter of the target side's verbs."""
    from kitbag_installer.cli.terminal import TerminalReporter

    return TerminalReporter(quiet=bool(getattr(options, "quiet", False)))


def main(
    argv: Sequence[str] | None = None,
    *,
    bundle: str | None = None,
    verbs: Mapping[str, tuple[str, str]] = VERBS,
    reporter: Callable[[str, argparse.Namespace], Any] = terminal_reporter,
) -> int:
    """Run the command line and return its exit status.

    ``bundle`` is the bundle that this runs from: ``install`` is its default verb, and the verbs
    that take a bundle take that one. ``reporter`` makes what a verb tells its progress to.
    """
    _open_standard_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if bundle is not None:
        arguments = _with_bundle(arguments, bundle, verbs)
    # After the word, anything is meant for a command; after an option it may be another option.
    if len(arguments) > 1 and (
        arguments[0] == "help" or (arguments[0] in _HELP and arguments[1] in verbs)
    ):
        arguments = [arguments[1], "--help"]
    if not arguments or arguments[0] in _HELP:
        sys.stdout.write(_overview(verbs))
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        sys.stdout.write(f"kitbag {__version__}\n")
        return 0
    verb = arguments[0]
    if verb not in verbs:
        sys.stderr.write(f"kitbag: error: no such command {verb!r}; see kitbag --help\n")
        return 2
    status = _run(verb, arguments[1:], verbs, reporter)
    _leave(sys.stderr)
    return status if _leave(sys.stdout) else status or 1


def _leave(stream: Any) -> bool:
    """Whether everything could be written; what could not would fail again at the very end."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True


def _open_standard_streams() -> None:
    """Put something in the place of streams that the caller closed (``kitbag … >&-``).

    Otherwise the next file that is opened would get the number of one of them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _with_bundle(arguments: list[str], bundle: str, verbs: Mapping[str, Any]) -> list[str]:
    first = arguments[0] if arguments else ""
    if first in (*_HELP, "-V", "--version"):
        return arguments
    if first not in verbs:
        arguments = ["install", *arguments]
    verb, rest = arguments[0], arguments[1:]
    about_root = verb == "verify" and any(word.split("=")[0] == "--root" for word in rest)
    if verb in _BUNDLE_VERBS and not about_root:
        return [verb, bundle, *rest]
    return arguments


def _overview(verbs: Mapping[str, tuple[str, str]]) -> str:
    width = max(map(len, verbs)) + 2
    lines = [f"  {verb:<{width}}{summary}" for verb, (_, summary) in verbs.items()]
    return (
        "usage: kitbag COMMAND [ARGUMENT...]\n\n"
        "Carry Python across an air gap in one file.\n\ncommands:\n"
        + "\n".join(lines)
        + "\n\noptions:\n  -h, --help     show this, or with a command that command's help\n"
        "  -V, --version  show kitbag's version\n\n"
        "exit status: 0 done, 1 failed, 2 usage, 3 integrity, 4 nothing matched,\n"
        "  5 the target does not fit, 130 interrupted\n"
    )


def _run(
    verb: str,
    arguments: list[str],
    verbs: Mapping[str, tuple[str, str]],
    make_reporter: Callable[[str, argparse.Namespace], Any],
) -> int:
    import importlib

    from kitbag_bundles.errors import Interrupted, KitbagError, file_system_error
    from kitbag_installer.cli.parsing import parse
    from kitbag_installer.cli.terminal import show_error, stop_on_signals

    stop_on_signals()
    module = importlib.import_module(verbs[verb][0])
    as_json = "--json" in arguments
    try:
        options = parse(verb, module, arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    except KitbagError as error:
        return show_error(error, as_json=as_json)
    try:
        return _guarded(module, options, make_reporter(verb, options))
    except KitbagError as error:
        return show_error(error, as_json=as_json)
    except (KeyboardInterrupt, BrokenPipeError) as error:
        if isinstance(error, BrokenPipeError):
            # Whoever read our output is gone; there is nobody left to tell.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        return show_error(Interrupted("interrupted; nothing is left half done"), as_json=as_json)
    except OSError as error:
        return show_error(file_system_error(error, "the file system"), as_json=as_json)
    except Exception as error:
        if os.environ.get("KITBAG_DEBUG"):
            raise
        shown = KitbagError(
            f"internal error: {error!r}; set KITBAG_DEBUG=1 to see where, and please report it"
        )
        return show_error(shown, as_json=as_json)


def _guarded(module: Any, options: argparse.Namespace, reporter: Any) -> int:
    try:
        status: int = module.run(options, reporter)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            from kitbag_bundles.errors import file_system_error

            raise file_system_error(error, "standard output") from None
        return status
    finally:
        reporter.close()
