"""``RECORD``: the list of its files that a wheel brings along, and the one that an install leaves.

The format is that of https://packaging.python.org/en/latest/specifications/recording-installed-packages/.
Wheels are held against theirs by the same code when they are packed and when they are installed.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import re
from typing import TYPE_CHECKING, NamedTuple

from kitbag_installer.environments.wheelrules import broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_ALGORITHMS = ("sha256", "sha384", "sha512", "blake2b", "sha3_256", "sha3_512")
_HEX = re.compile(r"[0-9a-fA-F]+")
_UNSIGNED = ("RECORD", "RECORD.jws", "RECORD.p7s")
"""What can't have a hash in RECORD, since it holds the hash of RECORD or is RECORD."""


class Line(NamedTuple):
    """What ``RECORD`` says of one file."""

    algorithm: str
    """As :mod:`hashlib` calls it; empty where no hash is given."""
    digest: bytes
    size: int | None
    """Bytes, where said."""


class Seen(NamedTuple):
    """What a file of a wheel is."""

    size: int
    """Bytes."""
    sha256: bytes
    digest: Callable[[str], bytes]
    """Its digest by any other algorithm."""


def encoded(digest: bytes) -> str:
    """A digest as ``RECORD`` has it."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def parse_record(data: bytes, wheel: str) -> dict[str, Line]:
    """Read ``RECORD``, by path; directories, which some tools list, are passed over.

    Raises :class:`ArchiveError` for what can't be read, no hash or a weak one where there has to be
    one, and a path that is there twice with different things said of it.
    """
    found: dict[str, Line] = {}
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise broken(wheel, f"its RECORD can't be read ({error})") from None
    for row in rows:
        if not row:
            continue
        if len(row) != 3:
            raise broken(wheel, f"its RECORD has a line of {len(row)} fields, {row[0]!a}")
        path, digest, size = row
        if path.endswith("/"):
            continue
        line = _line(path, digest, size, wheel)
        if found.setdefault(path, line) != line:
            raise broken(wheel, f"its RECORD says two things of {path!a}")
    return found


def _line(path: str, said: str, size: str, wheel: str) -> Line:
    if not (size == "" or (size.isascii() and size.isdigit() and len(size) < 19)):
        raise broken(wheel, f"its RECORD has a line for {path!a} that makes no sense")
    count = int(size) if size else None
    if not said:
        folder, _, name = path.partition("/")
        if folder.endswith(".dist-info") and name in _UNSIGNED:
            return Line("", b"", count)
        raise broken(wheel, f"its RECORD has no hash for {path!a}")
    algorithm, _, text = said.partition("=")
    algorithm = algorithm.lower().replace("-", "_")
    if algorithm not in _ALGORITHMS:
        raise broken(wheel, f"its RECORD has a hash by {algorithm!a} for {path!a}, weak or unknown")
    digest = _digest(text, hashlib.new(algorithm).digest_size)
    if not digest:
        raise broken(wheel, f"its RECORD has a line for {path!a} that makes no sense")
    return Line(algorithm, digest, count)


def _digest(text: str, size: int) -> bytes:
    """The ``size`` bytes that a line says; empty for what is no digest."""
    if _HEX.fullmatch(text) and len(text) == 2 * size:
        # Against the specification, but meant well: gmsh's wheels are on indexes so.
        return bytes.fromhex(text)
    text = text.rstrip("=")
    try:
        digest = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    # Where bits are left over at the end, several texts have the same meaning; one of them is it.
    return digest if len(digest) == size and encoded(digest) == text else b""


def check_record(data: bytes, info: str, files: Mapping[str, Seen], wheel: str) -> None:
    """Hold all ``files`` of a wheel against its RECORD, ``data``, in the directory ``info``.

    Each has its line and is what the line says, and there are no other lines. Raises
    :class:`ArchiveError`.
    """
    lines = parse_record(data, wheel)
    free = {f"{info}/{name}" for name in _UNSIGNED}
    for path in sorted(lines.keys() - files.keys() - free):
        raise broken(wheel, f"has no {path!a}, of which its RECORD speaks")
    for path, seen in files.items():
        if path in free:
            continue
        line = lines.get(path)
        if line is None:
            raise broken(wheel, f"has {path!a}, of which its RECORD does not speak")
        same = seen.sha256 if line.algorithm == "sha256" else seen.digest(line.algorithm)
        if line.size not in (None, seen.size) or line.digest != same:
            raise broken(wheel, f"its {path!a} is not the file that its RECORD speaks of")


def render_record(lines: Iterable[tuple[str, bytes, int]], own: str) -> bytes:
    """The text of ``RECORD``: a line for each path with digest and size, and one for ``own``."""
    rows = [(path, f"sha256={encoded(digest)}", str(size)) for path, digest, size in lines]
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(sorted([*rows, (own, "", "")]))
    return out.getvalue().encode("utf-8")
