"""Hostile cases: what a member is called."""

from __future__ import annotations

from support import rawtar
from support.rawtar import member

from .base import ACCEPT, EITHER, LIBRARY, REFUSE, Cases, base_contents, plus, tar


def names(cases: Cases) -> None:
    """Add bad and odd names."""

    data = b"harmless text\n"

    def bad(name: str, verdict: str, why: str, path: bytes) -> None:
        cases.add(name, verdict, why, tar(member(path, data)))

    bad("parent-member", REFUSE, "a name leaves the tree", b"python/../../escape")
    bad("parent-at-once", REFUSE, "a name starts with ..", b"../escape")
    bad("parent-inside", EITHER, "a name holds .. but stays inside", b"python/lib/../lib/x")
    bad("only-parent", REFUSE, "a name is ..", b"..")
    bad("absolute", REFUSE, "an absolute name", b"/tmp/escape")
    bad("absolute-twice", REFUSE, "a name with two leading slashes", b"//tmp/escape")
    bad("empty-name", REFUSE, "a file without a name", b"")
    bad("dot", REFUSE, "a file named .", b".")
    bad("dot-inside", EITHER, "a name with a . in the middle", LIBRARY + b"./x")
    bad("double-slash", EITHER, "a name with an empty part", LIBRARY + b"/x")
    bad("trailing-slash", EITHER, "a file's name ends in a slash", LIBRARY + b"x/")
    bad("backslash", EITHER, "a name with a backslash: a folder on Windows", LIBRARY + b"a\\..\\b")
    bad("drive", EITHER, "a drive letter inside a name", b"python/C:/escape")
    bad("drive-at-once", REFUSE, "a name that starts with a drive letter", b"C:/escape")
    bad("newline", EITHER, "a name with a newline", LIBRARY + b"a\nb")
    bad("control", EITHER, "a name with terminal control bytes", LIBRARY + b"a\x1b[2Jb")
    bad("not-utf8", EITHER, "a name that is not UTF-8", LIBRARY + b"caf\xe9")
    bad("windows-device", EITHER, "a name that is a device on Windows", LIBRARY + b"aux.py")
    bad("second-top", EITHER, "a second top folder", b"other/file")
    nul = rawtar.pax({b"path": LIBRARY + b"a\0b"}) + member(b"x", data)
    cases.add("nul-in-pax-name", REFUSE, "a NUL inside a name", tar(nul))
    cases.add(
        "pax-parent",
        REFUSE,
        "the pax record, not the header, leaves the tree",
        tar(rawtar.pax({b"path": b"../escape"}) + member(LIBRARY + b"x", data)),
    )
    cases.add(
        "gnu-parent",
        REFUSE,
        "GNU's long name leaves the tree",
        tar(rawtar.gnu_long(b"../escape") + member(LIBRARY + b"x", data)),
    )
    cases.add(
        "prefix-parent",
        REFUSE,
        "the prefix field leaves the tree",
        tar(member(b"escape", data, prefix=b"python/../..")),
    )


def long_names(cases: Cases) -> None:
    """Add long names, in all the ways a tar can hold them."""

    data = b"far down\n"
    library = LIBRARY.decode()
    deep = "/".join(["d" * 40] * 4)
    long = f"{deep}/{'f' * 90}.py"
    path = (library + long).encode()
    cases.add(
        "pax-long-name",
        ACCEPT,
        "a name of some 270 bytes in a pax record",
        tar(rawtar.pax({b"path": path}) + member(path[:100], data)),
        contents=plus(**{long: data}),
    )
    cases.add(
        "gnu-long-name",
        ACCEPT,
        "a name of some 270 bytes in GNU's record",
        tar(rawtar.gnu_long(path) + member(path[:100], data)),
        contents=plus(**{long: data}),
    )
    inside = "d" * 60 + "/" + "f" * 80
    cases.add(
        "prefix-field",
        ACCEPT,
        "a name that needs the prefix field",
        tar(member(b"f" * 80, data, prefix=LIBRARY + b"d" * 60)),
        contents=plus(**{inside: data}),
    )
    full = b"f" * (100 - len(LIBRARY))
    cases.add(
        "full-name-field",
        ACCEPT,
        "a name that fills its field without a NUL",
        tar(member(LIBRARY + full, data)),
        contents=plus(**{full.decode(): data}),
    )
    target = b"t" * 180
    linked = member(LIBRARY + target[:10], kind=rawtar.SYMLINK, link=target[:100])
    cases.add(
        "pax-long-link",
        ACCEPT,
        "a link text of 180 bytes in a pax record",
        tar(rawtar.pax({b"linkpath": target}) + linked),
        contents=base_contents(),
    )
    cases.add(
        "gnu-long-link",
        ACCEPT,
        "a link text of 180 bytes in GNU's record",
        tar(rawtar.gnu_long(target, rawtar.GNU_LONG_LINK) + linked),
        contents=base_contents(),
    )
    endless = LIBRARY + b"/".join([b"n" * 200] * 400)
    cases.add(
        "endless-name",
        EITHER,
        "a name of 80 kB",
        tar(rawtar.pax({b"path": endless}) + member(b"x", data)),
    )
    component = LIBRARY + b"n" * 300
    cases.add(
        "long-component",
        EITHER,
        "one part of a name is longer than file systems allow",
        tar(rawtar.pax({b"path": component}) + member(b"x", data)),
    )
    cases.add(
        "huge-pax-header",
        REFUSE,
        "a pax header that announces a gigabyte",
        tar(rawtar.header(b"PaxHeaders/x", kind=rawtar.PAX, size=1 << 30)),
    )
    cases.add(
        "huge-gnu-name",
        REFUSE,
        "GNU's long name announces a gigabyte",
        tar(rawtar.header(b"././@LongLink", kind=rawtar.GNU_LONG_NAME, size=1 << 30)),
    )
