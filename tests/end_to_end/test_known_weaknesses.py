"""What is known to go wrong with managed Pythons, and the test that shows that here it does not.

Measured with uv 0.13, whose roots kitbag shares. Files are those below ``tests``; without a file
the test is in this one.

=====================================================  =============================================
a kill leaves scratch that nobody ever removes         test_what_a_kill_leaves_goes_with_the_next_run
                                                       installer/test_commit.py::test_the_sweep_takes_ours_and_leaves_uvs
a reinstall removes the old build before the new one   end_to_end/test_kills.py::Reinstall
a link instead of a build is installed through         test_a_link_in_a_builds_place_is_no_build
an empty folder with a key for a name stops an         test_half_a_build_beside_stops_nothing
install of another build
one build that can't be put right stops the others     installer/test_installation.py::test_one_that_fails_does_not_stop_the_others
uninstall of a version takes other implementations,    installer/test_removal.py::test_a_version_is_cpython
prereleases and builds for other systems along         installer/test_removal.py::test_a_version_is_neither_a_variant_nor_a_prerelease
                                                       installer/test_removal.py::test_a_build_for_another_machine_has_to_be_named
uninstall takes other tools' builds along              installer/test_removal.py::test_their_builds_go_by_their_full_key_alone
uninstall of nothing is a success                      installer/cli/test_uninstall.py::test_nothing_to_remove
uninstall of everything leaves lock, scratch, folders  installer/test_footprint.py::test_everything_that_was_made_goes
a build for another system gets names that dangle      end_to_end/test_other_machines.py::test_nothing_leads_there
                                                       installer/test_links.py::test_no_link_is_ever_made_that_leads_nowhere
a root that was moved can't be put right               installer/test_relocation.py::test_any_number_of_moves_and_back_again
flags, Makefile, python-config and RECORD stay wrong   end_to_end/test_against_uv.py::test_uv_leaves_broken_what_we_mend
what is compiled with several builds is not yet        test_bytecode_is_that_of_what_was_rewritten
rewritten, and an unchecked pyc keeps that for good    installer/bytecode/test_compiling.py::test_a_rewritten_file_never_gets_an_unchecked_one
files that were fresh are counted as compiled          test_what_is_fresh_is_not_counted
                                                       installer/bytecode/test_compiling.py::test_only_what_is_stale_is_compiled
files that don't compile are passed over in silence    installer/bytecode/test_compiling.py::test_two_hundred_files_and_one_that_is_broken
--force says that it reinstalls, and does not          test_force_is_about_names_and_says_so
a bad file in the cache fails for ever                 test_a_bad_archive_in_the_cache_is_fetched_again
                                                       packer/cache/test_shelf.py::test_what_was_harmed_is_thrown_away_told_and_replaced
a transfer that broke off begins anew                  packer/downloads/test_transfer.py::test_a_later_run_goes_on
                                                       end_to_end/test_connected.py::test_stopped_and_taken_up_again
what such a transfer left is never removed             packer/cache/test_pruning.py::test_downloads_go_when_nobody_goes_on_with_them
a mirror and addresses of its own don't go together    packer/downloads/test_addresses.py::test_other_addresses_stay_as_they_are
PyPy's releases in .tar.bz2 are left out               end_to_end/test_pypy.py::test_journey
nothing holds Pyodide against a digest                 end_to_end/test_pyodide.py::test_a_digest_that_nobody_published
=====================================================  =============================================
"""  # noqa: E501

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import crafting
from support.cli import assert_done, assert_refused, call, environment, finish, run, start
from support.interpreters import packable_interpreters
from support.journey import kitbag, shared_bundle
from support.mirror import Mirror, make_mirror
from support.pbs import make_pbs_archive
from support.require import require
from support.snapshots import snapshot
from support.webserver import serving

if TYPE_CHECKING:
    from support.cli import Ran

TESTS = Path(__file__).parents[1]
KEY = crafting.host_key()


def _named() -> list[tuple[str, str]]:
    """The tests that the table names: file and name."""
    found = re.findall(r"(?:(\S+\.py)::)?\b(test_\w+|[A-Z]\w+)$", __doc__ or "", re.MULTILINE)
    here = Path(__file__).relative_to(TESTS).as_posix()
    return [(file or here, name) for file, name in found]


@pytest.mark.parametrize(("file", "name"), _named())
def test_the_table_tells_the_truth(file: str, name: str) -> None:
    text = (TESTS / file).read_text("utf-8")
    assert re.search(rf"^ *(?:def|class) {name}\b", text, re.MULTILINE)


def test_every_test_here_is_in_the_table() -> None:
    """So that it stays the place to look."""
    text = Path(__file__).read_text("utf-8")
    here = set(re.findall(r"^def (test_\w+)", text, re.MULTILINE))
    here -= {"test_the_table_tells_the_truth", "test_every_test_here_is_in_the_table"}
    assert here == {name for file, name in _named() if file.endswith(Path(__file__).name)}
    assert len(_named()) > 25


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return crafting.tiny_bundle(tmp_path_factory.mktemp("bundle"))


def install(bundle: Path, folder: Path, *more: str) -> Ran:
    places = ("--root", folder / "root", "--bin-dir", folder / "bin")
    return run("install", bundle, *places, *more)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_a_kill_leaves_goes_with_the_next_run(
    number: signal.Signals,
    tmp_path_factory: pytest.TempPathFactory,
    slim_archive: Path,
    tmp_path: Path,
) -> None:
    """In the middle of the extraction, with workers; no matter which verb comes next."""
    slim = shared_bundle(tmp_path_factory, "slim.kitbag", slim_archive)
    root = tmp_path / "root"
    process = start("install", slim, "--root", root, "--no-bin")
    deadline = time.monotonic() + 30
    while not list(root.glob(".temp/kitbag-*/lib")):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(process.pid, number)
    assert finish(process).status in (-signal.SIGKILL, 130)
    assert_done(run("uninstall", "--all", "--root", root))
    assert os.listdir(tmp_path) == []


def test_a_link_in_a_builds_place_is_no_build(tmp_path: Path, bundle: Path) -> None:
    """Neither shown nor taken for installed, and nothing is ever written where it leads."""
    assert_done(install(bundle, tmp_path / "other"))
    home = tmp_path / "other" / "root" / KEY
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / KEY).symlink_to(home)
    before = snapshot(home)
    assert_refused(install(bundle, tmp_path), 5, KEY)
    assert_refused(install(bundle, tmp_path, "--reinstall", "--force"), 5, KEY)
    assert "nothing is installed" in kitbag("installed", "--root", tmp_path / "root")
    assert_refused(run("uninstall", KEY, "--root", tmp_path / "root"), 4, KEY)
    kitbag("uninstall", "--all", "--root", tmp_path / "root")
    assert snapshot(home) == before
    assert os.listdir(tmp_path / "root") == [KEY]


def test_half_a_build_beside_stops_nothing(tmp_path: Path, bundle: Path) -> None:
    """What another tool left half done, down to an empty folder, is told and left."""
    half = tmp_path / "root" / crafting.host_key("3.12.9")
    half.mkdir(parents=True)
    assert_done(install(bundle, tmp_path))
    for verb in ("verify", "relocate"):
        assert run(verb, "--root", tmp_path / "root").status == 0
    table = json.loads(kitbag("installed", "--root", tmp_path / "root", "--json"))
    problems = {row["key"]: row["problem"] for row in table["builds"]}
    assert "its interpreter is missing" in problems[half.name]
    assert problems[KEY] == ""
    kitbag("uninstall", "--all", "--root", tmp_path / "root")
    assert half.is_dir()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real builds, so that one is there earlier than the other."""
    found = {one.minor: one for one in reversed(packable_interpreters((3, 9)))}
    require(len(found) > 1, "two CPythons from which archives can be made")
    bundle = tmp_path_factory.mktemp("two") / "two.kitbag"
    archives = [make_pbs_archive(one, slim=True) for one in list(found.values())[-2:]]
    kitbag("pack", *(word for each in archives for word in ("--from", each)), "-o", bundle)
    return bundle


@pytest.mark.parametrize("mode", ["UNCHECKED_HASH", "CHECKED_HASH", "TIMESTAMP"])
def test_bytecode_is_that_of_what_was_rewritten(mode: str, tmp_path: Path, two: Path) -> None:
    root = tmp_path / "root"
    command = ("install", two, "--root", root, "--no-bin", "--compile-bytecode", "--json")
    done = run(*command, "--jobs", "2", env=environment(PYC_INVALIDATION_MODE=mode))
    assert done.status == 0, done
    builds = json.loads(done.out)["builds"]
    assert len(builds) == 2
    code = (
        "import sysconfig, sys; name = sysconfig._get_sysconfigdata_name();"
        "print(sysconfig.get_config_var('LIBDIR'), sysconfig.get_config_var('CC'));"
        "print(__import__(name).__cached__)"
    )
    for build in builds:
        home = root / build["key"]
        minor = ".".join(build["key"].split("-")[1].split(".")[:2])
        python = home / "bin" / f"python{minor}"
        said = subprocess.run([python, "-I", "-B", "-c", code], check=True, capture_output=True)
        values, cached = said.stdout.decode().splitlines()
        assert values.split()[0] == f"{home}/lib"
        assert "clang" not in values
        assert Path(cached).is_file()


def test_what_is_fresh_is_not_counted(tmp_path: Path, two: Path) -> None:
    root = tmp_path / "root"
    kitbag("install", two, "--root", root, "--no-bin")
    first = run("compile", "--root", root, "--json")
    pycs = {path: os.stat(path).st_mtime_ns for path in root.rglob("*.pyc")}
    assert first.status == 0, first
    rows = json.loads(first.out)["builds"]
    assert sum(row["bytecode"]["compiled"] for row in rows) == len(pycs) > 100
    second = json.loads(run("compile", "--root", root, "--json").out)["builds"]
    assert [row["bytecode"]["compiled"] for row in second] == [0, 0]
    assert pycs == {path: os.stat(path).st_mtime_ns for path in root.rglob("*.pyc")}


def test_force_is_about_names_and_says_so(tmp_path: Path, bundle: Path) -> None:
    """It replaces other people's files; a build that is there stays as it is."""
    assert_done(install(bundle, tmp_path))
    name = tmp_path / "bin" / "python3.13"
    name.unlink()
    name.write_text("mine\n")
    edited = tmp_path / "root" / KEY / "lib" / "python3.13" / "os.py"
    edited.write_text("# edited\n")
    said = install(bundle, tmp_path)
    assert str(name) in said.err
    assert name.read_text() == "mine\n"
    assert_done(install(bundle, tmp_path, "--force"))
    assert name.read_text(errors="replace") != "mine\n"
    assert edited.read_text() == "# edited\n"
    assert_done(install(bundle, tmp_path, "--force", "--reinstall"))
    assert edited.read_text() != "# edited\n"
    text = " ".join(call("install", "--help").out.split())
    force = text[text.rindex("--force ") :].partition(" --")[2].partition(" --")[0]
    assert "reinstall" not in force.lower()


def test_a_bad_archive_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    mirror: Mirror = make_mirror(tmp_path / "mirror", ["linux"])
    cache = tmp_path / "cache"
    with serving(mirror.folder) as server:
        words = ("pack", "3.13", "--target", "linux-x86_64-gnu", *mirror.arguments(server.url))
        words += ("-o", str(tmp_path / "x.kitbag"), "--cache-dir", str(cache))
        kitbag(*words)
        good = (tmp_path / "x.kitbag").read_bytes()
        (entry,) = [path for path in (cache / "archives").iterdir() if not path.suffix]
        entry.write_bytes(entry.read_bytes()[:-1000])
        asked = len(server.requests)
        done = call(*words)
        assert_done(done)
        assert "damaged" in done.err
        assert len(server.requests) > asked
        asked = len(server.requests)
        kitbag(*words)
        assert len(server.requests) == asked
    assert (tmp_path / "x.kitbag").read_bytes() == good
