"""A host with a shell and nothing else: ``sh tools.kitbag`` is all that a person types."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.keys import BuildKey
from support.bareroot import LOADERS, USER, BareRoot, libraries_of, make_bare_root
from support.cli import assert_refused
from support.journey import ODD, kitbag, shared_bundle
from support.require import require, require_command
from support.standins import stand_in_bundle
from support.wheels import make_wheel, pylock_of

if TYPE_CHECKING:
    from collections.abc import Callable

BUNDLE = "/media/tools.kitbag"
ROOT = "/root/.local/share/kitbag/python"
USE = """
import ctypes, hashlib, json, os, sqlite3, ssl, subprocess, sys, venv
assert sys.prefix == sys.base_prefix
assert hashlib.sha256(b"").hexdigest().startswith("e3b0c442")
print(sys.prefix)
"""


@pytest.fixture(scope="session")
def bundle(slim_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_bundle(tmp_path_factory, "self-installer.kitbag", slim_archive)


@pytest.fixture(scope="session")
def libraries(slim_archive: Path) -> set[Path]:
    require_command("ldd")
    found = libraries_of(slim_archive)
    require(any(str(path) in LOADERS for path in found), "a glibc that ldd can tell of")
    return found


@pytest.fixture
def bare(bundle: Path, libraries: set[Path], tmp_path: Path) -> Callable[..., BareRoot]:
    def make(shell: str = "") -> BareRoot:
        root = make_bare_root(tmp_path / "bare", libraries=libraries, shell=shell)
        shutil.copy(bundle, f"{root.path}{BUNDLE}")
        return root

    return make


def installed(bare: BareRoot, root: str) -> str:
    """The one interpreter in ``root``, as a path in the bare root."""
    programs = Path(f"{bare.path}{root}").glob("cpython-*.*.*-linux-*/bin/python3.*")
    (found,) = (path for path in programs if not path.name.endswith("-config"))
    return "/" + os.fspath(found.relative_to(bare.path))


def leftovers(bare: BareRoot, root: str) -> list[str]:
    return [path.name for path in Path(f"{bare.path}{root}/.temp").glob("*")]


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["", "dash", "bash"])
def test_one_file_and_a_shell(bare: Callable[..., BareRoot], shell: str) -> None:
    host = bare(shell)
    env = {"HOME": "/root"}
    assert not any("python" in path.name for path in (host.path / "bin").iterdir())
    done = host.run("sh", BUNDLE, env=env, tmp="read-only")
    assert done.status == 0, done.err
    assert "Installed 1 build" in done.out
    assert leftovers(host, ROOT) == []
    python = installed(host, ROOT)
    used = host.run(python, "-c", USE, env=env)
    assert used.status == 0, used.err
    assert used.out.strip() == python.rpartition("/bin/")[0]
    made = host.run(python, "-m", "venv", "--without-pip", "/home/env", env=env)
    assert made.status == 0, made.err
    inside = host.run("/home/env/bin/python", "-c", "import sys; print(sys.prefix)", env=env)
    assert inside.out == "/home/env\n"
    network = host.run(python, "-c", "print(open('/proc/net/dev').read().count(':'))", env=env)
    assert network.out == "1\n"
    stays = host.run("/root/.local/bin/kitbag", "verify", "--root", ROOT, env=env)
    assert stays.status == 0, stays.err
    again = host.run("sh", BUNDLE, "install", "--json", env=env)
    assert (again.status, '"present"' in again.out) == (0, True), again
    assert leftovers(host, ROOT) == []


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["", "dash"])
def test_an_application(
    bare: Callable[..., BareRoot], shell: str, tmp_path: Path, slim_archive: Path
) -> None:
    """``sh app.kitbag``, then the application's console script; a newer one, and back."""
    host = bare(shell)
    env = {"HOME": "/root"}
    for version in ("1.0", "2.0"):
        wheels = [
            make_wheel(
                tmp_path / version, "app", version,
                scripts={"app": "app:main"}, requires=["click", "space-one"],
            ),
            make_wheel(tmp_path / version, "click", "8.1.7"),
            make_wheel(tmp_path / version, "space-one", files={"space/one.py": "ONE = 1\n"}),
        ]  # fmt: skip
        (tmp_path / "pylock.toml").write_text(pylock_of(wheels))
        kitbag(
            "pack", "--from", slim_archive, "--lock", tmp_path / "pylock.toml",
            "--environment", "app", "--expose", "app",
            "-o", host.path / f"media/app-{version}.kitbag",
        )  # fmt: skip
        done = host.run("sh", f"/media/app-{version}.kitbag", env=env, tmp="read-only")
        assert done.status == 0, done.err
        ran = host.run("/root/.local/bin/app", "two words", env=env)
        assert (ran.status, ran.out) == (0, f"app {version} two words\n"), ran.err
    assert leftovers(host, ROOT) == []
    used = host.run(f"{ROOT}/envs/app/bin/python", "-c", "import click, space.one", env=env)
    assert used.status == 0, used.err
    stays = "/root/.local/bin/kitbag"
    for words, out in {
        ("run", "app", "--", "a"): "app 2.0 a\n",
        ("verify",): "sound",
        ("rollback", "app"): "app",
        ("run", "app"): "app 1.0\n",
    }.items():
        done = host.run(stays, words[0], "--root", ROOT, *words[1:], env=env)
        assert (done.status, out in done.out) == (0, True), done


@pytest.mark.slow
def test_a_plain_user_a_strict_umask_and_an_odd_root(bare: Callable[..., BareRoot]) -> None:
    host = bare("dash")
    root = f"/home/user/{ODD}"
    arguments = (BUNDLE, "install", f"--root={root}", "--no-bin", "--report", "/home/user/r.json")
    how = {"user": USER, "umask": "077", "tmp": "noexec"}
    done = host.run("sh", *arguments, **how)  # type: ignore[arg-type]
    assert done.status == 0, done.err
    assert leftovers(host, root) == []
    used = host.run(installed(host, root), "-c", USE, **how)  # type: ignore[arg-type]
    assert used.status == 0, used.err


@pytest.mark.slow
def test_the_root_of_the_environment(bare: Callable[..., BareRoot]) -> None:
    """Without a home, and from the folder of the bundle."""
    host = bare()
    command = f"cd /media && sh {Path(BUNDLE).name} --no-bin"
    done = host.run("sh", "-c", command, env={"KITBAG_ROOT": "/home/py"}, tmp="noexec")
    assert done.status == 0, done.err
    assert host.run(installed(host, "/home/py"), "-c", USE).status == 0


@pytest.mark.slow
def test_unzipped(bare: Callable[..., BareRoot], tmp_path: Path, slim_archive: Path) -> None:
    plain = tmp_path / "plain.kitbag"
    kitbag("pack", "--plain", "--from", slim_archive, "-o", plain)
    assert plain.read_bytes()[:4] == b"PK\x03\x04"
    host = bare()
    shutil.copy(plain, host.path / "media")
    out = host.run("unzip", "-q", "/media/plain.kitbag", "-d", "/media/plain")
    assert out.status == 0, out.err
    done = host.run("sh", "/media/plain/install.sh", "--root", "/home/py", "--no-bin")
    assert done.status == 0, done.err
    assert leftovers(host, "/home/py") == []
    assert host.run(installed(host, "/home/py"), "-c", USE).status == 0


@pytest.mark.slow
def test_without_proc(bare: Callable[..., BareRoot]) -> None:
    host = bare()
    done = host.run("sh", BUNDLE, "--root", "/home/py", proc=False)
    assert_refused(done, 5, "/proc is not mounted", "mount -t proc proc /proc")
    assert not (host.path / "home/py").exists()


def test_without_a_home(bare: Callable[..., BareRoot]) -> None:
    assert_refused(bare().run("sh", BUNDLE), 2, "HOME is not set", "--root DIR")


@pytest.mark.slow
def test_where_nothing_may_be_run(bare: Callable[..., BareRoot]) -> None:
    host = bare()
    done = host.run("sh", BUNDLE, "--root", "/home/user/py", noexec="/home/user")
    assert_refused(done, 5, "noexec", "--root")


@pytest.mark.parametrize(
    ("loaders", "chosen"),
    [
        (["/lib/ld-musl-x86_64.so.1"], "musl"),
        (["/lib64/ld-linux-x86-64.so.2"], "gnu"),
        (["/lib/ld-musl-x86_64.so.1", "/lib64/ld-linux-x86-64.so.2"], "gnu"),
    ],
)
def test_the_c_library_decides(tmp_path: Path, loaders: list[str], chosen: str) -> None:
    """The interpreters are scripts that say who they are, the loaders empty files."""
    require(os.uname().machine == "x86_64", "an x86-64 machine")
    keys = [f"cpython-3.13.5-linux-{each}" for each in ("x86_64-gnu", "x86_64-musl", "aarch64-gnu")]
    made = stand_in_bundle(tmp_path, *map(BuildKey.parse, keys))
    host = make_bare_root(tmp_path / "bare")
    shutil.copy(made, host.path / "media/tools.kitbag")
    for loader in loaders:
        place = Path(f"{host.path}{loader}")
        place.parent.mkdir(exist_ok=True)
        place.touch()
    done = host.run("sh", BUNDLE, "--root", "/home/py")
    assert done.status == 0, done.err
    assert done.out.endswith(f"cpython-3.13.5-linux-x86_64-{chosen}\n")
    shown = host.run("sh", BUNDLE, "show")
    assert shown.out.count("fits this host") == 1
    assert "it is for aarch64, this is x86_64" in shown.out


def test_packages_alone(tmp_path: Path) -> None:
    """There is nothing to install, and nobody who could export; the shell shows and verifies."""
    (tmp_path / "pylock.toml").write_text(pylock_of([make_wheel(tmp_path, "click")]))
    kitbag(
        "pack", "3.13", "--lock", tmp_path / "pylock.toml", "--wheelhouse-only",
        "--environment", "app", "--target", "linux-x86_64-gnu", "-o", tmp_path / "wheels.kitbag",
    )  # fmt: skip
    host = make_bare_root(tmp_path / "bare")
    shutil.copy(tmp_path / "wheels.kitbag", host.path / "media")
    for words in ([], ["install", "--root", "/home/py"], ["app"], ["export", "--to", "/home/x"]):
        done = host.run("sh", "/media/wheels.kitbag", *words, env={"HOME": "/root"})
        assert_refused(done, 5, "wheels.kitbag has packages and no Python", "'export --to DIR'")
    assert not (host.path / "home/py").exists()
    for verb, told in {"show": "environment app", "verify": "sound"}.items():
        done = host.run("sh", "/media/wheels.kitbag", verb)
        assert (done.status, told in done.out) == (0, True), done


def test_another_users_root(bare: Callable[..., BareRoot]) -> None:
    done = bare().run("sh", BUNDLE, "--root", "/media/py", user=USER)
    assert_refused(done, 1, "/media/py", "Permission denied", "--root")


def test_what_the_shell_answers(bare: Callable[..., BareRoot]) -> None:
    """With no interpreter started and nothing written, not even where nothing can be."""
    host = bare()
    for verb, words in {"show": "fits this host", "verify": "sound", "--help": "usage: sh"}.items():
        done = host.run("sh", BUNDLE, verb, proc=False, tmp="read-only", user=USER)
        assert done.status == 0, done.err
        assert words in done.out
