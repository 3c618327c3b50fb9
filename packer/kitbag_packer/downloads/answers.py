"""Reads what the header fields of an answer say about the body that follows (RFC 9110, 14)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)", re.ASCII)


def content_range(value: str) -> tuple[int | None, int | None, int | None] | None:
    """First byte, byte after the last, and bytes of the whole, or ``None`` for nonsense."""
    found = _CONTENT_RANGE.fullmatch(value.strip())
    if not found:
        return None
    total = None if found[3] == "*" else int(found[3])
    if found[1] is None:
        return None, None, total
    first, stop = int(found[1]), int(found[2]) + 1
    if stop <= first or (total is not None and stop > total):
        return None
    return first, stop, total


def content_length(headers: Mapping[str, str]) -> int | None:
    """Bytes of the body, where that is said and counts."""
    value = headers.get("content-length", "")
    if headers.get("transfer-encoding") or not (value.isascii() and value.isdigit()):
        return None
    return int(value[:18])


def is_framed(headers: Mapping[str, str]) -> bool:
    """Whether a body that was cut off looks different from one that ended."""
    return content_length(headers) is not None or "chunked" in headers.get("transfer-encoding", "")


def validators(headers: Mapping[str, str]) -> tuple[str, str]:
    """ETag and Last-Modified, as far as they may go into an ``If-Range`` (RFC 9110, 13.1.5).

    A weak ETag may not, and a date only if it is old enough to be a strong one (8.8.2.2).
    """
    etag = headers.get("etag", "").strip()
    if not (etag.startswith('"') and etag.endswith('"') and len(etag) > 1):
        etag = ""
    modified = headers.get("last-modified", "").strip()
    try:
        age = _moment(headers.get("date", "")) - parsedate_to_datetime(modified)
    except (ValueError, TypeError, OverflowError):
        return etag, ""
    return etag, modified if age >= timedelta(seconds=60) else ""


def _moment(date: str) -> datetime:
    try:
        return parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return datetime.now(UTC)
