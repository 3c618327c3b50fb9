"""An application with its packages, for this host and for others, in one bundle."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_installer.hosts import this_host
from kitbag_packer.targets import host_target
from support.commands import run_kitbag
from support.interpreters import packable_interpreters
from support.members import below, write_archive
from support.pbs import make_pbs_archive
from support.projects import make_project
from support.require import require
from support.tiny import host_target as host_triple
from support.trees import linux_members, macos_members, windows_members
from support.webserver import serving
from support.wheels import make_wheel, pylock_of, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOREIGN = ("linux-aarch64-gnu", "macos-aarch64-none", "windows-x86_64-none")
HOST = str(host_target())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archives of one version for four targets, and wheels."""
    folder = tmp_path_factory.mktemp("shop")
    found = packable_interpreters((3, 10))
    require(found, "no CPython with a prefix of its own on this machine")
    version = found[0].full_version
    (folder / "version").write_text(version)
    archives = folder / "archives"
    archives.mkdir()
    shutil.copy(make_pbs_archive(found[0], slim=True), archives)
    members = {
        "aarch64-unknown-linux-gnu": linux_members(version, "aarch64"),
        "aarch64-apple-darwin": macos_members(version, "aarch64", least=(11, 0)),
        "x86_64-pc-windows-msvc": windows_members(version, "x86_64"),
    }
    for triple, content in members.items():
        name = f"cpython-{version}+20260101-{triple}-install_only_stripped.tar.gz"
        write_archive(below("python", content), archives / name, ".tar.gz")
    wheels = folder / "wheels"
    make_wheel(wheels, "pure", "1.0", requires_python=">=3.9")
    cpu = this_host().arch
    for platform in (
        f"manylinux_2_17_{cpu}.manylinux2014_{cpu}",
        "manylinux_2_28_aarch64" if cpu != "aarch64" else "manylinux_2_28_x86_64",
        "macosx_11_0_arm64",
        "win_amd64",
    ):
        make_wheel(wheels, "native", "2.5", tags=f"cp39-abi3-{platform}")
    return folder


@pytest.fixture
def project(shop: Path, tmp_path: Path) -> Path:
    """A project whose lock names wheels by their paths."""
    folder = make_project(
        tmp_path / "journal", "Journal", "3.0", scripts={"journal": "journal:main"}
    )
    backend = folder / "backend.py"
    # Where its interpreter is, a wheel must not tell, or nobody builds it a second time.
    backend.write_text(backend.read_text().replace("sys.base_prefix", "sys.implementation.name"))
    shutil.copytree(shop / "wheels", folder / "wheels")
    lock = pylock_of(sorted((folder / "wheels").glob("*.whl"))).replace(f"{folder}/", "")
    (folder / "pylock.toml").write_text(lock)
    return folder


@pytest.fixture
def words(shop: Path, tmp_path: Path) -> list[object]:
    """How to pack for all four."""
    targets = [word for target in (HOST, *FOREIGN) for word in ("--target", target)]
    return [
        "pack",
        (shop / "version").read_text(),
        *targets,
        "--catalog",
        f"{shop / 'archives'}/",
        "--cache-dir",
        tmp_path / "cache",
        "--no-bootstrap",
    ]


def test_four_targets_in_one_bundle(capfd, words, project, tmp_path) -> None:
    out = tmp_path / "a.kitbag"
    done = run_kitbag(capfd, *words, "--project", project, "--expose", "journal", "-o", out)
    assert done.status == 0, done.err
    assert "Packed 4 builds, 4 environments, 6 wheels into" in done.out
    version = words[1]
    assert f"journal for cpython-{version}-{HOST}: 3 wheels, 1 of them built, " in done.err
    with Bundle.open(out) as bundle:
        manifest = bundle.manifest
    assert manifest.requires == ("environments",)
    by_target = {each.target: each for each in manifest.environments}
    assert set(by_target) == {HOST, *FOREIGN}
    assert all(each.run == "journal" for each in manifest.environments)
    assert all(each.expose == ("journal",) for each in manifest.environments)
    own = "journal-3.0-py3-none-any.whl"
    for target, tags, needs in (
        (HOST, "manylinux_2_17", ("2.17", "")),
        ("linux-aarch64-gnu", "manylinux_2_28", ("2.28", "")),
        ("macos-aarch64-none", "macosx_11_0_arm64", ("", "11.0")),
        ("windows-x86_64-none", "win_amd64", ("", "")),
    ):
        environment = by_target[target]
        assert (environment.glibc, environment.os) == needs
        assert own in environment.wheels
        assert "pure-1.0-py3-none-any.whl" in environment.wheels
        assert any(f"cp39-abi3-{tags}" in name for name in environment.wheels)
    built = [wheel.filename for wheel in manifest.wheels if wheel.built]
    assert built == [own]
    assert all(wheel.url == "" for wheel in manifest.wheels)
    assert run_kitbag(capfd, "verify", out).status == 0
    assert not list(project.glob("build")), "the project is as it was"


def test_the_same_bytes_whatever_the_order(capfd, words, project, tmp_path) -> None:
    outs = [tmp_path / f"{number}.kitbag" for number in range(3)]
    assert run_kitbag(capfd, *words, "--project", project, "-q", "-o", outs[0]).status == 0
    # Again with what is there, then from an empty cache, with everything else about it changed.
    assert run_kitbag(capfd, *words, "--project", project, "-q", "-o", outs[1]).status == 0
    moved = project.rename(tmp_path / "elsewhere")
    others = [word for target in (*FOREIGN, HOST) for word in ("--target", target)]
    changed = ["pack", *others, *words[10:], "--cache-dir", tmp_path / "fresh", "--jobs", "1"]
    done = run_kitbag(capfd, *changed, words[1], "--project", moved, "-q", "-o", outs[2])
    assert done.status == 0, done.err
    first = outs[0].read_bytes()
    assert outs[1].read_bytes() == first
    assert outs[2].read_bytes() == first
    for secret in (tmp_path, project):
        assert str(secret).encode() not in first


def test_it_is_shown(capfd, words, project, tmp_path) -> None:
    out = tmp_path / "a.kitbag"
    run_kitbag(capfd, *words, "--project", project, "--expose", "journal", "-q", "-o", out)
    shown = run_kitbag(capfd, "show", out).out
    assert shown.count("environment journal\n") == 4
    assert "  packages  journal 3.0, native 2.5, pure 1.0\n" in shown
    assert "  runs      journal\n  exposes   journal\n  needs     glibc 2.17\n" in shown
    assert "  here      does not fit: it is for macos" in shown
    found = run_kitbag(capfd, "show", out, "--json").json
    assert len(found["wheel"]) == 6
    fits = found["environments-fit"]["journal"]
    assert {key.split("-", 2)[2]: fit for key, fit in fits.items()} == {
        HOST: True,
        **dict.fromkeys(FOREIGN, False),
    }
    assert found["members"]["wheels/pure-1.0-py3-none-any.whl"] > 0


def test_the_shell_shows_the_same(capfd, words, project, tmp_path) -> None:
    import subprocess

    out = tmp_path / "a.kitbag"
    run_kitbag(capfd, *words, "--project", project, "-q", "-o", out)
    shell = subprocess.run(["sh", out, "show"], capture_output=True, text=True, check=True)
    assert shell.stdout == run_kitbag(capfd, "show", out).out
    shell = subprocess.run(["sh", out, "verify"], capture_output=True, text=True, check=True)
    assert shell.stdout == run_kitbag(capfd, "verify", out).out
    assert shell.stdout.endswith(", 4 builds, 4 environments, 6 wheels\n")


@pytest.fixture
def recipe(shop: Path, tmp_path: Path, words: list[object]) -> Iterator[Path]:
    """A recipe for two targets whose packages come from a server."""
    folder = tmp_path / "recipe"
    folder.mkdir()
    served = {f"/{path.name}": path.read_bytes() for path in (shop / "wheels").glob("*.whl")}
    with serving(served) as server:
        lock = pylock_of(sorted((shop / "wheels").glob("*.whl")), server.url)
        (folder / "pylock.toml").write_text(lock)
        (folder / "kitbag.toml").write_text(
            f'[bundle]\npython = ["{words[1]}"]\ntargets = ["{HOST}", "windows-x86_64"]\n'
            f'catalogs = ["{shop / "archives"}/"]\nallow-unverified = true\nbootstrap = false\n'
            'output = "out.kitbag"\n\n[[environment]]\nname = "tools"\nlock = "pylock.toml"\n'
        )
        yield folder


def test_a_recipe_and_its_lock(capfd, recipe, words, tmp_path, monkeypatch) -> None:
    cache = ("--cache-dir", tmp_path / "cache")
    done = run_kitbag(capfd, "lock", "-f", recipe / "kitbag.toml", *cache)
    assert done.status == 0, done.err
    assert done.out.startswith("Locked 2 builds (")
    assert ") and 2 environments in " in done.out
    assert f" + tools for cpython-{words[1]}-{HOST} (2 packages)\n" in done.out
    text = (recipe / "kitbag.lock").read_text()
    assert text.count("[[environment.package]]") == 4
    assert str(tmp_path) not in text.replace(str(recipe), "")
    again = run_kitbag(capfd, "lock", "-f", recipe / "kitbag.toml", *cache, "--json").json
    assert again["changed"] is False
    assert [each["change"] for each in again["environments"]] == ["kept", "kept"]
    assert run_kitbag(capfd, "lock", "-f", recipe / "kitbag.toml", "--check").status == 0
    # No resolver is there, and none is needed.
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    pack = ("pack", "-f", recipe / "kitbag.toml", "-q")
    assert run_kitbag(capfd, *pack, *cache).status == 0
    first = (recipe / "out.kitbag").read_bytes()
    (recipe / "pylock.toml").unlink()
    fresh = ("--cache-dir", tmp_path / "fresh")
    done = run_kitbag(capfd, *pack, "--locked", *fresh, "-o", tmp_path / "b")
    assert done.status == 0, done.err
    assert (tmp_path / "b").read_bytes() == first
    found = run_kitbag(capfd, "show", tmp_path / "b", "--json").json
    assert all(wheel["url"].startswith("http://127.0.0.1:") for wheel in found["wheel"])


def test_a_lock_that_its_packages_left(capfd, recipe, tmp_path) -> None:
    cache = ("--cache-dir", tmp_path / "cache")
    run_kitbag(capfd, "lock", "-f", recipe / "kitbag.toml", *cache, "-q")
    place = recipe / "pylock.toml"
    place.write_text(place.read_text() + "\n# another day\n")
    done = run_kitbag(capfd, "pack", "-f", recipe / "kitbag.toml", "--locked", *cache)
    assert done.status == 2
    assert "is locked from pylock.toml, which names other packages since (and 1 more)" in done.err
    done = run_kitbag(capfd, "pack", "-f", recipe / "kitbag.toml", *cache)
    assert done.status == 0, done.err
    assert "kitbag.lock: brought up to date" in done.err


def test_a_wheelhouse(capfd, shop, project, tmp_path) -> None:
    out = tmp_path / "wheels.kitbag"
    words = ["pack", "3.12", "--lock", project / "pylock.toml", "--wheelhouse-only", "-o", out]
    words += ["--target", "linux-aarch64-gnu", "--target", "windows-x86_64"]
    done = run_kitbag(capfd, *words, "--cache-dir", tmp_path / "cache")
    assert done.status == 0, done.err
    assert "Packed 2 environments, 3 wheels into" in done.out
    assert " + app for 3.12 on linux-aarch64-gnu (2 wheels, " in done.out
    with Bundle.open(out) as bundle:
        assert bundle.manifest.builds == ()
        assert [each.python for each in bundle.manifest.environments] == [None, None]
        assert {each.python_version for each in bundle.manifest.environments} == {"3.12"}
    assert (
        "  python    3.12 on linux-aarch64-gnu, which is not in the bundle"
        in run_kitbag(capfd, "show", out).out
    )
    assert run_kitbag(capfd, "verify", out).status == 0


def test_a_build_that_is_at_hand(capfd, shop, project, tmp_path) -> None:
    (archive,) = (shop / "archives").glob(f"*-{host_triple()}-*")
    out = tmp_path / "a.kitbag"
    words = ("pack", "--from", archive, "--project", project, "--cache-dir", tmp_path / "cache")
    done = run_kitbag(capfd, *words, "-o", out)
    assert done.status == 0, done.err
    assert "Packed 1 build, 1 environment, 3 wheels into" in done.out
    with Bundle.open(out) as bundle:
        assert bundle.manifest.name == "journal"


def test_a_wheel_that_rotted_in_the_cache_comes_anew(capfd, words, project, tmp_path) -> None:
    outs = [tmp_path / f"{number}.kitbag" for number in range(2)]
    assert run_kitbag(capfd, *words, "--project", project, "-q", "-o", outs[0]).status == 0
    digest = sha256_of(project / "wheels" / "pure-1.0-py3-none-any.whl")
    kept = tmp_path / "cache" / "archives" / digest
    data = bytearray(kept.read_bytes())
    data[40] ^= 1
    before = kept.stat()
    kept.chmod(0o644)
    kept.write_bytes(data)
    os.utime(kept, ns=(before.st_atime_ns, before.st_mtime_ns))
    done = run_kitbag(capfd, *words, "--project", project, "-q", "-o", outs[1])
    assert done.status == 0, done.err
    assert outs[1].read_bytes() == outs[0].read_bytes()


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        (("--expose", "other"), 2, "has no console script 'other' to expose; there is journal"),
        (("--run", "other"), 2, "has no console script 'other' to run; there is journal"),
        (("--environment", "3.13"), 2, "--environment: '3.13' is no name for an environment"),
        (("--extra", "web"), 2, "knows no extra 'web'"),
        (("--lock", "pylock.toml"), 2, "--project and --lock: an environment has one list"),
        (("--glibc", "musl"), 2, "--glibc: 'musl' is no version of glibc"),
    ],
)
def test_what_can_not_be_packed(
    capfd, words, project, tmp_path, more: tuple[str, ...], status: int, message: str
) -> None:
    out = tmp_path / "a.kitbag"
    done = run_kitbag(capfd, *words, "--project", project, "-o", out, *more)
    assert done.status == status
    assert message in done.err
    assert not out.exists()


def test_a_target_without_wheels_is_named(capfd, words, project, tmp_path) -> None:
    lock = (project / "pylock.toml").read_text().splitlines(keepends=True)
    (project / "pylock.toml").write_text("".join(line for line in lock if "win_amd64" not in line))
    out = tmp_path / "a.kitbag"
    done = run_kitbag(capfd, *words, "--project", project, "-o", out, "--json")
    assert done.status == 4
    found = json.loads(done.out)["error"]
    assert found["code"] == "no-wheel"
    assert "native 2.5" in found["message"]
    assert "windows" in found["message"]
    assert not out.exists()


def test_a_wheel_that_is_another_than_its_lock_says(capfd, words, project, tmp_path) -> None:
    path = project / "wheels" / "pure-1.0-py3-none-any.whl"
    before = sha256_of(path)
    make_wheel(path.parent, "pure", "1.0", files={"pure.py": "other = 1\n"})
    assert sha256_of(path) != before
    out = tmp_path / "a.kitbag"
    done = run_kitbag(capfd, *words, "--project", project, "-o", out)
    assert done.status in (1, 3)
    assert path.name in done.err
    assert not out.exists()
