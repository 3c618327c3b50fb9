import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.contents import Entry
from kitbag_bundles.manifest import Bytecode
from kitbag_installer.preflight.demand import (
    Demand,
    demand_of_build,
    demand_of_bytecode,
    demand_of_root,
)
from support.bundled import tiny_bundle
from support.install import install_tiny

UNITS = st.sampled_from([1, 512, 1024, 4096, 32768, 65536])
KINDS = st.tuples(st.sampled_from("dlh"), st.just(0)) | st.tuples(
    st.just("f"), st.integers(0, 1 << 33)
)
ENTRIES = st.lists(KINDS, max_size=60).map(
    lambda kinds: [
        Entry(f"{number:04}", kind, 0o644, size, "", "")
        for number, (kind, size) in enumerate(kinds)
    ]
)


@given(ENTRIES, UNITS, st.integers(0, 1 << 20))
def test_whole_blocks_and_no_more_than_one_for_each_path(entries, unit, contents_size):
    demand = demand_of_build(entries, contents_size, unit)
    files = [entry.size for entry in entries if entry.kind == "f"]
    assert demand.least == sum(files) <= demand.size
    assert demand.size % unit == 0
    inodes = 1 + sum(entry.kind != "h" for entry in entries)
    assert demand.least_inodes == inodes < demand.inodes <= inodes + 8
    # Rounding wastes less than a block for each file; directories and names cost a block or two.
    waste = demand.size - demand.least - contents_size
    assert waste <= unit * (len(entries) * 2 + 12) + 32 * len(entries) + (3 << 15)


@given(ENTRIES, ENTRIES, UNITS)
def test_a_longer_list_never_needs_less(first, second, unit):
    one = demand_of_build(first, 10, unit)
    both = demand_of_build([*first, *second], 10, unit)
    assert all(more >= less for more, less in zip(both, one, strict=True))


@given(st.integers(0, 50), st.integers(0, 1 << 24), st.integers(0, 9), UNITS)
def test_builds_that_are_unpacked_together_are_added_up(missing, installer, builds, unit):
    root = demand_of_root(missing, installer, builds, unit)
    assert root.least == root.least_inodes == 0
    assert installer <= root.size <= installer + unit * (missing + 8)
    assert root.plus(Demand(1, 2, 3, 4)) == Demand(1, root.size + 2, 3, root.inodes + 4)


@given(ENTRIES, st.integers(1, 5000), st.integers(0, 1 << 26), UNITS)
def test_bytecode_takes_its_size_and_a_block_for_each_file(entries, files, size, unit):
    bytecode = Bytecode("", 1, "", "", files, size, 3571, "cpython-313", "checked-hash", "x")
    sources = [entry._replace(path=f"lib/{entry.path}.py") for entry in entries]
    demand = demand_of_bytecode(bytecode, sources, unit)
    assert demand.least == size <= demand.size <= size + unit * (files + 4) + 204 * files + unit
    folders = any(entry.kind == "f" for entry in entries)
    assert demand[2:] == (files, files + folders + 1)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_it_is_what_an_install_takes(tmp_path):
    """On the file system at hand: never less, and not much more."""
    path = tiny_bundle(tmp_path / "x.kitbag", "3.12.9", "3.13.5")
    root = install_tiny(path, tmp_path / "root")
    with Bundle.open(path) as bundle:
        demand = demand_of_root(1, bundle.size_of("kitbag.pyz"), 2, 4096)
        for build in bundle.manifest.builds:
            size = bundle.size_of(build.contents_member)
            demand = demand.plus(demand_of_build(bundle.contents(build), size, 4096))
    inodes = 1 + len(list(Path(root.path).rglob("*")))
    hard_links = 2
    assert inodes - hard_links <= demand.inodes <= inodes + 4
    used = subprocess.run(["du", "-sk", root.path], capture_output=True, check=True).stdout
    taken = int(used.split()[0]) * 1024
    assert taken <= demand.size <= taken + 2 * (3 << 15) + 8 * 4096
