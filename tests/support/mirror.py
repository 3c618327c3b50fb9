"""A mirror of synthetic archives with real names, and a list of them in uv's format.

::

    <folder>/20260101/cpython-3.13.5+20260101-….tar.gz     as python-build-standalone's releases
    <folder>/pypy3.11-v7.3.23-linux64.tar.gz               as PyPy's downloads
    <folder>/list.json                                     with upstream's addresses
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kitbag_bundles.keys import BuildKey
from kitbag_packer.upstream import parse_filename

from .synthetic import SYNTHETIC, make_synthetic_archive

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PBS = "https://github.com/astral-sh/python-build-standalone/releases/download/"
PYPY = "https://downloads.python.org/pypy/"
GRAALPY = "https://github.com/oracle/graalpython/releases/download/"
PYODIDE = "https://github.com/pyodide/pyodide/releases/download/"

EIGHT = (
    "linux",
    "aarch64",
    "musl",
    "armv7",
    "macos-arm64",
    "macos-x86_64",
    "windows",
    "windows-arm64",
)
"""Names of synthetic archives of one version of CPython for eight targets."""


@dataclass(frozen=True)
class Mirrored:
    """One archive of a mirror."""

    key: BuildKey
    path: Path
    url: str
    """Upstream's address."""

    @property
    def sha256(self) -> str:
        """Of the archive, in hex."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Mirror:
    """A folder of archives and the list that describes them."""

    folder: Path
    archives: tuple[Mirrored, ...]

    @property
    def list(self) -> Path:
        """The list in uv's format."""
        return self.folder / "list.json"

    def arguments(self, base: str = "") -> tuple[str, ...]:
        """Options that make kitbag use this mirror, at the address ``base`` or as a folder."""
        where = base.rstrip("/") or self.folder.as_uri()
        return ("--catalog", str(self.list), "--mirror", where, "--mirror", f"pypy={where}")

    def write_list(self, **changes: Any) -> None:
        """Write the list anew; ``changes`` replace fields of every entry."""
        entries = {
            str(each.key): {**uv_entry(each.key, each.url, each.sha256), **changes}
            for each in self.archives
        }
        self.list.write_text(json.dumps(entries, indent=1), "utf-8")


def make_mirror(folder: Path, names: Iterable[str] = (), extra: Iterable[Path] = ()) -> Mirror:
    """Fill ``folder`` with the synthetic archives called ``names`` and copies of ``extra``."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in names:
        path = make_synthetic_archive(name, folder / "made")
        found.append((BuildKey.parse(SYNTHETIC[name].key), path))
    for path in extra:
        said = parse_filename(path.name)
        assert said is not None
        assert said.key is not None
        found.append((said.key, path))
    archives = []
    for key, path in found:
        said = parse_filename(path.name)
        assert said is not None
        inside = f"{said.release}/{path.name}" if key.implementation == "cpython" else path.name
        place = folder / inside
        place.parent.mkdir(exist_ok=True)
        if path != place:
            shutil.copyfile(path, place)
        prefix = {"cpython": PBS, "pypy": PYPY, "graalpy": GRAALPY, "pyodide": PYODIDE}
        archives.append(Mirrored(key, place, prefix[key.implementation] + quote(inside)))
    shutil.rmtree(folder / "made", ignore_errors=True)
    mirror = Mirror(folder, tuple(archives))
    mirror.write_list()
    return mirror


def uv_entry(key: BuildKey, url: str, sha256: str | None) -> dict[str, Any]:
    """An entry of uv's ``download-metadata.json``."""
    target, version = key.target, key.version
    family = {"x86": "i686", "riscv64gc": "riscv64"}.get(target.cpu, target.cpu)
    level = f"v{target.cpu_level}" if target.cpu_level > 1 else None
    said = parse_filename(url.rpartition("/")[2])
    return {
        "name": "cpython" if key.implementation == "pyodide" else key.implementation,
        "arch": {"family": family, "variant": level},
        "os": "darwin" if target.os == "macos" else target.os,
        "libc": target.libc,
        "major": version.major,
        "minor": version.minor,
        "patch": version.patch,
        "prerelease": version.prerelease,
        "url": url,
        "sha256": sha256,
        "variant": key.variant or None,
        "build": said.release if said else None,
    }
