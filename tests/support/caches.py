"""Caches as several processes and users see them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.reporting import SilentReporter

from .require import require, require_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_packer.cache import Cache, Entry

_PRELUDE = """
import os, sys
from pathlib import Path
from kitbag_packer.cache import Cache
from support.caches import Messages, digest, keep
said = Messages()
cache = Cache(Path(sys.argv[1]), said)
"""


class Messages(SilentReporter):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []

    def info(self, message: str) -> None:
        self.infos.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def digest(data: bytes) -> str:
    """The SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def keep(cache: Cache, data: bytes, filename: str = "python.tar.gz") -> Entry:
    """Put ``data`` into ``cache`` as a download does."""
    sha256 = digest(data)
    with cache.partial(sha256, filename, size=len(data)) as place:
        place.data.write_bytes(data)
        place.state.write_text("{}")
        return cache.keep(place.data, sha256=sha256, filename=filename, url="https://example.org/")


def cache_process(
    script: str, folder: Path, *, user: int | None = None, umask: int = 0o022
) -> subprocess.Popen[str]:
    """Start Python code that has a ``cache`` at ``folder``, ``said``, ``keep`` and ``digest``."""
    before = []
    if user is not None:
        # The number of nobody in particular; the groups are given up, too.
        setpriv = require_command("setpriv")
        before = [setpriv, f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": "/tmp"}
    return subprocess.Popen(
        [*before, sys.executable, "-B", "-c", _PRELUDE + script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        umask=umask,
        cwd="/",
        env=environment,
    )


def cache_output(
    script: str, folder: Path, *, user: int | None = None, umask: int = 0o022
) -> list[str]:
    """The lines that such code prints; it must end well and say nothing else."""
    out, err = cache_process(script, folder, user=user, umask=umask).communicate(timeout=60)
    assert not err, err
    return out.splitlines()


@functools.cache
def _others_can_run() -> bool:
    process = cache_process("", Path("/nowhere"), user=1000)
    process.communicate(timeout=60)
    return process.returncode == 0


@contextlib.contextmanager
def public_folder(mode: int = 0o755) -> Iterator[Path]:
    """A folder that every user can reach; only root can try what other users meet."""
    require(os.geteuid() == 0, "acting as several users needs to be root")
    require(_others_can_run(), "other users can't reach the interpreter or the sources")
    folder = Path(tempfile.mkdtemp(prefix="kitbag-test-"))
    try:
        folder.chmod(0o755)
        place = folder / "cache"
        place.mkdir()
        place.chmod(mode)
        yield place
    finally:
        shutil.rmtree(folder)
