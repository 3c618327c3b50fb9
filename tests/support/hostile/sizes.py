"""Hostile cases: how large a member says it is."""

from __future__ import annotations

from support import rawtar
from support.rawtar import member

from .base import ACCEPT, EITHER, LIBRARY, REFUSE, Cases, base_contents, plus, tar


def sizes(cases: Cases) -> None:
    """Add sizes that lie and records that are malformed."""

    data = b"0123456789" * 10
    hidden = member(LIBRARY + b"hidden", b"hidden\n")

    def size(name: str, verdict: str, why: str, block: bytes, **contents: bytes) -> None:
        seen = plus(**contents) if contents else None
        cases.add(name, verdict, why, tar(block), contents=seen)

    size(
        "pax-size",
        EITHER,
        "the size is only in the pax record",
        rawtar.pax({b"size": b"100"})
        + member(LIBRARY + b"x", data, size_field=rawtar.octal(0, 12)),
        x=data,
    )
    # By the header the second member is data of the first; by pax it is a member.
    smuggled = rawtar.pax({b"size": b"100"}) + rawtar.header(LIBRARY + b"x", size=100 + 1024)
    size(
        "pax-size-smuggles",
        EITHER,
        "header and pax record disagree about where a file ends",
        smuggled + rawtar.padded(data) + hidden,
        x=data,
        hidden=b"hidden\n",
    )
    for name, value in {
        "pax-size-negative": b"-512",
        "pax-size-text": b"many",
        "pax-size-huge": b"9" * 30,
        "pax-size-empty": b"",
        "pax-size-underscore": b"1_0",
        "pax-size-unicode": "\u0661\u0660".encode(),
    }.items():
        block = rawtar.pax({b"size": value}) + member(LIBRARY + b"x", data)
        size(name, REFUSE, "a pax size that is no size", block)
    size(
        "base256-size",
        EITHER,
        "a small size in binary",
        member(LIBRARY + b"x", data, size_field=rawtar.base256(100, 12)),
        x=data,
    )
    for name, field in {
        "base256-negative": rawtar.base256(-512, 12),
        "base256-huge": rawtar.base256(1 << 80, 12),
        "size-text": b"notanumber!\0",
        "size-negative": b"-0000000144\0",
        "size-8": b"00000000888\0",
    }.items():
        block = member(LIBRARY + b"x", data, size_field=field)
        size(name, REFUSE, "a size field that is no size", block)
    size(
        "size-spaces",
        EITHER,
        "a size padded with blanks, as old tars write it",
        member(LIBRARY + b"x", data, size_field=b"        144 "),
        x=data,
    )
    larger = rawtar.header(LIBRARY + b"x", size=100) + rawtar.padded(data * 60)
    size("more-than-announced", REFUSE, "more data than the header says", larger)
    size(
        "less-than-announced",
        REFUSE,
        "the archive ends before the file does",
        rawtar.header(LIBRARY + b"x", size=1 << 20) + data,
    )
    sparse = rawtar.header(LIBRARY + b"x", kind=rawtar.GNU_SPARSE, size=512, magic=b"ustar  \0")
    size("gnu-sparse", REFUSE, "GNU's old sparse file", sparse + bytes(512))
    modern = {
        b"GNU.sparse.major": b"1",
        b"GNU.sparse.minor": b"0",
        b"GNU.sparse.name": LIBRARY + b"x",
    }
    modern[b"GNU.sparse.realsize"] = b"1000000000000"
    block = rawtar.pax(modern) + member(
        LIBRARY + b"GNUSparseFile.0/x", b"1\n0\n0\n".ljust(512, b"\0")
    )
    size("pax-sparse", REFUSE, "a sparse file in pax records", block)
    cases.add(
        "global-comment",
        ACCEPT,
        "a global pax header that only comments",
        tar(b"", front=rawtar.pax({b"comment": b"0" * 40}, kind=rawtar.PAX_GLOBAL)),
        contents=base_contents(),
    )
    for key, value in {b"path": b"python/everything", b"size": b"0", b"linkpath": b"/etc"}.items():
        front = rawtar.pax({key: value}, kind=rawtar.PAX_GLOBAL)
        why = "a global pax header that changes all members"
        cases.add(f"global-{key.decode()}", REFUSE, why, tar(b"", front=front))
    for name, records in {
        "pax-bad-length": b"99 path=x\n",
        "pax-no-length": b"path=x\n",
        "pax-zero-length": b"0 path=x\n",
        "pax-no-equals": b"8 pathx\n",
        "pax-no-newline": b"9 path=xy",
        "pax-huge-length": b"9" * 5000 + b" path=x\n",
    }.items():
        block = rawtar.pax(records) + member(LIBRARY + b"x", data)
        size(name, REFUSE, "a pax record that is not well-formed", block)
    size("pax-at-end", EITHER, "a pax header without a member", rawtar.pax({b"path": b"python/x"}))
    checksum = rawtar.header(LIBRARY + b"x", checksum=1)
    size("bad-checksum", REFUSE, "a header whose checksum is wrong", checksum)
    size("noise", REFUSE, "a block of noise instead of a header", b"\xa5" * 512)
