"""A real Pyodide all the way, run by Node.js: packed, installed, used, moved, removed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.keys import BuildKey
from support.bundled import bundle_archives, host_key
from support.cli import BOTH_SIDES, assert_refused, environment
from support.cli import run as run_kitbag
from support.journey import kitbag, shared_bundle
from support.mirror import PYODIDE, Mirror, Mirrored
from support.pyodide import Pyodide, make_pyodide_archive, real_pyodide
from support.snapshots import dangling

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pyodide() -> Pyodide:
    return real_pyodide()


@pytest.fixture(scope="module")
def archive(pyodide: Pyodide) -> Path:
    return make_pyodide_archive(pyodide)


@pytest.fixture(scope="module")
def bundle(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_bundle(tmp_path_factory, "pyodide.kitbag", archive)


@pytest.fixture
def mirror(pyodide: Pyodide, archive: Path, tmp_path: Path) -> Mirror:
    """A folder with the archive, and a list that knows no digest of it, as uv's."""
    folder = tmp_path / "mirror"
    place = folder / pyodide.release / pyodide.filename
    place.parent.mkdir(parents=True)
    shutil.copyfile(archive, place)
    url = f"{PYODIDE}{pyodide.release}/{pyodide.filename}"
    made = Mirror(folder, (Mirrored(BuildKey.parse(pyodide.key), place, url),))
    made.write_list(sha256=None)
    return made


def python(program: Path, code: str) -> str:
    """What it prints; Node.js has to be on PATH."""
    done = subprocess.run(
        [program, "-c", code], env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout.strip()


def files(home: Path) -> dict[str, bytes | str]:
    """What is in the tree, but for the receipt, which knows where it is."""
    return {
        path.relative_to(home).as_posix(): (
            os.readlink(path) if path.is_symlink() else path.read_bytes()
        )
        for path in home.rglob("*")
        if ".kitbag" not in path.parts and not path.is_dir()
    }


def without_node(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that has everything but Node.js."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "bash", "realpath", "dirname", "env", "readlink", "sed"):
        (tools / name).symlink_to(shutil.which(name) or "/nowhere")
    return environment(PATH=str(tools))


def test_journey(pyodide: Pyodide, bundle: Path, tmp_path: Path) -> None:
    place = tmp_path / "here"
    root, bin_dir = place / "python", place / "bin"
    kitbag("install", bundle, "--root", root, "--bin-dir", bin_dir)
    home = root / pyodide.key
    minor = pyodide.version.rpartition(".")[0]
    assert {path.name for path in bin_dir.iterdir()} == {f"pyodide{minor}", "kitbag"}
    assert os.readlink(home / "bin" / f"python{minor}") == "../python"
    assert os.readlink(home / "bin" / "python") == f"python{minor}"
    assert (home / "BUILD").read_text() == pyodide.release
    assert not list(home.rglob("EXTERNALLY-MANAGED"))
    code = "import json, sqlite3, sys; print(sys.version.split()[0], sys.platform, sys.prefix)"
    expected = f"{pyodide.version} emscripten /"
    assert python(bin_dir / f"pyodide{minor}", code) == expected
    assert python(home / "bin" / "python", code) == expected
    kitbag("verify", "--root", root)

    before = files(home)
    moved = tmp_path / "there"
    place.rename(moved)
    root, bin_dir = moved / "python", moved / "bin"
    home = root / pyodide.key
    (row,) = json.loads(kitbag("relocate", "--root", root, "--json"))["builds"]
    assert (row["home"], row["rewritten"]) == (str(home), 0)
    assert files(home) == before
    assert python(bin_dir / f"pyodide{minor}", code) == expected
    assert not dangling(moved)
    kitbag("verify", "--root", root)
    kitbag("uninstall", "pyodide", "--root", root)
    assert not home.exists()
    assert not os.path.lexists(bin_dir / f"pyodide{minor}")


def test_without_node(pyodide: Pyodide, bundle: Path, tmp_path: Path) -> None:
    """It is told before anything is written; who insists gets it untested."""
    env = without_node(tmp_path)
    words = ("install", bundle, "--root", tmp_path / "root", "--bin-dir", tmp_path / "bin")
    done = run_kitbag(*words, env=env)
    assert_refused(done, 5)
    assert done.errors[0] == (
        f"kitbag: error: {pyodide.key}: it runs in Node.js 18 or newer, and there is no node on "
        "PATH; install it, or choose another build; --force tries it all the same"
    )
    assert not (tmp_path / "root").exists()
    plan = json.loads(run_kitbag(*words, "--dry-run", "--json", env=env).out)
    assert [point["code"] for point in plan["preflight"]["points"]] == ["node"]
    done = run_kitbag(*words, "--force", env=env)
    assert done.status == 0, done
    assert "there is no node on PATH" in done.err
    minor = pyodide.version.rpartition(".")[0]
    assert python(tmp_path / "bin" / f"pyodide{minor}", "print(1 + 1)") == "2"


def test_beside_a_cpython(
    pyodide: Pyodide, archive: Path, tiny_archive: Path, tmp_path: Path
) -> None:
    """`python`, `latest` and versions never mean Pyodide; without Node.js it is left out."""
    bundle = tmp_path / "kit.kitbag"
    bundle_archives(bundle, [(archive, BuildKey.parse(pyodide.key)), (tiny_archive, host_key())])
    minor = pyodide.version.rpartition(".")[0]
    for request in ("cpython", "default", "latest"):
        root = tmp_path / request
        kitbag("install", bundle, request, "--root", root, "--no-bin")
        assert {path.name.split("-")[0] for path in root.glob("*-*-*-*-*")} == {"cpython"}
    done = run_kitbag("install", bundle, minor, "--root", tmp_path / "x", "--no-bin")
    assert_refused(done, 4)
    words = ("install", bundle, "--root", tmp_path / "all", "--no-bin")
    assert run_kitbag(*words, env=without_node(tmp_path)).status == 0
    assert not (tmp_path / "all" / pyodide.key).exists()
    kitbag(*words)
    assert (tmp_path / "all" / pyodide.key).is_dir()


def test_a_digest_that_nobody_published(
    pyodide: Pyodide, archive: Path, mirror: Mirror, tmp_path: Path
) -> None:
    out = tmp_path / "kit.kitbag"
    words = (
        "pack", "pyodide", "--catalog", mirror.list, "--mirror", f"pyodide={mirror.folder}",
        "-o", out, "--no-bootstrap",
    )  # fmt: skip
    done = run_kitbag(*words, command=BOTH_SIDES)
    assert_refused(done, 3)
    assert "--allow-unverified" in done.errors[0]
    done = run_kitbag(*words, "--allow-unverified", command=BOTH_SIDES)
    assert done.status == 0, done
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert f"nobody published the SHA-256 of {pyodide.filename}" in done.err
    assert digest in done.err
    (build,) = json.loads(kitbag("show", out, "--json"))["build"]
    assert (build["key"], build["payload"]["sha256"]) == (pyodide.key, digest)


def test_the_lock_holds_what_was_seen(pyodide: Pyodide, mirror: Mirror, tmp_path: Path) -> None:
    recipe = tmp_path / "kitbag.toml"
    recipe.write_text(
        '[bundle]\npython = ["pyodide"]\ntargets = ["linux-x86_64-gnu"]\nbootstrap = false\n'
        f'allow-unverified = true\ncatalogs = ["{mirror.list}"]\n'
    )
    by = ("-f", recipe, "--mirror", f"pyodide={mirror.folder}")
    kitbag("lock", *by)
    digest = mirror.archives[0].sha256
    lock = (tmp_path / "kitbag.lock").read_text()
    assert f'sha256 = "{digest}"' in lock
    assert "unverified = true" in lock
    out = tmp_path / "kit.kitbag"
    kitbag("pack", *by, "--locked", "-o", out)
    (build,) = json.loads(kitbag("show", out, "--json"))["build"]
    assert build["payload"]["sha256"] == digest
    data = bytearray(mirror.archives[0].path.read_bytes())
    data[len(data) // 2] ^= 1
    mirror.archives[0].path.write_bytes(data)
    done = run_kitbag(
        *("pack", *by, "--locked", "-o", out, "--cache-dir", tmp_path / "c"), command=BOTH_SIDES
    )
    assert_refused(done, 3)
