"""A root file system with nothing on it: busybox, what an interpreter links to, and a few devices.

Commands run in it by ``chroot``, in mount and network namespaces of their own that end with them:
there is no network, not even the loopback, and nothing of this machine but the kernel.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .cli import Ran
from .require import require, require_command

if TYPE_CHECKING:
    from collections.abc import Iterable

LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
USER = 54321
"""A user that nobody knows."""
_DEVICES = ("null", "zero", "urandom")
_TMP = {"read-only": "ro", "noexec": "noexec"}


@dataclass(frozen=True)
class BareRoot:
    """A root file system at ``path``."""

    path: Path

    def run(
        self,
        *command: str | Path,
        proc: bool = True,
        tmp: str = "",
        user: int = 0,
        umask: str = "022",
        env: dict[str, str] | None = None,
        noexec: str = "",
        timeout: float = 240,
    ) -> Ran:
        """Run ``command`` as if this were the machine.

        ``tmp`` is ``read-only`` or ``noexec`` for what ``/tmp`` is, ``noexec`` another folder in
        which nothing may be run.
        """
        steps = [f"umask {umask}", "mount --make-rprivate /"]
        if proc:
            steps.append(f"mount --bind /proc {shlex.quote(str(self.path / 'proc'))}")
        for name in _DEVICES:
            place = shlex.quote(str(self.path / "dev" / name))
            steps.append(f"mount --bind /dev/{name} {place}")
        if tmp:
            place = shlex.quote(str(self.path / "tmp"))
            steps.append(f"mount -t tmpfs -o {_TMP[tmp]} none {place}")
        if noexec:
            place = shlex.quote(f"{self.path}{noexec}")
            steps.append(f"mount -t tmpfs -o noexec,mode=777 none {place}")
        said = " ".join(shlex.quote(f"{name}={text}") for name, text in (env or {}).items())
        words = " ".join(shlex.quote(os.fspath(word)) for word in command)
        steps.append(
            f"exec chroot --userspec={user}:{user} {shlex.quote(str(self.path))} "
            f"/bin/busybox env -i PATH=/bin {said} {words}"
        )
        done = subprocess.run(
            ["unshare", "--mount", "--net", "sh", "-c", " && ".join(steps)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


@functools.cache
def _can_isolate() -> bool:
    done = subprocess.run(
        ["unshare", "--mount", "--net", "mount", "--make-rprivate", "/"], capture_output=True
    )
    return done.returncode == 0


def make_bare_root(folder: Path, *, libraries: Iterable[Path] = (), shell: str = "") -> BareRoot:
    """Make a root file system in ``folder``.

    It holds a static busybox, ``libraries`` where they are on this machine too, and as ``/bin/sh``
    the command ``shell``, or else busybox. ``/home/user`` belongs to :data:`USER`.
    """
    require_command("unshare")
    require(os.geteuid() == 0 and _can_isolate(), "the rights to make namespaces and chroot")
    busybox = Path(require_command("busybox"))
    for name in ("bin", "dev", "lib", "media", "proc", "tmp", "home/user", "root"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "tmp").chmod(0o1777)
    os.chown(folder / "home/user", USER, USER)
    for name in _DEVICES:
        (folder / "dev" / name).touch()
    shutil.copy(busybox, folder / "bin/busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for name in applets.stdout.split():
        if not os.path.lexists(folder / "bin" / name):
            (folder / "bin" / name).symlink_to("busybox")
    wanted = set(libraries)
    if shell:
        program = Path(require_command(shell))
        shutil.copy(program, folder / "bin" / shell)
        (folder / "bin/sh").unlink()
        (folder / "bin/sh").symlink_to(shell)
        wanted |= linked_libraries([program])
    for library in wanted:
        place = Path(f"{folder}{library}")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    return BareRoot(folder)


def linked_libraries(programs: Iterable[Path]) -> set[Path]:
    """The system's libraries that ``programs`` link to, the loader among them, as ldd says."""
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    return {
        Path(found) for found in re.findall(r"(?:=> |^\t)(/\S+) \(0x", done.stdout, re.MULTILINE)
    }


def libraries_of(archive: Path) -> set[Path]:
    """The system's libraries that the programs and modules in ``archive`` link to."""
    with tempfile.TemporaryDirectory() as name, tarfile.open(archive) as tar:
        tar.extractall(name, filter="tar")
        folder = Path(name).resolve()
        programs = [*folder.glob("python/bin/python3.*"), *folder.rglob("*.so*")]
        own = str(folder)
        real = [path for path in programs if path.is_file() and not path.is_symlink()]
        found = linked_libraries([path for path in real if path.read_bytes()[:4] == b"\x7fELF"])
        return {path for path in found if not str(path).startswith(own)}
