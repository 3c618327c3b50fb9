from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.directory import DirectoryContainer
from kitbag_bundles.errors import BundleError
from kitbag_bundles.reporting import SilentReporter
from support.bundles import small_bundle, small_directory, small_files, small_members
from support.require import require_command

if TYPE_CHECKING:
    from pathlib import Path

PROGRESS = SilentReporter().progress("", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "tools"
    small_directory(path)
    return path


def test_members_are_the_files(folder: Path) -> None:
    container = DirectoryContainer(str(folder))
    assert container.names() == tuple(member.name for member in small_members())
    assert container.header_size == 0
    for name, content in small_files().items():
        assert container.location(name) == (str(folder / name), 0, len(content))
        assert container.size_of(name) == len(content)
        with container.open(name) as stream:
            assert stream.read() == content
    verified = container.verify(PROGRESS)
    assert verified.sha256 == ""
    assert verified.members == {member.name: member.sha256 for member in small_members()}
    assert container.size == sum(map(len, small_files().values()))
    with pytest.raises(BundleError, match="no member 'x'"):
        container.open("x")
    container.close()


@pytest.mark.parametrize("tool", ["unzip", "7z", "bsdtar"])
def test_an_unzipped_bundle_is_one(tmp_path: Path, tool: str) -> None:
    bundle = tmp_path / "x.kitbag"
    small_bundle(bundle)
    out = tmp_path / "out"
    out.mkdir()
    options = {"unzip": ["-q"], "7z": ["x"], "bsdtar": ["-xf"]}[tool]
    subprocess.run([require_command(tool), *options, bundle], cwd=out, check=True, text=True)
    container = DirectoryContainer(str(out))
    assert container.verify(PROGRESS).members == {m.name: m.sha256 for m in small_members()}
    if tool != "7z":
        assert os.access(out / "install.sh", os.X_OK)


@pytest.mark.parametrize("name", ["manifest.toml", "SHA256SUMS"])
def test_a_folder_without_them_is_no_bundle(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"is not a kitbag bundle: it has no {name}"):
        DirectoryContainer(str(folder))


def test_a_foreign_folder_is_not_walked(folder: Path) -> None:
    (folder / "foreign").mkdir()
    with pytest.raises(BundleError, match="foreign does not belong to a bundle"):
        DirectoryContainer(str(folder))


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("name", ["manifest.toml", "archives", "meta"])
def test_links_are_not_followed(folder: Path, name: str) -> None:
    path = folder / name
    if path.exists():
        path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")
    with pytest.raises(BundleError, match=f"{name} does not belong to a bundle"):
        DirectoryContainer(str(folder))


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs")
def test_special_files_are_refused(folder: Path) -> None:
    os.mkfifo(folder / "archives" / "fifo")
    with pytest.raises(BundleError, match="fifo does not belong to a bundle"):
        DirectoryContainer(str(folder))


@pytest.mark.skipif(sys.platform != "linux", reason="needs such file names")
@pytest.mark.parametrize("name", ["aux", "a:b", "caf\u00e9", "A.tar.gz"])
def test_files_with_unfit_names_are_refused(folder: Path, name: str) -> None:
    (folder / "archives" / name).write_bytes(b"")
    (folder / "archives" / "a.tar.gz").write_bytes(b"")
    with pytest.raises(BundleError, match="member"):
        DirectoryContainer(str(folder))


def test_a_file_that_changes_after_the_opening_is_refused(folder: Path) -> None:
    container = DirectoryContainer(str(folder))
    (folder / "kitbag.pyz").write_bytes(b"other")
    with pytest.raises(BundleError, match="changed while it was read"):
        container.open("kitbag.pyz")


def test_verify_reads_what_is_there_now(folder: Path) -> None:
    path = folder / "licenses" / "python.txt"
    status = path.stat()
    path.write_bytes(b"FREE\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    digest = DirectoryContainer(str(folder)).verify(PROGRESS).members["licenses/python.txt"]
    assert digest == hashlib.sha256(b"FREE\n").hexdigest()
