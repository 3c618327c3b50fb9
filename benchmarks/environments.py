"""Environments for the benchmarks: the same wheels by kitbag, uv and pip.

The wheels are those in the directory that ``KITBAG_BENCH_WHEELS`` names, for the newest packable
CPython of this machine; without it they are made of that interpreter's own library.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from support.environments import with_environments
from support.interpreters import packable_interpreters
from support.pbs import make_pbs_archive
from support.wheels import make_wheel, pylock_of

NEW = "{new}"
_WHEELS = 40


class Row(NamedTuple):
    """One contender: name, command, environment, and what comes before it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    before: tuple[list[str], ...] = ()


def tables(work: Path, clean: dict[str, str]) -> list[tuple[str, list[Row]]]:
    """Titles and contenders: an environment alone, and one with its interpreter."""
    import uv

    one = max(packable_interpreters((3, 9)), key=lambda each: each.version)
    folder = os.environ.get("KITBAG_BENCH_WHEELS")
    wheels = sorted(Path(folder).glob("*.whl")) if folder else made_wheels(work, one.stdlib)
    kitbag = str(Path(sys.executable).with_name("kitbag"))
    plain, bundle = work / "plain.kitbag", work / "environment.kitbag"
    archive = make_pbs_archive(one)
    pack = [kitbag, "pack", "-q", "--from", str(archive), "-o", str(plain)]
    subprocess.run(pack, stdout=subprocess.DEVNULL, check=True)
    with_environments(bundle, plain, {"app": wheels})
    lock = work / "pylock.toml"
    lock.write_text(pylock_of(wheels))
    base = work / "base"
    subprocess.run([kitbag, "install", "-q", plain, "--root", base, "--no-bin"], check=True)
    python = str(next(base.glob("cpython-3.*.*/bin/python")))
    own = str(uv.find_uv_bin())
    cached = {**clean, "UV_CACHE_DIR": str(work / "uv-cache"), "UV_LINK_MODE": "copy"}
    install = ["--root", f"{NEW}/root", "--no-bin", "-q"]
    venv = [own, "venv", "-q", "-p", python, f"{NEW}/app"]
    sync = [own, "pip", "sync", "-q", "--offline", "--preview-features", "pylock", str(lock)]
    sync += ["--python", f"{NEW}/app"]
    pip = [f"{NEW}/app/bin/python", "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    pip += ["--no-compile", "--disable-pip-version-check", *map(str, wheels)]
    there = [kitbag, "install", str(plain), *install]
    archived = [python, str(bundle), "install", "app", *install]
    size = sum(path.stat().st_size for path in wheels) / 1e6
    what = f"{len(wheels)} wheels, {size:.0f} MB"
    return [
        (
            f"Install an environment ({what}), its interpreter is there",
            [
                Row("uv pip sync --offline (warm, copy)", sync, cached, (venv,)),
                Row(
                    "kitbag install",
                    [kitbag, "install", str(bundle), "app", *install],
                    clean,
                    (there,),
                ),
                Row("python3 FILE install", archived, clean, (there,)),
                Row("pip install --no-index", pip, clean, ([python, "-m", "venv", f"{NEW}/app"],)),
            ],
        ),
        (
            f"Install an environment ({what}) with its interpreter",
            [Row("kitbag install", [kitbag, "install", str(bundle), *install], clean)],
        ),
    ]


def made_wheels(work: Path, library: Path) -> list[Path]:
    """Wheels out of the standard library: one with large binaries, the others with modules."""
    folder = work / "wheels"
    binaries = {
        f"binaries/{path.name}": path.read_bytes()
        for path in sorted((library / "lib-dynload").glob("*.so"))
    }
    found = [make_wheel(folder, "binaries", files=binaries)]
    sources = sorted(path for path in library.rglob("*.py") if "site-packages" not in path.parts)
    for number in range(_WHEELS - 1):
        files = {
            f"part{number}/{path.relative_to(library).as_posix()}": path.read_bytes()
            for path in sources[number :: _WHEELS - 1]
        }
        found.append(make_wheel(folder, f"part{number}", files=files))
    return found
