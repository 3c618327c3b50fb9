import os
import tempfile

import pytest

from kitbag_installer.files import remove_leftovers, replace_file, replace_link
from kitbag_installer.roots import Root
from support.require import require


@pytest.fixture
def root(tmp_path):
    root = Root(str(tmp_path / "root"))
    root.prepare()
    return root


@pytest.fixture
def elsewhere(root):
    """A directory on another file system than the root's."""
    shm = "/dev/shm"
    other = os.path.isdir(shm) and os.stat(shm).st_dev != os.stat(root.path).st_dev
    require(other and os.access(shm, os.W_OK), "a second file system at /dev/shm")
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        yield folder


@pytest.mark.parametrize("before", [None, "file", "link", "dangling"])
@pytest.mark.parametrize("umask", [0o022, 0o077, 0])
def test_a_file_is_replaced_whatever_was_there(root, tmp_path, before, umask):
    place, other = tmp_path / "place", tmp_path / "other"
    other.write_text("other")
    if before == "file":
        place.write_text("old")
    elif before:
        place.symlink_to(other if before == "link" else "nothing")
    old = os.umask(umask)
    try:
        replace_file(root, str(place), b"new", 0o755)
    finally:
        os.umask(old)
    assert not place.is_symlink()
    assert place.read_bytes() == b"new"
    assert place.stat().st_mode & 0o777 == 0o755
    assert other.read_text() == "other"
    assert os.listdir(root.temp) == []


@pytest.mark.parametrize("before", [None, "file", "link"])
def test_a_link_is_replaced_whatever_was_there(root, tmp_path, before):
    place = tmp_path / "place"
    if before == "file":
        place.write_text("old")
    elif before:
        place.symlink_to("old")
    replace_link(root, "/new/target", str(place))
    assert os.readlink(place) == "/new/target"
    assert os.listdir(root.temp) == []


def test_across_file_systems(root, elsewhere):
    path = os.path.join(elsewhere, "place")
    replace_file(root, path, b"new", 0o600)
    replace_file(root, path, b"newer", 0o755)
    with open(path, "rb") as file:
        assert file.read() == b"newer"
    replace_link(root, "target", path)
    assert os.readlink(path) == "target"
    assert os.listdir(elsewhere) == ["place"]
    assert os.listdir(root.temp) == []


def test_nothing_is_left_when_it_can_not_be_done(root, tmp_path, elsewhere):
    for folder in (str(tmp_path), elsewhere):
        inside = os.path.join(folder, "folder")
        os.makedirs(os.path.join(inside, "inner"))
        for make in (
            lambda path: replace_file(root, path, b"", 0o644),
            lambda path: replace_link(root, "x", path),
        ):
            with pytest.raises(OSError, match="directory"):
                make(inside)
            with pytest.raises(FileNotFoundError):
                make(os.path.join(folder, "nothing", "file"))
    assert os.listdir(root.temp) == []
    assert sorted(os.listdir(elsewhere)) == ["folder"]


def test_leftovers_beside_a_place_are_removed_and_nothing_else(tmp_path):
    kept = ["python3.13", "x.kitbag-file-1", ".kitbag-file-0123456789ab", "kitbag-file"]
    for name in kept:
        (tmp_path / name).write_text("")
    (tmp_path / "python3.13.kitbag-file-0123456789ab").symlink_to("nothing")
    (tmp_path / "kitbag.kitbag-file-ba9876543210").write_text("half")
    remove_leftovers(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    remove_leftovers(str(tmp_path / "nothing"))
