"""Passwords: from a file, or from whoever sits at the terminal; never from the command line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError, UsageError

if TYPE_CHECKING:
    import argparse

_MOST = 4096


def add_password(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """``--password-file``."""
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="the file whose first line is the password; without it kitbag asks on a terminal",
    )


def chosen_password(given: str | None, about: str, *, twice: bool) -> str:
    """The password for the file ``about``, from the file ``given`` or from the terminal.

    ``twice`` is for a new one. Raises :class:`UsageError` where there is neither, and
    :class:`FileSystemError` for a file that can't be read.
    """
    if given is not None:
        return _read(given)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{about} needs a password; name a file with --password-file FILE")
    from getpass import getpass

    password = getpass(f"Password for {about}: ", sys.stderr)
    if not password:
        raise UsageError("no password was given, and nothing was written")
    if twice and getpass("The same again: ", sys.stderr) != password:
        raise UsageError("the two passwords are not the same, and nothing was written")
    return password


def _read(path: str) -> str:
    try:
        with open(os.path.expanduser(path), "rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        raise FileSystemError(f"cannot read {path}: {error.strerror}") from None
    line = data.partition(b"\n")[0].rstrip(b"\r")
    try:
        password = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path} holds no password: its first line is not UTF-8") from None
    if not password or len(line) > _MOST:
        raise UsageError(f"{path} holds no password: its first line is empty or endless")
    return password
