"""The frame of a ``.7z`` with a stored bundle, as the format and 7-Zip have it."""

from __future__ import annotations

import io
import subprocess
import zlib

import py7zr
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py7zr.archiveinfo import Header

from kitbag_bundles.errors import BundleError, FileSystemError, UsageError
from kitbag_bundles.manifest import InstallDefaults
from kitbag_bundles.sevenzip import FRAME, STORED, look
from kitbag_bundles.volumes import Volumes
from kitbag_packer.sevenzip import SevenZipOutput, member_name, spell_header
from support.bundled import bundle_archives, host_key, tiny_bundle
from support.require import require_command
from support.tiny import make_tiny_archive


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("b") / "any-name", "3.13.5")


def wrap(bundle, path):
    data = bundle.read_bytes()
    with SevenZipOutput(str(path), len(data)) as output:
        output.write(data[:1000])
        output.write(memoryview(data)[1000:])
        inner = output.finish()
        with inner.open() as stream:
            assert stream.read(len(data) + 1) == data
        output.commit("")
    return path


def test_stock_tools_take_it(bundle, tmp_path):
    path = wrap(bundle, tmp_path / "t.7z")
    program = require_command("7z")
    for command in (["t", str(path)], ["x", f"-o{tmp_path / 'out'}", str(path)]):
        done = subprocess.run([program, *command], capture_output=True, text=True, timeout=60)
        assert (done.returncode, "Everything is Ok" in done.stdout) == (0, True)
        assert "WARNING" not in done.stdout.upper()
    (found,) = (tmp_path / "out").iterdir()
    assert (found.name, found.read_bytes()) == ("tests.kitbag", bundle.read_bytes())
    assert found.stat().st_mode & 0o777 == 0o644
    with py7zr.SevenZipFile(path) as archive:
        assert archive.getnames() == ["tests.kitbag"]
        assert archive.testzip() is None


def test_same_input_same_bytes(bundle, tmp_path):
    one, two = wrap(bundle, tmp_path / "one.7z"), wrap(bundle, tmp_path / "two.7z")
    assert one.read_bytes() == two.read_bytes()
    assert look(Volumes.of_file(str(one))) == (STORED, FRAME, bundle.stat().st_size)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.text(st.characters(
    codec="utf-16", exclude_characters="\0/\\"), min_size=1, max_size=100))  # fmt: skip
def test_any_size_and_name_is_spelt_right(size, crc, name):
    spelt = spell_header(name, size, crc)
    header = Header.retrieve(io.BytesIO(), io.BytesIO(spelt), 0)
    assert header.main_streams.packinfo.packsizes == [size]
    assert header.main_streams.unpackinfo.folders[0].unpacksizes == [size]
    assert header.main_streams.substreamsinfo.digests == [crc]
    (found,) = header.files_info.files
    assert found["filename"] == name
    assert len(spelt) < 1024


def test_nothing_is_left_after_an_error(bundle, tmp_path):
    def interrupted():
        with SevenZipOutput(str(tmp_path / "t.7z"), 10) as output:
            output.write(b"123")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with SevenZipOutput(str(tmp_path / "t.7z"), 10) as output:
        output.write(b"no bundle!")
        with pytest.raises(BundleError):
            output.finish()
    assert list(tmp_path.iterdir()) == []


def test_places_that_will_not_do(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="something else than a file"):
        SevenZipOutput(str(tmp_path / "folder"), 1)
    with pytest.raises(FileSystemError, match="needs"):
        SevenZipOutput(str(tmp_path / "t.7z"), 1 << 62)


@pytest.mark.parametrize(
    ("given_name", "inside"),
    [("edge tools/2", "edge-tools-2.kitbag"), ("..", "bundle.kitbag"), ("für", "f-r.kitbag")],
)
def test_the_member_has_the_bundles_own_name(tmp_path, monkeypatch, given_name, inside):
    import support.bundled as bundled

    real = bundled.Manifest
    monkeypatch.setattr(
        bundled,
        "Manifest",
        lambda form, requires, _, *rest: real(form, requires, given_name, *rest),
    )
    archive = make_tiny_archive(tmp_path / "a", "3.13.5")
    path = bundle_archives(tmp_path / "x", [(archive, host_key())], install=InstallDefaults())
    assert member_name(Volumes.of_file(str(path))) == inside


def test_crc_is_that_of_the_bundle(bundle, tmp_path):
    with py7zr.SevenZipFile(wrap(bundle, tmp_path / "t.7z")) as archive:
        assert archive.list()[0].crc32 == zlib.crc32(bundle.read_bytes())
