"""kitbag beside the real uv: the same archive at the same path, roots that both use, both locks."""

from __future__ import annotations

import ast
import configparser
import contextlib
import csv
import fcntl
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.cli import assert_refused, finish, run, start
from support.installed import (
    PREFIX,
    Tree,
    check_config,
    check_no_leftovers,
    check_records,
    check_starts,
    check_sysconfig,
)
from support.interpreters import Interpreter, find_interpreters
from support.journey import kitbag
from support.members import below, write_archive
from support.neighbours import Both
from support.pbs import make_pbs_archive, pbs_members
from support.sharing import exclusively, shared
from support.snapshots import snapshot
from support.uvtool import Uv, list_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Sides(NamedTuple):
    """The trees that the two made of one archive at one path, and the archive's own."""

    home: Path  # where both were installed; nothing is there any more
    pristine: Path
    ours: Path
    uvs: Path

    @property
    def tree(self) -> Tree:
        return Tree(self.ours / self.home.name)


def make_sides(place: Path, archive: Path, interpreter: Interpreter) -> Sides:
    """Install `archive` with uv and with kitbag at one path, one after the other."""
    root = place / "root"
    uv = Uv.at(root, place / "uv", list_entry(archive, interpreter))
    uv.python("install", interpreter.minor)
    root.rename(place / "by-uv")
    kitbag("pack", "--from", archive, "-o", place / "bundle.kitbag")
    kitbag("install", place / "bundle.kitbag", "--root", root, "--bin-dir", place / "bin")
    root.rename(place / "by-kitbag")
    shutil.unpack_archive(archive, place / "pristine", "gztar")
    return sides_in(place)


def sides_in(place: Path) -> Sides:
    ours = place / "by-kitbag"
    key = next(each.name for each in ours.iterdir() if each.is_dir() and "-linux-" in each.name)
    return Sides(place / "root" / key, place / "pristine" / "python", ours, place / "by-uv")


@pytest.fixture
def sides(
    tmp_path_factory: pytest.TempPathFactory,
    pbs_archive: Path,
    packable_interpreter: Interpreter,
) -> Iterator[Sides]:
    """Both trees of the full-size archive, for one test at a time: some move them for a while."""
    place = shared(
        tmp_path_factory,
        "against-uv",
        lambda folder: make_sides(folder, pbs_archive, packable_interpreter),
    )
    with exclusively(place):
        yield sides_in(place)


def sysconfig_values(library: Path) -> dict[str, str | int]:
    (path,) = library.glob("_sysconfigdata_*.py")
    text = path.read_text()
    values: dict[str, str | int] = ast.literal_eval(text[text.index("{") :])
    return values


def squeezed(value: str | int | None) -> str | int | None:
    return " ".join(value.split()) if isinstance(value, str) else value


def leads_to(command: Path) -> str:
    """Where a name in a bin directory leads: a link, or kitbag's script where a link misleads."""
    if command.is_symlink():
        return os.readlink(command)
    word, target, rest = shlex.split(command.read_text().splitlines()[-1])
    assert (word, rest) == ("exec", "$@")
    return target


# Which files kitbag changes and uv does not, by the rule that changes them. Each rule is a pattern
# of paths, and what is still the same in a file after it.


def body(text: str) -> str:
    """A script without the lines that find its interpreter."""
    lines = text.split("\n")
    if lines[0] == "#!/bin/sh" and lines[1].startswith("'''exec'"):
        return "\n".join(lines[3:])
    return "\n".join(lines[1:])


def only_the_header(before: str, after: str, home: str) -> bool:
    header = after.split("\n", maxsplit=1)[0]
    return header.startswith(f"#!{home}/bin/python") and body(before) == body(after)


def finds_itself(before: str, after: str, home: str) -> bool:
    return "/install" in before and "/install" not in after and home not in after


def quotes_flags(before: str, after: str, home: str) -> bool:
    kept = [line for line in body(before).split("\n") if line in after.split("\n")]
    return only_the_header(before, after, home) or len(kept) > 20


def lines_of_the_build(before: str, after: str, home: str) -> bool:
    """Only lines that name the prefix, the build machine or its tools differ."""
    old, new = before.split("\n"), after.split("\n")
    named = re.compile(r"/install|/build|/tools|clang|llvm|abs_srcdir|abs_builddir|\t  +|  ")
    return len(old) == len(new) and all(
        named.search(one) for one, other in zip(old, new, strict=True) if one != other
    )


def rows_of_the_changed(before: str, after: str, home: str) -> bool:
    old, new = ({row[0]: row[1:] for row in csv.reader(io.StringIO(t))} for t in (before, after))
    different = {path for path in old if old[path] != new[path]}
    return list(old) == list(new) and all(path.startswith("../../../bin/") for path in different)


class Rule(NamedTuple):
    name: str
    paths: str
    keeps: Callable[[str, str, str], bool]


RULES = (
    Rule("an absolute shebang", r"bin/(pip|pip3|pip3\.\d+|idle3\.\d+|pydoc3\.\d+|2to3-3\.\d+)",
         only_the_header),
    Rule("an absolute shebang in the library", r"lib/python3\.\d+/cgi\.py", only_the_header),
    Rule("python-config finds its own place", r"bin/python3\.\d+-config", finds_itself),
    Rule("python-config quotes its flags", r"lib/python3\.\d+/config-[^/]+/python-config\.py",
         quotes_flags),
    Rule("the Makefile is right", r"lib/python3\.\d+/config-[^/]+/Makefile", lines_of_the_build),
    Rule("RECORD tells the truth", r"lib/python3\.\d+/site-packages/[^/]+\.dist-info/RECORD",
         rows_of_the_changed),
)  # fmt: skip
# What both write anew: compared by meaning and not by bytes.
BY_MEANING = re.compile(
    r"lib/python3\.\d+/(_sysconfigdata_[^/]+\.py|EXTERNALLY-MANAGED)|lib/pkgconfig/[^/]+\.pc"
)


def files_below(top: Path) -> dict[str, bytes]:
    return {
        path.relative_to(top).as_posix(): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink() and ".kitbag" not in path.parts
    }


# A record of the build, or a folder that only a build has: uv leaves them as they were, while
# kitbag takes the build machine out of them. In no other value that uv leaves alone we differ.
NEUTRALISED = {
    "CONFIG_ARGS": "the home in --prefix; options that name /tools are gone",
    "COVERAGE_INFO": "lay in the build folder",
    "COVERAGE_REPORT": "lay in the build folder",
    "LLVM_PROF_FILE": "lay in the build folder",
    "LLVM_PROF_MERGER": "a tool by its name; its output lay in the build folder",
    "MAINCC": "the build machine's compiler, as in CC",
    "PGO_PROF_USE_FLAG": "a profile in the build folder",
    "PYTHON_FOR_FREEZE": "an interpreter of the build machine",
    "PY_CFLAGS_NODIST": "a profile in the build folder",
    "RUNSHARED": "a library path into the build folder",
    "TESTPYTHON": "a library path into the build folder",
    "TESTRUNNER": "a library path into the build folder",
    "TESTPYTHONOPTS": "a library path into the build folder",
    "abs_builddir": "the build folder",
    "abs_srcdir": "the build folder",
}


class TestSameArchiveSamePath:
    def test_files(self, sides: Sides) -> None:
        home = str(sides.home)
        pristine = files_below(sides.pristine)
        ours, uvs = (files_below(side / sides.home.name) for side in (sides.ours, sides.uvs))
        assert set(ours) == set(uvs)
        assert set(uvs) - set(pristine) == {
            "BUILD",
            next(path for path in uvs if path.endswith("/EXTERNALLY-MANAGED")),
        }
        assert ours["BUILD"] == uvs["BUILD"] == b"20260101"
        used = set()
        for path, data in uvs.items():
            if BY_MEANING.fullmatch(path):
                continue
            assert data == pristine.get(path, data), f"uv changes {path}: kitbag must know of it"
            if ours[path] == data:
                continue
            rules = [rule for rule in RULES if re.fullmatch(rule.paths, path)]
            assert rules, f"{path} differs from the archive by no rule"
            before, after = data.decode(), ours[path].decode()
            assert rules[0].keeps(before, after, home), (path, rules[0].name)
            used.add(rules[0].name)
        wanted = {rule.name for rule in RULES}
        if not any(path.endswith("/cgi.py") for path in uvs):
            wanted.remove("an absolute shebang in the library")
        assert used == wanted

    def test_modes_and_links(self, sides: Sides) -> None:
        ours, uvs = (
            {
                Path(path).relative_to(side).as_posix(): (thing.kind, thing.mode, thing.value)
                if thing.kind == "link"
                else (thing.kind, thing.mode, "")
                for path, thing in snapshot(side / sides.home.name).items()
                if ".kitbag" not in Path(path).parts
            }
            for side in (sides.ours, sides.uvs)
        )
        assert ours == uvs
        assert len(ours) > 2000

    def test_roots(self, sides: Sides) -> None:
        (link,) = (each for each in sides.uvs.iterdir() if each.is_symlink())
        assert os.readlink(sides.ours / link.name) == os.readlink(link) == str(sides.home)
        ours, uvs = ({p.name for p in side.iterdir()} for side in (sides.ours, sides.uvs))
        assert ours == uvs | {".kitbag"}
        assert (sides.ours / ".gitignore").read_bytes() == (sides.uvs / ".gitignore").read_bytes()
        assert not list((sides.ours / ".temp").iterdir())
        place = sides.home.parent.parent
        bins = [place / "bin", place / "uv" / "bin"]
        (name,) = (each.name for each in bins[1].iterdir())
        assert {each.name for each in bins[0].iterdir()} == {name, "kitbag"}
        assert leads_to(bins[0] / name) == leads_to(bins[1] / name)

    def test_sysconfig(self, sides: Sides) -> None:
        """What uv mends has the same value; what it does not is the same, or a named exception."""
        library = f"lib/python{sides.tree.minor}"
        pristine = sysconfig_values(sides.pristine / library)
        ours = sysconfig_values(sides.ours / sides.home.name / library)
        uvs = sysconfig_values(sides.uvs / sides.home.name / library)
        assert set(ours) == set(uvs) == {*pristine, "PYTHON_BUILD_STANDALONE"}
        mended = {n for n in uvs if squeezed(uvs[n]) != squeezed(pristine.get(n))}
        assert {"prefix", "CC", "CXX", "LDSHARED", "AR", "INCLUDEPY", "LIBDIR"} <= mended
        for name in mended:
            assert squeezed(ours[name]) == squeezed(uvs[name]), name
        different = {n for n in uvs if squeezed(ours[n]) != squeezed(uvs[n])}
        assert different <= set(NEUTRALISED)
        assert {"CONFIG_ARGS", "RUNSHARED", "abs_srcdir"} <= different
        assert ("MAINCC" in different) == ("MAINCC" in pristine)
        for name in different:
            assert not re.search(r"(?<![\w.-])/(install|build|tools)\b", str(ours[name])), name
        assert f"'--prefix={sides.home}'" in str(ours["CONFIG_ARGS"])
        # Everything in it that is not of the build machine is still there, in its order.
        kept = [
            w for w in str(uvs["CONFIG_ARGS"]).split("' '") if "/" not in w and "fdebug" not in w
        ]
        assert kept == [w for w in str(ours["CONFIG_ARGS"]).split("' '") if w in kept]

    def test_form_of_the_variables(self, sides: Sides) -> None:
        """The same header, layout and order: the file is one that uv reads and writes."""
        texts = []
        for side in (sides.ours, sides.uvs):
            library = side / sides.home.name / "lib" / f"python{sides.tree.minor}"
            (path,) = library.glob("_sysconfigdata_*.py")
            texts.append(path.read_text().split("\n"))
        assert [line.split(":")[0] for line in texts[0]] == [
            line.split(":")[0] for line in texts[1]
        ]

    def test_externally_managed(self, sides: Sides) -> None:
        for side in (sides.ours, sides.uvs):
            library = side / sides.home.name / "lib" / f"python{sides.tree.minor}"
            parser = configparser.ConfigParser()
            parser.read(library / "EXTERNALLY-MANAGED")
            assert list(parser["externally-managed"]) == ["error"]
            assert parser["externally-managed"]["error"]

    def test_uv_leaves_broken_what_we_mend(self, sides: Sides) -> None:
        """The same checks fail on uv's tree, so they are no blind ones."""
        for side, healthy in ((sides.ours, True), (sides.uvs, False)):
            with at_home(side, sides.home):
                tree = Tree(sides.home)
                check_starts(tree)
                check_config(tree)
                for check in (check_sysconfig, check_no_leftovers, check_records):
                    if healthy:
                        check(tree)
                    else:
                        with pytest.raises(AssertionError):
                            check(tree)
                config = (tree.home / "bin" / f"python{tree.minor}-config").read_text()
                assert bool(PREFIX.search(config)) != healthy
                makefile = next(tree.library.glob("config-*/Makefile")).read_text()
                assert (f"prefix=\t\t{sides.home}\n" in makefile) == healthy
                assert bool(re.search(r"^prefix=\s*/install$", makefile, re.MULTILINE)) != healthy
                assert ("clang" not in re.findall(r"^CC=.*$", makefile, re.MULTILINE)[0]) == healthy


@contextlib.contextmanager
def at_home(side: Path, home: Path) -> Iterator[None]:
    """Put a tree back to where it was installed for a while."""
    side.rename(home.parent)
    try:
        yield
    finally:
        home.parent.rename(side)


def older_members(interpreter: Interpreter) -> list[object]:
    """A build as upstream published it before 2025: `.pc` files and flags that name the prefix."""
    members = []
    for member in pbs_members(interpreter, slim=True):
        data = member.data
        if member.path.endswith(".pc"):
            data = data.replace(b"prefix=${pcfiledir}/../..\n", b"prefix=/install\n")
            data = data.replace(b"libdir=${exec_prefix}/lib", b"libdir=/install/lib")
        if "/_sysconfigdata_" in member.path:
            data = data.replace(
                b'"LIBS": "', b'"LIBS": "-L/install/lib -I/install/include -Wl,-rpath,/install/lib '
            )
        members.append(member._replace(data=data))
    return members


class TestOlderReleases:
    def test_pkgconfig_and_embedded_flags(
        self, tmp_path: Path, packable_interpreter: Interpreter
    ) -> None:
        one = packable_interpreter
        name = f"cpython-{one.full_version}+20240107-{one.triple}-install_only.tar.gz"
        members = below("python", older_members(one))  # type: ignore[arg-type]
        archive = write_archive(members, tmp_path / name, ".tar.gz")
        sides = make_sides(tmp_path, archive, one)
        ours, uvs = (files_below(side / sides.home.name) for side in (sides.ours, sides.uvs))
        paths = [path for path in uvs if path.endswith(".pc")]
        assert len(paths) == 2
        for path in paths:
            first, second = uvs[path].decode(), ours[path].decode()
            assert "prefix=${pcfiledir}/../..\n" in second
            # uv mends the one line and loses the last newline; the rest it leaves.
            assert "libdir=/install/lib" in first
            assert second == first.replace("/install", "${prefix}") + "\n"
        library = f"lib/python{one.minor}"
        flags = [
            str(sysconfig_values(side / sides.home.name / library)["LIBS"])
            for side in (sides.ours, sides.uvs)
        ]
        assert flags[1].startswith("-L/install/lib -I/install/include -Wl,-rpath,/install/lib")
        assert flags[0] == flags[1].replace("/install", str(sides.home))


@pytest.fixture
def both(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    slim_archive: Path,
    packable_interpreter: Interpreter,
) -> Both:
    return Both.at(tmp_path, tmp_path_factory, slim_archive, packable_interpreter)


class TestUvFindsOurs:
    def test_list_find_venv(self, both: Both, tmp_path: Path) -> None:
        both.install()
        assert both.listed() == [both.key]
        through_link = both.root / f"cpython-{both.minor}-{both.key.split('-', 2)[2]}"
        found = both.uv.python("find", both.minor, "--managed-python").strip()
        assert found == f"{through_link}/bin/python{both.minor}"
        exact = both.uv.python("find", both.key.split("-")[1], "--managed-python").strip()
        assert exact == f"{both.home}/bin/python{both.minor}"
        place = tmp_path / "environment"
        both.uv.run("venv", "--python", both.minor, "--managed-python", place)
        assert Path(both.prefix_of(place / "bin" / "python")).resolve() == both.home
        settings = (place / "pyvenv.cfg").read_text()
        assert f"home = {through_link}/bin\n" in settings

    def test_without_any_link(self, both: Both) -> None:
        """Also where only the tree is there, as uv knows a build by its folder's name."""
        both.install("--json")
        for link in both.root.iterdir():
            if link.is_symlink():
                link.unlink()
        assert both.listed() == [both.key]

    def test_adopting_changes_nothing_but_its_own_file(self, both: Both) -> None:
        """To uv ours is installed already: it goes over the files, and finds them right."""
        both.install()
        before = files_below(both.home)
        both.uv.python("install", both.minor)
        after = files_below(both.home)
        changed = {path for path in before if before[path] != after.get(path)}
        assert set(after) == set(before)
        own = f"lib/python{both.minor}/EXTERNALLY-MANAGED"
        assert changed == {own}
        done = run("verify", "--root", both.root, "--json")
        assert done.status == 3
        (row,) = json.loads(done.out)["builds"]
        assert (row["changed"], row["missing"], row["extra"]) == ([own], [], [])


class TestOverEachOther:
    def healthy(self, both: Both) -> None:
        assert both.listed() == [both.key]
        assert both.prefix_of(both.home / "bin" / "python3") == str(both.home)
        (link,) = (each for each in both.root.iterdir() if each.is_symlink())
        assert os.readlink(link) == str(both.home)
        assert Path(both.prefix_of(both.bin_dir / f"python{both.minor}")).resolve() == both.home
        assert not list((both.root / ".temp").iterdir())

    def test_uv_reinstalls_over_ours(self, both: Both) -> None:
        both.install()
        both.uv.python("install", "-r", both.minor)
        self.healthy(both)
        assert not (both.home / ".kitbag").exists()
        (row,) = json.loads(kitbag("installed", "--root", both.root, "--json"))["builds"]
        assert (row["by-kitbag"], row["problem"], row["release"]) == (False, "", "20260101")
        out = run("install", both.bundle, "--root", both.root, "--bin-dir", both.bin_dir)
        assert "was installed by another tool; --reinstall replaces it" in out.err
        assert out.status == 0

    def test_we_reinstall_over_uvs(self, both: Both) -> None:
        both.uv.python("install", both.minor)
        (row,) = json.loads(both.install("--reinstall", "--json"))["builds"]
        assert row["action"] == "reinstalled"
        self.healthy(both)
        kitbag("verify", "--root", both.root)
        (row,) = json.loads(kitbag("installed", "--root", both.root, "--json"))["builds"]
        assert (row["by-kitbag"], row["problem"], row["current"]) == (True, "", True)
        both.uv.python("install", "-r", both.minor)
        both.install("--reinstall")
        self.healthy(both)
        kitbag("verify", "--root", both.root)

    def test_uv_uninstalls_ours(self, both: Both) -> None:
        both.install()
        both.uv.python("uninstall", both.minor)
        assert not os.path.lexists(both.home)
        # A link it takes away too; a script of kitbag's is no business of uv's, and goes with the
        # next run of kitbag.
        command = both.bin_dir / f"python{both.minor}"
        assert not command.is_symlink()
        assert not [each for each in both.root.iterdir() if each.is_symlink()]
        assert "nothing is installed" in kitbag("installed", "--root", both.root)
        kitbag("uninstall", "--all", "--root", both.root)
        assert not os.path.lexists(command)
        assert not both.root.exists()
        both.install()
        self.healthy(both)
        kitbag("verify", "--root", both.root)

    def test_we_uninstall_uvs(self, both: Both) -> None:
        """Only if somebody says that very build; what uv made around it stays uv's."""
        both.install()
        both.uv.python("install", "-r", both.minor)
        before = snapshot(both.home, both.bin_dir / f"python{both.minor}")
        refused = run("uninstall", both.minor, "--root", both.root)
        assert_refused(refused, 4, "was installed by uv", f"uv python uninstall {both.key}")
        kitbag("uninstall", "--all", "--root", both.root)
        assert snapshot(both.home, both.bin_dir / f"python{both.minor}") == before
        self.healthy(both)
        done = run("uninstall", both.key, "--root", both.root)
        assert (done.status, done.out) == (0, f" - {both.key}\n")
        assert "not installed by kitbag but by uv" in done.err
        assert both.listed() == []
        assert not [each for each in both.root.iterdir() if each.is_symlink()]
        both.uv.python("install", both.minor)
        self.healthy(both)


class TestLocks:
    """Each waits for as long as the other, or anyone else, holds the root's lock."""

    @contextlib.contextmanager
    def held(self, root: Path) -> Iterator[None]:
        root.mkdir(exist_ok=True)
        with open(root / ".lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def test_both_wait(self, both: Both) -> None:
        program = [both.uv.program, "python", "install", both.minor, "--offline", "--no-progress"]
        program += ["--python-downloads-json-url", str(both.uv.downloads)]
        with self.held(both.root):
            ours = start("install", both.bundle, "--root", both.root, "--no-bin")
            uvs = subprocess.Popen(
                program, env=both.uv.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            time.sleep(1.5)
            assert ours.poll() is None
            assert uvs.poll() is None
            assert not both.home.exists()
        done = finish(ours)
        assert done.status == 0, done
        _, err = uvs.communicate(timeout=120)
        assert uvs.returncode == 0, err
        assert both.listed() == [both.key]

    def test_uv_waits_for_us_at_work(self, both: Both) -> None:
        """kitbag itself holds it, stopped in the middle of an install."""
        import signal

        ours = start("install", both.bundle, "--root", both.root, "--no-bin", "--jobs", "1")
        try:
            deadline = time.monotonic() + 30
            while not list(both.root.glob(".temp/kitbag-*/lib")):
                assert time.monotonic() < deadline
                time.sleep(0.001)
            os.killpg(ours.pid, signal.SIGSTOP)
            environment = {**both.uv.environment, "UV_LOCK_TIMEOUT": "1"}
            program = [both.uv.program, "python", "uninstall", "--all", "--offline"]
            done = subprocess.run(program, env=environment, capture_output=True, text=True)
            assert done.returncode == 2, done
            assert "lock" in done.stderr.lower()
        finally:
            os.killpg(ours.pid, signal.SIGCONT)
        assert finish(ours).status == 0
        assert both.listed() == [both.key]


OTHERS = [one for one in find_interpreters((3, 8))[1:] if not one.unsuitable]


@pytest.mark.slow
@pytest.mark.parametrize("interpreter", OTHERS, ids=lambda one: one.full_version)
class TestEveryVersion:
    def test_files_values_and_modes(self, interpreter: Interpreter, tmp_path: Path) -> None:
        archive = make_pbs_archive(interpreter)
        sides = make_sides(tmp_path, archive, interpreter)
        same = TestSameArchiveSamePath()
        same.test_files(sides)
        same.test_modes_and_links(sides)
        same.test_sysconfig(sides)
        same.test_form_of_the_variables(sides)
        same.test_uv_leaves_broken_what_we_mend(sides)
        shutil.rmtree(tmp_path)
