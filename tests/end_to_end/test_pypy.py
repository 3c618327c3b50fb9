"""A real PyPy all the way: packed in each form of archive, installed, used, moved, removed."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.keys import BuildKey
from support.bareroot import linked_libraries, make_bare_root
from support.cli import call
from support.installed import run
from support.journey import ODD, kitbag
from support.pypy import make_pypy_archive, real_pypy
from support.require import require_command
from support.snapshots import dangling

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
_ASK = """
import ctypes, json, sqlite3, ssl, sys, sysconfig, zlib
print(json.dumps({
    "prefix": sys.prefix, "version": "%d.%d.%d" % sys.version_info[:3],
    "kind": sys.implementation.name, "paths": sysconfig.get_paths(),
    "size": ctypes.sizeof(ctypes.c_int),
    "sum": sqlite3.connect(":memory:").execute("select 1 + 1").fetchone()[0],
}))
"""


def check_use(home: Path, program: Path) -> None:
    """It is what its key says, finds itself, and makes virtual environments."""
    said = json.loads(run(program, "-c", _ASK).out)
    assert said["kind"] == "pypy"
    assert said["version"] == str(BuildKey.parse(home.name).version)
    assert os.path.realpath(said["prefix"]) == str(home)
    assert (said["size"], said["sum"]) == (4, 2)
    assert {name for name, path in said["paths"].items() if not path.startswith(f"{home}/")} <= {
        "data"  # the prefix itself
    }


@pytest.mark.parametrize("suffix", [".tar.bz2", ".tar.gz", ".zip"])
def test_journey(suffix: str, tmp_path: Path) -> None:
    pypy = real_pypy()
    archive = make_pypy_archive(suffix)
    assert archive.name.startswith(f"{pypy.name}-v{pypy.release}-")
    bundle = tmp_path / "kit.kitbag"
    kitbag("pack", "--from", archive, "-o", bundle)
    (build,) = json.loads(kitbag("show", bundle, "--json"))["build"]
    assert (build["key"], build["release"]) == (pypy.key, pypy.release)
    assert build["payload"]["member"] == f"archives/{archive.name}"

    place = tmp_path / ODD
    root, bin_dir = place / "python", place / "bin"
    kitbag("install", bundle, "--root", root, "--bin-dir", bin_dir, "--default")
    home = root / pypy.key
    names = {pypy.name, "pypy3", "pypy"}
    assert {path.name for path in bin_dir.iterdir()} == names | {"kitbag"}
    assert (home / "BUILD").read_text() == pypy.release
    assert (home / "lib" / pypy.name / "EXTERNALLY-MANAGED").is_file()
    assert os.readlink(home / "bin" / "python") == pypy.name
    assert not [path for path in root.iterdir() if path.is_symlink()], "only CPython has such links"
    for program in (bin_dir / pypy.name, home / "bin" / "python"):
        check_use(home, program)
    environment = tmp_path / "env"
    run(bin_dir / pypy.name, "-m", "venv", "--without-pip", environment)
    code = "import sys, ssl; print(sys.prefix, sys.base_prefix)"
    assert run(environment / "bin" / "python", "-c", code).out == f"{environment} {home}\n"

    moved = tmp_path / "elsewhere"
    place.rename(moved)
    root, bin_dir = moved / "python", moved / "bin"
    home = root / pypy.key
    (row,) = json.loads(kitbag("relocate", "--root", root, "--json"))["builds"]
    assert (row["home"], row["rewritten"]) == (str(home), 0)
    check_use(home, bin_dir / pypy.name)
    assert not dangling(moved)
    kitbag("verify", "--root", root)
    (home / "lib" / pypy.name / "os.py").write_text("# changed\n")
    done = call("verify", "--root", root)
    assert (done.status, "os.py" in done.out + done.err) == (3, True), done

    kitbag("uninstall", pypy.key, "--root", root)
    assert not home.exists()
    assert not (bin_dir / pypy.name).is_symlink()


def test_starts_its_own_bundle(tmp_path: Path) -> None:
    """Where there is no Python at all the gzipped archive is enough."""
    pypy = real_pypy()
    bundle = tmp_path / "kit.kitbag"
    kitbag("pack", "--from", make_pypy_archive(".tar.gz"), "-o", bundle)
    require_command("ldd")
    native = [pypy.program, pypy.library, *pypy.stdlib.rglob("*.so")]
    libraries = linked_libraries(native) - {pypy.library}
    bare = make_bare_root(tmp_path / "bare", libraries=libraries)
    shutil.copy(bundle, bare.path / "media" / "kit.kitbag")
    done = bare.run("sh", "/media/kit.kitbag", env={"HOME": "/root"})
    assert done.status == 0, done
    assert f" + {pypy.key}" in done.out
    code = "import sqlite3, ssl, sys; print(sys.prefix)"
    used = bare.run(f"/root/.local/bin/{pypy.name}", "-c", code, env={"HOME": "/root"})
    assert used.out == f"/root/.local/share/kitbag/python/{pypy.key}\n", used
    stays = bare.run(
        "/root/.local/bin/kitbag", "verify", "--root", "/root/.local/share/kitbag/python"
    )
    assert stays.status == 0, stays
