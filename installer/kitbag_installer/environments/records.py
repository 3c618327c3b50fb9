"""``RECORD``: the list of its files that a wheel brings along, and the one that an install leaves.

The format is that of https://packaging.python.org/en/latest/specifications/recording-installed-packages/.
"""

from __future__ import annotations

import csv
import hashlib
import io
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable

_WEAK = frozenset(("md5", "sha1"))


class Line(NamedTuple):
    """What ``RECORD`` says of one file."""

    path: str
    algorithm: str
    """``sha256``; empty where no hash is given."""
    digest: str
    """In urlsafe base64 without padding."""
    size: int | None


def encoded(digest: bytes) -> str:
    """A digest as ``RECORD`` has it."""
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def parse_record(data: bytes, wheel: str) -> dict[str, Line]:
    """Read ``RECORD``, by path; raises :class:`ArchiveError` for what it can't be."""
    found: dict[str, Line] = {}
    try:
        for row in csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True):
            if not row:
                continue
            path, said, size = row
            algorithm, _, digest = said.partition("=")
            line = Line(path, algorithm.lower(), digest.rstrip("="), int(size) if size else None)
            if found.setdefault(path, line) != line:
                raise ValueError(f"two different lines for {path}")
    except (ValueError, csv.Error) as error:
        raise ArchiveError(
            f"{wheel}: its RECORD can't be read ({error}); the wheel is broken, pack another one"
        ) from None
    return found


def check_line(line: Line, wheel: str, size: int, sha256: bytes, content: object) -> None:
    """Hold a file against what ``RECORD`` says of it; raises :class:`ArchiveError`.

    ``content`` gives all its bytes when it is called, for other hashes than SHA-256.
    """
    right = line.size in (None, size)
    if line.algorithm == "sha256":
        right = right and line.digest == encoded(sha256)
    elif line.algorithm and line.algorithm not in _WEAK:
        if line.algorithm not in hashlib.algorithms_available or not callable(content):
            raise ArchiveError(
                f"{wheel}: its RECORD has a hash {line.algorithm!r} for {line.path}, which is not "
                "known here; pack another wheel"
            )
        right = right and line.digest == encoded(hashlib.new(line.algorithm, content()).digest())
    elif line.algorithm:
        right = False
    if not right:
        raise ArchiveError(
            f"{wheel}: {line.path} is not the file that its RECORD speaks of; the wheel is broken,"
            " pack another one"
        )


def render_record(lines: Iterable[tuple[str, bytes, int]], own: str) -> bytes:
    """The text of ``RECORD``: a line for each path with digest and size, and one for ``own``."""
    rows = [(path, f"sha256={encoded(digest)}", str(size)) for path, digest, size in lines]
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(sorted([*rows, (own, "", "")]))
    return out.getvalue().encode("utf-8")
