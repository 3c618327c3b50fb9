"""``SHA256SUMS``: the digests of all members, in the format that coreutils' ``sha256sum -c`` reads.

One line per member, ``<64 lower-case hex digits>``, two spaces, the name, a line feed; in bytewise
order of the names. Names are plain ASCII (:mod:`kitbag_bundles.names`), so nothing is escaped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kitbag_bundles.errors import BundleError
from kitbag_bundles.names import check_member_names

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMBER = "SHA256SUMS"
SIGNATURE_PREFIX = "SHA256SUMS.sig"

_LINE = re.compile(r"([0-9a-f]{64})  ([\x21-\x7e][\x20-\x7e]*)")


def render(digests: Mapping[str, str]) -> bytes:
    """The file for ``digests``, member name to SHA-256 in hex."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode("ascii")


def parse(data: bytes, name: str = MEMBER) -> dict[str, str]:
    """Read the file into member name to SHA-256 in hex; ``name`` is what messages call it.

    Raises :class:`BundleError` with the line number for everything that :func:`render` would not
    have written: another line end, a byte order mark, comments, binary marks, disorder, repeats.
    """
    text = data.decode("latin-1")
    lines = text.split("\n")
    if lines.pop():
        raise BundleError(f"{name}: the last line does not end with a line feed")
    digests: dict[str, str] = {}
    previous = ""
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if not found:
            raise BundleError(f"{name}: line {number} is not '<sha256>  <name>'")
        digest, member = found.groups()
        if member <= previous:
            raise BundleError(f"{name}: line {number} is out of order or repeats a name")
        digests[member] = digest
        previous = member
    check_member_names(digests)
    return digests


def is_signature(member: str) -> bool:
    """Whether ``member`` has a name that is reserved for signatures of ``SHA256SUMS``."""
    return member.startswith(SIGNATURE_PREFIX) and "/" not in member


def is_unlisted(member: str) -> bool:
    """Whether ``member`` is one of those that ``SHA256SUMS`` cannot list: itself, signatures."""
    return member == MEMBER or is_signature(member)
