import os
import stat

import pytest

from kitbag_bundles.errors import FileSystemError
from kitbag_packer.recipes import files
from kitbag_packer.recipes.files import write_text_safely


def test_a_text_replaces_another_in_one_step(tmp_path):
    path = tmp_path / "kitbag.lock"
    write_text_safely(path, "one\n")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    before = path.stat().st_ino
    write_text_safely(path, "zwei ü\n")
    assert path.read_bytes() == "zwei ü\n".encode()
    assert path.stat().st_ino != before
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["kitbag.lock"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "kitbag.lock"
    link.symlink_to("real/the.lock")
    write_text_safely(link, "x")
    assert link.is_symlink()
    assert os.listdir(tmp_path / "real") == ["the.lock"]


def test_when_it_can_not_be_written_nothing_has_changed(tmp_path, monkeypatch):
    path = tmp_path / "kitbag.lock"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "flush", full)
    with pytest.raises(FileSystemError, match=r"kitbag\.lock: No space left on device; free some"):
        write_text_safely(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kitbag.lock"]
    with pytest.raises(FileSystemError, match="No such file or directory"):
        write_text_safely(tmp_path / "nowhere" / "x", "new")
