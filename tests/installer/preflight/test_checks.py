import os
from dataclasses import replace

import pytest

from kitbag_bundles import contents
from kitbag_bundles.contents import Entry
from kitbag_bundles.keys import BuildKey
from kitbag_installer.preflight import checks
from kitbag_installer.preflight.checks import Tree, check_needs, check_place
from kitbag_installer.preflight.demand import Demand
from kitbag_installer.preflight.places import place_of
from kitbag_installer.preflight.points import Point
from kitbag_installer.roots import Root
from support.bundles import packed_build

LINUX = packed_build()


def tree(*paths: str, size: int = 0) -> Tree:
    """A build whose list has ``paths``."""
    entries = [Entry(path, "f", 0o644, size, "0" * 64, "") for path in paths]
    build = replace(LINUX.build, **contents.summarise(entries)._asdict())
    return Tree(build, entries, 1000)


SMALL = tree("a")
COLLIDING = tree("a/P", "a/p")


@pytest.fixture
def root(tmp_path) -> Root:
    return Root(str(tmp_path / "root"))


def found(root: Root, *trees: Tree, bin_dir: str = "") -> list[Point]:
    return check_place(root, trees or [SMALL], 1000, bin_dir)[0]


def codes(points: list[Point]) -> list[tuple[str, bool]]:
    return [(point.code, point.advice) for point in points]


@pytest.fixture
def elsewhere(monkeypatch):
    """Change what the system says about every place."""

    def change(**values: object) -> None:
        monkeypatch.setattr(checks, "place_of", lambda path: place_of(path)._replace(**values))

    return change


WINDOWS = SMALL._replace(
    build=replace(SMALL.build, key=BuildKey.parse("cpython-3.13.5-windows-x86_64-none"))
)


def test_what_nothing_runs_of_may_be_where_nothing_may_run(root, elsewhere):
    elsewhere(no_exec=True)
    away = SMALL._replace(foreign=True)
    assert found(root, away) == []
    assert codes(found(root, away, SMALL)) == [("noexec", False)]


def test_a_tree_of_windows_needs_no_links(root, elsewhere):
    elsewhere(kind="exfat")
    assert found(root, WINDOWS._replace(foreign=True)) == []
    assert codes(found(root, WINDOWS, SMALL)) == [("symlinks", False)]


def test_a_usual_place_is_fine(root, tmp_path):
    assert found(root, SMALL, COLLIDING, bin_dir=str(tmp_path / "bin")) == []
    root.prepare()
    assert found(root) == []
    assert found(root, bin_dir=str(tmp_path / "root" / "bin")) == []
    # Nothing to install: the root is all that matters.
    assert check_place(root, [], 1000, "")[0] == []


@pytest.mark.parametrize("over", [0, 1])
def test_the_longest_path_is_that_of_the_temporary_directory_or_of_the_build(tmp_path, over):
    """What would be made has as many bytes as the system takes, or one more."""
    key = str(LINUX.build.key)
    deep = tree("x" * 100)
    rest = max(len(f"/.temp/kitbag-stage-{'0' * 12}"), len(f"/{key}")) + 1 + 100
    length = 4095 - rest + over
    path = str(tmp_path)
    while len(path) < length - 201:
        path += "/" + "d" * 200
    path += "/" + "e" * (length - len(path) - 1)
    points = found(Root(path), deep)
    assert codes(points) == [("path-length", False)] * over
    if not over:
        # It is true: the system takes the one and not the other.
        os.makedirs(f"{path}/{key}")
        with open(f"{path}/{key}/{'x' * 100}", "wb"):
            pass
        with pytest.raises(OSError, match="too long"):
            open(f"{path}/{key}/{'x' * 101}", "wb")  # noqa: SIM115


def test_names_are_counted_in_bytes(tmp_path):
    assert codes(found(Root(str(tmp_path / ("ü" * 127))))) == []
    (point,) = found(Root(str(tmp_path / ("ü" * 128) / "below")))
    assert point.code == "name-length"
    assert "has 256 bytes, and the file system takes 255" in point.message


def test_names_of_a_build_on_a_file_system_with_short_ones(root, elsewhere):
    """As eCryptfs has them; a long path of short names is fine."""
    elsewhere(longest_name=143)
    assert found(root, tree("/".join(["x" * 70] * 4))) == []
    (point,) = found(root, tree("x" * 144, "y" * 20))
    assert "has 144 bytes" in point.message


@pytest.mark.parametrize("kind", ["vfat", "exfat"])
def test_file_systems_that_are_known_to_lack_something(root, elsewhere, kind):
    elsewhere(kind=kind)
    assert codes(found(root, SMALL)) == [("symlinks", False)]
    assert codes(found(root, COLLIDING)) == [("symlinks", False), ("case", False)]
    assert check_place(root, [], 1000, "")[0] == []


def test_a_path_that_no_text_can_name(tmp_path):
    (point,) = found(Root(f"{tmp_path}/new\nline"))
    assert point.code == "path-text"


def test_everything_at_once(root, elsewhere):
    elsewhere(no_exec=True, kind="vfat", free=0, inodes=0, longest_name=10)
    assert [point.code for point in found(root, COLLIDING)] == [
        *("name-length", "noexec", "symlinks", "case", "space", "inodes")
    ]
    # Nothing can be said about room where nothing may be written anyway.
    elsewhere(read_only=True, free=0, inodes=0)
    assert [point.code for point in found(root)] == ["read-only"]


def _demand(root: Root, *trees: Tree) -> Demand:
    return check_place(root, trees, 1000, "")[2]


BIG = tree(*(f"{number}" for number in range(50)), size=5000)


def test_space_is_a_fact_only_where_the_files_themselves_do_not_fit(root, elsewhere):
    demand = _demand(root, BIG, BIG)
    assert (demand.least, demand.least_inodes) == (500_000, 102)
    for free, expected in (
        (demand.size, []),
        (demand.size - 1, [("space", True)]),
        (demand.least, [("space", True)]),
        (demand.least - 1, [("space", False)]),
        (None, []),
    ):
        elsewhere(free=free)
        assert codes(found(root, BIG, BIG)) == expected
    elsewhere(free=10_999, kind="btrfs")
    (point,) = found(root, BIG, BIG)
    assert point.advice
    assert "are needed there and 10 kB are free" in point.message


def test_inodes_likewise(root, elsewhere):
    demand = _demand(root, BIG)
    for inodes, expected in (
        (demand.inodes, []),
        (demand.inodes - 1, [("inodes", True)]),
        (demand.least_inodes - 1, [("inodes", False)]),
        (None, []),
    ):
        elsewhere(inodes=inodes)
        assert codes(found(root, BIG)) == expected


def test_what_an_interrupted_run_left_counts_as_free(root, elsewhere):
    root.prepare()
    scratch = root.scratch("stage")
    with open(scratch, "wb") as file:
        file.write(bytes(1 << 20))
        os.fsync(file.fileno())
    elsewhere(free=0)
    assert found(root, BIG) == []
    os.rename(scratch, f"{root.temp}/of-uv")
    assert codes(found(root, BIG)) == [("space", False)]


@pytest.mark.parametrize("name", [".temp", ".kitbag", ".lock", str(LINUX.build.key)])
def test_something_else_in_the_way(root, name):
    os.mkdir(root.path)
    path = os.path.join(root.path, name)
    if name == ".lock":
        os.mkdir(path)
    else:
        os.symlink("nothing", path)
    (point,) = found(root)
    assert (point.code, point.advice) == ("occupied", False)
    assert point.message.startswith(f"{path}: ")


def test_the_bin_directory_is_advice(root, tmp_path, elsewhere):
    (tmp_path / "file").write_text("")
    (point,) = found(root, bin_dir=str(tmp_path / "file" / "bin"))
    assert (point.code, point.advice) == ("bin-dir", True)
    assert f"can't make links there ({tmp_path}/file is not a directory)" in point.message


def test_the_loader_is_a_fact_and_libraries_are_advice():
    needs = LINUX.build.needs
    build = replace(LINUX.build, needs=replace(needs, interpreter="/lib/ld-never.so.1"))
    (point,) = check_needs(build)
    assert (point.code, point.advice) == ("loader", False)
    assert "needs the system's loader /lib/ld-never.so.1, which is not there" in point.message
    wanted = ("libnever.so.1", "libc.so.6", "libnot.so.2")
    build = replace(LINUX.build, needs=replace(needs, interpreter="", libraries=wanted))
    (point,) = check_needs(build)
    assert (point.code, point.advice) == ("libraries", True)
    assert "not found, libnever.so.1, libnot.so.2; install them" in point.message
    assert check_needs(replace(build, needs=replace(needs, interpreter=""))) == []
