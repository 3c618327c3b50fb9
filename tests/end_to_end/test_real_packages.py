"""Real packages of the index: chosen for six targets, packed with builds, run without a network."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_packer.targets import host_target
from support.commands import run_kitbag
from support.interpreters import packable_interpreters
from support.members import below, write_archive
from support.pbs import make_pbs_archive
from support.require import require, require_command
from support.trees import linux_members, macos_members, windows_members

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# A compiled core, a stable ABI, data files, a namespace package, console scripts. The last versions
# that have wheels for all six.
PACKAGES = (
    "numpy<2.4",
    "pydantic<2.13",
    "cryptography<46",
    "rich<15",
    "pyyaml<7",
    "jaraco.functools<5",
)
TARGETS = {
    "linux-x86_64-gnu": "x86_64-unknown-linux-gnu",
    "linux-aarch64-gnu": "aarch64-unknown-linux-gnu",
    "linux-x86_64-musl": "x86_64-unknown-linux-musl",
    "macos-aarch64-none": "aarch64-apple-darwin",
    "macos-x86_64-none": "x86_64-apple-darwin",
    "windows-x86_64-none": "x86_64-pc-windows-msvc",
}
HOST = str(host_target())
PROGRAM = """
import cryptography.fernet, jaraco.functools, numpy, pydantic, rich, yaml
fernet = cryptography.fernet.Fernet(cryptography.fernet.Fernet.generate_key())
assert fernet.decrypt(fernet.encrypt(b"x")) == b"x"
assert numpy.arange(5).sum() == 10
class Point(pydantic.BaseModel):
    x: int
assert Point(x="3").x == 3
assert yaml.__with_libyaml__
print("all there")
"""


def project(folder: Path, *packages: str) -> Path:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "station"\nversion = "1"\ndependencies = {list(packages)!r}\n'
    )
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archives of one version for six targets."""
    folder = tmp_path_factory.mktemp("shop")
    found = [each for each in packable_interpreters((3, 11)) if not each.free_threaded]
    require(found and HOST in TARGETS, "no CPython >= 3.11 with a prefix of its own")
    version = found[0].full_version
    (folder / "version").write_text(version)
    archives = folder / "archives"
    archives.mkdir()
    for target, triple in TARGETS.items():
        system, cpu, libc = target.split("-")
        if target == HOST:
            shutil.copy(make_pbs_archive(found[0]), archives)
            continue
        members = {
            "linux": lambda cpu=cpu, libc=libc: linux_members(version, cpu, libc=libc),
            "macos": lambda cpu=cpu: macos_members(version, cpu, least=(11, 0)),
            "windows": lambda cpu=cpu: windows_members(version, cpu),
        }[system]()
        name = f"cpython-{version}+20260101-{triple}-install_only_stripped.tar.gz"
        write_archive(below("python", members), archives / name, ".tar.gz")
    return folder


def test_six_targets_and_this_host_without_a_network(capfd, shop, tmp_path, monkeypatch) -> None:
    for name in ("UV_OFFLINE", "UV_NO_CONFIG", "PIP_NO_INDEX"):
        monkeypatch.delenv(name)
    cache = ("--cache-dir", tmp_path / "cache")
    version = (shop / "version").read_text()
    probe = ("pack", version, "--project", project(tmp_path / "probe", "click"), *cache)
    reached = run_kitbag(capfd, *probe, "--wheelhouse-only", "-o", tmp_path / "probe.kitbag")
    require(reached.status == 0, f"needs a package index: {reached.err}")

    out = tmp_path / "station.kitbag"
    words = ["pack", version, "--project", project(tmp_path / "station", *PACKAGES), *cache]
    words += ["--catalog", f"{shop / 'archives'}/", "--no-bootstrap", "-o", out]
    words += ["--expose", "pygmentize"]
    words += [word for target in TARGETS for word in ("--target", target)]
    done = run_kitbag(capfd, *words)
    assert done.status == 0, done.err
    with Bundle.open(out) as bundle:
        manifest = bundle.manifest
    assert {each.target for each in manifest.environments} == set(TARGETS)
    marks = {
        "linux-x86_64-gnu": "manylinux",
        "linux-aarch64-gnu": "aarch64.whl",
        "linux-x86_64-musl": "musllinux",
        "macos-aarch64-none": "macosx",
        "macos-x86_64-none": "macosx",
        "windows-x86_64-none": "win_amd64.whl",
    }
    for each in manifest.environments:
        names = {wheel.name: wheel.filename for wheel in manifest.wheels_of(each)}
        assert {"rich", "pyyaml", "annotated-types"} <= set(names)
        for compiled in ("numpy", "cryptography", "pydantic-core"):
            assert marks[each.target] in names[compiled]
    assert not any(wheel.built for wheel in manifest.wheels)
    assert len(manifest.wheels) < 6 * len(manifest.environments[0].wheels)

    root, programs = tmp_path / "root", tmp_path / "bin"
    alone = [require_command("unshare"), "-r", "-n"]
    install = ["sh", out, "--root", root, "--bin-dir", programs]
    done = subprocess.run([*alone, *install], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    python = root / "envs" / "station" / "bin" / "python"
    for command in ([python, "-c", PROGRAM], [programs / "pygmentize", "-V"]):
        done = subprocess.run([*alone, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout
