import os
import shutil
from pathlib import Path

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import ArchiveError, FileSystemError, UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer import packing
from kitbag_packer.packing import Packed, PackOptions, pack
from support.bundled import host_key
from support.hostile import good_archive
from support.synthetic import SYNTHETIC, make_synthetic_archive
from support.tiny import make_tiny_archive

KEY = host_key()


class Messages(SilentReporter):
    def __init__(self) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []

    def info(self, message: str) -> None:
        self.infos.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def packed(destination: Path, *sources: object, **options) -> Packed:
    return pack(list(map(str, sources)), destination, PackOptions(**options), SilentReporter())


NAMES = ("linux", "linux-3.14", "macos-arm64", "windows", "freethreaded", "musl", "v3")


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("archives")
    return [make_synthetic_archive(name, folder) for name in NAMES]


def test_archives_travel_byte_for_byte(archives, tmp_path):
    done = packed(tmp_path / "x.kitbag", *archives, name="edge", version="7")
    assert done.size == (tmp_path / "x.kitbag").stat().st_size
    with Bundle.open(tmp_path / "x.kitbag") as bundle:
        assert bundle.verify(SilentReporter()).sha256 == done.sha256
        manifest = bundle.manifest
        assert manifest == done.manifest
        assert (manifest.name, manifest.version) == ("edge", "7")
        assert {str(build.key) for build in manifest.builds} == {
            SYNTHETIC[name].key for name in NAMES
        }
        for build in manifest.builds:
            name = build.payload.member.removeprefix("archives/")
            original = next(path for path in archives if path.name == name)
            with bundle.open_payload(build) as stream:
                assert stream.read() == original.read_bytes()
            assert len(bundle.contents(build)) == build.files


def test_builds_are_in_the_order_of_their_keys(archives, tmp_path):
    keys = [build.key for build in packed(tmp_path / "x", *archives).manifest.builds]
    assert keys == sorted(keys, key=BuildKey.order)


def test_neither_order_nor_place_nor_name_nor_time_change_a_byte(archives, tmp_path, monkeypatch):
    first = packed(tmp_path / "x.kitbag", *archives)
    copies = tmp_path / "elsewhere"
    copies.mkdir()
    others = [Path(shutil.copy(path, copies)) for path in reversed(archives)]
    for path in others:
        os.utime(path, (0, 0))
        path.chmod(0o600)
    monkeypatch.chdir(copies)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    second = packed(Path("y"), *(path.name for path in others), others[0])
    assert second.sha256 == first.sha256
    assert (copies / "y").read_bytes() == (tmp_path / "x.kitbag").read_bytes()


def test_a_directory_has_the_same_members(archives, tmp_path):
    file = packed(tmp_path / "x.kitbag", archives[0])
    folder = packed(tmp_path / "folder", archives[0], directory=True)
    assert folder.sha256 == ""
    with Bundle.open(file.path) as one, Bundle.open(folder.path) as other:
        assert one.names() == other.names()
        assert one.digests == other.digests


def test_the_key_may_be_said(tmp_path):
    archive = make_tiny_archive(tmp_path / "a")
    with pytest.raises(UsageError, match="say so with --key"):
        packed(tmp_path / "x", archive)
    assert packed(tmp_path / "x", archive, key=KEY).manifest.builds[0].key == KEY


def test_an_older_bundle_is_replaced_or_stays_as_it_was(archives, tmp_path):
    out = tmp_path / "x.kitbag"
    out.write_text("old")
    cut = tmp_path / SYNTHETIC["linux"].filename
    cut.write_bytes(archives[0].read_bytes()[:-20])
    with pytest.raises(ArchiveError):
        packed(out, cut)
    assert out.read_text() == "old"
    packed(out, archives[0])
    assert out.stat().st_size > 1000
    assert sorted(os.listdir(tmp_path)) == sorted([cut.name, out.name])


def test_nothing_stays_in_the_temporary_directory(archives, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    packed(tmp_path / "x.kitbag", archives[0])
    assert os.listdir(tmp_path / "t") == []


def test_two_archives_of_one_build_are_refused(archives, tmp_path):
    other = make_synthetic_archive("linux", tmp_path, compression=".tar.xz")
    with pytest.raises(
        UsageError, match=r"install_only.* are both cpython-3\.13\.5-linux-x86_64-gnu"
    ):
        packed(tmp_path / "x", archives[0], other)


def test_two_archives_of_one_name_are_refused(archives, tmp_path):
    names = ("linux", "aarch64")
    members = [SYNTHETIC[name] for name in names]
    folders = [tmp_path / name for name in names]
    paths = [
        make_synthetic_archive(name, folder) for name, folder in zip(names, folders, strict=True)
    ]
    same = [path.rename(path.with_name(text)) for path, text in zip(
        paths, (members[0].filename, members[0].filename.upper().replace("TAR.GZ", "tar.gz")),
        strict=True,
    )]  # fmt: skip
    with pytest.raises((UsageError, ArchiveError)):
        packed(tmp_path / "x", *same)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        ([], {}, "nothing to pack; name an archive or a Python with --from"),
        (["a", "b"], {"key": KEY}, "--key names one build"),
        (["/nothing/x.tar.gz"], {}, "/nothing/x.tar.gz: no such file or command"),
        (["no-such-command-3.99"], {}, "no such file or command"),
        (["/dev/null"], {}, "neither an archive nor a Python"),
        (["/dev"], {}, "neither an archive nor a Python"),
    ],
)
def test_what_can_not_be_packed(tmp_path, sources, options, message):
    with pytest.raises(UsageError, match=message):
        packed(tmp_path / "x", *sources, **options)
    assert os.listdir(tmp_path) == []


def test_where_a_bundle_can_not_be_written(archives, tmp_path):
    with pytest.raises(UsageError, match="a directory; name a file, or say --format dir"):
        packed(tmp_path, archives[0])
    with pytest.raises(UsageError, match="nothing: no such directory; make it first"):
        packed(tmp_path / "nothing" / "x", archives[0])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises((UsageError, FileSystemError)):
        packed(tmp_path / "full", archives[0], directory=True)


def test_more_than_4_gib_is_told(archives, tmp_path, monkeypatch):
    reporter = Messages()
    monkeypatch.setattr(packing, "PYTHON_LIMIT", 1000)
    pack([str(archives[0])], tmp_path / "x", PackOptions(), reporter)
    assert "needs Python 3.13 on the target" in reporter.warnings[0]


def test_an_archive_of_another_making_needs_its_name_or_a_key(tmp_path):
    archive = good_archive(tmp_path / "a")
    odd = archive.rename(archive.with_name("build.tar.gz"))
    with pytest.raises(UsageError, match="--key"):
        packed(tmp_path / "x", odd)
    key = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
    assert packed(tmp_path / "x", odd, key=key).manifest.builds[0].key == key


@pytest.mark.slow
def test_an_installed_python_is_packed_and_its_ties_are_told(packable_interpreter, tmp_path):
    reporter = Messages()
    done = pack([str(packable_interpreter.path)], tmp_path / "x", PackOptions(), reporter)
    (build,) = done.manifest.builds
    assert build.version == packable_interpreter.full_version
    assert any("runs only where there is glibc" in message for message in reporter.infos)
