from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import BundleError, FileSystemError
from kitbag_bundles.volumes import Volumes


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=8),
    st.lists(
        st.tuples(st.just("read"), st.integers(0, 200))
        | st.tuples(st.just("seek"), st.integers(0, 300))
        | st.tuples(st.just("end"), st.integers(-20, 20)),
        max_size=12,
    ),
)
def test_reading_across_parts_is_reading_the_whole(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    whole = bytes(at % 251 for at in range(sum(sizes)))
    start, places = 0, []
    for number, size in enumerate(sizes):
        path = folder / str(number)
        path.write_bytes(whole[start : start + size])
        places.append((str(path), path.stat()))
        start += size
    volumes = Volumes(places)
    assert volumes.size == len(whole)
    with io.BufferedReader(volumes.open(), 16) as stream, io.BytesIO(whole) as model:
        for step, number in steps:
            if step == "read":
                assert stream.read(number) == model.read(number)
            elif step == "seek":
                assert stream.seek(number) == model.seek(number)
            elif number + len(whole) >= 0:
                assert stream.seek(number, os.SEEK_END) == model.seek(number, os.SEEK_END)
            assert stream.tell() == model.tell()
    for offset in range(0, len(whole), 7):
        pieces = volumes.pieces(offset, 60)
        found = b"".join(
            Path(each.path).read_bytes()[each.offset : each.offset + each.size] for each in pieces
        )
        assert found == whole[offset : offset + 60]


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"x.{number:03}" for number in (1, 2, 3)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def test_a_part_that_went_or_shrank_is_named(parts: list[Path]) -> None:
    volumes = Volumes([(str(path), path.stat()) for path in parts])
    with volumes.open() as stream:
        assert stream.read(5) == b"x.001"
        os.truncate(parts[1], 1)
        with pytest.raises(BundleError, match=r"x\.002 changed while it was read"):
            stream.read(5)
        parts[2].unlink()
        stream.seek(-1, os.SEEK_END)
        with pytest.raises(FileSystemError, match=r"cannot read .*x\.003: No such file"):
            stream.read(1)


def test_a_file_alone_needs_no_names(parts: list[Path]) -> None:
    one = Volumes.of_file(str(parts[0]))
    assert not one.several
    assert one.accuse(0, 5) == ""
    several = Volumes([(str(path), path.stat()) for path in parts])
    assert several.accuse(4, 2) == "damaged or of another set: x.001, x.002"
