import gzip
import hashlib
from dataclasses import replace

import pytest

from kitbag_bundles.errors import DigestMismatch, FileSystemError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.inspection import inspect_archive
from kitbag_packer.materials import Material
from kitbag_packer.recompression import recompressed
from support.synthetic import SYNTHETIC, make_synthetic_archive

QUIET = SilentReporter()


def material(name: str, folder, compression: str = "") -> Material:
    archive = make_synthetic_archive(name, folder, compression=compression)
    key = BuildKey.parse(SYNTHETIC[name].key)
    found = inspect_archive(archive, key=key, reporter=QUIET)
    return Material("it", archive, archive.name, found, "https://example.test/it")


@pytest.mark.parametrize(
    ("name", "form", "filename"),
    [
        ("debug", "", "cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-debug-full.tar.gz"),
        ("pypy-bz2", "", "pypy3.10-v7.3.16-linux64.tar.gz"),
        ("linux", ".tar.xz", SYNTHETIC["linux"].filename),
    ],
)
def test_it_is_the_same_tar_and_nobody_elses_file(tmp_path, name, form, filename):
    given = material(name, tmp_path / "given", form)
    made = recompressed(given, tmp_path / "made", QUIET)
    assert (made.filename, made.url, made.archive.name) == (filename, "", filename)
    data = made.archive.read_bytes()
    found = inspect_archive(made.archive, key=given.inspection.key, reporter=QUIET)
    assert made.inspection == found
    assert hashlib.sha256(gzip.decompress(data)).hexdigest() == given.inspection.tar_sha256
    assert found.tar_sha256 == given.inspection.tar_sha256
    assert (found.flavor, found.release) == (given.inspection.flavor, given.inspection.release)
    again = recompressed(given, tmp_path / "again", QUIET)
    assert again.archive.read_bytes() == data


def test_an_archive_that_changed_meanwhile_is_refused(tmp_path):
    given = material("pypy-bz2", tmp_path / "given")
    other = replace(given, inspection=replace(given.inspection, tar_sha256="0" * 64))
    with pytest.raises(DigestMismatch, match="run the command again"):
        recompressed(other, tmp_path / "made", QUIET)


def test_where_there_is_no_room_it_says_so(tmp_path):
    given = material("pypy-bz2", tmp_path / "given")
    (tmp_path / "made").write_text("a file")
    with pytest.raises(FileSystemError, match=r"cannot re-compress pypy3\.10.*made"):
        recompressed(given, tmp_path / "made", QUIET)
