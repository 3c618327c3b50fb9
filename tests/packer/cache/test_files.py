from __future__ import annotations

import os
import stat

import pytest

from kitbag_packer.cache import files


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_cache_is_marked_as_one(tmp_path):
    files.make_cache_folder(tmp_path / "a" / "cache")
    tag = tmp_path / "a" / "cache" / "CACHEDIR.TAG"
    # The signature of https://bford.info/cachedir/
    assert tag.read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    assert (tmp_path / "a" / "cache" / ".gitignore").read_text() == "*\n"


def test_a_folder_with_other_things_is_not_marked(tmp_path):
    (tmp_path / "thesis.tex").touch()
    files.make_cache_folder(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize(
    ("parent", "umask", "made"),
    [(0o755, 0o077, 0o755), (0o1777, 0o022, 0o1777), (0o700, 0o022, 0o755)],
)
def test_a_folder_is_open_to_whom_its_parent_is(tmp_path, parent, umask, made):
    tmp_path.chmod(parent)
    before = os.umask(umask)
    try:
        files.make_folder(tmp_path / "new")
        files.write_atomically(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == made
    assert mode(tmp_path / "file") == 0o644 & (parent | ~umask)


def test_a_write_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(OSError, match="there"):
        files.write_atomically(tmp_path / "there", b"x")
    assert os.listdir(tmp_path) == ["there"]
