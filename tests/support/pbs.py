"""Archives shaped like python-build-standalone's, made from a real CPython of this machine.

They stand in for the published archives, with their oddities: prefix `/install`, the build
machine's paths in generated files, `/bin/sh` trampolines (also where they break), stale hashes in
pip's RECORD, thousands of terminfo entries of which 23 pairs differ only in case, members sorted
and without directories. Such an archive runs from wherever it is unpacked.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import cache, elf, extras, relocation
from .full import TEST_PACKAGES, full_members
from .members import Member, below, compress_tar, link, program, text, write_archive
from .wheels import installed_wheel, newest_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .interpreters import Interpreter

RECIPE = (
    "pbs.py",
    "full.py",
    "relocation.py",
    "extras.py",
    "wheels.py",
    "members.py",
    "elf.py",
    "cache.py",
)
FLAVORS = ("install_only_stripped", "install_only", "full")

_TEST_EXTENSION = re.compile(r"(_ctypes_test|_test[a-z]+|_xxtestfuzz|xx[a-z]+\d*)\.")
# A full archive has hundreds of test files; these are enough to see that they are there.
_SOME_TESTS = re.compile(
    r"test/(__init__|__main__|test_(grammar|os|sys|tarfile|venv)|support/.*)\.py"
)

_SLIM_FOLDERS = frozenset(
    {
        *("collections", "concurrent", "ctypes", "email", "encodings", "ensurepip", "html", "http"),
        *("importlib", "json", "logging", "pathlib", "re", "sqlite3", "sysconfig"),
        *("tomllib", "urllib", "venv", "zipfile"),
    }
)
_SLIM_LEFT_OUT = re.compile(
    r"pydoc\w*|_?pydecimal|turtle|antigravity|this|ftplib|imaplib|poplib|smtplib|smtpd|nntplib"
    r"|telnetlib|mailbox|mailcap|pdb|doctest|pickletools|cgi(tb)?|aifc|chunk|sunau|sndhdr|uu|xdrlib"
    r"|optparse|tracemalloc|statistics|asyn\w+|pyclbr|binhex|cProfile|profile|pstats|crypt"
)
_SLIM_EXTENSIONS = re.compile(
    r"(_bisect|_blake2|_contextvars|_csv|_ctypes|_datetime|_hashlib|_heapq|_json|_md5|_opcode|_pickle"
    r"|_posixshmem|_posixsubprocess|_queue|_random|_sha\d+|_socket|_sqlite3|_ssl|_struct|array|binascii"
    r"|cmath|fcntl|grp|math|mmap|pyexpat|resource|select|syslog|termios|unicodedata|zlib|_bz2|_lzma)\."
)
_SLIM_CODECS = re.compile(
    r"encodings/(__init__|aliases|ascii|cp437|cp1252|idna|latin_1|punycode|utf_\w+)\.py"
)


class Unsuitable(Exception):
    """This interpreter cannot be turned into such an archive; the text says why."""


def archive_name(interpreter: Interpreter, flavor: str, release: str, suffix: str) -> str:
    """Return upstream's file name of a build."""
    triple = interpreter.triple
    options = ["freethreaded"] if interpreter.free_threaded else []
    if flavor == "full":
        rest = "+".join([*options, "debug" if interpreter.debug else "pgo+lto"]) + "-full"
    else:
        rest = "-".join([*options, flavor])
    return f"cpython-{interpreter.full_version}+{release}-{triple}-{rest}{suffix}"


def make_pbs_archive(
    interpreter: Interpreter,
    folder: Path | None = None,
    *,
    flavor: str = "install_only_stripped",
    release: str = "20260101",
    compression: str = ".tar.gz",
    slim: bool = False,
    frames: int = 1,
) -> Path:
    """Return an archive of `interpreter`, named as upstream would name it.

    Made once and kept in the cache; the path returned is the kept file, which a test must not
    change. With `folder` it is a copy in there, free to be changed. `slim` leaves only what starts
    the interpreter and makes a virtual environment without pip. A full archive should be asked for
    as `.tar.zst`, upstream's only form of it; `frames` cuts such a stream into several zstd frames.

    Raises Unsuitable for an interpreter that shares its prefix with a distribution.
    """
    if flavor not in FLAVORS:
        raise ValueError(f"no such flavor: {flavor}")
    if interpreter.unsuitable:
        raise Unsuitable(f"{interpreter.path}: {interpreter.unsuitable}")
    name = archive_name(interpreter, flavor, release, compression)
    library = interpreter.prefix / "lib"
    seen = [p for p in (interpreter.path, *sorted(library.glob("libpython*"))) if p.is_file()]
    key = {
        "recipe": cache.digest_of_sources(*RECIPE),
        "interpreter": [str(interpreter.path), interpreter.full_version],
        "files": [[str(p), p.stat().st_mtime_ns, p.stat().st_size] for p in seen],
        "strip": _stripper(),
        "options": [flavor, slim],
    }
    full = flavor == "full"

    def build(path: Path) -> None:
        members = below("python", pbs_members(interpreter, flavor=flavor, slim=slim))
        first = "python/PYTHON.json" if full else ""
        write_archive(members, path, ".tar", first=first, pax=full)

    def compress(path: Path) -> None:
        # Every compression and release holds the same tar, and the tar is most of the work.
        plain = cache.cached(key, "python.tar", build)
        path.write_bytes(compress_tar(plain.read_bytes(), compression, frames=frames))

    kept = cache.cached([key, name, frames], name, compress)
    if folder is None:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(kept, folder / name))


def pbs_members(
    interpreter: Interpreter, *, flavor: str = "install_only_stripped", slim: bool = False
) -> list[Member]:
    """Return the members of an archive, without the top folder `python`."""
    full = flavor == "full"
    members = [
        *_binaries(interpreter, strip=flavor == "install_only_stripped", tests=full, slim=slim),
        *_headers(interpreter, slim=slim),
        *_standard_library(interpreter, tests=full, slim=slim),
        *_generated(interpreter),
        *_scripts(interpreter),
        *_packages(interpreter, slim=slim),
        *extras.terminfo(50 if slim else extras.TERMINFO_ENTRIES),
        *(extras.tcl_files(3, 3) if slim else extras.tcl_files()),
        *extras.manual(interpreter.minor),
    ]
    return full_members(interpreter, members) if full else members


def _stripper() -> str:
    return shutil.which("llvm-strip") or shutil.which("strip") or ""


def _without_debug_information(paths: list[Path]) -> Iterator[tuple[Path, bytes]]:
    """Yield each file after `strip --strip-debug`; unchanged where that tool is missing."""
    if not _stripper():
        yield from ((path, path.read_bytes()) for path in paths)
        return
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(shutil.copyfile(p, Path(folder, f"{n}.so"))) for n, p in enumerate(paths)]
        subprocess.run([_stripper(), "--strip-debug", *copies], check=True)
        yield from zip(paths, (copy.read_bytes() for copy in copies), strict=True)


def _relocated(data: bytes, run_path: str, interpreter: Interpreter) -> bytes:
    if elf.run_path(data)[0]:
        try:
            data = elf.set_run_path(data, run_path)
        except ValueError as error:
            raise Unsuitable(f"{interpreter.path}: {error}") from None
    return elf.replace_string(data, str(interpreter.prefix), relocation.PREFIX)


def _binaries(
    interpreter: Interpreter, *, strip: bool, tests: bool, slim: bool
) -> Iterator[Member]:
    """Yield the program, libpython and the extension modules, able to run from anywhere."""
    name, library = interpreter.executable_name, interpreter.prefix / "lib"
    places = {interpreter.path: (f"bin/{name}", "$ORIGIN/../lib")}
    for path in sorted(library.glob("libpython*.so*")):
        if not re.fullmatch(rf"lib({re.escape(name)}|python3)\.so(\.[\d.]+)?", path.name):
            continue
        if path.is_symlink():
            yield link(f"lib/{path.name}", str(path.readlink()))
        else:
            places[path] = (f"lib/{path.name}", "$ORIGIN/../lib")
    folder = f"lib/{interpreter.library_name}/lib-dynload"
    for path in sorted((interpreter.stdlib / "lib-dynload").glob("*.so")):
        if _TEST_EXTENSION.match(path.name) and not tests:
            continue
        if not slim or _SLIM_EXTENSIONS.match(path.name):
            places[path] = (f"{folder}/{path.name}", "$ORIGIN/../..")
    # Upstream's libpython is some 30 MB large even when stripped, since OpenSSL, SQLite and the
    # like are inside. This one comes near that with its debug information, so a full-size
    # archive keeps it: how large a member is matters to more tests than what it is made of.
    large = [path for path in places if path.parent == library and not slim]
    small = [path for path in places if path not in large]
    plain = large if strip else list(places)
    read = itertools.chain(
        _without_debug_information(small) if strip else (),
        ((path, path.read_bytes()) for path in plain),
    )
    for path, data in read:
        place, run_path = places[path]
        yield program(place, _relocated(data, run_path, interpreter))
    yield Member(f"{folder}/.empty")
    yield from (link(f"bin/{alias}", name) for alias in ("python", "python3"))
    if name != f"python{interpreter.minor}":
        yield link(f"bin/python{interpreter.minor}", name)


def _headers(interpreter: Interpreter, *, slim: bool) -> Iterator[Member]:
    root = interpreter.prefix / "include" / interpreter.library_name
    for path in sorted(root.rglob("*.h")):
        if not slim or path.name in {"Python.h", "patchlevel.h", "pyconfig.h"}:
            yield _file(path, f"include/{interpreter.library_name}/{path.relative_to(root)}")


def _file(path: Path, place: str) -> Member:
    return Member(place, path.read_bytes(), 0o775 if path.stat().st_mode & 0o100 else 0o664)


def _in_slim(place: Path) -> bool:
    top = place.parts[0]
    if place.parent == Path():
        return not _SLIM_LEFT_OUT.fullmatch(place.stem)
    if top == "encodings":
        return bool(_SLIM_CODECS.fullmatch(place.as_posix()))
    return (top in _SLIM_FOLDERS and place.suffix != ".whl") or top.startswith("config-")


def _in_library(place: Path, *, tests: bool, slim: bool) -> bool:
    """Tell whether a file of the standard library belongs into the archive."""
    name = place.as_posix()
    if {"__pycache__", "site-packages", "lib-dynload", "dist-packages"} & set(place.parts):
        return False
    if place.suffix == ".a" or name.startswith("_sysconfigdata"):
        return False
    if any(name.startswith(package + "/") for package in TEST_PACKAGES):
        return tests and bool(_SOME_TESTS.fullmatch(name))
    return not slim or _in_slim(place)


def _standard_library(interpreter: Interpreter, *, tests: bool, slim: bool) -> Iterator[Member]:
    root = interpreter.stdlib
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root)
        if not path.is_file() or not _in_library(place, tests=tests, slim=slim):
            continue
        member = _file(path, f"lib/{interpreter.library_name}/{place}")
        if place.name == "Makefile":
            triple = interpreter.triple
            content = relocation.makefile(member.data.decode(), interpreter, triple)
            member = member._replace(data=content.encode())
        elif relocation.has_python_shebang(member.data):
            content = relocation.with_trampoline(member.data.decode(), interpreter.executable_name)
            member = member._replace(data=content.encode(), mode=0o775)
        yield member
    yield text(
        f"lib/{interpreter.library_name}/site-packages/README.txt",
        "This directory exists so that 3rd party packages can be installed\nhere.\n",
    )


def _generated(interpreter: Interpreter) -> Iterator[Member]:
    """Yield the files that `configure` and `make` wrote, with upstream's values."""
    triple = interpreter.triple
    for path in interpreter.stdlib.glob("_sysconfigdata_*.py"):
        values = relocation.sysconfig_values(path.read_text(), interpreter, triple)
        place = f"lib/{interpreter.library_name}/{path.name}"
        yield text(place, relocation.sysconfig_module(values))
    for path in sorted((interpreter.prefix / "lib" / "pkgconfig").glob("python*.pc")):
        place = f"lib/pkgconfig/{path.name}"
        if path.is_symlink():
            yield link(place, str(path.readlink()))
        elif re.search(rf"-{re.escape(interpreter.minor)}t?d?(-embed)?\.pc$", path.name):
            yield text(place, relocation.pkgconfig(path.read_text(), interpreter))
    name = f"{interpreter.executable_name}-config"
    path = interpreter.path.with_name(name)
    if path.is_file():
        content = relocation.shell_config(path.read_text(), interpreter)
        yield program(f"bin/{name}", content.encode())
        yield link("bin/python3-config", name)


_SCRIPTS = {
    "idle3": ("from idlelib.pyshell import main\n", "main()"),
    "pydoc3": ("import pydoc\n", "pydoc.cli()"),
    "2to3": ("import sys\nfrom lib2to3.main import main\n", 'sys.exit(main("lib2to3.fixes"))'),
}


def _scripts(interpreter: Interpreter) -> Iterator[Member]:
    for short, (imports, call) in _SCRIPTS.items():
        name = (
            f"2to3-{interpreter.minor}" if short == "2to3" else f"{short[:-1]}{interpreter.minor}"
        )
        if short == "2to3" and interpreter.version >= (3, 13):
            continue
        script = f'#!/install/bin/python\n{imports}if __name__ == "__main__":\n    {call}\n'
        content = relocation.with_trampoline(script, interpreter.executable_name)
        yield program(f"bin/{name}", content.encode())
        yield link(f"bin/{short}", name)


def _packages(interpreter: Interpreter, *, slim: bool) -> Iterator[Member]:
    site = f"lib/{interpreter.library_name}/site-packages"
    bundled = interpreter.stdlib / "ensurepip" / "_bundled"
    pip, setuptools = newest_wheel(bundled, "pip"), newest_wheel(bundled, "setuptools")
    if pip:
        scripts = ["pip", "pip3", f"pip{interpreter.minor}"]
        only = r"\.dist-info/|^pip/_{0,2}[a-z]+_{0,2}\.py$" if slim else ""
        yield from installed_wheel(pip, site, scripts, interpreter.executable_name, only=only)
    if setuptools and not slim and interpreter.version < (3, 12):
        yield from installed_wheel(setuptools, site, [], interpreter.executable_name)
