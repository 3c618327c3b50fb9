from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.contents import Entry, render
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.manifest import Needs
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer import findings
from kitbag_packer.cache.memory import Memory
from kitbag_packer.findings import Inspection
from kitbag_packer.inspection import inspect_archive
from support.caches import digest
from support.synthetic import SYNTHETIC, make_synthetic_archive

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")


def found(**changes: object) -> Inspection:
    plain = Inspection(
        key=KEY,
        release="20260101",
        flavor="install_only",
        top="python",
        contents_list=render([Entry("a", "f", 0o644, 5, "0" * 64, "")]),
        needs=Needs("/lib64/ld-linux-x86-64.so.2", "2.17", ("libx.so.1",), "x86-64", ""),
        optional_libraries={"libtk.so": ("a", "b")},
        size=7,
        sha256=digest(b"x"),
        crc32=8,
        tar_sha256="",
        unpacked_size=5,
        files=1,
        longest_path=1,
        case_collisions=False,
        notes=("one", "two"),
    )
    return dataclasses.replace(plain, **changes)


@pytest.fixture
def memory(tmp_path) -> Memory:
    return Memory(tmp_path / "cache")


def stored(tmp_path):
    (path,) = (tmp_path / "cache" / "inspections").iterdir()
    return path


@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_kind_of_archive_comes_back_as_it_was(tmp_path, memory, name):
    archive = make_synthetic_archive(name, tmp_path)
    key = BuildKey.parse(SYNTHETIC[name].key)
    seen = inspect_archive(archive, key=key, reporter=SilentReporter())
    memory.remember(seen, archive.name, key)
    assert memory.recall(seen.sha256, archive.name, key) == seen


@given(
    top=st.text(
        st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
    ),
    notes=st.lists(st.text()).map(tuple),
    libraries=st.dictionaries(st.text(), st.lists(st.text()).map(tuple)),
    size=st.integers(0, 2**63),
)
def test_whatever_the_values_are_they_come_back(tmp_path_factory, top, notes, libraries, size):
    memory = Memory(tmp_path_factory.getbasetemp() / "memory")
    seen = found(top=top, notes=notes, optional_libraries=libraries, size=size)
    memory.remember(seen, "a.tar.gz", None)
    assert memory.recall(seen.sha256, "a.tar.gz", None) == seen


def test_it_is_of_this_name_key_and_inspector_only(memory, monkeypatch):
    seen = found()
    memory.remember(seen, "a.tar.gz", KEY)
    assert memory.recall(seen.sha256, "a.tar.gz", KEY) == seen
    assert memory.recall(seen.sha256, "a.tar.gz", None) is None
    assert memory.recall(seen.sha256, "b.tar.gz", KEY) is None
    assert memory.recall("0" * 64, "a.tar.gz", KEY) is None
    assert memory.recall("../x", "a.tar.gz", KEY) is None
    monkeypatch.setattr(findings, "INSPECTOR", findings.INSPECTOR + 1)
    assert memory.recall(seen.sha256, "a.tar.gz", KEY) is None


@given(st.data())
def test_a_damaged_one_is_forgotten(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("memory")
    memory, seen = Memory(folder / "cache"), found()
    memory.remember(seen, "a", None)
    path = stored(folder)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    broken = data.draw(
        st.sampled_from(
            [whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]]
        )
    )
    path.write_bytes(broken)
    assert memory.recall(seen.sha256, "a", None) is None
    assert not path.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"[]\n",
        b"{}\n",
        b'{"key": 7}\n',
        b"[" * 100_000 + b"\n",
        b"null\n",
    ],
)
def test_one_that_was_made_up_is_forgotten(tmp_path, memory, body):
    seen = found()
    memory.remember(seen, "a", None)
    path = stored(tmp_path)
    path.write_bytes(digest(body).encode() + b"\n" + body)
    assert memory.recall(seen.sha256, "a", None) is None
    memory.remember(seen, "a", None)
    assert memory.recall(seen.sha256, "a", None) == seen


def test_one_that_others_may_have_written_is_not_believed(tmp_path, memory):
    seen = found()
    memory.remember(seen, "a", None)
    stored(tmp_path).chmod(0o666)
    assert memory.recall(seen.sha256, "a", None) is None


def test_where_nothing_can_be_written_nothing_happens(tmp_path):
    (tmp_path / "file").touch()
    memory = Memory(tmp_path / "file" / "cache")
    memory.remember(found(), "a", None)
    assert memory.recall(found().sha256, "a", None) is None
