import os
from pathlib import Path

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_installer.remaking import NewTree, remade
from kitbag_installer.roots import Root
from support.bundled import host_key, tree_of

KEY = host_key()
LONG_AGO = (1_000_000_000, 1_000_000_000)


@pytest.fixture
def old(tmp_path) -> Path:
    old = tmp_path / "old"
    for folder in ("a/b", "c", "empty"):
        (old / folder).mkdir(parents=True)
    for name in ("a/b/one", "a/two", "c/three"):
        (old / name).write_text(name)
    (old / "a/two").chmod(0o751)
    (old / "c/link").symlink_to("nowhere")
    (old / "empty").chmod(0o700)
    for path in (*old.rglob("*"), old):
        os.utime(path, LONG_AGO, follow_symlinks=False)
    return old


def times(folder: Path) -> dict[str, float]:
    return {path: os.lstat(folder / path).st_mtime for path in tree_of(folder)}


def test_a_clone_shares_everything(old, tmp_path):
    new = NewTree(str(old), str(tmp_path / "new"))
    new.clone()
    new.settle()
    assert tree_of(tmp_path / "new") == tree_of(old)
    assert times(tmp_path / "new") == times(old)
    for path, (kind, _, _) in tree_of(old).items():
        same = os.path.samestat(os.lstat(old / path), os.lstat(tmp_path / "new" / path))
        assert same == (kind != "d"), path


def test_what_is_new_is_not_the_old_ones(old, tmp_path):
    before = tree_of(old)
    new = NewTree(str(old), str(tmp_path / "new"))
    new.clone(skip={"c", "a/b/one"})
    new.write("a/two", b"2")
    new.write("a/b/one", b"1", 0o600)
    new.make_folder("c", 0o755)
    new.link("c/link", "a")
    new.hard_link("c/three", "a/two")
    new.link("d/link", "a")
    new.settle()
    assert tree_of(old) == before
    found = tree_of(tmp_path / "new")
    assert found["a/two"] == ("f", 0o751, b"2")
    assert found["a/b/one"] == ("f", 0o600, b"1")
    assert found["c/link"] == ("l", 0o777, b"a")
    assert found["c/three"] == found["a/two"]
    assert set(found) == {*before, "d", "d/link"}
    changed = {path for path, time in times(tmp_path / "new").items() if time != LONG_AGO[0]}
    new_files = {"a/two", "a/b/one", "c/link", "c/three", "d/link"}
    assert changed == {"a", "a/b", "c", "d", *new_files}


def test_folders_that_may_not_be_written_are_filled_all_the_same(old, tmp_path):
    (old / "a").chmod(0o555)
    new = NewTree(str(old), str(tmp_path / "new"))
    new.clone()
    new.write("a/two", b"2")
    new.settle()
    assert tree_of(tmp_path / "new")["a"] == ("d", 0o555, b"")


def place_of(root: Root, key: BuildKey, old: Path) -> Path:
    root.prepare()
    os.rename(old, root.install_path(key))
    return Path(root.install_path(key))


def test_it_takes_the_place_of_the_old(old, tmp_path):
    root = Root(str(tmp_path / "root"))
    place = place_of(root, KEY, old)
    with remade(root, KEY) as tree:
        tree.clone()
        tree.write("c/three", b"3")
        tree.settle()
        assert (place / "c/three").read_text() == "c/three"
    assert (place / "c/three").read_text() == "3"
    assert os.listdir(root.temp) == []


def fail_halfway(root: Root) -> None:
    with remade(root, KEY) as tree:
        tree.clone()
        tree.write("nothing", b"")


def test_an_error_leaves_the_old(old, tmp_path):
    root = Root(str(tmp_path / "root"))
    place = place_of(root, KEY, old)
    before = tree_of(place)
    with pytest.raises(FileNotFoundError):
        fail_halfway(root)
    assert tree_of(place) == before
    assert os.listdir(root.temp) == []
