"""PyPy's own archive, made from the real PyPy that Debian packages.

Debian puts its parts into `/usr`; upstream has them in one folder: the interpreter and its library
side by side in `bin`, the standard library in `lib/pypy3.9`. PyPy finds everything from where it
is, so it runs in that shape as upstream's does. The header with the version, which Debian has in a
package of its own, is written from what the interpreter says.
"""

from __future__ import annotations

import functools
import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from . import cache
from .members import Member, below, link, program, text, write_archive
from .require import require

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROBE = """
import json, os, sys
print(json.dumps({
    "program": os.path.realpath(sys.executable), "version": "%d.%d.%d" % sys.version_info[:3],
    "release": "%d.%d.%d" % sys.pypy_version_info[:3], "stdlib": os.path.dirname(os.__file__),
}))
"""
_PLATFORMS = {"x86_64": "linux64", "aarch64": "aarch64"}
_LEFT_OUT = {"__pycache__", "dist-packages", "EXTERNALLY-MANAGED"}


class PyPy(NamedTuple):
    """The PyPy of this machine."""

    program: Path
    version: str  # of the language, "3.9.16"
    release: str  # its own, "7.3.11"
    stdlib: Path
    library: Path  # libpypy3.9-c.so

    @property
    def name(self) -> str:
        """`pypy3.9`."""
        return f"pypy{self.version.rpartition('.')[0]}"

    @property
    def key(self) -> str:
        """The key of the build that is made of it."""
        return f"pypy-{self.version}-linux-{platform.machine()}-gnu"

    def filename(self, suffix: str) -> str:
        """Upstream's name of the archive."""
        return f"{self.name}-v{self.release}-{_PLATFORMS[platform.machine()]}{suffix}"


@functools.cache
def _find() -> PyPy | None:
    command = shutil.which("pypy3")
    if command is None or platform.machine() not in _PLATFORMS:
        return None
    done = subprocess.run([command, "-c", _PROBE], capture_output=True, timeout=60, check=True)
    said = json.loads(done.stdout)
    name = f"libpypy{said['version'].rpartition('.')[0]}-c.so"
    found = [path for path in Path("/usr/lib").glob(f"*-linux-gnu/{name}") if path.is_file()]
    if not found:
        return None
    stdlib = Path(said["stdlib"])
    return PyPy(Path(said["program"]), said["version"], said["release"], stdlib, found[0])


def real_pypy() -> PyPy:
    """The PyPy of this machine; without one the test is skipped."""
    found = _find()
    require(found, "Debian's packages pypy3 and pypy3-lib")
    assert found is not None
    return found


def make_pypy_archive(suffix: str) -> Path:
    """Return an archive with upstream's name for `suffix`. Kept between runs: read only."""
    pypy = real_pypy()
    name = pypy.filename(suffix)
    key = [cache.digest_of_sources("pypy.py", "members.py", "cache.py"), pypy.version, name]
    seen = [pypy.program, pypy.library]
    key += [str(path.stat().st_mtime_ns) for path in seen]

    def build(path: Path) -> None:
        write_archive(below(name.removesuffix(suffix), _members(pypy)), path, suffix)

    return cache.cached(key, name, build)


def _members(pypy: PyPy) -> Iterator[Member]:
    name = pypy.name
    yield program(f"bin/{name}", pypy.program.read_bytes())
    yield program(f"bin/{pypy.library.name}", pypy.library.read_bytes())
    minor = name.removeprefix("pypy")
    for alias in ("pypy", "pypy3", "python3", f"python{minor}"):
        yield link(f"bin/{alias}", name)
    for path in sorted(pypy.stdlib.rglob("*")):
        place = path.relative_to(pypy.stdlib)
        if path.is_file() and not _LEFT_OUT & set(place.parts):
            yield Member(f"lib/{name}/{place.as_posix()}", path.read_bytes())
    header = f'#define PY_VERSION "{pypy.version}"\n#define PYPY_VERSION "{pypy.release}"\n'
    yield text(f"include/{name}/patchlevel.h", header)
    yield text("LICENSE", "Stand-in for the licence.\n")
    yield text("README.rst", "Stand-in.\n")
