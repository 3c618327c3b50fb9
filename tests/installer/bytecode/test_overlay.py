import dataclasses
import gzip
import hashlib
import os
from typing import Any

import pytest

from kitbag_bundles.errors import ArchiveError
from kitbag_bundles.manifest import Build, Bytecode
from kitbag_installer.bytecode.overlay import lay_over
from support import crafting
from support.members import Member, link, tar_bytes

SOURCES = {"lib/python3.13/abc.py", "lib/python3.13/json/__init__.py"}
ABC = "lib/python3.13/__pycache__/abc.cpython-313.pyc"
JSON = "lib/python3.13/json/__pycache__/__init__.cpython-313.pyc"
PYC = (3571).to_bytes(2, "little") + b"\r\n" + b"\x03\0\0\0" + b"12345678" + b"code"


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Build:
    return crafting.tiny_build(tmp_path_factory.mktemp("build")).build


@pytest.fixture
def tree(tmp_path) -> str:
    for path in SOURCES:
        full = tmp_path / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text("")
    return os.fspath(tmp_path)


def overlay(plain: Build, *members: Member, **changes: Any) -> tuple[Build, bytes]:
    tar = tar_bytes(members)
    data = gzip.compress(tar, mtime=0)
    promised = Bytecode(
        member=plain.bytecode_member,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        tar_sha256=hashlib.sha256(tar).hexdigest(),
        files=len(members),
        unpacked_size=sum(len(member.data) for member in members),
        magic=3571,
        tag="cpython-313",
        mode="checked-hash",
        maker="cpython-3.13.5",
    )
    promised = dataclasses.replace(promised, **changes)
    return dataclasses.replace(plain, bytecode=promised), data


def test_the_files_come_where_they_belong(plain, tree):
    build, data = overlay(plain, Member(ABC, PYC), Member(JSON, PYC + b"more"))
    umask = os.umask(0o077)
    try:
        digests = lay_over(tree, build, data, SOURCES)
    finally:
        os.umask(umask)
    assert digests == {
        ABC: hashlib.sha256(PYC).hexdigest(),
        JSON: hashlib.sha256(PYC + b"more").hexdigest(),
    }
    for path in digests:
        full = os.path.join(tree, path)
        assert os.stat(full).st_mode & 0o7777 == 0o644
        assert os.stat(os.path.dirname(full)).st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    "member",
    [
        Member("lib/python3.13/abc.py", PYC),
        Member("lib/python3.13/__pycache__/os.cpython-313.pyc", PYC),
        Member("lib/python3.13/__pycache__/abc.cpython-312.pyc", PYC),
        Member("lib/python3.13/__pycache__/../abc.cpython-313.pyc", PYC),
        link(ABC, "/etc/passwd"),
        Member("lib/python3.13/__pycache__", kind="d"),
        Member(ABC, PYC[:16]),
        Member(ABC, b"\0\0" + PYC[2:]),
        Member(ABC, PYC[:4] + b"\x01" + PYC[5:]),
        Member(ABC, PYC[:4] + b"\x00" + PYC[5:]),
        Member(ABC, b""),
    ],
)
def test_what_is_no_bytecode_of_a_file_of_the_archive_is_refused(plain, tree, member):
    build, data = overlay(plain, member)
    with pytest.raises(ArchiveError):
        lay_over(tree, build, data, SOURCES)
    assert not os.path.lexists(os.path.join(tree, ABC))


@pytest.mark.parametrize(
    "changes",
    [{"files": 1}, {"files": 3}, {"unpacked_size": 23}, {"tar_sha256": "0" * 64}],
)
def test_it_is_held_against_the_manifest(plain, tree, changes):
    build, data = overlay(plain, Member(ABC, PYC), Member(JSON, PYC), **changes)
    with pytest.raises(ArchiveError, match=r"meta/bytecode/cpython-.*\.tar\.gz: "):
        lay_over(tree, build, data, SOURCES)


def test_a_damaged_one_is_refused(plain, tree):
    build, data = overlay(plain, Member(ABC, PYC))
    for broken in (data[:-9], data[:-8] + b"\0" * 8, b"", data + b"x"):
        with pytest.raises(ArchiveError):
            lay_over(tree, build, broken, SOURCES)
        if os.path.lexists(os.path.join(tree, ABC)):
            os.unlink(os.path.join(tree, ABC))


def test_two_for_one_file_are_an_error(plain, tree):
    build, data = overlay(plain, Member(ABC, PYC), Member(ABC, PYC))
    with pytest.raises(ArchiveError):
        lay_over(tree, build, data, SOURCES)
