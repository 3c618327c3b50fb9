"""The whole journey on real interpreters: pack, carry, install, use, move, look after, remove."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import extension
from support.bundled import tiny_bundle
from support.cli import assert_refused
from support.cli import run as run_kitbag
from support.installed import (
    Tree,
    check_all,
    check_compiles,
    check_config,
    check_extension_by_setuptools,
    check_extension_from_sdist,
    check_no_leftovers,
    check_records,
    check_scripts,
    check_starts,
    check_sysconfig,
    run,
)
from support.interpreters import Interpreter, find_interpreters
from support.journey import ODD, by_bundle, kitbag, only_build, shared_bundle
from support.pbs import make_pbs_archive
from support.require import require, require_command
from support.sharing import shared
from support.snapshots import dangling, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

TARGETS = find_interpreters((3, 9))
OTHERS = [one for one in find_interpreters((3, 8))[1:] if not one.unsuitable]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, pbs_archive: Path) -> Path:
    """A bundle of the full-size archive. Read only."""
    return shared_bundle(tmp_path_factory, "full.kitbag", pbs_archive)


@pytest.fixture(scope="session")
def slim_bundle(tmp_path_factory: pytest.TempPathFactory, slim_archive: Path) -> Path:
    """A bundle of the small real build. Read only."""
    return shared_bundle(tmp_path_factory, "slim.kitbag", slim_archive)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Tree:
    """The full-size build in a root with an everyday name. Only bytecode is added to it."""
    place = shared(
        tmp_path_factory,
        "plain",
        lambda folder: kitbag(
            "install", bundle, "--root", folder / "root", "--bin-dir", folder / "bin"
        ),
    )
    return only_build(place / "root")


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Tree:
    """The same in a root with blanks, quotes, a dollar and letters outside of ASCII."""

    place = shared(
        tmp_path_factory,
        "odd",
        lambda folder: kitbag(
            *("install", bundle, "--root", folder / ODD / "root", "--bin-dir", folder / ODD / "bin")
        ),
    )
    return only_build(place / ODD / "root")


class TestInstalled:
    """What the build that was installed can do, in a plain root and in an odd one."""

    @pytest.mark.parametrize("where", ["plain", "odd"])
    @pytest.mark.parametrize(
        "check", [check_starts, check_sysconfig, check_no_leftovers, check_config]
    )
    def test_tree(
        self, request: pytest.FixtureRequest, where: str, check: Callable[[Tree], object]
    ) -> None:
        check(request.getfixturevalue(where))

    @pytest.mark.parametrize("where", ["plain", "odd"])
    def test_records(self, request: pytest.FixtureRequest, where: str) -> None:
        assert check_records(request.getfixturevalue(where)) > 300

    @pytest.mark.parametrize("where", ["plain", "odd"])
    def test_scripts(self, request: pytest.FixtureRequest, where: str) -> None:
        check_scripts(request.getfixturevalue(where))

    @pytest.mark.parametrize("where", ["plain", "odd"])
    def test_compiles(self, request: pytest.FixtureRequest, where: str, tmp_path: Path) -> None:
        require_command("cc")
        check_compiles(request.getfixturevalue(where), tmp_path)

    def test_sdist_with_an_extension(self, plain: Tree, tmp_path: Path) -> None:
        require_command("cc")
        check_extension_from_sdist(plain, tmp_path)

    @pytest.mark.slow
    def test_sdist_with_an_extension_in_an_odd_root(self, odd: Tree, tmp_path: Path) -> None:
        """The environment's own path has no dollar: pip's scripts for it cannot have one."""
        require_command("cc")
        check_extension_from_sdist(odd, tmp_path / "ein Örtchen 東")

    @pytest.mark.parametrize("where", ["plain", "odd"])
    def test_setuptools(self, request: pytest.FixtureRequest, where: str, tmp_path: Path) -> None:
        tree = request.getfixturevalue(where)
        require_command("cc")
        brought = (tree.library / "site-packages" / "setuptools").is_dir()
        assert brought == (tree.key.version.minor < 12)
        if brought:
            check_extension_by_setuptools(tree, tmp_path)

    def test_externally_managed(self, plain: Tree) -> None:
        done = plain.command("pip", "install", "anything", status=1)
        assert "externally-managed-environment" in done.err
        assert "python -m venv" in done.err

    def test_what_upstream_tools_cannot_do_with_blanks(self, odd: Tree, tmp_path: Path) -> None:
        """A shell splits an unquoted `$(python3-config …)`, and make cannot name such a path."""
        require_command("cc")
        sources = extension.write_sources(tmp_path / "sources")
        config = shlex.quote(str(odd.home / "bin" / "python3-config"))
        source = f"{extension.NAME}.c"
        split = f"cc -fsyntax-only $({config} --includes) {source}"
        whole = f'eval "cc -fsyntax-only $({config} --includes) {source}"'
        assert run("sh", "-c", split, status=None, cwd=sources).status != 0
        run("sh", "-c", whole, cwd=sources)

    def test_config_without_quotes_in_a_plain_root(self, plain: Tree, tmp_path: Path) -> None:
        require_command("cc")
        sources = extension.write_sources(tmp_path / "sources")
        config = plain.home / "bin" / "python3-config"
        command = f"cc $({config} --cflags) -fPIC -c {extension.NAME}.c"
        run("sh", "-c", command, cwd=sources)

    def test_make_reads_the_makefile(self, plain: Tree, tmp_path: Path) -> None:
        make = require_command("make")
        (makefile,) = plain.library.glob("config-*/Makefile")
        mine = tmp_path / "Makefile"
        mine.write_text(f"include {makefile}\nshow:\n\t@echo '$(LIBDIR)|$(CC)|$(INCLUDEPY)'\n")
        out = run(make, "-s", "-f", mine, "show").out.strip().split("|")
        assert out[0] == f"{plain.home}/lib"
        assert out[1].split()[0] in ("cc", "gcc")
        assert out[2] == f"{plain.home}/include/python{plain.minor}"

    def test_pkgconfig(self, plain: Tree, odd: Tree) -> None:
        for tree in (plain, odd):
            home = str(tree.home)
            names = {each.name for each in (tree.home / "lib" / "pkgconfig").iterdir()}
            assert {
                "python3.pc",
                f"python-{tree.minor}.pc",
                f"python-{tree.minor}-embed.pc",
            } <= names
            for name in names:
                values = pkgconfig_values(tree.home / "lib" / "pkgconfig" / name)
                assert os.path.normpath(values["prefix"]) == home
                assert os.path.normpath(values["libdir"]) == f"{home}/lib"
                include = values["Cflags"].removeprefix("-I")
                assert os.path.normpath(include) == f"{home}/include/python{tree.minor}"


def pkgconfig_values(path: Path) -> dict[str, str]:
    """Read a `.pc` file as pkg-config does; blanks stay as they are."""
    values = {"pcfiledir": str(path.parent)}
    for line in path.read_text().splitlines():
        found = re.match(r"(\w+)[=:]\s*(.*)", line)
        if found:
            values[found[1]] = re.sub(r"\$\{(\w+)\}", lambda use: values[use[1]], found[2])
    return values


class TestBareTargets:
    """`python3 tools.kitbag install` where there is nothing but some Python."""

    def journey(self, python: Path, bundle: Path, tmp_path: Path) -> None:
        root = tmp_path / "root"
        done = by_bundle(python, bundle, "install", "--root", root, "--bin-dir", tmp_path / "bin")
        assert done.status == 0, done
        tree = only_build(root)
        assert done.out.startswith("Installed 1 build")
        code = "import sys; print(sys.prefix)"
        assert run(tree.python, "-c", code).out == f"{tree.home}\n"
        # The folders of the Python that did it know nothing of kitbag, before or after.
        assert by_bundle(python, bundle, "verify").status == 0
        assert str(tree.key) in by_bundle(python, bundle, "show").out
        run(tmp_path / "bin" / "kitbag", "verify", "--root", root)

    def test_quick(self, slim_bundle: Path, tmp_path: Path) -> None:
        self.journey(TARGETS[0].path, slim_bundle, tmp_path)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "one", TARGETS[1:], ids=lambda one: f"{one.full_version}-{one.path.parts[1]}"
    )
    def test_every_python(self, one: Interpreter, slim_bundle: Path, tmp_path: Path) -> None:
        self.journey(one.path, slim_bundle, tmp_path)

    def test_no_verb_means_install(self, slim_bundle: Path, home: Path) -> None:
        done = by_bundle(TARGETS[0].path, slim_bundle)
        assert done.status == 0, done
        tree = only_build(home / ".local" / "share" / "kitbag" / "python")
        assert (home / ".local" / "bin" / f"python{tree.minor}").exists()

    def test_unzipped_bundle(self, slim_bundle: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(slim_bundle) as archive:
            archive.extractall(tmp_path / "unzipped")
        root = tmp_path / "root"
        for each in (tmp_path / "unzipped", tmp_path / "unzipped" / "__main__.py"):
            done = by_bundle(TARGETS[0].path, each, "install", "--root", root, "--no-bin")
            assert done.status == 0, done
        check_sysconfig(only_build(root))

    def test_without_any_network(self, slim_bundle: Path, tmp_path: Path) -> None:
        unshare = require_command("unshare")
        cage = (unshare, "-n") if os.geteuid() == 0 else (unshare, "-r", "-n")
        able = subprocess.run([*cage, "true"], capture_output=True).returncode == 0
        require(able, "may not make a network namespace")
        seen = subprocess.run(
            [*cage, sys.executable, "-c", "import socket; print(socket.if_nameindex())"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert seen.stdout.strip() == "[(1, 'lo')]"
        root = tmp_path / "root"
        arguments = ("install", "--root", root, "--bin-dir", tmp_path / "bin")
        done = by_bundle(TARGETS[0].path, slim_bundle, *arguments, before=cage)
        assert done.status == 0, done
        run(*cage, tmp_path / "bin" / "kitbag", "verify", "--root", root)

    def test_old_python_says_so(self, slim_bundle: Path) -> None:
        old = [one for one in find_interpreters((3, 8)) if one.version < (3, 9)]
        require(old, "needs a Python older than 3.9")
        done = by_bundle(old[0].path, slim_bundle, "install")
        assert done.status == 5
        assert "3.9" in done.err
        assert "Traceback" not in done.err


class TestMoves:
    """mv, relocate, and everything is as after the install; twice."""

    def use(self, tree: Tree, folder: Path) -> None:
        check_starts(tree)
        check_sysconfig(tree)
        check_no_leftovers(tree)
        check_config(tree)
        check_records(tree)
        assert tree.command("pip", "--version").out.endswith(f"(python {tree.minor})\n")
        check_compiles(tree, folder)

    def test_twice(self, bundle: Path, tmp_path: Path) -> None:
        require_command("cc")
        first = tmp_path / "first"
        places = [first, tmp_path / ODD / "second", tmp_path / "third"]
        kitbag(
            *("install", bundle, "--root", first / "python", "--bin-dir", first / "bin"),
            "--no-externally-managed",
        )
        tree = only_build(first / "python")
        wheel = tmp_path / "wheel"
        run(tree.python, "-m", "pip", "wheel", "--quiet", "-w", wheel,
            extension.write_sdist(tmp_path / "sdist"))  # fmt: skip
        run(tree.python, "-m", "pip", "install", "--quiet", *wheel.iterdir())
        assert run(tree.home / "bin" / "kitbag-probe", status=1).err.strip() == str(
            tree.key.version
        )
        for old, new in itertools.pairwise(places):
            new.parent.mkdir(exist_ok=True)
            old.rename(new)
            tree = only_build(new / "python")
            problem = json.loads(kitbag("installed", "--root", new / "python", "--json"))
            assert "kitbag relocate" in problem["builds"][0]["problem"]
            (row,) = json.loads(kitbag("relocate", "--root", new / "python", "--json"))["builds"]
            assert row["rewritten"] > 5
            assert row["home"] == str(tree.home)
            assert row["old-home"] == str(old / "python" / tree.home.name)
            self.use(tree, tmp_path / f"work in {new.name}")
            # A script that pip made for the package of a person, after the install.
            done = run(tree.home / "bin" / "kitbag-probe", status=1)
            assert done.err.strip() == str(tree.key.version)
            # The bin directory moved along: its links and kitbag's command lead to the new root.
            assert not dangling(new)
            code = "import os, sys; print(os.path.realpath(sys.prefix))"
            out = run(new / "bin" / f"python{tree.minor}", "-c", code).out
            assert out == f"{tree.home}\n"
            assert str(new) in run(new / "bin" / "kitbag", "installed").out
            kitbag("verify", "--root", new / "python")
            again = json.loads(kitbag("relocate", "--root", new / "python", "--json"))
            assert again["builds"][0]["rewritten"] == 0
        scan = [text for path, text in tree.texts() if str(first) in text and ".kitbag" not in path]
        assert not scan

    def test_same_files_as_a_fresh_install(self, slim_bundle: Path, tmp_path: Path) -> None:
        """Moving there and installing there end with the same bytes."""
        kitbag("install", slim_bundle, "--root", tmp_path / "a", "--no-bin")
        (tmp_path / "a").rename(tmp_path / "b")
        kitbag("relocate", "--root", tmp_path / "b")
        moved = snapshot(only_build(tmp_path / "b").home)
        shutil.rmtree(tmp_path / "b")
        kitbag("install", slim_bundle, "--root", tmp_path / "b", "--no-bin")
        assert moved == snapshot(only_build(tmp_path / "b").home)

    def test_links_in_a_bin_directory_that_stays(self, slim_bundle: Path, tmp_path: Path) -> None:
        bin_dir = tmp_path / "bin"
        kitbag(
            *("install", slim_bundle, "--root", tmp_path / "a", "--bin-dir", bin_dir, "--default")
        )
        (tmp_path / "a").rename(tmp_path / "b")
        run("sh", "-c", '"$0" -c pass', bin_dir / "python3", status=127)
        kitbag("relocate", "--root", tmp_path / "b")
        assert not dangling(bin_dir)
        tree = only_build(tmp_path / "b")
        for name in ("python", "python3", f"python{tree.minor}"):
            code = "import os, sys; print(os.path.realpath(sys.prefix))"
            assert run(bin_dir / name, "-c", code).out == f"{tree.home}\n"
        assert str(tree.home) in run(bin_dir / "kitbag", "installed").out


class TestVerbs:
    """Selecting, repeating, reporting, removing; on builds of twenty files."""

    @pytest.fixture
    def many(self, tmp_path: Path) -> Path:
        return tiny_bundle(tmp_path / "many.kitbag", "3.12.9", "3.13.4", "3.13.5", "3.13.5t")

    def names(self, root: Path) -> list[str]:
        rows = json.loads(kitbag("installed", "--root", root, "--json"))["builds"]
        return [row["key"].split("-")[1] for row in rows]

    @pytest.mark.parametrize(
        ("requests", "expected"),
        [
            (["3.12"], ["3.12.9"]),
            (["3.13"], ["3.13.5"]),
            (["3.13.4"], ["3.13.4"]),
            (["3.13t"], ["3.13.5+freethreaded"]),
            (["3.12", "3.13.4"], ["3.12.9", "3.13.4"]),
            (["cpython@3.12"], ["3.12.9"]),
            (["latest"], ["3.13.5"]),
            ([">=3.12,<3.13"], ["3.12.9"]),
            (["3.12", "3.12.9"], ["3.12.9"]),
            ([], ["3.12.9", "3.13.4", "3.13.5", "3.13.5+freethreaded"]),
        ],
        ids=" ".join,
    )
    def test_requests(
        self, many: Path, requests: list[str], expected: list[str], tmp_path: Path
    ) -> None:
        root = tmp_path / "root"
        kitbag("install", many, *requests, "--root", root, "--no-bin")
        assert sorted(self.names(root)) == expected

    def test_nothing_matches(self, many: Path, tmp_path: Path) -> None:
        done = run_kitbag("install", many, "3.9", "--root", tmp_path / "root")
        assert_refused(done, 4, "3.9", "3.13.5")
        assert not (tmp_path / "root").exists()

    @pytest.mark.parametrize("jobs", ["1", "2", "7"])
    def test_several_at_once(self, many: Path, tmp_path: Path, jobs: str) -> None:
        root = tmp_path / "root"
        options = ("--root", root, "--bin-dir", tmp_path / "bin", "--jobs", jobs, "--json")
        table = json.loads(kitbag("install", many, *options))
        assert [row["action"] for row in table["builds"]] == ["installed"] * 4
        assert all(row["rewritten"] > 3 for row in table["builds"])
        assert set(table["minor-links"]) == {
            str(link) for link in root.iterdir() if link.is_symlink()
        }
        assert not dangling(tmp_path)
        links = {Path(path).name: target for path, target in table["links"].items()}
        assert set(links) == {"python3.12", "python3.13", "python3.13t"}
        assert os.path.realpath(links["python3.13"]).startswith(f"{root}/cpython-3.13.5-")
        kitbag("verify", "--root", root)

    def test_already_installed(self, many: Path, tmp_path: Path) -> None:
        options = ("--root", tmp_path / "root", "--bin-dir", tmp_path / "bin")
        kitbag("install", many, "3.12", *options)
        before = snapshot(tmp_path)
        out = kitbag("install", many, "3.12", *options)
        (line,) = out.splitlines()
        assert "3.12.9" in line
        assert "is already installed" in line
        assert snapshot(tmp_path) == before

    def test_reinstall(self, many: Path, tmp_path: Path) -> None:
        root = tmp_path / "root"
        kitbag("install", many, "3.12", "--root", root, "--no-bin")
        home = next(root.glob("cpython-3.12.9-*"))
        (home / "lib" / "python3.12" / "os.py").write_text("broken")
        (home / "of a person").write_text("kept nowhere")
        (row,) = json.loads(
            kitbag("install", many, "3.12", "--root", root, "--no-bin", "--reinstall", "--json")
        )["builds"]
        assert row["action"] == "reinstalled"
        assert not (home / "of a person").exists()
        kitbag("verify", "--root", root)
        out = kitbag("install", many, "3.12", "--root", root, "--no-bin", "--reinstall")
        assert f" ~ {home.name}" in out

    def test_default_and_no_bin(self, many: Path, tmp_path: Path) -> None:
        root, bin_dir = tmp_path / "root", tmp_path / "bin"
        kitbag("install", many, "--root", root, "--no-bin")
        assert not bin_dir.exists()
        assert (root / ".kitbag" / "kitbag.pyz").is_file()
        kitbag("install", many, "--root", root, "--bin-dir", bin_dir, "--default")
        assert {each.name for each in bin_dir.iterdir()} == {
            *("kitbag", "python", "python3", "python3.12", "python3.13", "python3.13t"),
            *("python3t", "pythont"),
        }
        for name in ("python", "python3", "python3.13"):
            assert "cpython-3.13.5-" in os.path.realpath(bin_dir / name)

    def test_files_of_others_in_the_bin_directory(self, many: Path, tmp_path: Path) -> None:
        bin_dir = tmp_path / "bin"
        bin_dir.mkdir()
        (bin_dir / "python3.12").write_text("#!/bin/sh\n")
        (bin_dir / "kitbag").write_text("another program\n")
        options = ("--root", tmp_path / "root", "--bin-dir", bin_dir)
        done = run_kitbag("install", many, "3.12", *options)
        assert done.status == 0
        assert "left alone" in done.err
        assert "--force" in done.err
        assert (bin_dir / "python3.12").read_text() == "#!/bin/sh\n"
        assert (bin_dir / "kitbag").read_text() == "another program\n"
        kitbag("install", many, "3.12", *options, "--force")
        assert (bin_dir / "python3.12").is_symlink()
        assert "kitbag.pyz" in (bin_dir / "kitbag").read_text()

    def test_report(self, slim_bundle: Path, tmp_path: Path) -> None:
        """Every digest in the report is the digest of those bytes, found by other means."""
        report = tmp_path / "report.json"
        root = tmp_path / "root"
        kitbag("install", slim_bundle, "--root", root, "--no-bin", "--report", report)
        table = json.loads(report.read_text())
        tree = only_build(root)
        with zipfile.ZipFile(slim_bundle) as archive:
            for name, digest in table["members"].items():
                assert hashlib.sha256(archive.read(name)).hexdigest() == digest, name
            manifest = tomllib.loads(archive.read("manifest.toml").decode())
        (row,) = table["builds"]
        assert row["archive"]["sha256"] == manifest["build"][0]["payload"]["sha256"]
        changed = set()
        for path, digest in row["checked"].items():
            if hashlib.sha256((tree.home / path).read_bytes()).hexdigest() != digest:
                changed.add(path)
        assert len(row["checked"]) > 300
        assert len(changed) == row["rewritten"]
        receipt = json.loads((tree.home / ".kitbag" / "receipt.json").read_text())
        assert set(receipt["changed"]) == changed
        for path, digest in {**receipt["changed"], **receipt["added"]}.items():
            assert hashlib.sha256((tree.home / path).read_bytes()).hexdigest() == digest

    def test_show(self, many: Path, slim_bundle: Path, slim_archive: Path) -> None:
        table = json.loads(kitbag("show", many, "--json"))
        assert sorted(build["version"] for build in table["build"]) == [
            *("3.12.9", "3.13.4", "3.13.5", "3.13.5")
        ]
        table = json.loads(kitbag("show", slim_bundle, "--json"))
        (build,) = table["build"]
        digest = hashlib.sha256(slim_archive.read_bytes()).hexdigest()
        assert build["payload"]["sha256"] == digest
        assert build["payload"]["size"] == slim_archive.stat().st_size
        assert table["fits"] == {build["key"]: True}
        assert table["members"][build["payload"]["member"]] == slim_archive.stat().st_size
        text = kitbag("show", slim_bundle)
        assert digest in text
        assert "fits this host" in text
        assert build["key"] in text

    def test_verify(self, many: Path, tmp_path: Path) -> None:
        assert "sound" in kitbag("verify", many)
        table = json.loads(kitbag("verify", many, "--json"))
        assert table["sha256"] == hashlib.sha256(many.read_bytes()).hexdigest()
        assert table["size"] == many.stat().st_size
        root = tmp_path / "root"
        kitbag("install", many, "3.12", "3.13.5", "--root", root, "--no-bin")
        home = next(root.glob("cpython-3.12.9-*"))
        (home / "lib" / "python3.12" / "os.py").write_text("changed")
        (home / "lib" / "python3.12" / "LICENSE.txt").unlink()
        (home / "new").touch()
        done = run_kitbag("verify", "--root", root, "--json")
        assert done.status == 3
        rows = {row["key"].split("-")[1]: row for row in json.loads(done.out)["builds"]}
        assert rows["3.12.9"]["changed"] == ["lib/python3.12/os.py"]
        assert rows["3.12.9"]["missing"] == ["lib/python3.12/LICENSE.txt"]
        assert rows["3.12.9"]["extra"] == ["new"]
        assert rows["3.13.5"]["sound"]
        kitbag("verify", "--root", root, "3.13")

    def test_uninstall_turns_the_minor_link(self, many: Path, tmp_path: Path) -> None:
        root, bin_dir = tmp_path / "root", tmp_path / "bin"
        kitbag("install", many, "--root", root, "--bin-dir", bin_dir)
        link = next(each for each in root.iterdir() if each.name.startswith("cpython-3.13-"))
        assert "cpython-3.13.5-" in os.readlink(link)
        table = json.loads(kitbag("uninstall", "3.13.5", "--root", root, "--json"))
        assert [key.split("-")[1] for key in table["removed"]] == ["3.13.5"]
        assert "cpython-3.13.4-" in os.readlink(link)
        assert "cpython-3.13.4-" in os.path.realpath(bin_dir / "python3.13")
        assert (bin_dir / "python3.13t").exists()
        assert not dangling(tmp_path)
        kitbag("uninstall", "3.13.4", "--root", root)
        assert not os.path.lexists(link)
        assert not os.path.lexists(bin_dir / "python3.13")
        assert not dangling(tmp_path)
        assert_refused(run_kitbag("uninstall", "3.13.4", "--root", root), 4, "3.13.4", "3.12.9")
        kitbag("uninstall", "--all", "--root", root)
        assert not bin_dir.exists()
        assert not root.exists()


class TestLauncher:
    """The kitbag that stays in the bin directory when the stick is gone."""

    def test_looks_after_the_root(
        self, slim_bundle: Path, tmp_path: Path, packable_interpreter: Interpreter
    ) -> None:
        root, bin_dir = tmp_path / ODD / "root", tmp_path / "bin"
        stick = Path(shutil.copy(slim_bundle, tmp_path / "stick.kitbag"))
        kitbag("install", stick, "--root", root, "--bin-dir", bin_dir)
        stick.unlink()
        command = bin_dir / "kitbag"
        tree = only_build(root)
        assert run(command, "--version").out.startswith("kitbag ")
        assert str(tree.home) in run(command, "installed").out
        assert "sound" in run(command, "verify", "--root", root).out
        assert "where it was installed" in run(command, "relocate").out
        run(command, "show", slim_bundle)
        run(command, "install", slim_bundle, "--reinstall", "--bin-dir", bin_dir)
        before = snapshot(tree.home)
        assert not list(tree.home.rglob("__pycache__"))
        link = tmp_path / "elsewhere"
        link.symlink_to(command)
        run(link, "verify", "--root", root)
        assert snapshot(tree.home) == before
        # The interpreter that runs this is the one that goes.
        done = run(command, "uninstall", "--all")
        assert done.err == ""
        assert not root.exists()
        assert not bin_dir.exists()

    def test_two_builds(self, slim_bundle: Path, tmp_path: Path) -> None:
        """One of two builds goes; the launcher goes on with the other."""
        bin_dir, root = tmp_path / "bin", tmp_path / "root"
        kitbag("install", slim_bundle, "--root", root, "--bin-dir", bin_dir)
        tree = only_build(root)
        other = tiny_bundle(tmp_path / "tiny.kitbag", "3.8.5")
        run(bin_dir / "kitbag", "install", other, "--bin-dir", bin_dir)
        run(bin_dir / "kitbag", "uninstall", "3.8")
        assert str(tree.home) in run(bin_dir / "kitbag", "installed").out


@pytest.mark.slow
@pytest.mark.parametrize("one", OTHERS, ids=lambda one: one.full_version)
class TestEveryVersion:
    """All of it for each CPython of this machine, in an odd root, moved to a plain one."""

    def test_journey(self, one: Interpreter, tmp_path: Path) -> None:
        require_command("cc")
        bundle = tmp_path / "tools.kitbag"
        kitbag("pack", "--from", make_pbs_archive(one), "-o", bundle)
        first, second = tmp_path / ODD / "root", tmp_path / "second"
        done = by_bundle(TARGETS[-1].path, bundle, "install", "--root", first, "--no-bin")
        assert done.status == 0, done
        check_all(only_build(first), tmp_path / "work in an odd root")
        first.rename(second)
        kitbag("relocate", "--root", second)
        tree = only_build(second)
        check_all(tree, tmp_path / "work")
        check_extension_from_sdist(tree, tmp_path / "work")
        if one.version < (3, 12):
            check_extension_by_setuptools(tree, tmp_path / "work")
        kitbag("verify", "--root", second)
        kitbag("uninstall", "--all", "--root", second)
        assert not second.exists()
        shutil.rmtree(tmp_path)


def test_venv_through_the_bin_link(plain: Tree, tmp_path: Path) -> None:
    """A person takes the name on PATH."""
    command = plain.home.parent.parent / "bin" / f"python{plain.minor}"
    run(command, "-m", "venv", "--without-pip", tmp_path / "environment")
    code = "import os, sys; print(os.path.realpath(sys.base_prefix))"
    assert run(tmp_path / "environment" / "bin" / "python", "-c", code).out == f"{plain.home}\n"


def test_venv_outlives_a_patch(slim_bundle: Path, tmp_path: Path) -> None:
    """One made through the minor link goes on with the patch that the link leads to then."""
    root = tmp_path / "root"
    kitbag("install", slim_bundle, "--root", root, "--no-bin")
    tree = only_build(root)
    (link,) = (each for each in root.iterdir() if each.is_symlink())
    place = tmp_path / "environment"
    run(link / "bin" / f"python{tree.minor}", "-m", "venv", "--without-pip", place)
    assert f"home = {link}/bin\n" in (place / "pyvenv.cfg").read_text()
    # The real build under a higher patch's name stands in for the next one.
    newer = root / tree.home.name.replace(str(tree.key.version), f"{tree.minor}.99")
    shutil.copytree(tree.home, newer, symlinks=True)
    shutil.rmtree(newer / ".kitbag")
    kitbag("uninstall", str(tree.key.version), "--root", root)
    assert os.readlink(link) == str(newer)
    code = "import os, sys; print(os.path.realpath(sys.base_prefix))"
    assert run(place / "bin" / "python", "-c", code).out == f"{newer}\n"
