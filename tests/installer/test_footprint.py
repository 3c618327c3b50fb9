"""What kitbag makes around its builds goes again; what was there before, and what came, stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kitbag_bundles.reporting import SilentReporter
from kitbag_installer import footprint
from kitbag_installer.footprint import leave, make_folders, read, remove_leftovers
from kitbag_installer.locks import locked
from kitbag_installer.removal import leave_after_last
from kitbag_installer.roots import Root
from support.bundled import host_key
from support.snapshots import snapshot

NAMES = (".gitignore", ".lock", ".temp")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(str(tmp_path / "a" / "b" / "root"))


def use(root: Root, *bin_dirs: Path) -> None:
    """Come, make directories for commands, and go."""
    root.prepare()
    with locked(root, SilentReporter()):
        for bin_dir in bin_dirs:
            make_folders(root, str(bin_dir))
        leave(root)


def test_what_is_made_is_noted_with_it(root: Root, tmp_path: Path) -> None:
    root.prepare()
    made = read(root)
    assert made.folders == (str(tmp_path / "a"), str(tmp_path / "a" / "b"), root.path)
    assert made.names == NAMES
    root.prepare()
    assert read(root) == made
    make_folders(root, str(tmp_path / "bin" / "here"))
    assert read(root).folders[3:] == (str(tmp_path / "bin"), str(tmp_path / "bin" / "here"))


@pytest.mark.parametrize("there", ["", "a", "a/b", "a/b/root"])
def test_everything_that_was_made_goes(root: Root, tmp_path: Path, there: str) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    before = snapshot(tmp_path)
    use(root, tmp_path / "x" / "bin", tmp_path / "a" / "bin", Path(root.path) / "bin" / "c")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", NAMES)
def test_what_uv_made_stays(root: Root, tmp_path: Path, name: str) -> None:
    folder = Path(root.path)
    folder.mkdir(parents=True)
    if name == ".temp":
        (folder / name).mkdir()
    else:
        (folder / name).write_text("*" if name == ".gitignore" else "")
    if name == ".lock":
        (folder / ".temp").mkdir()
    before = snapshot(tmp_path)
    use(root)
    assert snapshot(tmp_path) == before


def test_a_root_that_is_whole_gets_no_note(root: Root) -> None:
    """Such as one that only uv uses: a look around must not leave anything."""
    folder = Path(root.path)
    (folder / ".temp").mkdir(parents=True)
    (folder / ".gitignore").write_text("*")
    (folder / ".lock").touch()
    root.prepare()
    assert sorted(os.listdir(folder)) == [".gitignore", ".lock", ".temp"]


@pytest.mark.parametrize("place", ["a/b/root/notes", "a/notes", "bin/notes"])
def test_what_others_put_there_stays(root: Root, tmp_path: Path, place: str) -> None:
    root.prepare()
    make_folders(root, str(tmp_path / "bin"))
    (tmp_path / place).write_text("mine")
    with locked(root, SilentReporter()):
        leave(root)
    found = {path.removeprefix(f"{tmp_path}/") for path in snapshot(tmp_path)} - {str(tmp_path)}
    above = {str(each) for each in Path(place).parents} - {"."}
    assert found == {place, *above}


@pytest.mark.parametrize(("name", "text"), [(".gitignore", "mine\n"), (".lock", "1234\n")])
def test_a_file_that_someone_changed_stays(root: Root, name: str, text: str) -> None:
    Path(root.path).mkdir(parents=True)
    root.prepare()
    (Path(root.path) / name).write_text(text)
    with locked(root, SilentReporter()):
        leave(root)
    assert os.listdir(root.path) == [name]


def test_with_builds_of_others_the_root_stays_fit_for_them(root: Root) -> None:
    root.prepare()
    os.mkdir(root.install_path(host_key()))
    use(root)
    assert sorted(os.listdir(root.path)) == [*NAMES, str(host_key())]
    assert os.listdir(root.temp) == []


def test_a_root_that_was_moved(root: Root, tmp_path: Path) -> None:
    """What was made in it has moved with it; what was made around it has not."""
    bins = [tmp_path / "bin", Path(root.path) / "bin"]
    root.prepare()
    for path in bins:
        make_folders(root, str(path))
    (tmp_path / "new").mkdir()
    os.rename(root.path, tmp_path / "new" / "place")
    moved = Root(str(tmp_path / "new" / "place"))
    make_folders(moved, str(tmp_path / "more"))
    with locked(moved, SilentReporter()):
        leave(moved)
    assert os.listdir(tmp_path) == ["new"]
    assert os.listdir(tmp_path / "new") == []


ODD = ("a", "/a\\u0000b", "/\\ud800")
DAMAGED = ("", "{", "[]", '{"root": 1, "folders": [], "names": []}', "[" * 100_000)


@pytest.mark.parametrize(
    "text", [*DAMAGED, *(f'{{"root": "/x", "folders": ["{path}"], "names": []}}' for path in ODD)]
)
def test_a_damaged_note_is_none(root: Root, text: str) -> None:
    root.prepare()
    Path(root.own, footprint.RECORD).write_text(text)
    assert read(root) == ((), ())
    with locked(root, SilentReporter()):
        leave(root)
    assert sorted(os.listdir(root.path)) == [*NAMES]


def test_a_lone_lock_is_the_end_of_a_root_that_was_on_its_way_out(root: Root) -> None:
    Path(root.path).mkdir(parents=True)
    Path(root.lock_file).touch()
    use(root)
    assert os.listdir(root.path) == []


@pytest.mark.parametrize("end", ["made.json", ".lock"])
def test_leftovers_beside_are_removed_by_the_next_run(root: Root, tmp_path: Path, end: str) -> None:
    left = Path(footprint._beside(root, str(tmp_path / "a")))
    (left / "b" / "root" / ".kitbag").mkdir(parents=True)
    (left / "b" / "root" / end).touch()
    other = Path(footprint._beside(Root("/another"), str(tmp_path / "a")))
    other.mkdir()
    assert remove_leftovers(root)
    assert os.listdir(tmp_path) == [other.name]
    assert not remove_leftovers(root)


def test_where_a_directory_can_not_go_it_stays_empty(root: Root, tmp_path: Path) -> None:
    """As under a directory that only an administrator may write, or at a mount point."""
    from support.cli import run
    from support.faults import without_privileges

    folder = Path(root.path)
    root.prepare()
    folder.parent.chmod(0o555)
    try:
        done = run("uninstall", "--all", "--root", root.path, before=without_privileges())
        assert done.status == 0, done
        assert os.listdir(folder) == []
    finally:
        folder.parent.chmod(0o755)


def test_a_running_header_keeps_the_root(root: Root) -> None:
    """A bundle that is just about to install: its folder is in the root, the note stays for it."""
    root.prepare()
    scratch = Path(root.temp, f"kitbag-boot-{os.getpid()}-1")
    scratch.mkdir()
    with locked(root, SilentReporter()):
        leave_after_last(root)
    assert scratch.exists()
    assert read(root).names == NAMES
    scratch.rmdir()
    with locked(root, SilentReporter()):
        leave_after_last(root)
    assert not os.path.exists(root.path)
