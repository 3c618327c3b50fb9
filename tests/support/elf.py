"""ELF files for test archives: minimal ones made from nothing, and small edits of real ones.

Field layouts follow the System V gABI and the GNU symbol versioning of the LSB. The made files
have a program interpreter, a dynamic section, needed libraries and version requirements, as far as
a reader of headers looks; none of them runs.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_RUNPATH = 0, 1, 5, 10, 14, 15, 29
DT_VERNEED, DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3


class Cpu(NamedTuple):
    """What an ELF header says about a processor, and its dynamic loaders."""

    machine: int
    bits: int
    little: bool
    flags: int
    glibc_loader: str
    musl_loader: str = ""


CPUS: Mapping[str, Cpu] = {
    "x86_64": Cpu(62, 64, True, 0, "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"),
    "aarch64": Cpu(183, 64, True, 0, "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-aarch64.so.1"),
    "i686": Cpu(3, 32, True, 0, "/lib/ld-linux.so.2", "/lib/ld-musl-i386.so.1"),
    "armv7-gnueabi": Cpu(40, 32, True, 0x05000200, "/lib/ld-linux.so.3"),
    "armv7-gnueabihf": Cpu(40, 32, True, 0x05000400, "/lib/ld-linux-armhf.so.3"),
    "ppc64le": Cpu(21, 64, True, 2, "/lib64/ld64.so.2"),
    "s390x": Cpu(22, 64, False, 0, "/lib/ld64.so.1"),
    "riscv64": Cpu(243, 64, True, 5, "/lib/ld-linux-riscv64-lp64d.so.1"),
}


def sysv_hash(name: str) -> int:
    """Return the System V hash of a version name, as `vna_hash` wants it."""
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value


class _Strings:
    def __init__(self) -> None:
        self.data = bytearray(b"\0")

    def add(self, content: str) -> int:
        place = len(self.data)
        self.data += content.encode() + b"\0"
        return place


def _version_needs(
    versions: Mapping[str, Sequence[str]], strings: _Strings, places: Mapping[str, int], end: str
) -> bytes:
    """Return the content of `.gnu.version_r`."""
    result = b""
    number = 2
    for position, (library, names) in enumerate(versions.items()):
        after = 0 if position == len(versions) - 1 else 16 + 16 * len(names)
        result += struct.pack(end + "HHIII", 1, len(names), places[library], 16, after)
        for index, name in enumerate(names):
            following = 0 if index == len(names) - 1 else 16
            result += struct.pack(
                end + "IHHII", sysv_hash(name), 0, number, strings.add(name), following
            )
            number += 1
    return result


def make_elf(
    cpu: str,
    *,
    interpreter: str | None = None,
    needed: Sequence[str] = (),
    versions: Mapping[str, Sequence[str]] | None = None,
    soname: str = "",
    rpath: str = "",
) -> bytes:
    """Return a shared object (or with `interpreter` a program) for `cpu`, a name in `CPUS`.

    `versions` maps a needed library to the symbol versions asked of it, such as
    `{"libc.so.6": ["GLIBC_2.17"]}`.
    """
    kind = CPUS[cpu]
    wide, end = kind.bits == 64, "<" if kind.little else ">"
    versions = versions or {}
    strings = _Strings()
    places = {name: strings.add(name) for name in needed}
    dynamic = [(DT_NEEDED, places[name]) for name in needed]
    dynamic += [(DT_SONAME, strings.add(soname))] if soname else []
    dynamic += [(DT_RPATH, strings.add(rpath))] if rpath else []
    needs = _version_needs(versions, strings, places, end)

    word, header, segment, section = ("Q", 64, 56, 64) if wide else ("I", 52, 32, 40)
    loader = interpreter.encode() + b"\0" if interpreter else b""
    segments = 3 if loader else 2
    entries = len(dynamic) + 3 + (2 if needs else 0)
    at_loader = header + segments * segment
    at_strings = at_loader + len(loader)
    at_needs = at_strings + len(strings.data) + -(at_strings + len(strings.data)) % 8
    at_dynamic = at_needs + len(needs) + -len(needs) % 8
    dynamic_size = entries * struct.calcsize("<" + word * 2)
    dynamic += [(DT_STRTAB, at_strings), (DT_STRSZ, len(strings.data))]
    dynamic += [(DT_VERNEED, at_needs), (DT_VERNEEDNUM, len(versions))] if needs else []
    dynamic.append((DT_NULL, 0))
    at_names = at_dynamic + dynamic_size

    # name, type, offset, size, link, info, entry size
    names = _Strings()
    sections = [(0, 0, 0, 0, 0, 0, 0)]
    if loader:
        sections.append((names.add(".interp"), 1, at_loader, len(loader), 0, 0, 0))
    text = len(sections)
    sections.append((names.add(".dynstr"), 3, at_strings, len(strings.data), 0, 0, 0))
    if needs:
        kind_needs = (names.add(".gnu.version_r"), 0x6FFFFFFE, at_needs, len(needs))
        sections.append((*kind_needs, text, len(versions), 0))
    entry_size = dynamic_size // entries
    sections.append((names.add(".dynamic"), 6, at_dynamic, dynamic_size, text, 0, entry_size))
    name_of_names = names.add(".shstrtab")
    sections.append((name_of_names, 3, at_names, len(names.data), 0, 0, 0))
    at_sections = at_names + len(names.data) + -(at_names + len(names.data)) % 8
    total = at_sections + len(sections) * section

    def program_header(type_: int, flags: int, offset: int, size: int, align: int) -> bytes:
        if wide:
            sizes = (offset, offset, offset, size, size, align)
            return struct.pack(end + "II6Q", type_, flags, *sizes)
        return struct.pack(end + "8I", type_, offset, offset, offset, size, size, flags, align)

    identity = b"\x7fELF" + bytes([2 if wide else 1, 1 if kind.little else 2, 1, 0]) + bytes(8)
    result = identity + struct.pack(end + "HHI", 3, kind.machine, 1)
    result += struct.pack(end + word * 3, 0, header, at_sections)
    result += struct.pack(
        end + "I6H",
        kind.flags,
        header,
        segment,
        segments,
        section,
        len(sections),
        len(sections) - 1,
    )
    if loader:
        result += program_header(PT_INTERP, 4, at_loader, len(loader), 1)
    result += program_header(PT_LOAD, 5, 0, total, 0x1000)
    result += program_header(PT_DYNAMIC, 6, at_dynamic, dynamic_size, 8)
    result += loader + strings.data
    result = result.ljust(at_needs, b"\0") + needs
    result = result.ljust(at_dynamic, b"\0")
    result += b"".join(struct.pack(end + word * 2, *entry) for entry in dynamic) + names.data
    result = result.ljust(at_sections, b"\0")
    for name, type_, offset, size, link, info, entry in sections:
        address = offset if type_ in {1, 6, 0x6FFFFFFE} or offset == at_strings else 0
        head = struct.pack(end + "II", name, type_)
        middle = struct.pack(end + word * 4, 2 if address else 0, address, offset, size)
        tail = struct.pack(end + "II" + word * 2, link, info, 1, entry)
        result += head + middle + tail
    return result


class _Dynamic(NamedTuple):
    entries: list[tuple[int, int, int]]  # tag, value, offset of the entry in the file
    strings: int  # offset of the string table in the file


def _read_dynamic(data: bytes) -> _Dynamic | None:
    """Read the dynamic section of a 64-bit little-endian ELF file."""
    if data[:6] != b"\x7fELF\x02\x01":
        return None
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    loads: list[tuple[int, int, int]] = []
    dynamic = (0, 0)
    for index in range(count):
        kind, _, offset, address, _, length = struct.unpack_from(
            "<IIQQQQ", data, table + index * size
        )
        if kind == PT_LOAD:
            loads.append((address, offset, length))
        elif kind == PT_DYNAMIC:
            dynamic = (offset, length)
    entries = []
    strings = 0
    for place in range(dynamic[0], sum(dynamic), 16):
        tag, value = struct.unpack_from("<qQ", data, place)
        if tag == DT_NULL:
            break
        entries.append((tag, value, place))
        if tag == DT_STRTAB:
            strings = next(value - a + o for a, o, length in loads if a <= value < a + length)
    return _Dynamic(entries, strings) if strings else None


def _string(data: bytes, start: int) -> bytes:
    return data[start : data.index(b"\0", start)]


def needed_libraries(data: bytes) -> list[str]:
    """Return the DT_NEEDED names of a 64-bit little-endian ELF file; [] for other files."""
    dynamic = _read_dynamic(data)
    if dynamic is None:
        return []
    return [
        _string(data, dynamic.strings + value).decode()
        for tag, value, _ in dynamic.entries
        if tag == DT_NEEDED
    ]


def run_path(data: bytes) -> tuple[str, str]:
    """Return ("DT_RPATH" or "DT_RUNPATH" or "", its text)."""
    dynamic = _read_dynamic(data)
    for tag, value, _ in dynamic.entries if dynamic else ():
        if tag in {DT_RPATH, DT_RUNPATH}:
            name = "DT_RPATH" if tag == DT_RPATH else "DT_RUNPATH"
            assert dynamic is not None
            return name, _string(data, dynamic.strings + value).decode()
    return "", ""


def set_run_path(data: bytes, new: str) -> bytes:
    """Return the file with its run path replaced in place by the DT_RPATH `new`.

    Only `len(new) + 1` bytes change: linkers let other strings share the tail of this one, so the
    rest of the old text must stay. Raises ValueError if the old text is shorter than the new one.
    """
    dynamic = _read_dynamic(data)
    result = bytearray(data)
    for tag, value, place in dynamic.entries if dynamic else ():
        if tag in {DT_RPATH, DT_RUNPATH}:
            assert dynamic is not None
            start = dynamic.strings + value
            if len(_string(data, start)) < len(new):
                raise ValueError(f"no room for the run path {new}")
            result[start : start + len(new) + 1] = new.encode() + b"\0"
            struct.pack_into("<q", result, place, DT_RPATH)
    return bytes(result)


def replace_string(data: bytes, old: str, new: str) -> bytes:
    """Return the file with each C string that starts with `old` + NUL turned into `new` + NUL.

    The rest of `old` stays where it is, since another string may share that tail: in one
    libpython the version exists only as the end of the prefix. A prefix too short for `new` stays.
    """
    if len(old) < len(new):
        return data
    return data.replace(
        b"\0" + old.encode() + b"\0",
        b"\0" + new.encode() + b"\0" + old.encode()[len(new) + 1 :] + b"\0",
    )
