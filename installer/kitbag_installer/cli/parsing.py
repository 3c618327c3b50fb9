"""The parser of a verb's arguments: argparse, with errors in kitbag's own form."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, NoReturn

from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Parser(argparse.ArgumentParser):
    passes_on = False
    """Whether what comes after ``--`` is another program's."""

    def error(self, message: str) -> NoReturn:
        # Intermixed parsing counts positionals as required that need not be there.
        message = re.sub(r", (?:REQUEST|ARG)\b", "", message)
        if self.passes_on and message.startswith("unrecognized arguments"):
            message += "; what is for the program goes after --"
        # What was typed is told again, but not the secrets of an address in it.
        message = re.sub(r"(:/{1,2})[^\s/@]*@|(?<=[\w/])\?\S*=\S*(?=;|\s|$)", r"\1", message)
        raise UsageError(f"{message}; see {self.prog} --help")


def verb_parser(verb: str, module: Any) -> argparse.ArgumentParser:
    """The parser for ``verb``, whose module says what its arguments are."""
    parser = _Parser(
        prog=f"kitbag {verb}",
        description=module.__doc__.strip(),
        epilog=module.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.passes_on = hasattr(module, "PASSES_ON")
    module.add_arguments(parser)
    return parser


def parse(verb: str, module: Any, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a verb's arguments; raises :class:`UsageError`, and ``SystemExit`` after ``--help``."""
    passed_on: list[str] = []
    taker = getattr(module, "PASSES_ON", "")
    if taker and "--" in arguments:
        at = list(arguments).index("--")
        arguments, passed_on = arguments[:at], list(arguments[at + 1 :])
    # Intermixed, so that requests may also come after options.
    options = verb_parser(verb, module).parse_intermixed_args(arguments)
    if taker:
        setattr(options, taker, [*getattr(options, taker), *passed_on])
    return options
