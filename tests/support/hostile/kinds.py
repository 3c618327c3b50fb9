"""Hostile cases: what a member is, and what it points to."""

from __future__ import annotations

from support import rawtar
from support.rawtar import member

from .base import ACCEPT, EITHER, LIBRARY, REFUSE, Cases, base_contents, plus, tar


def links(cases: Cases) -> None:
    """Add links that leave, loop or carry other members."""

    def symlink(name: str, verdict: str, why: str, target: bytes, after: bytes = b"") -> None:
        one = member(LIBRARY + b"link", kind=rawtar.SYMLINK, link=target)
        cases.add(name, verdict, why, tar(one + after))

    def hard(name: str, why: str, target: bytes) -> None:
        one = member(LIBRARY + b"hard", kind=rawtar.HARD_LINK, link=target)
        cases.add(name, REFUSE, why, tar(one))

    symlink("symlink-absolute", REFUSE, "a link with an absolute target", b"/etc/passwd")
    symlink("symlink-outside", REFUSE, "a relative link leaves the tree", b"../../../../../escape")
    symlink("symlink-to-parent-of-top", REFUSE, "a link to beside the tree", b"../../../other")
    symlink("symlink-empty", REFUSE, "a link without a target", b"")
    symlink("symlink-to-itself", EITHER, "a link to itself", b"link")
    symlink("symlink-dangling", EITHER, "a link to nothing, inside the tree", b"nothing-here")
    cases.add(
        "symlink-inside",
        ACCEPT,
        "a link up and down again inside the tree",
        tar(member(LIBRARY + b"link", kind=rawtar.SYMLINK, link=b"../../bin/python3.13")),
        contents=base_contents(),
    )
    through = member(LIBRARY + b"link/file", b"through the link\n")
    symlink(
        "through-symlink-outside", REFUSE, "a member below a link that leaves", b"/tmp", through
    )
    symlink("through-symlink", REFUSE, "a member below a link", b"lib-dynload", through)
    chain = member(LIBRARY + b"a", kind=rawtar.SYMLINK, link=b".") + member(
        LIBRARY + b"b", kind=rawtar.SYMLINK, link=b"a/a/a/../../../escape"
    )
    cases.add("symlink-chain", REFUSE, "a link that leaves by way of another one", tar(chain))
    file = member(LIBRARY + b"link", kind=rawtar.SYMLINK, link=b"os.py")
    written = file + member(LIBRARY + b"link", b"written through\n")
    cases.add("file-over-symlink", REFUSE, "a file with the name of an earlier link", tar(written))
    hard("hardlink-absolute", "a hard link to an absolute name", b"/etc/passwd")
    hard("hardlink-outside", "a hard link leaves the tree", b"python/../../escape")
    hard("hardlink-missing", "a hard link to a member that is not there", b"python/nothing")
    hard("hardlink-folder", "a hard link to a folder", b"python/lib")
    hard("hardlink-itself", "a hard link to itself", LIBRARY + b"hard")
    hard("hardlink-empty", "a hard link to nothing", b"")
    ahead = member(LIBRARY + b"hard", kind=rawtar.HARD_LINK, link=LIBRARY + b"later")
    cases.add(
        "hardlink-ahead",
        EITHER,
        "a hard link to a member that comes later",
        tar(ahead + member(LIBRARY + b"later", b"later\n")),
        contents=plus(hard=b"later\n", later=b"later\n"),
    )
    bent = member(LIBRARY + b"link", kind=rawtar.SYMLINK, link=b"/etc/passwd") + member(
        LIBRARY + b"hard", kind=rawtar.HARD_LINK, link=LIBRARY + b"link"
    )
    cases.add("hardlink-to-symlink", REFUSE, "a hard link to a link that leaves", tar(bent))
    with_data = member(
        LIBRARY + b"hard", b"own data\n", kind=rawtar.HARD_LINK, link=LIBRARY + b"os.py"
    )
    cases.add("hardlink-with-data", EITHER, "a hard link with data of its own", tar(with_data))


def kinds(cases: Cases) -> None:
    """Add kinds of members, their modes, and members that collide."""

    def kind(name: str, verdict: str, why: str, block: bytes) -> None:
        cases.add(name, verdict, why, tar(block))

    special = rawtar.CHARACTER, rawtar.BLOCK_DEVICE
    for name, code in zip(("character-device", "block-device"), special, strict=True):
        device = member(LIBRARY + b"null", kind=code, device=(1, 3), mode=0o666)
        kind(name, REFUSE, "a device", device)
    kind("fifo", REFUSE, "a named pipe", member(LIBRARY + b"pipe", kind=rawtar.FIFO))
    kind("unknown-type", REFUSE, "a type that nobody defined", member(LIBRARY + b"x", kind=b"Z"))
    contiguous = member(LIBRARY + b"x", b"data\n", kind=b"7")
    kind("contiguous", EITHER, "a contiguous file, an old kind of file", contiguous)
    for name, mode in {"setuid": 0o4775, "setgid": 0o2775, "sticky": 0o1664}.items():
        cases.add(
            name,
            EITHER,
            "a special permission bit, which must not reach the disk",
            tar(member(LIBRARY + b"special", b"#!/bin/sh\n", mode=mode)),
            contents=plus(special=b"#!/bin/sh\n"),
        )
    cases.add(
        "no-permission",
        EITHER,
        "a file that its owner may not read",
        tar(member(LIBRARY + b"closed", b"closed\n", mode=0)),
        contents=plus(closed=b"closed\n"),
    )
    cases.add(
        "folders",
        ACCEPT,
        "directory entries, which upstream leaves out",
        tar(b"", front=member(b"python/", kind=rawtar.FOLDER, mode=0o755)),
        contents=base_contents(),
    )
    locked = member(b"python/lib/", kind=rawtar.FOLDER, mode=0)
    kind("closed-folder", EITHER, "a folder without any permission", locked)
    below_file = member(LIBRARY + b"os.py/inner", b"inner\n")
    kind("file-as-folder", REFUSE, "a member below a file", below_file)
    above = member(b"python/lib", b"a file\n")
    kind("folder-as-file", REFUSE, "a file with the name of a folder", above)
    same = member(LIBRARY + b"twice", b"same\n")
    cases.add(
        "repeated-same",
        EITHER,
        "the same file twice",
        tar(same + same),
        contents=plus(twice=b"same\n"),
    )
    differ = same + member(LIBRARY + b"twice", b"different\n")
    kind("repeated-different", EITHER, "two different files of one name", differ)
    linked = member(LIBRARY + b"twice", kind=rawtar.SYMLINK, link=b"os.py")
    cases.add(
        "repeated-symlink",
        ACCEPT,
        "the same link twice, as in published armv7 archives",
        tar(linked + linked),
        contents=base_contents(),
    )
    other = member(LIBRARY + b"twice", kind=rawtar.SYMLINK, link=b"LICENSE.txt")
    kind("repeated-symlink-different", EITHER, "two different links of one name", linked + other)
    mixed = member(LIBRARY + b"Twice", b"upper\n") + member(LIBRARY + b"twice", b"lower\n")
    cases.add(
        "case-pair",
        ACCEPT,
        "two names that differ only in case",
        tar(mixed),
        contents=plus(Twice=b"upper\n", twice=b"lower\n"),
    )
    composed = LIBRARY + "caf\u00e9".encode(), LIBRARY + "cafe\u0301".encode()
    pair = b"".join(member(name, b"accent\n") for name in composed)
    kind("unicode-pair", EITHER, "two names that are one after normalisation", pair)
