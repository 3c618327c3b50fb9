"""Pack an installed CPython: its own files, in python-build-standalone's shape, below `/install`.

The archive that comes out is made like upstream's `install_only` archives, so nothing after this
package treats it differently: it unpacks anywhere, its generated files hold the prefix `/install`,
its libraries are found by relative run paths. The installed Python is only read.

The steps, one module each: `probing` asks the interpreter, `relocation` makes the rules for its
paths, `selection` chooses the files, `generated`, `elf`, `runpaths` and `distributions` know how
each kind of file changes, `assembly` puts them together.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import pwd
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import FileSystemError, KitbagError, UsageError
from kitbag_bundles.keys import BuildKey, Target
from kitbag_packer.rerooting.assembly import Assembly
from kitbag_packer.rerooting.elf import is_elf, read
from kitbag_packer.rerooting.probing import Interpreter, probe
from kitbag_packer.rerooting.relocation import relocation_for
from kitbag_packer.rerooting.selection import select
from kitbag_packer.tarball import write_tarball
from kitbag_packer.upstream import triple

if TYPE_CHECKING:
    from kitbag_bundles.reporting import Reporter

__all__ = ["Rerooted", "find_interpreter", "reroot"]

_COMMAND = re.compile(r"[a-z]*py[a-z]*(?:\d+(?:\.\d+)*)?[td]{0,2}", re.ASCII)
_EXECUTABLE = re.compile(r"python3(?:\.\d+)?[td]{0,2}", re.ASCII)


@dataclass(frozen=True)
class Rerooted:
    """A build made from an installed Python.

    ``notes`` are sentences, one for each thing that could not be carried; they name files by
    their place in the tree and tell nothing of the machine.
    """

    key: BuildKey
    archive: Path
    filename: str
    notes: tuple[str, ...]


def find_interpreter(source: str) -> Path | None:
    """The interpreter that a person means by ``source``; None if it is something else.

    Understood are an interpreter's file, the folder of an installation or a virtual environment
    (whatever has ``bin/python3``), and a command on PATH such as ``python3.12``. What exists under
    that name wins over PATH. The path is absolute; links in it are left for the interpreter.
    """
    place = Path(source).expanduser()
    if place.is_dir():
        return _in_folder(place)
    if place.is_file():
        return _absolute(place) if _is_program(place) else None
    if _COMMAND.fullmatch(source):
        found = shutil.which(source)
        return _absolute(Path(found)) if found else None
    return None


def reroot(
    interpreter: Path,
    workdir: Path,
    *,
    with_tests: bool = False,
    key: BuildKey | None = None,
    reporter: Reporter,
) -> Rerooted:
    """Make the archive of an installed CPython in ``workdir``.

    ``key`` names the build differently from what is found out (another libc's name, say); its
    implementation and version must be the interpreter's. Raises :class:`UsageError` for what is no
    CPython ≥ 3.8 on Linux, :class:`FileSystemError` when a file can't be read or written, and
    :class:`KitbagError` when the interpreter doesn't start or needs `patchelf` that isn't there.
    """
    found = probe(interpreter)
    key = _key(found, key)
    reporter.info(f"re-rooting CPython {found.version} from {found.prefix}")
    relocation = relocation_for(found, _homes())
    filename = _filename(key)
    archive = workdir / filename
    try:
        with tempfile.TemporaryDirectory(prefix="reroot-", dir=workdir) as scratch:
            chosen = select(found, with_tests=with_tests)
            assembly = Assembly(found, relocation, chosen, Path(scratch))
            assembly.build()
            write_tarball(archive, assembly.items(), reporter=reporter)
    except OSError as problem:
        raise FileSystemError(f"cannot pack the Python in {found.prefix}: {problem}") from problem
    notes = [*assembly.notes, *_shape_notes(found, assembly)]
    return Rerooted(key, archive, filename, tuple(dict.fromkeys(notes)))


def _shape_notes(interpreter: Interpreter, assembly: Assembly) -> list[str]:
    notes = []
    library = f"lib/{interpreter.library_name}"
    paths = assembly.members
    has_pip = f"{library}/site-packages/pip/__init__.py" in paths
    wheels = any(path.startswith(f"{library}/ensurepip/_bundled/") for path in paths)
    if not has_pip and wheels:
        notes.append("no pip in the tree itself; `python -m venv` brings its own")
    elif not has_pip:
        distribution = "Debian's" if interpreter.scheme == "posix_local" else "this"
        notes.append(
            f"no pip in {distribution} Python: `python -m venv` needs --without-pip on the target"
        )
    elif not wheels:
        notes.append("no pip wheel in ensurepip: `python -m venv` needs --without-pip")
    if interpreter.scheme == "posix_local":
        notes.append(
            "this Python is patched by its distribution: packages go to"
            f" local/lib/python{interpreter.version.minor_text}/dist-packages (scheme posix_local);"
            " virtual environments are as usual"
        )
    return notes


def _key(interpreter: Interpreter, wish: BuildKey | None) -> BuildKey:
    if wish is not None:
        if wish.implementation != "cpython" or wish.version != interpreter.version:
            raise UsageError(f"{wish} cannot name this Python: it is CPython {interpreter.version}")
        return wish
    path = interpreter.executable
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise FileSystemError(f"cannot read {path}: {problem}") from problem
    if not is_elf(data):
        raise KitbagError(f"{path} is a script that starts a Python; give --from the Python itself")
    headers = read(data, str(path))
    loader = posixpath.basename(headers.interpreter)
    libc = "musl" if loader.startswith("ld-musl") else "gnu"
    if headers.machine == "armv7":
        libc += "eabihf" if "armhf" in loader else "eabi"
    target = Target("linux", headers.machine, libc)
    return BuildKey("cpython", interpreter.version, interpreter.variant, target)


def _filename(key: BuildKey) -> str:
    variant = f"-{key.variant}" if key.variant else ""
    return f"cpython-{key.version}+rerooted-{triple(key.target)}{variant}-install_only.tar.gz"


def _homes() -> list[str]:
    """The folders that tell who packs."""
    homes = [os.environ.get("HOME", "")]
    with contextlib.suppress(KeyError):
        homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    known = {os.path.normpath(home) for home in homes if home.startswith("/")}
    return sorted(known | {os.path.realpath(home) for home in known})


def _in_folder(folder: Path) -> Path | None:
    names = ["python3", "python"]
    try:
        listing = sorted(os.listdir(folder / "bin"), reverse=True)
    except OSError:
        return None
    names += [name for name in listing if _EXECUTABLE.fullmatch(name)]
    for name in names:
        place = folder / "bin" / name
        if place.is_file() and _is_program(place):
            return _absolute(place)
    return None


def _is_program(place: Path) -> bool:
    if not os.access(place, os.X_OK):
        return False
    try:
        with open(place, "rb") as stream:
            start = stream.read(4)
    except OSError:
        return False
    return is_elf(start) or start.startswith(b"#!")


def _absolute(place: Path) -> Path:
    return Path(os.path.abspath(place))
