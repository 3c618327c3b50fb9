"""Find pip and setuptools in site-packages, by their own records.

What a distribution owns is what its `RECORD` lists, so whatever else lies in site-packages, even in
a folder named `pip`, stays behind. A distribution whose files are not what its record says is not
taken at all, unless the altered files can be had as they were from the wheel that ensurepip carries
(people add their own certificates to pip's list; such a list must not travel).

Formats: `RECORD` and `INSTALLER`, PyPA specification "Recording installed projects".
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import posixpath
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line of a RECORD: a path relative to site-packages, ``sha256=…``, a size in bytes."""

    path: str
    digest: str
    size: str


@dataclass(frozen=True)
class Distribution:
    """An installed distribution that is what its record says.

    ``record`` is the RECORD's own path relative to site-packages, ``rows`` its lines in order,
    ``restored`` the recorded content of files that are different or missing here.
    """

    name: str
    record: str
    rows: tuple[Row, ...]
    restored: Mapping[str, bytes] = field(default_factory=dict)


def find_distribution(site_packages: Path, name: str, wheels: Path) -> Distribution | str | None:
    """The distribution, a sentence about why it can't be taken, or None where there is none.

    ``wheels`` is ensurepip's folder of wheels, which need not exist.
    """
    folders = sorted(site_packages.glob(f"{name}-*.dist-info"))
    if not folders:
        if any(site_packages.glob(f"{name}-*.egg-info")) or (site_packages / name).is_dir():
            return f"{name} was left out: it has no RECORD of its files"
        return None
    if len(folders) > 1:
        return f"{name} was left out: it is installed more than once"
    folder = folders[0]
    try:
        installer = (folder / "INSTALLER").read_text("utf-8").strip()
        text = (folder / "RECORD").read_text("utf-8")
        rows = parse_record(text)
    except (OSError, ValueError):
        return f"{name} was left out: it has no RECORD of its files"
    if installer != "pip":
        return f"{name} was left out: it was installed by {installer!r}, not with the interpreter"
    wrong = [row for row in rows if not _as_recorded(site_packages, row)]
    restored = _from_wheel(wheels, folder.name.removesuffix(".dist-info"), wrong) if wrong else {}
    for row in wrong:
        if row.path not in restored:
            return f"{name} was left out: {row.path} is not what its RECORD says"
    return Distribution(name, f"{folder.name}/RECORD", tuple(rows), restored)


def parse_record(text: str) -> list[Row]:
    """Read a RECORD; raises :class:`ValueError` for lines that aren't three fields."""
    rows = []
    for fields in csv.reader(io.StringIO(text, newline="")):
        if not fields:
            continue
        path, digest, size = fields
        rows.append(Row(path, digest, size))
    return rows


def format_record(rows: list[Row]) -> str:
    """The text of a RECORD, lines in the order given."""
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator="\n").writerows(
        (row.path, row.digest, row.size) for row in rows
    )
    return target.getvalue()


def row_for(path: str, data: bytes) -> Row:
    """The line for a file with this content."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return Row(path, f"sha256={digest}", str(len(data)))


def is_inside(path: str) -> bool:
    """Whether a RECORD's path stays in site-packages."""
    normal = posixpath.normpath(path)
    return not normal.startswith(("../", "/")) and normal != ".."


def is_bytecode(path: str) -> bool:
    """Whether a path is a compiled module, which never travels."""
    return path.endswith(".pyc") or "__pycache__" in path.split("/")


def _from_wheel(wheels: Path, stem: str, wanted: list[Row]) -> dict[str, bytes]:
    """The content of recorded files, from the wheel of the same distribution and version."""
    restored = {}
    for wheel in sorted(wheels.glob(f"{stem}-*.whl")):
        try:
            with zipfile.ZipFile(wheel) as archive:
                for row in wanted:
                    data = archive.read(row.path)
                    if row_for(row.path, data).digest == row.digest:
                        restored[row.path] = data
        except (OSError, KeyError, zipfile.BadZipFile):
            continue
    return restored


def _as_recorded(site_packages: Path, row: Row) -> bool:
    """Scripts are not compared: their first line is made for the place where they lie."""
    if not is_inside(row.path) or is_bytecode(row.path):
        return True
    place = site_packages / row.path
    if not row.digest:
        return place.is_file()
    try:
        data = place.read_bytes()
    except OSError:
        return False
    method, _, _ = row.digest.partition("=")
    if method != "sha256":
        return row.size == str(len(data))
    return row_for(row.path, data).digest == row.digest and not os.path.islink(place)
