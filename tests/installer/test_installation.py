import os
import zipfile
from pathlib import Path

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import (
    DoesNotFit,
    IntegrityError,
    LockTimeout,
    NoMatch,
    SmokeTestFailed,
)
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.hosts import this_host
from kitbag_installer.installation import InstallOptions, InstallResult, install_builds, is_foreign
from kitbag_installer.locks import locked
from kitbag_installer.roots import Root
from kitbag_installer.verification import verify_builds
from support.bundled import host_key, tiny_bundle, tree_of

# Python 3.12 and newer warn about any fork beside a thread; pytest-xdist has one.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
VERSIONS = ("3.12.9", "3.13.4", "3.13.5", "3.13.5t")


@pytest.fixture(scope="module")
def bundle_path(tmp_path_factory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag", *VERSIONS)


@pytest.fixture
def root(tmp_path) -> Root:
    return Root(str(tmp_path / "root"))


def install(path: Path, root: Root, *requests: str, **options) -> InstallResult:
    with Bundle.open(path) as bundle:
        return install_builds(
            bundle,
            root,
            parse_requests(requests),
            this_host(),
            InstallOptions(**options),
            SilentReporter(),
        )


def actions(done: InstallResult) -> dict[str, str]:
    return {
        f"{result.build.version}{result.build.key.abi_flags}": result.action
        for result in done.builds
    }


@pytest.mark.parametrize("jobs", [1, 3])
def test_everything_that_fits_is_installed(bundle_path, root, tmp_path, jobs):
    bin_dir = str(tmp_path / "bin")
    done = install(bundle_path, root, bin_dir=bin_dir, jobs=jobs)
    assert actions(done) == dict.fromkeys(VERSIONS, "installed")
    assert done.failures == []
    assert all(result.rewritten > 5 for result in done.builds)
    assert sorted(map(os.path.basename, done.bin_links)) == [
        "python3.12",
        "python3.13",
        "python3.13t",
    ]
    assert done.command == f"{bin_dir}/kitbag"
    assert os.path.isfile(f"{root.own}/kitbag.pyz")
    assert len(done.minor_links) == 3
    assert os.listdir(root.temp) == []
    assert all(result.sound for result in verify_builds(root, (), SilentReporter()))


def test_a_second_time_nothing_is_done(bundle_path, root, tmp_path):
    bin_dir = str(tmp_path / "bin")
    install(bundle_path, root, "3.13", bin_dir=bin_dir)
    before = {path: os.lstat(f"{root.path}/{path}").st_ino for path in tree_of(root.path)}
    done = install(bundle_path, root, "3.13", bin_dir=bin_dir)
    assert set(actions(done).values()) == {"present"}
    assert not any(is_foreign(result) for result in done.builds)
    after = {path: os.lstat(f"{root.path}/{path}").st_ino for path in tree_of(root.path)}
    assert after == before


def test_reinstalling_makes_it_anew(bundle_path, root):
    install(bundle_path, root, "3.13.5")
    place = Path(root.install_path(host_key()))
    (place / "lib" / "python3.13" / "os.py").write_text("broken")
    (place / "extra").write_text("x")
    done = install(bundle_path, root, "3.13.5", reinstall=True)
    assert actions(done) == {"3.13.5": "reinstalled"}
    assert not (place / "extra").exists()
    assert all(result.sound for result in verify_builds(root, (), SilentReporter()))


def test_half_a_build_counts_as_none(bundle_path, root):
    place = Path(root.install_path(host_key()))
    place.mkdir(parents=True)
    (place / "half").write_text("x")
    assert actions(install(bundle_path, root, "3.13.5")) == {"3.13.5": "installed"}
    assert not (place / "half").exists()


def test_a_build_of_another_tool_is_left_alone_and_told(bundle_path, root):
    program = Path(root.install_path(host_key()), "bin", "python3.13")
    program.parent.mkdir(parents=True)
    program.write_text("uv's")
    done = install(bundle_path, root, "3.13.5")
    assert actions(done) == {"3.13.5": "present"}
    assert is_foreign(done.builds[0])
    assert program.read_text() == "uv's"
    assert actions(install(bundle_path, root, "3.13.5", reinstall=True)) == {
        "3.13.5": "reinstalled"
    }


def test_a_file_in_the_place_of_a_build_is_not_replaced(bundle_path, root):
    root.prepare()
    Path(root.install_path(host_key())).write_text("theirs")
    with pytest.raises(DoesNotFit, match="something is there that is no build"):
        install(bundle_path, root, "3.13.5")
    assert Path(root.install_path(host_key())).read_text() == "theirs"


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_that_fails_does_not_stop_the_others(tmp_path, root, jobs):
    path = tiny_bundle(
        tmp_path / "y.kitbag", "3.12.9", "3.13.5", answers={"3.12.9": "wrong-version"}
    )
    done = install(path, root, jobs=jobs, bin_dir=str(tmp_path / "bin"))
    assert actions(done) == {"3.12.9": "failed", "3.13.5": "installed"}
    assert [type(result.error) for result in done.failures] == [SmokeTestFailed]
    assert sorted(os.listdir(tmp_path / "bin")) == ["kitbag", "python3.13"]
    assert [str(key) for key in root.builds()] == [str(host_key())]
    assert os.listdir(root.temp) == []


def test_if_all_fail_nothing_is_linked(tmp_path, root):
    path = tiny_bundle(tmp_path / "y.kitbag", "3.13.5", answers={"3.13.5": "silent"})
    done = install(path, root, bin_dir=str(tmp_path / "bin"))
    assert len(done.failures) == 1
    assert done.command == ""
    assert not (tmp_path / "bin").exists()
    assert not os.path.exists(root.own)


def test_a_failed_reinstall_leaves_the_old_one(bundle_path, tmp_path, root):
    install(bundle_path, root, "3.13.5")
    before = tree_of(root.install_path(host_key()))
    bad = tiny_bundle(tmp_path / "y.kitbag", "3.13.5", answers={"3.13.5": "crash"})
    done = install(bad, root, reinstall=True)
    assert actions(done) == {"3.13.5": "failed"}
    assert tree_of(root.install_path(host_key())) == before


def test_without_a_bin_directory_nothing_is_made_outside_of_the_root(bundle_path, root, tmp_path):
    done = install(bundle_path, root, "3.13.5")
    assert (done.bin_links, done.command, done.refused_names) == ({}, "", ())
    assert os.listdir(tmp_path) == ["root"]
    assert os.path.isfile(f"{root.own}/kitbag.pyz")


def test_other_peoples_names_are_refused_and_told(bundle_path, root, tmp_path):
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "kitbag").write_text("theirs")
    (bin_dir / "python3.13").write_text("theirs")
    done = install(bundle_path, root, "3.13.5", bin_dir=str(bin_dir), default=True)
    assert sorted(done.refused_names) == [f"{bin_dir}/kitbag", f"{bin_dir}/python3.13"]
    assert sorted(done.bin_links) == [f"{bin_dir}/python", f"{bin_dir}/python3"]
    done = install(bundle_path, root, "3.13.5", bin_dir=str(bin_dir), force=True)
    assert done.refused_names == ()
    assert (bin_dir / "kitbag").read_text().startswith("#!/bin/sh")


def test_leftovers_of_an_interrupted_run_are_swept(bundle_path, root):
    root.prepare()
    Path(root.scratch("stage")).mkdir()
    install(bundle_path, root, "3.13.5")
    assert os.listdir(root.temp) == []


def test_durable_gives_the_same(bundle_path, root):
    assert actions(install(bundle_path, root, "3.13.5", durable=True)) == {"3.13.5": "installed"}


@pytest.mark.parametrize(
    ("place", "request_text", "error"),
    [
        ("root", "3.9", NoMatch),
        ("root", "pypy", NoMatch),
        ("new\nline", "3.13", DoesNotFit),
        ("not-utf8-\udce9", "3.13", DoesNotFit),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_written(
    bundle_path, tmp_path, place, request_text, error
):
    with pytest.raises(error):
        install(bundle_path, Root(str(tmp_path / place)), request_text)
    assert os.listdir(tmp_path) == []


def test_a_damaged_kitbag_is_refused_before_anything_is_written(bundle_path, tmp_path, root):
    data = bytearray(bundle_path.read_bytes())
    with zipfile.ZipFile(bundle_path) as archive:
        info = archive.getinfo("kitbag.pyz")
        content = archive.read(info)
    data[data.index(content) + 5000] ^= 1
    damaged = tmp_path / "damaged.kitbag"
    damaged.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"kitbag\.pyz .*the bundle is damaged, copy it again"):
        install(damaged, root, "3.13.5")
    assert not os.path.exists(root.path)


def test_a_root_that_is_in_use_is_waited_for(bundle_path, root, monkeypatch):
    monkeypatch.setenv("KITBAG_LOCK_TIMEOUT", "0.1")
    root.prepare()
    with locked(root, SilentReporter()), pytest.raises(LockTimeout):
        install(bundle_path, root, "3.13.5")
    assert list(root.builds()) == []
