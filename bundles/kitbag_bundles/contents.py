r"""The contents list of a build: every path of its tree, as text that is the same for everyone.

One line per path, in bytewise order of the paths, five fields between TABs::

    type  mode  size  digest-or-target  path
    d     755   -     -                 bin
    f     755   17    <sha256 hex>      bin/python3.13
    l     777   -     python3.13        bin/python3
    h     755   -     bin/python3.13    bin/python

Paths and targets are UTF-8 with ``\t``, ``\n``, ``\r``, ``\\`` and ``\xNN`` for every other control
byte and every byte that is not UTF-8. There is exactly one text for one tree: :func:`parse` refuses
everything that :func:`render` would not have written. The list is read at every install, so the
common line, one without a backslash, takes a short way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from kitbag_bundles.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PLAIN_FILE = re.compile(r"f\t(644|755)\t(0|[1-9][0-9]{0,17})\t([0-9a-f]{64})\t([^\t]+)")
_RAW_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_CONTROLS = bytes([*range(9), *range(11, 32), 127])
_SPECIAL = re.compile(rb"[\x00-\x1f\x7f\\]")
_ESCAPE = re.compile(rb"\\(?:([tnr\\])|x([0-9a-f]{2}))|\\")
_LETTERS = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b"\\": b"\\"}
_ESCAPES = {raw: b"\\" + letter for letter, raw in _LETTERS.items()}
_MODES = {"644": 0o644, "755": 0o755}


class Entry(NamedTuple):
    """One path of a build's tree."""

    path: str
    """Relative to the stripped root, ``/`` between parts, surrogateescape for non-UTF-8 bytes."""
    kind: str
    """``d`` directory, ``f`` file, ``l`` symbolic link, ``h`` hard link."""
    mode: int
    """Permission bits: files 0o644 or 0o755, directories 0o755, links 0o777, ``h`` as its file."""
    size: int
    """Bytes of a file, 0 for everything else."""
    digest: str
    """SHA-256 of a file in hex, else empty."""
    target: str
    """The text of a symbolic link; the path in this tree that a hard link shares; else empty."""


class Summary(NamedTuple):
    """What the manifest says about a contents list."""

    unpacked_size: int
    """Sum of the sizes of all files, in bytes; a hard link adds nothing."""
    files: int
    """Number of paths, directories and links included: the inodes that an install may need."""
    longest_path: int
    """Length of the longest path in bytes; 0 for an empty list."""
    case_collisions: bool
    """Whether two paths are the same once case is folded."""


def path_bytes(path: str) -> bytes:
    """The bytes of a path or link target on a POSIX file system."""
    return path.encode("utf-8", "surrogateescape")


def render(entries: Iterable[Entry]) -> bytes:
    """The canonical text of ``entries``, which may come in any order.

    Only the spelling is this function's business: that the tree makes sense is what :func:`parse`
    finds out. Raises :class:`UnicodeEncodeError` for text that no file system path decodes to.
    """
    lines = []
    for raw, entry in sorted((path_bytes(entry.path), entry) for entry in entries):
        if entry.kind == "f":
            size, value = b"%d" % entry.size, entry.digest.encode("ascii")
        else:
            size, value = b"-", b"-" if entry.kind == "d" else _escape(path_bytes(entry.target))
        fields = (entry.kind.encode("ascii"), b"%o" % entry.mode, size, value, _escape(raw))
        lines.append(b"\t".join(fields) + b"\n")
    return b"".join(lines)


def parse(data: bytes, name: str) -> tuple[Entry, ...]:
    """Read a contents list; ``name`` is what messages call it.

    Raises :class:`BundleError` with the line number for anything that is not the canonical text of
    a sound tree: sorted, unique, every parent listed, no way out of the tree.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _broken(name, line, "is not UTF-8") from None
    # Deleting bytes and comparing lengths is several times faster than the search.
    suspicious = len(data.translate(None, _CONTROLS)) != len(data)
    control = _RAW_CONTROL.search(text) if suspicious else None
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise _broken(name, line, "has a control character that is not escaped")
    lines = text.split("\n")
    if lines.pop():
        raise _broken(name, len(lines) + 1, "does not end with a line feed")
    entries = _read_lines(lines, name)
    _check_order(entries, name)
    _check_hard_links(entries, name)
    return tuple(entries)


def summarise(entries: Sequence[Entry]) -> Summary:
    """The figures of the manifest, counted from the list itself."""
    return Summary(
        unpacked_size=sum(entry.size for entry in entries),
        files=len(entries),
        longest_path=longest_path(entries),
        case_collisions=folded_collisions(entries),
    )


def folded_collisions(entries: Iterable[Entry]) -> bool:
    """Whether two paths differ only in case, by Unicode's full case folding."""
    paths = [entry.path for entry in entries]
    return len(set(map(str.casefold, paths))) != len(set(paths))


def longest_path(entries: Iterable[Entry]) -> int:
    """The length of the longest path in bytes, 0 when there is none."""
    return max((len(path_bytes(entry.path)) for entry in entries), default=0)


def _read_lines(lines: list[str], name: str) -> list[Entry]:
    entries: list[Entry] = []
    directories = {""}
    match_plain_file = _PLAIN_FILE.fullmatch
    for number, line in enumerate(lines, 1):
        plain = match_plain_file(line) if "\\" not in line else None
        if plain:
            mode, size, digest, path = plain.groups()
            entry = Entry(path, "f", _MODES[mode], int(size), digest, "")
        else:
            try:
                entry = _read_line(line)
            except ValueError as error:
                raise _broken(name, number, str(error)) from None
            path = entry.path
        parent, slash, last = path.rpartition("/")
        if last in ("", ".", "..") or (slash and not parent):
            raise _broken(name, number, "has a path that is not relative and normal")
        if parent not in directories:
            raise _broken(name, number, "comes without its parent directory")
        if entry.kind == "d":
            directories.add(path)
        entries.append(entry)
    return entries


def _read_line(line: str) -> Entry:
    """Read any line, by the long way; raises ValueError that completes "line N …"."""
    fields = line.split("\t")
    if len(fields) != 5:
        raise ValueError("does not have five fields")
    kind, mode, size, value = fields[:4]
    path = _unescape(fields[4])
    if kind == "f":
        plain = _PLAIN_FILE.fullmatch("\t".join((*fields[:4], "-")))
        if not plain:
            raise ValueError("has a mode, size or digest that a file cannot have")
        return Entry(path, "f", _MODES[mode], int(size), value, "")
    if size != "-":
        raise ValueError("gives a size to something that is not a file")
    if kind == "d" and (mode, value) == ("755", "-"):
        return Entry(path, "d", 0o755, 0, "", "")
    if kind == "l" and mode == "777":
        return Entry(path, "l", 0o777, 0, "", _unescape(value))
    if kind == "h" and mode in _MODES:
        return Entry(path, "h", _MODES[mode], 0, "", _unescape(value))
    raise ValueError("has an unknown type, or fields that its type cannot have")


def _check_order(entries: list[Entry], name: str) -> None:
    """Strictly ascending by the bytes of the path, which makes paths unique too."""
    keys: list[Any] = [entry.path for entry in entries]
    try:
        "\n".join(keys).encode("utf-8")
    except UnicodeEncodeError:
        # Code points are in byte order only as long as no surrogate stands for a byte.
        keys = [path_bytes(path) for path in keys]
    if sorted(set(keys)) == keys:
        return
    for number, (before, after) in enumerate(zip(keys, keys[1:]), 2):
        if after <= before:
            raise _broken(name, number, "is out of order or repeats a path")


def _check_hard_links(entries: list[Entry], name: str) -> None:
    links = [(number, entry) for number, entry in enumerate(entries, 1) if entry.kind == "h"]
    if not links:
        return
    modes = {entry.path: entry.mode for entry in entries if entry.kind == "f"}
    for number, entry in links:
        if modes.get(entry.target) != entry.mode:
            raise _broken(name, number, "is a hard link to no listed file of the same mode")


def spell_path(path: str) -> bytes:
    """The one spelling of ``path`` that is a field of a line; see the top of this module."""
    return _escape(path_bytes(path))


def read_path(field: str) -> str:
    """The path that :func:`spell_path` spelled; raises ValueError for another spelling."""
    return _unescape(field)


def _escape(raw: bytes) -> bytes:
    return _SPECIAL.sub(_escape_one, raw).decode("utf-8", "backslashreplace").encode("utf-8")


def _escape_one(found: re.Match[bytes]) -> bytes:
    return _ESCAPES.get(found[0]) or b"\\x%02x" % found[0][0]


def _unescape(field: str) -> str:
    """The text that ``field`` spells; raises ValueError unless it is the canonical spelling."""
    if not field:
        raise ValueError("has an empty field")
    if "\\" not in field:
        return field
    raw = _ESCAPE.sub(_unescape_one, field.encode("utf-8"))
    if b"\0" in raw:
        raise ValueError("has a NUL byte")
    if _escape(raw).decode("utf-8") != field:
        raise ValueError("has an escape that is not the canonical one")
    return raw.decode("utf-8", "surrogateescape")


def _unescape_one(found: re.Match[bytes]) -> bytes:
    letter, number = found.groups()
    if number:
        return bytes.fromhex(number.decode("ascii"))
    return _LETTERS[letter] if letter else b""


def _broken(name: str, line: int, what: str) -> BundleError:
    return BundleError(f"{name}: line {line} {what}; the bundle is damaged or was made wrongly")
