"""Implementations and variants of which there is a tree alone: put down right, and kept so."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.layout import command_names
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.hosts import Host
from kitbag_installer.installation import InstallOptions, install_builds
from kitbag_installer.roots import Root
from support.bundled import bundle_archives
from support.cli import assert_done, call
from support.foreign import make_pe
from support.journey import kitbag
from support.members import Member, below, program, text, write_archive
from support.mirror import make_mirror
from support.snapshots import dangling
from support.synthetic import SYNTHETIC, make_synthetic_archive

if TYPE_CHECKING:
    from pathlib import Path

# Python 3.12 and newer warn about any fork beside a thread; pytest-xdist has one.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


ELSEWHERE = Host("linux", "mips", "musl")
"""A machine that none of these builds is for."""


def put_down(archive: Path, key: str, place: Path) -> Path:
    """Install the build in ``archive`` on purpose where it can't run; returns its tree."""
    bundle = bundle_archives(place / "kit.kitbag", [(archive, BuildKey.parse(key))])
    options = InstallOptions(foreign=True, force=True, seen_as="/opt/python")
    root = Root(str(place / "root"))
    requests = parse_requests([key])
    with Bundle.open(bundle) as opened:
        done = install_builds(opened, root, requests, ELSEWHERE, options, SilentReporter())
    assert not done.failures, done.failures[0].error
    return place / "root" / key


@pytest.mark.parametrize(
    ("name", "program", "managed", "python"),
    [
        ("v3", "bin/python3.13", "lib/python3.13", "python3.13"),
        ("musl", "bin/python3.13", "lib/python3.13", "python3.13"),
        ("freethreaded", "bin/python3.13t", "lib/python3.13t", "python3.13t"),
        ("debug", "bin/python3.13d", "lib/python3.13", "python3.13d"),
        ("freethreaded-debug", "bin/python3.13td", "lib/python3.13t", "python3.13td"),
        ("pypy", "bin/pypy3.11", "lib/pypy3.11", "pypy3.11"),
        ("pypy-bz2", "bin/pypy3.10", "lib/pypy3.10", "pypy3.10"),
        ("graalpy", "bin/graalpy", "lib/python3.11", "graalpy"),
        ("pyodide", "python", "", "python3.13"),
    ],
)
def test_what_is_added_and_where(
    name: str,
    program: str,
    managed: str,
    python: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no Node.js either
    key = SYNTHETIC[name].key
    home = put_down(make_synthetic_archive(name, tmp_path), key, tmp_path)
    assert os.access(home / program, os.X_OK)
    assert os.readlink(home / "bin" / "python") == python
    assert not dangling(home)
    marks = {str(path.parent.relative_to(home)) for path in home.rglob("EXTERNALLY-MANAGED")}
    assert marks == ({managed} if managed else set())
    assert (home / "BUILD").is_file()
    assert_done(call("verify", "--root", home.parent))
    rewritten = json.loads((home / ".kitbag" / "receipt.json").read_text())["changed"]
    assert bool(rewritten) == key.startswith("cpython")


def test_names_beside_each_other() -> None:
    """All variants of one version have names of their own in a bin folder."""
    names = ("linux", "freethreaded", "debug", "freethreaded-debug", "pypy", "graalpy", "pyodide")
    found = [command_names(BuildKey.parse(SYNTHETIC[name].key), default=True) for name in names]
    assert len({each for many in found for each in many}) == sum(map(len, found))


def test_a_graalpy_without_the_usual_library_is_not_marked(tmp_path: Path) -> None:
    key = SYNTHETIC["graalpy"].key
    members = [
        member for member in SYNTHETIC["graalpy"].members() if "/lib/python" not in member.path
    ]
    archive = write_archive(members, tmp_path / SYNTHETIC["graalpy"].filename, ".tar.gz")
    home = put_down(archive, key, tmp_path)
    assert not list(home.rglob("EXTERNALLY-MANAGED"))
    assert_done(call("verify", "--root", home.parent))


def test_the_first_free_threaded_builds_for_windows(tmp_path: Path) -> None:
    """Tag 20241016 came without a python.exe; it is made, known to verify, and mended."""
    name = "cpython-3.13.0+20241016-x86_64-pc-windows-msvc-freethreaded-install_only.tar.gz"
    key = "cpython-3.13.0+freethreaded-windows-x86_64-none"
    members = [
        program("python3.13t.exe", make_pe("x86_64")),
        program("python313t.dll", make_pe("x86_64", dll=True)),
        text("Lib/os.py", '"""Stand-in."""\n'),
        Member("include/patchlevel.h", b'#define PY_VERSION "3.13.0"\n'),
    ]
    archive = write_archive(below("python", members), tmp_path / name, ".tar.gz")
    home = put_down(archive, key, tmp_path)
    made = home / "python.exe"
    assert made.read_bytes() == (home / "python3.13t.exe").read_bytes()
    assert not made.is_symlink()
    assert_done(call("verify", "--root", home.parent))
    made.write_bytes(b"MZ")
    assert call("verify", "--root", home.parent).status == 3
    assert_done(call("repair", tmp_path / "kit.kitbag", "--root", home.parent))
    assert made.read_bytes() == (home / "python3.13t.exe").read_bytes()


class TestLicence:
    """Oracle's builds of GraalPy may not be sold on: who packs one is told, who carries one too."""

    WORDS = "whose licence (GFTC) allows passing it on free of charge only"

    def test_a_file(self, tmp_path: Path) -> None:
        for name, limited in (("graalpy", True), ("graalpy-community", False)):
            archive = make_synthetic_archive(name, tmp_path)
            out = tmp_path / f"{name}.kitbag"
            key = SYNTHETIC[name].key
            done = call("pack", "--from", archive, "--key", key, "--no-bootstrap", "-o", out)
            assert done.status == 0, done
            told = f"kitbag: warning: {key}: Oracle's build of GraalPy, {self.WORDS}"
            assert done.err.count(told) == limited
            assert (self.WORDS in done.err) == limited
            assert (self.WORDS in kitbag("show", out)) == limited
            licences = json.loads(kitbag("show", out, "--json"))["licences"]
            assert list(licences) == ([key] if limited else [])

    def test_a_catalog(self, tmp_path: Path) -> None:
        mirror = make_mirror(tmp_path / "mirror", ["graalpy"])
        words = (
            "pack", "graalpy", "--target", "linux-x86_64-gnu", "--catalog", mirror.list,
            "--mirror", f"graalpy={mirror.folder}", "--no-bootstrap",
            "--cache-dir", tmp_path / "cache", "-o", tmp_path / "kit.kitbag",
        )  # fmt: skip
        for _ in range(2):  # the second time what was found out is remembered
            done = call(*words)
            assert done.status == 0, done
            assert done.err.count(self.WORDS) == 1
