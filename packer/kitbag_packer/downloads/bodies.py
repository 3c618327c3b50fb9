"""Looks at the bytes of a body as they pass: is it an archive at all, and is it still the same?"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kitbag_packer.downloads.partials import Partial

_MAGICS = (
    ((".gz", ".tgz"), b"\x1f\x8b"),
    ((".zst", ".tzst"), b"\x28\xb5\x2f\xfd"),
    ((".zip", ".whl"), b"PK"),
    ((".bz2", ".tbz", ".tbz2"), b"BZh"),
    ((".xz", ".txz"), b"\xfd7zXZ\x00"),
    ((".7z",), b"7z\xbc\xaf\x27\x1c"),
)
_PAGES = (b"<!doctype", b"<html", b"<head", b"<body", b"<script", b"<meta", b"<title", b"<!--")
_BLANK = b" \t\r\n\xef\xbb\xbf"


def magic_of(filename: str) -> bytes:
    """How an archive of this name begins; empty where the name does not tell."""
    name = filename.lower()
    return next((magic for ends, magic in _MAGICS if name.endswith(ends)), b"")


def is_page(begin: bytes, magic: bytes, content_type: str) -> bool | None:
    """Whether a body that begins so is a web page instead of an archive.

    ``None``: too few bytes to tell. A server that calls an archive ``text/html`` is forgiven.
    """
    if magic:
        if begin.startswith(magic):
            return False
        if magic.startswith(begin):
            return None
    if content_type.partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml"):
        return True
    if not magic:
        return False
    text = begin.lstrip(_BLANK).lower()
    if text.startswith(_PAGES):
        return True
    return None if any(page.startswith(text) for page in _PAGES) else False


class Comparison:
    """Holds a body that begins anew against what is there already, and takes what is new.

    As long as both are the same nothing is lost if the body ends early; at the first difference
    the old bytes are those of another file, and the new ones count.
    """

    def __init__(self, partial: Partial) -> None:
        self._partial = partial
        self._end = partial.have
        self._hash: Any = hashlib.sha256()
        self.at = 0
        """Bytes that were the same."""

    @property
    def done(self) -> bool:
        """Whether all that is there has been compared."""
        return self.at >= self._end

    def feed(self, data: memoryview) -> tuple[memoryview, bool]:
        """What of ``data`` comes after the bytes that are there, and whether those had to go."""
        there = self._partial.read(self.at, min(len(data), self._end - self.at))
        if data[: len(there)] == there:
            self._hash.update(there)
            self.at += len(there)
            return data[len(there) :], False
        same = _common(data, there)
        self._hash.update(there[:same])
        self.at += same
        self._drop()
        return data[same:], True

    def end(self) -> bool:
        """The body was whole and ends here; whether something had to go because it is longer."""
        if self.done:
            return False
        self._drop()
        return True

    def _drop(self) -> None:
        self._partial.cut(self.at, self._hash)
        self._end = self.at


def _common(one: memoryview, other: bytes) -> int:
    """How many bytes two different texts have in common at their beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
