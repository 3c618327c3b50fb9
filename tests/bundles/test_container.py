from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.container import Window, open_container, open_window
from kitbag_bundles.directory import DirectoryContainer
from kitbag_bundles.errors import BundleError, UsageError
from kitbag_bundles.reader import ZipContainer
from support.bundles import small_bundle, small_directory

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("window") / "file"
    path.write_bytes(CONTENT)
    return path


def test_the_form_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_bundle(tmp_path / "x.kitbag")
    small_directory(tmp_path / "x")
    monkeypatch.chdir(tmp_path)
    for path, kind in (("x.kitbag", ZipContainer), ("x", DirectoryContainer)):
        container = open_container(path)
        assert isinstance(container, kind)
        assert container.path == str(tmp_path / path)
        container.close()


@pytest.mark.parametrize("name", ["missing", "file/inside", "a\0b"])
def test_nothing_there_is_a_usage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError):
        open_container(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs")
def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BundleError, match="is not a kitbag bundle"):
        open_container(tmp_path / "fifo")


@given(
    st.integers(0, len(CONTENT)),
    st.integers(0, len(CONTENT)),
    st.lists(
        st.tuples(st.just("read"), st.integers(-1, 9000))
        | st.tuples(st.just("readinto"), st.integers(0, 9000))
        | st.tuples(st.just("seek"), st.integers(0, 12000))
        | st.tuples(st.just("tell"), st.just(0))
        | st.tuples(st.just("end"), st.integers(-100, 100)),
        max_size=10,
    ),
)
def test_a_window_is_like_a_file_of_its_own(
    file: Path, one: int, other: int, steps: list[tuple[str, int]]
) -> None:
    start, end = sorted((one, other))
    model = io.BytesIO(CONTENT[start:end])
    with open_window(str(file), start, end - start, same_as=file.stat()) as window:
        for step, number in steps:
            if step == "read":
                assert window.read(number) == model.read(number)
            elif step == "readinto":
                ours, theirs = bytearray(number), bytearray(number)
                assert window.readinto(ours) == model.readinto(theirs)
                assert ours == theirs
            elif step == "seek":
                assert window.seek(number) == model.seek(number)
            elif step == "end" and number + end - start >= 0:
                assert window.seek(number, os.SEEK_END) == model.seek(number, os.SEEK_END)
            assert window.tell() == model.tell()


def test_windows_are_independent(file: Path) -> None:
    status = file.stat()
    with (
        open_window(str(file), 1, 5, same_as=status) as first,
        open_window(str(file), 2, 5, same_as=status) as second,
    ):
        assert first.fileno() != second.fileno()
        assert (
            first.read(2) + second.read(2) + first.read()
            == CONTENT[1:3] + CONTENT[2:4] + (CONTENT[3:6])
        )
        assert not first.writable()


def test_a_window_owns_its_file(file: Path) -> None:
    raw = io.FileIO(str(file))
    Window(raw, 0, 1).close()
    assert raw.closed


def test_a_window_refuses_to_go_before_its_start(file: Path) -> None:
    with (
        open_window(str(file), 10, 5, same_as=file.stat()) as window,
        pytest.raises(ValueError, match="negative"),
    ):
        window.seek(-1)


def test_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    status = path.stat()
    os.utime(path, ns=(0, 0))
    with pytest.raises(BundleError, match="changed while it was read"):
        open_window(str(path), 0, 5, same_as=status)


def test_a_file_that_shrinks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with open_window(str(path), 0, len(CONTENT), same_as=path.stat()) as window:
        os.truncate(path, 100)
        with pytest.raises(BundleError, match="became shorter"):
            window.read()
