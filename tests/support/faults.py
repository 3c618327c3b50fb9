"""What can go wrong on a target, made to happen: kills, refused system calls, odd file systems.

The kernel does the work: ``strace`` injects signals and errors into chosen system calls, mount
namespaces hold file systems that are too small, read-only or without execution, and dropped
capabilities make permissions count for root too.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .require import require, require_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MUTATING = (
    *("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2"),
    *("symlink", "symlinkat", "link", "linkat", "mknod", "mknodat", "open", "openat", "creat"),
    *("write", "pwrite64", "writev", "copy_file_range", "sendfile", "fallocate"),
    *("truncate", "ftruncate"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utimensat"),
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "fsync", "fdatasync", "syncfs"),
)
_OPENS = frozenset({"open", "openat"})
_CHANGES = re.compile(r"\b(O_CREAT|O_WRONLY|O_RDWR|O_TRUNC)\b")
_CALL = re.compile(r"^(\d+) +(\w+)\(")


class Call(NamedTuple):
    """One system call of a command's main thread: its name and its place among that name's."""

    name: str
    number: int
    text: str


@functools.cache
def _traceable() -> bool:
    strace = shutil.which("strace")
    if strace is None:
        return False
    probe = subprocess.run(
        [strace, "-f", "-o", os.devnull, "-e", "inject=mkdir:error=EPERM", "true"],
        capture_output=True,
        check=False,
    )
    return probe.returncode == 0


def require_strace() -> str:
    """The path of a strace that may trace and inject."""
    path = require_command("strace")
    require(_traceable(), "strace may not trace here")
    return path


def mutating_calls(
    command: Sequence[str], log: Path, *, inject: str = "", env: Mapping[str, str]
) -> list[Call]:
    """Run ``command`` to its end and return the system calls by which it changes something.

    Those of its main thread, in order: the command's children (a smoke test) change nothing.
    """
    trace = [require_strace(), "-f", "-qq", "-o", str(log), "-e", f"trace={_known(MUTATING)}"]
    trace += ["-e", f"inject={inject}"] if inject else []
    done = subprocess.run([*trace, *command], env=dict(env), capture_output=True, check=False)
    assert done.returncode == 0, done
    calls: list[Call] = []
    counts: dict[str, int] = {}
    main = ""
    for line in log.read_text(errors="replace").splitlines():
        found = _CALL.match(line)
        if not found:
            continue
        process, name = found.groups()
        main = main or process
        if process != main:
            continue
        counts[name] = counts.get(name, 0) + 1
        if name not in _OPENS or _CHANGES.search(line):
            calls.append(Call(name, counts[name], line))
    return calls


def killed_at(call: Call, log: Path, *, inject: str = "") -> list[str]:
    """The words to put before a command so that it is killed when it comes to ``call``.

    The call itself is not carried out any more: all before it are.
    """
    also = inject.partition(":")[0] if inject else call.name
    words = [require_strace(), "-f", "-qq", "-o", str(log), "-e", f"trace={call.name},{also}"]
    if also != call.name:
        words += ["-e", f"inject={inject}"]
    return [*words, "-e", f"inject={call.name}:signal=SIGKILL:when={call.number}"]


@functools.cache
def _known(names: tuple[str, ...]) -> str:
    """Those of ``names`` that this architecture has, as strace wants them."""
    strace = require_strace()

    def known(name: str) -> bool:
        probe = [strace, "-o", os.devnull, "-e", f"trace={name}", "true"]
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0

    return ",".join(name for name in names if known(name))


class Mounted(NamedTuple):
    """A file system that only a namespace of its own sees."""

    path: Path
    """Where commands find it that run with ``before``."""
    before: tuple[str, ...]
    """Words to put before a command so that it runs in that namespace."""
    view: Path
    """Where this process sees the same files."""


@contextlib.contextmanager
def mounted(place: Path, options: str, *, then: str = "") -> Iterator[Mounted]:
    """Mount a tmpfs with ``options`` at ``place``, in a mount namespace that dies with the test.

    ``then`` is a shell command to run in there first, with ``$1`` for the place.
    """
    unshare, nsenter = require_command("unshare"), require_command("nsenter")
    place.mkdir(parents=True, exist_ok=True)
    root = os.geteuid() == 0
    script = (
        f'mount -t tmpfs -o {options} kitbag-test "$1" && {{ {then or ":"}; }} && echo ready && cat'
    )
    holder = subprocess.Popen(
        [unshare, *([] if root else ["-r"]), "-m", "sh", "-c", script, "sh", str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert holder.stdout is not None
        require(holder.stdout.readline() == b"ready\n", "may not mount a tmpfs in a namespace")
        user = [] if root else ["-U", "--preserve-credentials"]
        before = (nsenter, "-t", str(holder.pid), *user, "-m", "--")
        yield Mounted(place, before, Path(f"/proc/{holder.pid}/root{place}"))
    finally:
        holder.communicate()


def without_privileges() -> list[str]:
    """The words to put before a command for which file permissions count, even if root runs it."""
    if os.geteuid() != 0:
        return []
    setpriv = require_command("setpriv")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search,-fowner"]
