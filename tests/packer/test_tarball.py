"""The tar writer: what readers see, and that nothing around it changes the bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import string
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kitbag_bundles
import kitbag_packer
from kitbag_bundles.errors import ArchiveError, FileSystemError
from kitbag_bundles.reporting import Progress, SilentReporter
from kitbag_packer.tarball import MODIFIED, TarballDigests, TarItem, write_tarball
from support.interpreters import find_interpreters
from support.require import require

LONG = "python/lib/" + "deep/" * 20 + "module.py"


def write(destination: Path, *items: TarItem) -> TarballDigests:
    return write_tarball(destination, items, reporter=SilentReporter())


def test_members_are_sorted_and_carry_nothing_of_this_machine(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"#!x\n" * 500)
    os.utime(source, (1, 1))
    archive = tmp_path / "a.tar.gz"
    write(
        archive,
        TarItem("python/lib/b.py", content=b"b"),
        TarItem("python/bin/python3", "l", target="python3.12"),
        TarItem("python/bin/python3.12", mode=0o755, content=source),
    )
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        content = tar.extractfile("python/bin/python3.12")
        assert content is not None
        assert content.read() == source.read_bytes()
    assert [member.name for member in members] == [
        "python/bin/python3",
        "python/bin/python3.12",
        "python/lib/b.py",
    ]
    assert [member.mode for member in members] == [0o777, 0o755, 0o644]
    assert members[0].linkname == "python3.12"
    for member in members:
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "root", "root")
        assert member.mtime == MODIFIED
        assert not member.pax_headers


def test_gzip_header_is_upstreams_and_digests_are_true(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    digests = write(archive, TarItem("python/a", content=b"a" * 1000))
    data = archive.read_bytes()
    # No name, time 0, no extra flags, operating system 255 (unknown): RFC 1952.
    assert data[:10] == bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])
    inside = gzip.decompress(data)
    assert len(inside) % 10240 == 0
    assert digests == TarballDigests(
        hashlib.sha256(data).hexdigest(), hashlib.sha256(inside).hexdigest(), len(data)
    )


@pytest.mark.parametrize("extra", [0, 1, 50, 145, 154, 155])
def test_long_names_use_the_prefix_field_where_it_suffices(tmp_path: Path, extra: int) -> None:
    name = "python/" + "d" * extra + "/" + "n" * 100
    archive = tmp_path / "a.tar.gz"
    write(archive, TarItem(name.replace("//", "/"), content=b"x"))
    with tarfile.open(archive) as tar:
        (member,) = tar.getmembers()
    assert member.name == name.replace("//", "/")
    assert bool(member.pax_headers) == (len("python/") + extra > 155)


@pytest.mark.parametrize(
    ("item", "records"),
    [
        (TarItem(LONG, content=b"x"), set()),
        (TarItem("python/" + "n" * 101, content=b"x"), {"path"}),
        (TarItem("python/ä.py", content=b"x"), {"path"}),
        (TarItem("python/\udcff.py", content=b"x"), {"path", "hdrcharset"}),
        (TarItem("python/link", "l", target="a/" * 60), {"linkpath"}),
    ],
)
def test_pax_only_where_ustar_cannot_say_it(
    tmp_path: Path, item: TarItem, records: set[str]
) -> None:
    archive = tmp_path / "a.tar.gz"
    write(archive, item)
    with tarfile.open(archive, errors="surrogateescape") as tar:
        (member,) = tar.getmembers()
    assert member.name == item.path
    assert member.linkname.rstrip("/") == item.target.rstrip("/")
    assert set(member.pax_headers) == records


NAMES = st.text(
    st.sampled_from(string.ascii_letters + string.digits + "-_. äß漢") | st.just("\udcfe"),
    min_size=1,
    max_size=130,
).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda parts: "/".join(["python", *parts]))


@given(
    tree=st.dictionaries(PATHS, st.binary(max_size=2000), max_size=8),
    executable=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_goes_in_comes_out(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, bytes], executable: bool
) -> None:
    folders = {path.rpartition("/")[0] for path in tree}
    tree = {
        path: data
        for path, data in tree.items()
        if not any(f"{folder}/".startswith(f"{path}/") for folder in folders)
    }
    mode = 0o755 if executable else 0o644
    archive = tmp_path_factory.mktemp("tar") / "a.tar.gz"
    items = [TarItem(path, mode=mode, content=data) for path, data in tree.items()]
    first = write(archive, *items)
    with tarfile.open(archive, errors="surrogateescape") as tar:
        found = {}
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            assert member.mode == mode
            found[member.name] = stream.read()
    assert found == tree
    assert list(found) == sorted(tree, key=os.fsencode)
    assert write(archive, *reversed(items)) == first


@pytest.mark.parametrize(
    "items",
    [
        [TarItem("/etc/passwd")],
        [TarItem("../x")],
        [TarItem("python/../../x")],
        [TarItem("python//x")],
        [TarItem("")],
        [TarItem("python/a"), TarItem("python/a")],
        [TarItem("python/a"), TarItem("python/a/b")],
        [TarItem("python/a", "d")],
        [TarItem("python/a", "l", target="/usr/bin/python3")],
        [TarItem("python/a", "l", target="../../x")],
        [TarItem("python/a", "l", target="../other/x")],
        [TarItem("python/a", "l", target="")],
    ],
)
def test_members_that_must_not_be_are_refused(tmp_path: Path, items: list[TarItem]) -> None:
    with pytest.raises(ArchiveError):
        write(tmp_path / "a.tar.gz", *items)
    assert not list(tmp_path.iterdir())


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    source = tmp_path / "log"
    source.write_bytes(b"a" * 10)

    class Growing(SilentReporter):
        def progress(self, label: str, total: int) -> Progress:
            source.write_bytes(b"a" * 20)
            return super().progress(label, total)

    with pytest.raises(FileSystemError, match="changed while it was read"):
        write_tarball(
            tmp_path / "a.tar.gz", [TarItem("python/log", content=source)], reporter=Growing()
        )
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_an_unreadable_file_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(FileSystemError, match="missing"):
        write(tmp_path / "a.tar.gz", TarItem("python/a", content=tmp_path / "missing"))
    assert not list(tmp_path.iterdir())


def test_progress_counts_every_byte_of_content(tmp_path: Path) -> None:
    counted: list[int] = []

    class Counter:
        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *exc: object) -> None:
            pass

        def advance(self, count: int) -> None:
            counted.append(count)

    class Counting(SilentReporter):
        def progress(self, label: str, total: int) -> Progress:
            counted.append(-total)
            return Counter()

    items = [TarItem("python/a", content=b"a" * 700), TarItem("python/b", content=b"b" * 42)]
    write_tarball(tmp_path / "a.tar.gz", items, reporter=Counting())
    assert counted[0] == -742
    assert sum(counted) == 0


SCRIPT = """
import pathlib, sys
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.tarball import TarItem, write_tarball
names = {f"python/lib/{'d' * (n % 170 + 1)}/{n}" for n in range(400)}
names |= {"python/\\u00e4", "python/\\udcff"}
items = [TarItem(name, content=name.encode("utf-8", "surrogateescape") * 9) for name in names]
digests = write_tarball(pathlib.Path(sys.argv[1]), items, reporter=SilentReporter())
print(digests.tar_sha256)
"""


def test_surroundings_and_python_version_do_not_matter(tmp_path: Path) -> None:
    pythons = {one.minor: one.path for one in find_interpreters((3, 11)) if one.minor != "3.11"}
    require(pythons, "needs a second CPython ≥ 3.11")
    roots = [str(Path(next(iter(p.__path__))).parent) for p in (kitbag_bundles, kitbag_packer)]
    runs = [
        (sys.executable, {"TZ": "UTC", "PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8"}, 0o022),
        (sys.executable, {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "2", "LC_ALL": "C"}, 0o077),
        *((str(path), {"TZ": "America/Lima"}, 0o002) for path in pythons.values()),
    ]
    seen = set()
    for number, (python, environment, umask) in enumerate(runs):
        run = subprocess.run(
            [python, "-B", "-c", SCRIPT, str(tmp_path / f"{number}.tar.gz")],
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(roots)},
            umask=umask,
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(run.stdout)
    assert len(seen) == 1
    assert len(seen.pop().strip()) == 64
