"""Run paths: what each file of a tree should have, by what it needs and had."""

from __future__ import annotations

import pytest

from kitbag_packer.rerooting.elf import Elf
from kitbag_packer.rerooting.relocation import Relocation
from kitbag_packer.rerooting.runpaths import Library, RunPaths

PREFIX = "/opt/pythons/3.13"
RULES = Relocation([(PREFIX, "/install"), (f"{PREFIX}/lib", "/install/lib")])
DEBIAN = Relocation([("/usr", "/install"), ("/usr/lib/x86_64-linux-gnu", "/install/lib")])
EXECUTABLE = "bin/python3.13"
LIBPYTHON = "lib/libpython3.13.so.1.0"
MODULE = "lib/python3.13/lib-dynload/_ssl.so"


def library(
    path: str, run_path: str | None, *needed: str, tag: str = "DT_RUNPATH", prefix: str = PREFIX
) -> Library:
    had = tag if run_path is not None else ""
    return Library(path, f"{prefix}/{path}", Elf("x86_64", "", needed, run_path, had))


def wanted(
    *libraries: Library, rules: Relocation = RULES
) -> tuple[dict[str, str | None], list[str]]:
    planner = RunPaths(rules, EXECUTABLE)
    by_path = {one.path: one for one in libraries}
    by_path.setdefault(EXECUTABLE, library(EXECUTABLE, None))
    return {path: planner.wanted(one, by_path) for path, one in by_path.items()}, planner.notes


def test_a_shared_installation() -> None:
    found, notes = wanted(
        library(EXECUTABLE, f"{PREFIX}/lib", "libpython3.13.so.1.0", "libc.so.6"),
        library(LIBPYTHON, f"{PREFIX}/lib", "libc.so.6"),
        library(MODULE, f"{PREFIX}/lib", "libssl.so.3"),
    )
    assert found == {EXECUTABLE: "$ORIGIN/../lib", LIBPYTHON: "$ORIGIN", MODULE: "$ORIGIN/../.."}
    assert not notes


def test_what_finds_nothing_by_itself_gets_a_run_path() -> None:
    found, _ = wanted(
        library(EXECUTABLE, None, "libpython3.13.so.1.0"),
        library(LIBPYTHON, None, "libc.so.6"),
        library(MODULE, None, "libssl.so.3", "libpython3.13.so.1.0"),
        library("lib/libssl.so.3", None),
    )
    assert found == {
        EXECUTABLE: "$ORIGIN/../lib",
        LIBPYTHON: None,
        MODULE: "$ORIGIN/../..",
        "lib/libssl.so.3": None,
    }


def test_what_the_executable_has_loaded_is_found_by_name() -> None:
    found, _ = wanted(
        library(EXECUTABLE, f"{PREFIX}/lib", "libpython3.13.so.1.0"),
        library(LIBPYTHON, None),
        library(MODULE, None, "libpython3.13.so.1.0"),
    )
    assert found[MODULE] is None


@pytest.mark.parametrize("text", ["$ORIGIN/../lib", f"{PREFIX}/lib"])
def test_an_executables_rpath_holds_for_modules(text: str) -> None:
    found, _ = wanted(
        library(EXECUTABLE, text, tag="DT_RPATH"),
        library(LIBPYTHON, None),
        library(MODULE, None, "libpython3.13.so.1.0"),
    )
    assert found == {EXECUTABLE: "$ORIGIN/../lib", LIBPYTHON: None, MODULE: None}


def test_an_executables_runpath_does_not() -> None:
    found, _ = wanted(
        library(EXECUTABLE, "$ORIGIN/../lib"),
        library(LIBPYTHON, None),
        library(MODULE, None, "libpython3.13.so.1.0"),
    )
    assert found[MODULE] == "$ORIGIN/../.."


@pytest.mark.parametrize(
    ("had", "gets"),
    [
        ("$ORIGIN/../..", "$ORIGIN/../.."),
        ("${ORIGIN}/../..", "${ORIGIN}/../.."),
        ("/usr/lib/private", "/usr/lib/private"),
        (f"{PREFIX}/lib:/usr/lib/private:{PREFIX}/lib", "$ORIGIN/../..:/usr/lib/private"),
        (f"{PREFIX}/lib/private", "$ORIGIN/../../private"),
        ("/usr/lib:relative/lib:", "/usr/lib"),
        ("/usr/lib:$ORIGIN/../../../../../../opt/x", "/usr/lib"),
    ],
)
def test_entries_one_by_one(had: str, gets: str) -> None:
    found, _ = wanted(library(MODULE, had))
    assert found[MODULE] == gets


@pytest.mark.parametrize("had", ["/home/ann/lib", "/tmp/build/lib"])
def test_run_paths_to_private_folders_are_dropped_with_a_note(had: str) -> None:
    found, notes = wanted(library(MODULE, had))
    # A run path can't be taken out in place; the file's own folder is harmless.
    assert found[MODULE] == "$ORIGIN"
    assert len(notes) == 1
    assert had not in notes[0]


def test_a_multiarch_library_moves_with_its_neighbours() -> None:
    source = "/usr/lib/x86_64-linux-gnu/libpython3.13.so.1.0"
    had = Elf("x86_64", "", (), "$ORIGIN/../../../usr/lib/x86_64-linux-gnu", "DT_RUNPATH")
    found, _ = wanted(Library(LIBPYTHON, source, had), rules=DEBIAN)
    assert found[LIBPYTHON] == "$ORIGIN"


def test_missing_libraries_are_found_with_what_they_need_in_turn(tmp_path: object) -> None:
    planner = RunPaths(RULES, EXECUTABLE)
    libraries = {EXECUTABLE: library(EXECUTABLE, None, "libnowhere.so.1", "$ORIGIN/x/liby.so")}
    assert list(planner.missing(libraries, [str(tmp_path)])) == []
