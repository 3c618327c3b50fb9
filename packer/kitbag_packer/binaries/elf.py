"""ELF, by its program headers and its dynamic table: what the loader itself reads.

Section headers are not used, for a file may come without them. Sources: the System V ABI's gABI,
and for versions the Linux Standard Base, "Symbol Versioning".
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile

from kitbag_packer.binaries.binary import BadBinary, Binary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BytesIO

_ARCHES = {
    # machine, bits, little endian
    ("EM_386", 32, True): "x86",
    ("EM_X86_64", 64, True): "x86_64",
    ("EM_AARCH64", 64, True): "aarch64",
    ("EM_ARM", 32, True): "armv7",
    ("EM_PPC64", 64, True): "powerpc64le",
    ("EM_PPC64", 64, False): "powerpc64",
    ("EM_S390", 64, False): "s390x",
    ("EM_RISCV", 64, True): "riscv64gc",
    ("EM_LOONGARCH", 64, True): "loongarch64",
    ("EM_MIPS", 32, False): "mips",
    ("EM_MIPS", 32, True): "mipsel",
}
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_SONAME = 0, 1, 5, 14
_DT_VERNEED = 0x6FFFFFFE
_ARM_HARD_FLOAT = 0x400
_VERSION_WEAK = 0x2
_RELR_VERSION = "GLIBC_ABI_DT_RELR"
"""Not a number, but the loader knows it from glibc 2.36 on and refuses without it."""
_GLIBC = re.compile(r"GLIBC_(\d{1,4}(?:\.\d{1,4}){1,3})", re.ASCII)
_MOST = 4096
"""More needed libraries or versions than this has no real file; a damaged one may claim so."""
_LONGEST_STRING = 4096


def read_elf(stream: BytesIO) -> Binary | None:
    """Read an executable or shared object; ``None`` for object files and core dumps."""
    try:
        return _read(ELFFile(stream))
    # pyelftools trusts its input: a damaged file ends in any of these.
    except (
        ELFError,
        ConstructError,
        struct.error,
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        MemoryError,
        TypeError,
        ValueError,
    ) as error:
        raise BadBinary(f"damaged ELF file: {str(error) or type(error).__name__}") from None


def _read(elf: Any) -> Binary | None:
    header = elf.header
    if header.e_type not in ("ET_EXEC", "ET_DYN"):
        return None
    segments = _segments(elf)
    loads = [segment for segment in segments if segment.p_type == "PT_LOAD"]
    interpreter, tags = "", dict[int, list[int]]()
    for segment in segments:
        if segment.p_type == "PT_INTERP":
            interpreter = _string(elf, segment.p_offset)
        elif segment.p_type == "PT_DYNAMIC":
            tags = _dynamic_tags(elf, segment)
    names: dict[int, list[str]] = {_DT_NEEDED: [], _DT_SONAME: []}
    versions: list[str] = []
    if _DT_STRTAB in tags:
        strings = _file_offset(loads, tags[_DT_STRTAB][0])
        for tag, found in names.items():
            found += [_string(elf, strings + value) for value in tags.get(tag, ())]
        if _DT_VERNEED in tags:
            versions = list(_versions(elf, _file_offset(loads, tags[_DT_VERNEED][0]), strings))
    needed = tuple(names[_DT_NEEDED])
    arch = _ARCHES.get((header.e_machine, elf.elfclass, elf.little_endian), "")
    return Binary(
        os="linux",
        arch=arch,
        libc=_libc(arch, header.e_flags, interpreter, needed),
        interpreter=interpreter,
        name="".join(names[_DT_SONAME][:1]),
        needed=needed,
        glibc=max(map(_glibc, versions), default=()),
    )


def _segments(elf: Any) -> list[Any]:
    """The program headers, as they are: pyelftools' own segments would read sections too."""
    header, shape = elf.header, elf.structs.Elf_Phdr
    found = []
    for number in range(min(header.e_phnum, _MOST)):
        elf.stream.seek(header.e_phoff + number * header.e_phentsize)
        found.append(shape.parse_stream(elf.stream))
    return found


def _dynamic_tags(elf: Any, segment: Any) -> dict[int, list[int]]:
    """The values of each tag, up to DT_NULL."""
    order, word = "<" if elf.little_endian else ">", "Q" if elf.elfclass == 64 else "I"
    shape = struct.Struct(f"{order}{word}{word}")
    elf.stream.seek(segment.p_offset)
    data = elf.stream.read(min(segment.p_filesz // shape.size, _MOST) * shape.size)
    tags: dict[int, list[int]] = {}
    for tag, value in shape.iter_unpack(data):
        if tag == _DT_NULL:
            break
        tags.setdefault(tag, []).append(value)
    return tags


def _versions(elf: Any, offset: int, strings: int) -> Iterator[str]:
    """Every symbol version that the file asks of its libraries, without the weak ones."""
    structs, left = elf.structs, _MOST
    while left > 0:
        elf.stream.seek(offset)
        need = structs.Elf_Verneed.parse_stream(elf.stream)
        aux_offset = offset + need.vn_aux
        for _ in range(min(need.vn_cnt, left)):
            left -= 1
            elf.stream.seek(aux_offset)
            aux = structs.Elf_Vernaux.parse_stream(elf.stream)
            if not aux.vna_flags & _VERSION_WEAK:
                yield _string(elf, strings + aux.vna_name)
            aux_offset += aux.vna_next
        left -= 1
        if not need.vn_next:
            return
        offset += need.vn_next


def _file_offset(loads: list[Any], address: int) -> int:
    """Where in the file the byte lies that gets loaded to ``address``."""
    for header in loads:
        if header.p_vaddr <= address < header.p_vaddr + header.p_filesz:
            return int(address - header.p_vaddr + header.p_offset)
    raise ValueError(f"address {address:#x} is not in the file")


def _string(elf: Any, offset: int) -> str:
    elf.stream.seek(offset)
    text, end, _ = elf.stream.read(_LONGEST_STRING).partition(b"\0")
    if not end:
        raise ValueError(f"the string at {offset:#x} has no end")
    return str(text.decode("utf-8", "surrogateescape"))


def _glibc(version: str) -> tuple[int, ...]:
    if version == _RELR_VERSION:
        return (2, 36)
    found = _GLIBC.fullmatch(version)
    return tuple(map(int, found[1].split("."))) if found else ()


def _libc(arch: str, flags: int, interpreter: str, needed: tuple[str, ...]) -> str:
    loader = interpreter.rpartition("/")[2]
    if loader.startswith("ld-musl-") or any(
        name == "libc.so" or name.startswith("libc.musl-") for name in needed
    ):
        family = "musl"
    elif loader or "libc.so.6" in needed:
        family = "gnu"
    else:
        return ""
    if arch != "armv7":
        return family
    return f"{family}eabihf" if flags & _ARM_HARD_FLOAT else f"{family}eabi"
