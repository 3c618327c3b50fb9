"""Builds from all that can be packed: installed Pythons, unpacked trees, every archive form."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from support import cache
from support.cli import assert_done, assert_refused, call
from support.installed import (
    Tree,
    check_all,
    check_compiles,
    check_config,
    check_extension_from_sdist,
    check_no_leftovers,
    check_records,
    check_starts,
    check_sysconfig,
    run,
)
from support.interpreters import Interpreter, find_interpreters, probe
from support.journey import ODD, by_bundle, kitbag, only_build
from support.members import below, write_archive
from support.pbs import RECIPE, make_pbs_archive, pbs_members
from support.require import require, require_command
from support.sharing import exclusively, shared
from support.snapshots import Thing, snapshot

PYTHONS = [one for one in find_interpreters((3, 8)) if not one.unsuitable]
DEBIAN = Path("/usr/bin/python3.11")
# What a Python without any library beside it reads, and what it does not (before 3.14).
BARE_FORMS = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".zip")
LIBRARY_FORMS = {".tar.zst": "zstandard", ".7z": "py7zr"}


def state(tree: Tree) -> dict[str, Thing]:
    """What is in a tree, but for the receipt, which says where the tree came from."""
    found = {str(Path(path).relative_to(tree.home)): it for path, it in snapshot(tree.home).items()}
    return {path: it for path, it in found.items() if not path.startswith(".kitbag")}


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory, slim_archive: Path) -> Path:
    """The small real build, unpacked somewhere as a person would. Read only."""
    place = shared(
        tmp_path_factory,
        "unpacked",
        lambda folder: shutil.unpack_archive(slim_archive, folder, "gztar"),
    )
    return place / "python"


class TestUnpackedTree:
    def test_ways_to_name_it(
        self, unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A prefix, a link to an interpreter, a command: the same build and the same bytes."""
        link = tmp_path / "a link"
        link.symlink_to(unpacked / "bin" / "python3")
        monkeypatch.setenv("PATH", f"{unpacked / 'bin'}:/usr/bin:/bin")
        digests = set()
        for way in (unpacked, link, "python3"):
            out = kitbag("pack", "--from", way, "-o", tmp_path / "tools.kitbag", "--json")
            digests.add(json.loads(out)["sha256"])
        assert len(digests) == 1

    def test_installs(self, unpacked: Path, tmp_path: Path) -> None:
        bundle, root = tmp_path / "tools.kitbag", tmp_path / ODD / "root"
        table = json.loads(kitbag("pack", "--from", unpacked, "-o", bundle, "--json"))
        (build,) = table["manifest"]["build"]
        assert build["needs"]["glibc"]
        done = by_bundle(PYTHONS[0].path, bundle, "install", "--root", root, "--no-bin")
        assert done.status == 0, done
        tree = only_build(root)
        check_starts(tree)
        check_sysconfig(tree)
        check_no_leftovers(tree)
        check_config(tree)
        check_records(tree)
        kitbag("verify", "--root", root)

    def test_only_its_own_files(self, unpacked: Path, tmp_path: Path) -> None:
        """What a person added to the source stays there."""
        mine = Path(shutil.copytree(unpacked, tmp_path / "mine", symlinks=True))
        (library,) = mine.glob("lib/python3.*")
        for path in (
            *("site-packages/foreign/__init__.py", "site-packages/start.pth"),
            *("sitecustomize.py", "__pycache__/os.cpython-399.pyc", "EXTERNALLY-MANAGED"),
        ):
            (library / path).parent.mkdir(exist_ok=True)
            (library / path).write_text("print('added')\n")
        for path in ("bin/of-a-person", "etc/settings", ".kitbag/receipt.json"):
            (mine / path).parent.mkdir(exist_ok=True)
            (mine / path).write_text("added\n")
        tables = [
            json.loads(kitbag("pack", "--from", each, "-o", tmp_path / f"{n}.kitbag", "--json"))
            for n, each in enumerate((unpacked, mine))
        ]
        first, second = (table["manifest"]["build"][0]["payload"] for table in tables)
        assert first["tar-sha256"] == second["tar-sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("one", PYTHONS, ids=lambda one: one.full_version)
class TestInstalledPythons:
    """Every CPython of this machine, taken apart and put together elsewhere."""

    def test_journey(self, one: Interpreter, tmp_path: Path) -> None:
        require_command("cc")
        bundle = tmp_path / "tools.kitbag"
        kitbag("pack", "--from", one.prefix if one.version[1] % 2 else one.path, "-o", bundle)
        first, second = tmp_path / ODD / "root", tmp_path / "second"
        done = by_bundle(PYTHONS[0].path, bundle, "install", "--root", first, "--no-bin")
        assert done.status == 0, done
        tree = only_build(first)
        check_all(tree, tmp_path / "work in an odd root")
        first.rename(second)
        kitbag("relocate", "--root", second)
        tree = only_build(second)
        check_all(tree, tmp_path / "work")
        check_extension_from_sdist(tree, tmp_path / "work")
        kitbag("verify", "--root", second)
        # Nothing in any text leads back to where it came from.
        own = [path for path, text in tree.texts() if str(one.prefix) in text]
        assert not own
        shutil.rmtree(tmp_path)


@pytest.mark.slow
class TestDistribution:
    """Debian's Python, which shares /usr, has no pip and is patched."""

    @pytest.fixture
    def debian(self) -> Interpreter:
        found = probe(DEBIAN) if DEBIAN.exists() else None
        require(found and str(found.prefix) == "/usr", "needs a distribution's Python in /usr/bin")
        assert found is not None
        return found

    def test_journey(self, debian: Interpreter, tmp_path: Path) -> None:
        bundle = tmp_path / "tools.kitbag"
        done = call("pack", "--from", debian.path, "-o", bundle)
        assert_done(done)
        lines = done.err.splitlines()
        assert len([line for line in lines if "no pip" in line]) == 1
        assert all(line.startswith("kitbag: ") for line in lines)
        for root in (tmp_path / ODD / "root", tmp_path / "root"):
            done = by_bundle(DEBIAN, bundle, "install", "--root", root, "--no-bin")
            assert done.status == 0, done
            tree = only_build(root)
            check_starts(tree)
            check_no_leftovers(tree)
            if (tree.home / "include" / f"python{tree.minor}" / "Python.h").exists():
                check_sysconfig(tree)
                check_config(tree)
                check_compiles(tree, tmp_path / f"work {root.parent.name}")
            place = tmp_path / "environment" / root.parent.name
            run(tree.python, "-m", "venv", "--without-pip", place)
            code = "import sys; print(sys.base_prefix)"
            assert run(place / "bin" / "python", "-c", code).out == f"{tree.home}\n"
            kitbag("verify", "--root", root)

    def test_virtual_environment_means_its_base(self, tmp_path: Path) -> None:
        require(sys.prefix != sys.base_prefix, "needs tests that run in a virtual environment")
        tables = []
        for number, python in enumerate((Path(sys.executable), PYTHONS[0].path)):
            bundle = tmp_path / f"{number}.kitbag"
            tables.append(json.loads(kitbag("pack", "--from", python, "-o", bundle, "--json")))
        assert tables[0]["sha256"] == tables[1]["sha256"]


class Forms:
    """The same small real build in every archive form, and what an install of it looks like."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def archive(self, suffix: str) -> Path:
        (path,) = (
            each for each in self.folder.iterdir() if each.name.endswith(f"stripped{suffix}")
        )
        return path

    @classmethod
    def make(cls, folder: Path, one: Interpreter) -> None:
        name = f"cpython-{one.full_version}+20260101-{one.triple}-install_only_stripped"
        for suffix in (".zip", ".7z"):
            shutil.copy(cls.other_form(one, name, suffix), folder)
        for suffix in (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst"):
            frames = 5 if suffix == ".tar.zst" else 1
            make_pbs_archive(one, folder, slim=True, compression=suffix, frames=frames)
        root = folder / "root"
        kitbag("pack", "--from", folder / f"{name}.tar.gz", "-o", folder / "plain.kitbag")
        kitbag("install", folder / "plain.kitbag", "--root", root, "--no-bin")
        root.rename(folder / "expected")

    @staticmethod
    def other_form(one: Interpreter, name: str, suffix: str) -> Path:
        def build(path: Path) -> None:
            write_archive(below("python", pbs_members(one, slim=True)), path, suffix)

        key = [cache.digest_of_sources(*RECIPE), str(one.path), one.full_version, "slim", suffix]
        return cache.cached(key, name + suffix, build)


@pytest.fixture(scope="session")
def forms(tmp_path_factory: pytest.TempPathFactory, packable_interpreter: Interpreter) -> Forms:
    return Forms(
        shared(tmp_path_factory, "forms", lambda folder: Forms.make(folder, packable_interpreter))
    )


class TestForms:
    @pytest.mark.parametrize("suffix", [*BARE_FORMS, *LIBRARY_FORMS])
    def test_packs_shows_and_installs(self, forms: Forms, suffix: str, tmp_path: Path) -> None:
        """Whatever the form, the tree is the same, bit for bit, links and modes too."""
        archive = forms.archive(suffix)
        bundle = tmp_path / "tools.kitbag"
        kitbag("pack", "--from", archive, "-o", bundle)
        (build,) = json.loads(kitbag("show", bundle, "--json"))["build"]
        assert build["payload"]["member"] == f"archives/{archive.name}"
        assert (build["release"], build["flavor"]) == ("20260101", "install_only_stripped")
        assert "fits this host" in kitbag("show", bundle)
        kitbag("verify", bundle)
        # The path of a tree is in its files, so all of them are installed at the same one.
        root = forms.folder / "root"
        with exclusively(forms.folder):
            try:
                self.install(suffix, bundle, root)
                got = state(only_build(root))
            finally:
                shutil.rmtree(root, ignore_errors=True)
        assert got == state(only_build(forms.folder / "expected"))

    def install(self, suffix: str, bundle: Path, root: Path) -> None:
        arguments = ("install", bundle, "--root", root, "--no-bin")
        if suffix in BARE_FORMS:
            done = by_bundle(PYTHONS[0].path, bundle, *arguments[:1], *arguments[2:])
            assert done.status == 0, done
            return
        old = [one for one in PYTHONS if (3, 9) <= one.version < (3, 14)]
        if old:
            done = by_bundle(old[0].path, bundle, *arguments[:1], *arguments[2:])
            assert_refused(done, 5, suffix, LIBRARY_FORMS[suffix])
            assert not [each for each in root.glob("*") if not each.name.startswith(".")]
            assert not list(root.glob(".temp/*"))
        kitbag(*arguments)

    def test_full_archive(self, packable_interpreter: Interpreter, tmp_path: Path) -> None:
        """`python/install` below, PYTHON.json in front: what is beside the tree stays away."""
        archive = make_pbs_archive(
            packable_interpreter, slim=True, flavor="full", compression=".tar.zst", frames=3
        )
        bundle, root = tmp_path / "tools.kitbag", tmp_path / "root"
        table = json.loads(kitbag("pack", "--from", archive, "-o", bundle, "--json"))
        (build,) = table["manifest"]["build"]
        assert build["flavor"].endswith("full")
        assert build["payload"]["top"] == "python/install"
        kitbag("install", bundle, "--root", root, "--no-bin")
        tree = only_build(root)
        check_starts(tree)
        check_sysconfig(tree)
        check_no_leftovers(tree)
        assert {"build", "licenses", "PYTHON.json", "install"}.isdisjoint(os.listdir(tree.home))
        assert (tree.home / "lib" / f"libpython{tree.minor}.a").is_file()
        kitbag("verify", "--root", root)

    def test_name_that_tells_nothing(self, slim_archive: Path, tmp_path: Path) -> None:
        """The files inside tell the build; `--key` may say it, and what contradicts is refused."""
        mine = Path(shutil.copy(slim_archive, tmp_path / "build.tar.gz"))
        bundle = tmp_path / "tools.kitbag"
        key = f"cpython-{PYTHONS[0].full_version}-linux-{PYTHONS[0].machine}-gnu"
        tables = []
        for said in ((), ("--key", key)):
            out = kitbag("pack", "--from", mine, *said, "-o", bundle, "--json")
            tables.append(json.loads(out)["manifest"]["build"])
        assert tables[0] == tables[1]
        assert tables[0][0]["key"] == key
        assert tables[0][0]["payload"]["member"] == "archives/build.tar.gz"
        kitbag("install", bundle, "--root", tmp_path / "root", "--no-bin")
        check_starts(only_build(tmp_path / "root"))
        for wrong in (key.replace(PYTHONS[0].full_version, "3.99.1"), key.replace("-gnu", "-musl")):
            done = call("pack", "--from", mine, "--key", wrong, "-o", bundle)
            assert done.status in (2, 3), wrong
            assert len(done.errors) == 1
