r"""What counts as the build-time prefix in a text, and what a home may look like.

The prefix is matched as a path. What follows it must end the word or the path component. What
comes before it must not make it the tail of another path: ``/usr/bin/install``, ``./install``,
``operations/install/x`` and ``$(DESTDIR)/install`` are not it. One kind of character that belongs
to a longer word is let through all the same: the letter of a joined compiler option,
``-L/install/lib``, where the option itself starts a word or an element of a list.
"""

from __future__ import annotations

import re

from kitbag_bundles.errors import DoesNotFit
from kitbag_bundles.layout import PREFIX

_BEFORE = (
    r"(?:(?<![\w./+~@%*?)}\]\\-])"
    r"|(?<=^-[A-Za-z])|(?<=[\s\"'=,;:(]-[A-Za-z])"
    r"|(?<=-isystem)|(?<=-iquote)|(?<=-idirafter)|(?<=-iframework))"
)
_AFTER = r"(?=[/\"'\s:,;)]|$)"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_OF_WINDOWS = re.compile(r"[A-Za-z]:[\\/].|\\\\[^\\/?.]")
_SHELL_SPECIAL = re.compile(r"[\s\"'`$\\|&;<>()*?\[]")


def path_pattern(*roots: str) -> re.Pattern[str]:
    """A pattern that finds each of ``roots`` where it stands as a path; the roots are literal."""
    return re.compile(f"{_BEFORE}(?:{'|'.join(map(re.escape, roots))}){_AFTER}")


PREFIX_PATH = path_pattern(PREFIX)

BUILD_ROOTS = (
    "/tools",
    "/build",
    "/tmp",  # noqa: S108 - a name to look for, not a place to write to
    "/private/tmp",
    "/var/folders",
    "/private/var/folders",
)
"""Directories of upstream's build machines: containers on Linux, temporary folders on macOS."""


def check_home(home: str) -> None:
    """Refuse a home that cannot be written into text files; raises :class:`DoesNotFit`.

    ``home`` is the absolute path of the installed tree. Spaces, quotes and every printable
    character are fine; bytes that are not UTF-8 and control characters (a newline) are not. A path
    of Windows is fine as well: what is for Windows names no place.
    """
    shown = ascii(home)
    try:
        home.encode()
    except UnicodeEncodeError:
        raise DoesNotFit(
            f"the path {shown} is not UTF-8, so Python's own files cannot name it:"
            " choose another --root"
        ) from None
    if _CONTROL.search(home):
        raise DoesNotFit(
            f"the path {shown} holds a newline or another control character,"
            " so Python's own files cannot name it: choose another --root"
        )
    if _OF_WINDOWS.match(home):
        return
    if not home.startswith("/") or home.endswith("/"):
        raise DoesNotFit(
            f"the path {shown} is not absolute or ends with a slash: give the full path of the tree"
        )


def needs_quoting(text: str) -> bool:
    """Whether a POSIX shell would read ``text`` as anything but one plain word."""
    return _SHELL_SPECIAL.search(text) is not None


def shell_quoted(text: str) -> str:
    """``text`` as one word of a POSIX shell; unchanged where it needs no quotes.

    Unlike :func:`shlex.quote` this leaves letters outside ASCII alone: they are no danger, and
    quotes survive where a command line is split without a shell.
    """
    if not needs_quoting(text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def double_quoted(text: str) -> str:
    """``text`` for a place between double quotes, for a POSIX shell and :mod:`shlex` alike.

    ``$`` and backquotes leave the double quotes for single ones, because :mod:`shlex` (and
    Python's own strings) know no escape for them.
    """
    text = re.sub(r'([\\"])', r"\\\1", text)
    return re.sub(r"[$`]+", lambda found: f"\"'{found[0]}'\"", text)
