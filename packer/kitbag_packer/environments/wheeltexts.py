"""The texts in a wheel's ``.dist-info``: RECORD, WHEEL, METADATA, ``entry_points.txt``.

RECORD: https://packaging.python.org/en/latest/specifications/recording-installed-packages/;
entry points: https://packaging.python.org/en/latest/specifications/entry-points/.
"""

from __future__ import annotations

import base64
import binascii
import configparser
import csv
import hashlib
import io
import re
from dataclasses import dataclass

from kitbag_bundles.errors import ArchiveError

_WEAK = frozenset({"md5", "sha1", "sha224"})
_ALGORITHMS = frozenset({"sha256", "sha384", "sha512", "blake2b", "sha3_256", "sha3_512"})
_REFERENCE = re.compile(
    r"(?P<module>\w+(?:\.\w+)*)\s*:\s*(?P<object>\w+(?:\.\w+)*)\s*(?:\[[^\[\]]*\]\s*)?"
)
_UNFIT = re.compile(r"[/\\\x00-\x1f\x7f]")
_GROUPS = ("console_scripts", "gui_scripts")
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})", re.ASCII)


@dataclass(frozen=True)
class Texts:
    """What else is read."""

    metadata: bytes
    entry_points: bytes
    """Empty where there are none."""


@dataclass(frozen=True)
class Metadata:
    """What METADATA tells."""

    version: str
    """As it is written there."""
    requires_python: str


@dataclass(frozen=True)
class Recorded:
    """What RECORD says of one file."""

    algorithm: str
    """As :mod:`hashlib` calls it."""
    digest: bytes
    size: int | None
    """Bytes, where said."""


def parse_record(data: bytes, filename: str) -> dict[str, Recorded | None]:
    """The lines of RECORD by path; ``None`` for one that has no digest, as RECORD's own.

    Raises :class:`ArchiveError` for what can't be read, a weak digest, and a path that is there
    twice with different things said of it.
    """
    found: dict[str, Recorded | None] = {}
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArchiveError(f"{filename}: RECORD can't be read ({error}); fetch it again") from None
    for row in rows:
        if not row:
            continue
        if len(row) != 3:
            raise _bad(filename, f"RECORD has a line of {len(row)} fields: {row[0]!a}")
        path, digest, size = row
        if path.endswith("/"):
            continue
        recorded = _recorded(path, digest, size, filename)
        if path in found and found[path] != recorded:
            raise _bad(filename, f"RECORD says two things of {path!a}")
        found[path] = recorded
    return found


def _recorded(path: str, digest: str, size: str, filename: str) -> Recorded | None:
    if not digest:
        if path.endswith((".dist-info/RECORD", ".dist-info/RECORD.jws", ".dist-info/RECORD.p7s")):
            return None
        raise _bad(filename, f"RECORD has no digest of {path!a}")
    algorithm, _, text = digest.partition("=")
    algorithm = algorithm.lower().replace("-", "_")
    if algorithm in _WEAK or algorithm not in _ALGORITHMS:
        raise _bad(filename, f"RECORD has a digest by {algorithm!a} of {path!a}")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != hashlib.new(algorithm).digest_size or not (size == "" or _is_size(size)):
        raise _bad(filename, f"RECORD's line of {path!a} makes no sense")
    return Recorded(algorithm, raw, int(size) if size else None)


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def check_wheel_version(data: bytes, filename: str) -> None:
    """Raise :class:`ArchiveError` for a WHEEL of a format that is not version 1."""
    said = _fields(data).get("wheel-version", "")
    found = _VERSION.fullmatch(said)
    if not found:
        raise _bad(filename, f"WHEEL does not tell its version but {said!a}")
    if found[1] != "1":
        raise ArchiveError(
            f"{filename}: is of version {said} of the wheel format, and kitbag knows version 1; "
            "take another release of the package, or a newer kitbag"
        )


def parse_metadata(data: bytes, name: str, version: str, filename: str) -> Metadata:
    """What METADATA tells, which must be that of ``name`` in ``version``.

    Raises :class:`ArchiveError`.
    """
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion, Version

    found = _fields(data)
    said, said_version = found.get("name", ""), found.get("version", "")
    try:
        alike = Version(said_version) == Version(version)
    except InvalidVersion:
        alike = False
    if "metadata-version" not in found or canonicalize_name(said) != name or not alike:
        raise _bad(filename, f"METADATA is of {said!a} {said_version!a}")
    return Metadata(said_version, found.get("requires-python", ""))


def parse_scripts(data: bytes, filename: str) -> dict[str, str]:
    """Console and GUI scripts of ``entry_points.txt``: names and references, ``module:object``.

    Raises :class:`ArchiveError` for what can't be read, and for a name that is no file's.
    """
    parser = configparser.RawConfigParser(delimiters=("=",), strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(data.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error) as error:
        why = " ".join(str(error).split())
        raise ArchiveError(
            f"{filename}: entry_points.txt can't be read ({why}); do not use this wheel"
        ) from None
    scripts: dict[str, str] = {}
    for group in _GROUPS:
        for name, text in parser.items(group) if parser.has_section(group) else ():
            found = _REFERENCE.fullmatch(text.strip())
            if not found or _UNFIT.search(name) or name in (".", "..") or name in scripts:
                raise _bad(filename, f"entry_points.txt has the script {name!a} = {text!a}")
            scripts[name] = f"{found['module']}:{found['object']}"
    return scripts


def _fields(data: bytes) -> dict[str, str]:
    """The first of each field of a header as in a mail, names in lower case."""
    from email.parser import BytesHeaderParser
    from email.policy import compat32

    message = BytesHeaderParser(policy=compat32).parsebytes(data)
    found: dict[str, str] = {}
    for name, value in message.items():
        found.setdefault(name.lower(), " ".join(str(value).split()))
    return found


def _bad(filename: str, what: str) -> ArchiveError:
    return ArchiveError(f"{filename}: {what}; do not use this wheel")
