"""Bundles that would not start by themselves: what is packed beside them, and what is said."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.starting import starters
from support.bareroot import LOADERS, libraries_of, make_bare_root
from support.cli import BOTH_SIDES, Ran, assert_done, assert_refused
from support.cli import run as run_kitbag
from support.journey import by_bundle, kitbag
from support.members import zstd_bytes
from support.mirror import Mirror, make_mirror
from support.require import require, require_command
from support.tiny import make_tiny_archive

if TYPE_CHECKING:
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Build

GNU, WINDOWS = "linux-x86_64-gnu", "windows-x86_64-none"
DEBUG, PYPY = f"cpython-3.13.5+debug-{GNU}", f"pypy-3.11.15-{WINDOWS}"
NEW, OLD = f"cpython-3.14.5-{GNU}", f"cpython-3.13.5-{WINDOWS}"
MATERIAL = ("debug", "linux", "linux-3.14", "windows", "pypy-windows", "freethreaded")
TARGET = ("--target", GNU)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    return make_mirror(tmp_path_factory.mktemp("mirror"), MATERIAL)


def pack(out: Path, *arguments: str | Path) -> Ran:
    cache = out.parent / "cache"
    done = run_kitbag("pack", *arguments, "-o", out, "--cache-dir", cache, command=BOTH_SIDES)
    assert_done(done)
    return done


def builds(bundle: Path) -> dict[str, bool]:
    """Each build of a bundle, and whether it is there for starting alone."""
    with Bundle.open(bundle) as opened:
        opened.verify(SilentReporter())
        made = opened.manifest.builds
        targets = {build.key.target for build in made}
        assert all(starters(made, target) for target in targets)
        return {str(build.key): build.bootstrap for build in made}


def test_what_can_not_start_gets_company(mirror: Mirror, tmp_path: Path) -> None:
    out, turned = tmp_path / "x", tmp_path / "turned"
    requests = ("3.13+debug", OLD, PYPY)
    done = pack(out, *requests, *TARGET, *mirror.arguments())
    assert builds(out) == {OLD: False, DEBUG: False, NEW: True, PYPY: False}
    said = [line for line in done.err.splitlines() if "adding" in line]
    assert len(said) == 1, done.err
    assert said[0].startswith(f"kitbag: {GNU}: nothing in the bundle can start the installer")
    assert f"adding {NEW} (install_only_stripped" in said[0]
    assert f"{NEW}: 3.8 kB, only for starting the installer" in done.err
    assert kitbag("show", out).count("starts the installer; installed only on request") == 1
    pack(turned, *reversed(requests), *TARGET, *mirror.arguments())
    assert turned.read_bytes() == out.read_bytes()


def test_no_bootstrap_only_warns(mirror: Mirror, tmp_path: Path) -> None:
    out = tmp_path / "x"
    arguments = ("3.13+debug", PYPY, *TARGET, *mirror.arguments())
    done = pack(out, *arguments, "--no-bootstrap", "--json")
    manifest = json.loads(done.out)["manifest"]
    assert [build["key"] for build in manifest["build"]] == [DEBUG, PYPY]
    warned = [line for line in done.err.splitlines() if "warning" in line]
    assert [GNU in line for line in warned] == [True, False]
    assert all("it needs a Python >= 3.9" in line for line in warned)
    assert "with the zstandard package" in warned[0]


def test_local_archives_get_a_warning_or_company_by_request(mirror: Mirror, tmp_path: Path) -> None:
    (debug,) = (each.path for each in mirror.archives if str(each.key) == DEBUG)
    alone = pack(tmp_path / "alone", "--from", debug)
    assert f"warning: {GNU}: nothing in the bundle can start the installer there" in alone.err
    both = ("--from", debug, OLD, *TARGET, *mirror.arguments())
    pack(tmp_path / "both", *both)
    assert builds(tmp_path / "both") == {OLD: False, DEBUG: False, NEW: True}


@pytest.mark.slow
def test_a_recipe_locks_it(mirror: Mirror, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for place in (here, there):
        place.mkdir()
    recipe = here / "kitbag.toml"
    text = f'[bundle]\npython = ["3.13+debug"]\ntargets = ["{GNU}"]\n'
    recipe.write_text(text)
    locked = kitbag("lock", "-f", recipe, *mirror.arguments(), "--cache-dir", here / "cache")
    assert f" + {NEW} (to start with; " in locked
    for name in ("kitbag.toml", "kitbag.lock"):
        shutil.copyfile(here / name, there / name)
    for place in (here, there):
        words = ("-f", place / "kitbag.toml", "--locked", "--mirror", mirror.folder.as_uri())
        pack(place / "x", *words)
    assert (here / "x").read_bytes() == (there / "x").read_bytes()
    assert builds(here / "x") == {DEBUG: False, NEW: True}
    # Against the lock: said, and only then done.
    recipe.write_text(f"{text}bootstrap = false\n")
    stale = run_kitbag("pack", "-f", recipe, "--locked", "-o", here / "y", command=BOTH_SIDES)
    assert_refused(stale, 2, "locked for starting the bundle", "kitbag lock")
    done = pack(here / "x", "-f", recipe, *mirror.arguments())
    assert f"warning: {GNU}: nothing in the bundle can start the installer there" in done.err
    with Bundle.open(here / "x") as bundle:
        assert [str(build.key) for build in bundle.manifest.builds] == [DEBUG]


@pytest.mark.parametrize("option", ["--no-bootstrap", "--recompress"])
def test_a_recipe_says_itself(tmp_path: Path, option: str) -> None:
    done = run_kitbag("pack", "-f", tmp_path / "kitbag.toml", option, command=BOTH_SIDES)
    assert_refused(done, 2, "recipe")


def host_debug(folder: Path) -> tuple[Path, BuildKey]:
    """A debug build of this machine as ``.tar.zst``, and its key."""
    from kitbag_packer.upstream import parse_filename

    archive = make_tiny_archive(folder, debug=True, compression=".tar.zst")
    said = parse_filename(archive.name)
    assert said is not None
    assert said.key is not None
    return archive, said.key


def test_recompressed_it_installs_without_zstandard(tmp_path: Path) -> None:
    archive, key = host_debug(tmp_path)
    plain, small = tmp_path / "plain", tmp_path / "small"
    warned = pack(plain, "--from", archive, "--key", str(key))
    assert "with the zstandard package" in warned.err
    done = pack(small, "--from", archive, "--key", str(key), "--recompress")
    assert "it is upstream's tar, and no longer upstream's file" in done.err
    assert "warning" not in done.err
    build = only(small)
    assert build.payload.member.endswith("-debug-full.tar.gz")
    assert (build.url, build.flavor) == ("", "full")
    assert build.payload.tar_sha256 == only(plain).payload.tar_sha256
    again = tmp_path / "again"
    pack(again, "--from", archive, "--key", str(key), "--recompress")
    assert again.read_bytes() == small.read_bytes()
    # A Python that sees nothing but its own standard library.
    python, root = Path(sys.executable), tmp_path / "root"
    installed = by_bundle(python, small, "install", "--root", str(root), "--no-bin")
    assert_done(installed)
    assert (root / str(key) / "bin").is_dir()
    if sys.version_info < (3, 14):
        refused = by_bundle(python, plain, "install", "--root", str(root / "2"), "--no-bin")
        assert_refused(refused, 5, "zstandard")


def only(bundle: Path) -> Build:
    with Bundle.open(bundle) as opened:
        (build,) = opened.manifest.builds
        return build


@pytest.mark.slow
def test_a_recompressed_build_starts_on_a_bare_host(slim_archive: Path, tmp_path: Path) -> None:
    require_command("ldd")
    libraries = libraries_of(slim_archive)
    require(any(str(path) in LOADERS for path in libraries), "a glibc that ldd can tell of")
    tar = gzip.decompress(slim_archive.read_bytes())
    archive = tmp_path / slim_archive.name.replace(".tar.gz", ".tar.zst")
    archive.write_bytes(zstd_bytes(tar))
    bare = make_bare_root(tmp_path / "bare", libraries=libraries)
    bundle = bare.path / "media/tools.kitbag"
    pack(tmp_path / "tools.kitbag", "--from", archive, "--recompress")
    shutil.copy(tmp_path / "tools.kitbag", bundle)
    assert only(bundle).payload.tar_sha256 == hashlib.sha256(tar).hexdigest()
    done = bare.run("sh", "/media/tools.kitbag", env={"HOME": "/root"})
    assert_done(done)
    assert "Installed 1 build" in done.out
