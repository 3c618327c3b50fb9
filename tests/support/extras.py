"""The parts of an upstream tree that no interpreter here can lend: terminfo and Tcl/Tk files.

Their number, sizes and names matter (thousands of tiny files, 23 pairs that differ only in case,
names that need the prefix field of a tar header), their meaning does not.
"""

from __future__ import annotations

import functools
import itertools
import random
import struct
from pathlib import Path

from .members import Member, link, text

TERMINFO_ENTRIES = 2850
_SYSTEM_TERMINFO = ("/usr/share/terminfo", "/lib/terminfo", "/etc/terminfo", "/usr/lib/terminfo")

# Real terminal names that differ from another one only in case.
CASE_PAIRS = (
    *(("Eterm", "eterm"), ("Eterm-color", "eterm-color"), ("LFT-PC850", "lft-pc850")),
    *(("NCR260VT300WPP", "ncr260vt300wpp"), ("NCRVT100WPP", "ncrvt100wpp")),
    *(("P12", "p12"), ("P12-M", "p12-m"), ("P12-M-W", "p12-m-w"), ("P12-W", "p12-w")),
    *(("P14", "p14"), ("P14-M", "p14-m"), ("P14-M-W", "p14-m-w"), ("P14-W", "p14-w")),
    *(("P4", "p4"), ("P5", "p5"), ("P7", "p7"), ("P8", "p8"), ("P8-W", "p8-w")),
    *(("P9", "p9"), ("P9-W", "p9-w"), ("X-hpterm", "x-hpterm")),
    *(("2621A", "2621a"), ("hp2621A", "hp2621a")),
)


def _renamed(entry: bytes, name: str) -> bytes:
    """Return a compiled terminfo entry under another name, or `entry` if it has another format."""
    magic, old, booleans, *rest = struct.unpack_from("<6H", entry)
    if magic not in {0o432, 0o1036}:
        return entry
    names = f"{name}|a terminal of the tests".encode() + b"\0"
    after = entry[12 + old : 12 + old + booleans]
    tail = entry[12 + old + booleans + (old + booleans) % 2 :]
    padding = bytes((len(names) + booleans) % 2)
    head = struct.pack("<6H", magic, len(names), booleans, *rest)
    return head + names + after + padding + tail


@functools.cache
def _seeds() -> tuple[bytes, ...]:
    found = [
        path.read_bytes()
        for folder in _SYSTEM_TERMINFO
        for path in sorted(Path(folder).glob("?/*"))
        if path.is_file() and path.stat().st_size < 8192
    ]
    if found:
        return tuple(found)
    generator = random.Random(0)
    bare = b"none\0" + bytes(1)
    return tuple(
        struct.pack("<6H", 0o432, len(bare), 38, 15, 0, 0)
        + bare
        + bytes(38)
        + generator.randbytes(30 + 2 * size)
        for size in range(200, 1000, 40)
    )


def terminfo(entries: int) -> list[Member]:
    """Return `entries` files below `share/terminfo`, the case pairs among them."""
    makers = (
        "adm",
        "att",
        "avt",
        "dec-vt",
        "hp",
        "ibm",
        "kterm",
        "ncr",
        "qvt",
        "tvi",
        "wy",
        "xterm",
    )
    kinds = ("", "-w", "-m", "-nam", "-am", "-color", "-256color", "-rv", "-8bit", "+sl")
    names = list(itertools.chain.from_iterable(CASE_PAIRS))
    # Numbers above 999 keep clear of the real names above.
    numbered = (f"{a}{n}{b}" for n in itertools.count(1000) for a in makers for b in kinds)
    names += itertools.islice(numbered, max(0, entries - len(names)))
    seeds = itertools.cycle(_seeds())
    return [
        Member(f"share/terminfo/{name[0]}/{name}", _renamed(seed, name))
        for name, seed in zip(names, seeds, strict=False)
    ]


def tcl_files(encodings: int = 80, messages: int = 120) -> list[Member]:
    """Return files as Tcl and Tk 9 lay them out below `lib`."""
    generator = random.Random(1)
    members = [
        text(
            "lib/tcl9.0/init.tcl",
            "# start-up script of the tests' Tcl\nset tcl_version 9.0\n" * 200,
        ),
        text(
            "lib/tcl9.0/tzdata/Etc/UTC", "set TZData(:Etc/UTC) {{-9223372036854775808 0 0 UTC}}\n"
        ),
        text("lib/tk9.0/tk.tcl", "# start-up script of the tests' Tk\nset tk_version 9.0\n" * 200),
        text("lib/itcl4.3.8/pkgIndex.tcl", "package ifneeded itcl 4.3.8 {}\n"),
        text("lib/thread3.0.6/pkgIndex.tcl", "package ifneeded thread 3.0.6 {}\n"),
        text("lib/tcl9/9.0/http-2.10.0.tm", "package provide http 2.10.0\n" * 500),
    ]
    for number in range(encodings):
        rows = "".join(f"{generator.getrandbits(256):064X}\n" for _ in range(16 + number % 48))
        members.append(
            text(f"lib/tcl9.0/encoding/cp{1200 + number}.enc", f"S\n003F 0 1\n00\n{rows}")
        )
    for number in range(messages):
        content = "".join(f'::msgcat::mcset x{number} "key {k}" "value {k}"\n' for k in range(40))
        members.append(text(f"lib/{'tk' if number % 3 else 'tcl'}9.0/msgs/x{number}.msg", content))
    return members


def manual(version: str) -> list[Member]:
    """Return the manual page and its link."""
    page = f".TH PYTHON 1\n.SH NAME\npython{version} \\- stand-in for the manual page\n" * 100
    return [
        text(f"share/man/man1/python{version}.1", page),
        link("share/man/man1/python3.1", f"python{version}.1"),
    ]
