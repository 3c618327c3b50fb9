"""Real packages of the index: chosen for six targets, packed with builds, run without a network.

The build for this host is real. Of the others the archives have the right names and headers and no
program that runs: which wheels fit a target is decided without its interpreter, and nothing of
theirs is started here.
"""

from __future__ import annotations

import ensurepip
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_packer.targets import host_target
from support.bundled import tree_of
from support.cli import BOTH_SIDES, assert_done
from support.cli import run as run_kitbag
from support.installed import bare_environment
from support.interpreters import packable_interpreters
from support.members import below, write_archive
from support.packageindex import PackageIndex, reachable_index
from support.pbs import make_pbs_archive
from support.projects import make_project
from support.require import require, require_command
from support.trees import linux_members, macos_members, windows_members
from support.uvtool import uv_program
from support.wheels import newest_wheel

if TYPE_CHECKING:
    from kitbag_bundles.manifest import Manifest

pytestmark = pytest.mark.slow

# A compiled core, a stable ABI, data files, two portions of a namespace, console scripts. The last
# versions that have wheels for all six.
PACKAGES = (
    "numpy<2.4",
    "pydantic<2.13",
    "cryptography<46",
    "rich<15",
    "pyyaml<7",
    "jaraco.functools<5",
    "jaraco.context<7",
)
# By target: what uv calls it, and what the names of its wheels have in them.
TARGETS = {
    "linux-x86_64-gnu": ("x86_64-unknown-linux-gnu", r"manylinux\S*_x86_64"),
    "linux-aarch64-gnu": ("aarch64-unknown-linux-gnu", r"manylinux\S*_aarch64"),
    "linux-x86_64-musl": ("x86_64-unknown-linux-musl", r"musllinux\S*_x86_64"),
    "macos-aarch64-none": ("aarch64-apple-darwin", r"macosx\S*_(arm64|universal2)"),
    "macos-x86_64-none": ("x86_64-apple-darwin", r"macosx\S*_(x86_64|universal2)"),
    "windows-x86_64-none": ("x86_64-pc-windows-msvc", "win_amd64"),
}
HOST = str(host_target())
APPLICATION = """
import sys
from importlib.metadata import entry_points, version

import cryptography.fernet, jaraco.context, jaraco.functools, numpy, pydantic, rich, yaml


class Point(pydantic.BaseModel):
    x: int


def main():
    fernet = cryptography.fernet.Fernet(cryptography.fernet.Fernet.generate_key())
    assert fernet.decrypt(fernet.encrypt(b"x")) == b"x"
    assert numpy.linalg.inv(numpy.eye(3)).sum() == 3
    assert Point(x="3").x == 3
    assert yaml.__with_libyaml__
    assert sys.modules["jaraco"].__file__ is None
    (mine,) = entry_points(group="console_scripts", name="station")
    assert mine.load() is main
    rich.print("all there:", version("station"))
"""


class Station(NamedTuple):
    """An application that was packed for all targets."""

    project: Path
    lock: Path
    """Its packages alone, as a pylock.toml."""
    pins: Path
    """The same as requirements with hashes."""
    version: str
    bundle: Path
    manifest: Manifest


class Installed(NamedTuple):
    """Where it was installed from the bundle, without a network."""

    root: Path
    programs: Path
    tree: dict[str, tuple[str, int, bytes]]
    """Its environment, before anything was started in it."""

    @property
    def home(self) -> Path:
        return self.root / "envs" / "station"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> PackageIndex:
    return reachable_index(tmp_path_factory.mktemp("uv"))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with archives of one version for all targets, and that version."""
    folder = tmp_path_factory.mktemp("archives")
    found = [each for each in packable_interpreters((3, 11)) if not each.free_threaded]
    require(found and HOST in TARGETS, "no CPython >= 3.11 with a prefix of its own")
    version = found[0].full_version
    for target, (triple, _) in TARGETS.items():
        system, cpu, libc = target.split("-")
        if target == HOST:
            shutil.copy(make_pbs_archive(found[0]), folder)
            continue
        if system == "linux":
            members = linux_members(version, cpu, libc=libc)
        elif system == "macos":
            members = macos_members(version, cpu, least=(11, 0))
        else:
            members = windows_members(version, cpu)
        name = f"cpython-{version}+20260101-{triple}-install_only_stripped.tar.gz"
        write_archive(below("python", members), folder / name, ".tar.gz")
    return folder, version


@pytest.fixture(scope="module")
def station(
    index: PackageIndex, archives: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Station:
    folder = tmp_path_factory.mktemp("station")
    catalog, version = archives
    project = make_project(
        folder / "station",
        "station",
        scripts={"station": "station:main"},
        dependencies=PACKAGES,
    )
    (project / "station.py").write_text(APPLICATION)
    assert_ran(index.uv("lock", cwd=project))
    lock, pins = folder / "pylock.toml", folder / "pins.txt"
    for file, form in ((lock, "pylock.toml"), (pins, "requirements.txt")):
        export = ("export", "-q", "--frozen", "--no-emit-project", "--format", form, "-o", file)
        assert_ran(index.uv(*export, cwd=project))
    bundle = folder / "station.kitbag"
    done = run_kitbag(
        "pack", version, "--project", project, "--cache-dir", folder / "cache",
        "--catalog", f"{catalog}/", "-o", bundle, "--expose", "station", "--expose", "pygmentize",
        *(word for target in TARGETS for word in ("--target", target)),
        command=BOTH_SIDES, env=index.environ, timeout=400,
    )  # fmt: skip
    assert_done(done)
    with Bundle.open(bundle) as opened:
        return Station(project, lock, pins, version, bundle, opened.manifest)


@pytest.fixture(scope="module")
def installed(station: Station, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    root, programs = folder / "root", folder / "bin"
    without_network("sh", station.bundle, "--root", root, "--bin-dir", programs, cwd=folder)
    return Installed(root, programs, tree_of(root / "envs" / "station"))


def assert_ran(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, (done.args, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def without_network(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run it where not even the loopback is up, and return what it says."""
    done = subprocess.run(
        [require_command("unshare"), "-r", "-n", *command],
        cwd=cwd,
        env=bare_environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    return assert_ran(done)


def test_six_targets_in_one_bundle(station: Station) -> None:
    manifest = station.manifest
    assert {each.target for each in manifest.environments} == set(TARGETS)
    used = 0
    for each in manifest.environments:
        names = {wheel.name: wheel.filename for wheel in manifest.wheels_of(each)}
        assert {"rich", "jaraco-functools", "jaraco-context", "annotated-types"} <= set(names)
        for compiled in ("numpy", "pydantic-core", "pyyaml", "cffi", "cryptography"):
            assert re.search(TARGETS[each.target][1], names[compiled]), each.target
        assert "-abi3-" in names["cryptography"]
        used += len(names)
    assert [wheel.name for wheel in manifest.wheels if wheel.built] == ["station"]
    assert len(manifest.wheels) < used / 2


@pytest.mark.parametrize("target", TARGETS)
def test_the_files_are_those_that_uv_chooses(
    target: str, index: PackageIndex, station: Station, tmp_path: Path
) -> None:
    assert_ran(index.uv("venv", "-q", "-p", sys.executable, tmp_path / "venv", cwd=tmp_path))
    done = index.uv(
        "pip", "install", "-v", "--dry-run", "--python", tmp_path / "venv",
        "--python-platform", TARGETS[target][0], "--python-version", station.version,
        "-r", station.pins, cwd=tmp_path,
    )  # fmt: skip
    assert_ran(done)
    chosen = dict(re.findall(r"Selecting: (\S+?)==\S+ \[compatible\] \((\S+)\)", done.stderr))
    assert len(chosen) > len(PACKAGES)
    (environment,) = (each for each in station.manifest.environments if each.target == target)
    ours = {wheel.name: wheel.filename for wheel in station.manifest.wheels_of(environment)}
    assert ours.pop("station").endswith("-py3-none-any.whl")
    assert ours == chosen


def test_without_a_lock_uv_resolves(
    index: PackageIndex, archives: tuple[Path, str], station: Station, tmp_path: Path
) -> None:
    """The same requirements, for one target at a time."""
    project = make_project(tmp_path / "station", "station", dependencies=PACKAGES)
    targets = ("linux-x86_64-musl", "windows-x86_64-none")
    done = run_kitbag(
        "pack", archives[1], "--project", project, "--cache-dir", station.bundle.parent / "cache",
        "--wheelhouse-only", "-o", tmp_path / "x.kitbag",
        *(word for target in targets for word in ("--target", target)),
        command=BOTH_SIDES, env=index.environ, timeout=400,
    )  # fmt: skip
    assert_done(done)
    before = {each.target: set(each.wheels) for each in station.manifest.environments}
    with Bundle.open(tmp_path / "x.kitbag") as bundle:
        after = {each.target: set(each.wheels) for each in bundle.manifest.environments}
    assert after == {target: before[target] for target in targets}


def test_it_runs_without_a_network(installed: Installed, tmp_path: Path) -> None:
    assert without_network(installed.programs / "station", cwd=tmp_path) == "all there: 1.0\n"
    assert "Pygments" in without_network(installed.programs / "pygmentize", "-V", cwd=tmp_path)
    out = without_network(
        sys.executable, "-m", "kitbag_packer", "run", "station", "--root", installed.root,
        cwd=tmp_path, PYTHONPATH=":".join(filter(None, sys.path)),
    )  # fmt: skip
    assert out == "all there: 1.0\n"


def test_it_is_what_uv_pip_sync_makes(
    index: PackageIndex, station: Station, installed: Installed, tmp_path: Path
) -> None:
    """The same files, folders, modes and contents; neither has bytecode.

    By itself uv would look at the glibc of this machine.
    """
    python = next(installed.root.glob("cpython-*.*.*/bin/python3"))
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    assert_ran(index.uv("venv", "-q", "-p", python, theirs, cwd=tmp_path))
    subprocess.run([python, "-I", "-m", "venv", "--without-pip", ours], check=True)
    empty = [set(tree_of(ours)), set(tree_of(theirs)) | {".lock"}]
    sync = ("pip", "sync", "-q", "--link-mode", "copy", "--python-platform", TARGETS[HOST][0])
    assert_ran(index.uv(*sync, "--python", theirs, station.lock, cwd=tmp_path))
    made = packages_in(tree_of(theirs), theirs, empty[1])
    here = packages_in(installed.tree, installed.home, empty[0])
    application = {path for path in here if re.search(r"(^bin|/site-packages)/station", path)}
    assert len(application) >= 6
    for path in application:
        del here[path]
    assert sorted(here) == sorted(made)
    assert [path for path in made if here[path] != made[path]] == []


def packages_in(
    tree: dict[str, tuple[str, int, bytes]], home: Path, empty: set[str]
) -> dict[str, tuple[str, int, bytes]]:
    """What wheels brought, with paths, scripts and INSTALLER made alike."""
    return {
        path: (kind, mode, alike(path, data, home))
        for path, (kind, mode, data) in tree.items()
        if path not in empty and not path.startswith(".kitbag")
    }


def alike(path: str, data: bytes, home: Path) -> bytes:
    if path.startswith("bin/"):
        return b"" if b"sys.exit(" in data else data.replace(bytes(home), b"HOME")
    if path.endswith(".dist-info/INSTALLER"):
        return b""
    if path.endswith(".dist-info/RECORD"):
        # Without digest and size of what is made alike here.
        told = rb"(?m)^((?:\.\./\.\./\.\./bin/|\S+/INSTALLER)[^,\n]*),.*$"
        return b"\n".join(sorted(re.sub(told, rb"\1", data).splitlines()))
    return data


def test_pip_and_uv_install_from_its_export(
    station: Station, installed: Installed, tmp_path: Path
) -> None:
    export = tmp_path / "export"
    assert_done(run_kitbag("export", station.bundle, "station", "--to", export))
    python = next(installed.root.glob("cpython-*.*.*/bin/python3"))
    pip = newest_wheel(Path(ensurepip.__file__).parent / "_bundled", "pip")
    require(pip, "needs a Python with the wheels of ensurepip")
    commands: dict[str, tuple[str | Path, ...]] = {
        "pip": (
            sys.executable, f"{pip}/pip", "--python", "VENV", "install", "--no-index",
            "--find-links", "wheels", "--require-hashes", "-r", f"requirements-station-{HOST}.txt",
        ),
        "uv": (
            uv_program(), "pip", "sync", "--offline", "--python", "VENV",
            f"pylock.station-{HOST}.toml",
        ),
    }  # fmt: skip
    for name, words in commands.items():
        venv = tmp_path / name
        subprocess.run([python, "-I", "-m", "venv", "--without-pip", venv], check=True)
        command = [venv / "bin" / "python" if word == "VENV" else word for word in words]
        without_network(*command, cwd=export, UV_CACHE_DIR=str(tmp_path / "cache"))
        assert without_network(venv / "bin" / "station", cwd=tmp_path) == "all there: 1.0\n"
