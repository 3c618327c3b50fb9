"""Builds for other machines: packed, looked at, exported, installed on purpose, kept, removed."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_bundles.layout import executable, standard_library
from kitbag_installer.hosts import this_host
from support.bareroot import libraries_of, make_bare_root
from support.bundled import bundle_archives, host_key, tree_of
from support.cli import assert_done, assert_refused, call
from support.synthetic import SYNTHETIC, make_synthetic_archive
from support.tiny import make_tiny_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

# Python 3.12 and newer warn about any fork beside a thread; pytest-xdist has one.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

ELSEWHERE = (
    *("macos-arm64", "macos-x86_64", "old-macos-debug"),
    *("windows", "windows-x86", "windows-arm64", "windows-freethreaded"),
    *("musl", "musl-aarch64", "aarch64", "armv7", "armv7-soft", "ppc64le", "s390x", "riscv64"),
    *("pypy-windows", "graalpy-windows"),
)
SEEN_AS = "/srv/image/python"


def _foreign(name: str) -> bool:
    return bool(this_host().unfit(BuildKey.parse(SYNTHETIC[name].key)))


NAMES = [name for name in ELSEWHERE if _foreign(name)]
KEYS = [SYNTHETIC[name].key for name in NAMES]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of everything that does not run here, and one small build that does."""
    folder = tmp_path_factory.mktemp("fleet")
    archives = [
        (make_synthetic_archive(name, folder), BuildKey.parse(SYNTHETIC[name].key))
        for name in NAMES
    ]
    archives.append((make_tiny_archive(folder), host_key()))
    return bundle_archives(folder / "fleet.kitbag", archives)


@pytest.fixture(scope="module")
def image(fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with everything of the bundle, for a place that is not here. Read only."""
    folder = tmp_path_factory.mktemp("image") / "root"
    done = call("install", fleet, "--foreign", "--seen-as", SEEN_AS, "--root", folder)
    assert_done(done)
    return folder


def _json(*arguments: str | Path) -> Any:
    done = call(*arguments, "--json")
    assert done.status == 0, done
    return json.loads(done.out)


def _receipt(place: Path) -> Any:
    return json.loads((place / ".kitbag" / "receipt.json").read_text())


def test_cpythons_are_packed_shown_verified_and_exported_by_name(tmp_path: Path) -> None:
    names = [name for name in SYNTHETIC if SYNTHETIC[name].filename.startswith("cpython-3.13.5+")]
    archives = {SYNTHETIC[name].key: make_synthetic_archive(name, tmp_path) for name in names}
    sources = [word for path in archives.values() for word in ("--from", str(path))]
    bundle = tmp_path / "fleet.kitbag"
    assert call("pack", *sources, "-o", bundle, "--quiet").status == 0
    shown = _json("show", bundle)
    assert {build["key"] for build in shown["build"]} == set(archives)
    assert call("verify", bundle).status == 0
    assert call("export", bundle, "--to", tmp_path / "mirror").status == 0
    exported = {path.name: path for path in (tmp_path / "mirror").rglob("cpython-*")}
    for path in archives.values():
        assert exported[path.name].read_bytes() == path.read_bytes()


@pytest.mark.parametrize("key", KEYS)
def test_a_tree_is_right_for_its_platform(image: Path, key: str) -> None:
    build, place = BuildKey.parse(key), image / key
    program = place / executable(build)
    assert program.is_file()
    assert not program.is_symlink()
    links = {path for path in place.rglob("*") if path.is_symlink()}
    if build.target.os == "windows":
        assert not links
        assert (place / "python.exe").is_file() or (place / "bin" / "python.exe").is_file()
        assert not (place / "bin").exists() or build.implementation == "graalpy"
        assert not list(place.rglob("_sysconfigdata*"))
        assert (place / "Lib" / "EXTERNALLY-MANAGED").is_file()
        return
    assert (place / "bin" / "python").resolve() == program.resolve()
    for link in links:
        assert not os.path.isabs(os.readlink(link)), link
        assert link.resolve().is_relative_to(place.resolve()), link
        assert link.exists(), link
    library = place / standard_library(build)
    assert (library / "EXTERNALLY-MANAGED").is_file()
    [path] = library.glob("_sysconfigdata_*.py")
    variables: dict[str, Any] = {}
    exec(path.read_text(), variables)
    values = variables["build_time_vars"]
    home = f"{SEEN_AS}/{key}"
    assert values["prefix"] == home
    assert values["LIBDIR"] == f"{home}/lib"
    assert values["CC"].split()[0] == "cc"
    assert not any("isysroot" in str(value) for value in values.values())
    assert f"prefix=\t\t{home}\n" in next(library.glob("config-*/Makefile")).read_text()
    assert (
        (place / "bin" / f"pip{build.version.minor_text}")
        .read_text()
        .startswith(f"#!{home}/bin/python{build.version.minor_text}{build.abi_flags}\n")
    )


def test_a_library_of_macos_keeps_its_name(image: Path, tmp_path: Path) -> None:
    name = "macos-arm64"
    key = SYNTHETIC[name].key
    archive = make_synthetic_archive(name, tmp_path)
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path], check=True)
    for path in ("lib/libpython3.13.dylib", "bin/python3.13"):
        assert (image / key / path).read_bytes() == (tmp_path / "python" / path).read_bytes()


def _everything(place: Path) -> Iterator[tuple[Path, bytes]]:
    for path in place.rglob("*"):
        if path.is_symlink():
            yield path, os.fsencode(os.readlink(path))
        elif path.is_file():
            data = path.read_bytes()
            yield path, gzip.decompress(data) if path.suffix == ".gz" else data


def test_nothing_of_this_host_is_in_the_trees(image: Path, home: Path) -> None:
    tools = [shutil.which(name) for name in ("cc", "gcc", "clang", "ar", "python3")]
    words = [str(image.parent), str(Path(__file__).parents[2]), str(home), os.environ["HOME"]]
    words += [str(Path(tool).resolve()) for tool in tools if tool]
    host = socket.gethostname()
    words += [host] if len(host) > 4 else []
    count = 0
    for key in [*KEYS, str(host_key())]:
        for path, data in _everything(image / key):
            count += 1
            for word in words:
                assert os.fsencode(word) not in data, (path, word)
    assert count > 300


def test_nothing_leads_there(image: Path, home: Path) -> None:
    assert not [path for path in image.iterdir() if path.is_symlink()]
    assert not (home / ".local").exists()
    assert not (image / ".kitbag" / "bin.json").exists()
    assert (image / ".kitbag" / "kitbag.pyz").is_file()


def test_such_a_root_is_sound_and_says_what_it_is(image: Path) -> None:
    assert all(build["sound"] for build in _json("verify", "--root", image)["builds"])
    builds = {build["key"]: build for build in _json("installed", "--root", image)["builds"]}
    assert not any(build["problem"] or build["current"] for build in builds.values())
    windows = "cpython-3.13.5-windows-x86_64-none"
    assert builds[windows]["for"] == "windows-x86_64"
    assert builds[str(host_key())]["for"] == SEEN_AS
    assert "(for windows-x86_64)" in call("installed", "--root", image).out


def test_a_call_may_be_about_here_and_elsewhere(fleet: Path, tmp_path: Path) -> None:
    bin_dir, root = tmp_path / "bin", tmp_path / "root"
    key = str(host_key())
    arguments = ("install", fleet, "--foreign", "--root", root, "--bin-dir", bin_dir, "--default")
    planned = _json(*arguments, "--dry-run")
    done = _json(*arguments)
    assert {build["key"]: build["for"] == "" for build in done["builds"]} == {
        **dict.fromkeys(KEYS, False),
        key: True,
    }
    assert sorted(map(os.path.basename, done["links"])) == ["python", "python3", "python3.13"]
    assert [Path(target).name for target in done["minor-links"].values()] == [key]
    assert planned["links"] == done["links"]
    assert planned["minor-links"] == done["minor-links"]
    assert sorted(path.name for path in bin_dir.iterdir()) == [
        *("kitbag", "python", "python3", "python3.13"),
    ]
    assert all(path.exists() for path in [*bin_dir.iterdir(), *root.iterdir()])
    # Without a place of their own they are for where they are.
    receipts = [_receipt(root / each) for each in KEYS]
    assert {receipt["home"] for receipt in receipts} == {f"{root}/{each}" for each in KEYS}
    assert all(receipt["foreign"] for receipt in receipts)
    assert not _receipt(root / key)["foreign"]


def test_a_request_says_which(fleet: Path, tmp_path: Path) -> None:
    done = _json("install", fleet, "--foreign", "any-windows", "--root", tmp_path / "root")
    plain = {key for key in KEYS if "windows" in key and "+" not in key}
    assert {build["key"] for build in done["builds"]} == plain
    assert done["kitbag"] == ""
    refused = call("install", fleet, "any-windows", "--root", tmp_path / "other")
    assert_refused(refused, 5, "does not fit this host")


def test_without_links_windows_trees_can_be_kept(fleet: Path, tmp_path: Path, monkeypatch) -> None:
    def symlink(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", symlink)
    root = tmp_path / "root"
    arguments = ("install", fleet, "--foreign", "--root", root)
    assert_done(call(*arguments, "cpython-windows"))
    assert_done(call(*arguments, "cpython-windows", "--reinstall"))
    assert_refused(call(*arguments, "cpython-macos"), 5, "symbolic links can't be made")


def test_an_image_comes_home(fleet: Path, tmp_path: Path) -> None:
    """At the path that it was made for, on a machine that it fits, it is like any other root."""
    image, here = tmp_path / "image" / "py", tmp_path / "py"
    key = str(host_key())
    arguments = ("install", fleet, key)
    assert_done(call(*arguments, "--seen-as", here, "--root", image))
    assert not list(image.glob("cpython-3.13-*"))
    image.rename(here)
    assert _json("installed", "--root", here)["builds"][0]["for"] == ""
    assert call("verify", "--root", here).status == 0
    done = _json(*arguments, "--root", here, "--bin-dir", tmp_path / "bin")
    assert done["builds"][0]["action"] == "present"
    assert list(done["links"]) == [f"{tmp_path}/bin/python3.13"]
    asked = subprocess.run(
        [tmp_path / "bin" / "python3.13", "-c", ""], capture_output=True, text=True, check=True
    )
    assert json.loads(asked.stdout)["version"] == "3.13.5"


def test_a_move_is_followed_where_it_is_asked_for(fleet: Path, tmp_path: Path) -> None:
    root, key = tmp_path / "root", "cpython-3.13.5-macos-aarch64-none"
    wanted = [key, str(host_key()), "cpython-3.13.5-windows-x86_64-none"]
    assert_done(call("install", fleet, *wanted, "--foreign", "--seen-as", "/x", "--root", root))
    before = {each: tree_of(str(root / each)) for each in wanted}
    assert "was left as it is" in call("relocate", "--root", root).out
    assert {each: tree_of(str(root / each)) for each in wanted} == before
    assert_done(call("relocate", *wanted, "--root", root))
    assert call("verify", "--root", root).status == 0
    fresh = tmp_path / "fresh"
    assert_done(call("install", fleet, *wanted, "--foreign", "--seen-as", root, "--root", fresh))
    for each in wanted:
        files = {path: data for path, data in tree_of(str(root / each)).items() if path[0] != "."}
        others = tree_of(str(fresh / each))
        assert files == {path: data for path, data in others.items() if path[0] != "."}
    # The one that runs here is one of ours now, and has its link.
    assert [path.name for path in root.iterdir() if path.is_symlink()] == [host_key().minor_key]


def test_it_is_mended_and_removed_like_any_other(fleet: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    keys = ["cpython-3.13.5-macos-aarch64-none", "cpython-3.13.5-windows-x86_64-none"]
    assert_done(call("install", fleet, *keys, "--foreign", "--seen-as", "/x", "--root", root))
    before = {key: tree_of(str(root / key)) for key in keys}
    (root / keys[0] / "lib" / "python3.13" / "os.py").write_text("broken")
    next((root / keys[0] / "lib" / "python3.13").glob("_sysconfigdata_*.py")).unlink()
    (root / keys[1] / "python.exe").unlink()
    assert call("verify", "--root", root).status == 3
    assert_done(call("repair", fleet, "--root", root))
    assert {key: tree_of(str(root / key)) for key in keys} == before
    assert_done(call("uninstall", *keys, "--root", root))
    assert not [key for key in keys if (root / key).exists()]


@pytest.mark.parametrize(
    ("seen_as", "words"),
    [("opt/py", "not absolute"), ("/", "no place for a root"), ("C:\\py", "is a path of Windows")],
)
def test_a_place_that_can_not_be_is_refused(fleet, tmp_path, seen_as, words) -> None:
    for more in ((), ("--dry-run",)):
        root = tmp_path / "root"
        refused = call("install", fleet, "--foreign", "--seen-as", seen_as, "--root", root, *more)
        assert_refused(refused, 2, words)
        assert not root.exists()


def test_windows_may_have_a_path_of_its_own(fleet: Path, tmp_path: Path) -> None:
    key = "cpython-3.13.5-windows-x86_64-none"
    root = tmp_path / "root"
    assert_done(call("install", fleet, key, "--foreign", "--seen-as", "D:\\py", "--root", root))
    receipt = _receipt(root / key)
    assert receipt["home"] == f"D:\\py\\{key}"
    assert receipt["changed"] == {}


def test_what_uv_puts_there_for_others_gets_no_link(fleet: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    theirs = root / "cpython-3.13.7-macos-aarch64-none" / "bin"
    theirs.mkdir(parents=True)
    (theirs / "python3.13").touch()
    done = _json("install", fleet, str(host_key()), "--root", root, "--no-bin")
    assert list(done["minor-links"]) == [str(root / host_key().minor_key)]
    assert [path.name for path in root.iterdir() if path.is_symlink()] == [host_key().minor_key]


@pytest.mark.slow
def test_an_image_runs_where_it_was_made_for(slim_archive: Path, tmp_path: Path) -> None:
    """A real interpreter, in a root file system that has not seen kitbag at work."""
    bare = make_bare_root(tmp_path / "bare", libraries=libraries_of(slim_archive))
    bundle = tmp_path / "tools.kitbag"
    assert call("pack", "--from", slim_archive, "-o", bundle, "--quiet").status == 0
    done = _json("install", bundle, "--seen-as", "/opt/py", "--root", f"{bare.path}/opt/py")
    [build] = done["builds"]
    home = f"/opt/py/{build['key']}"
    program = f"{home}/{executable(BuildKey.parse(build['key']))}"
    code = "import sys, sysconfig; print(sys.prefix, sysconfig.get_config_var('LIBDIR'))"
    assert bare.run(program, "-I", "-c", code).out == f"{home} {home}/lib\n"
    assert bare.run(f"{home}/bin/python3-config", "--prefix").out == f"{home}\n"
    kitbag = (program, "/opt/py/.kitbag/kitbag.pyz")
    looked = bare.run(*kitbag, "verify", "--root", "/opt/py")
    assert "sound" in looked.out, looked
    assert json.loads(bare.run(*kitbag, "installed", "--json").out)["builds"][0]["for"] == ""
