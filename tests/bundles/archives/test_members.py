import os
import tempfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kitbag_bundles.archives.members import (
    BOMB_FLOOR,
    BOMB_RATIO,
    check_growth,
    check_link,
    normal_path,
)
from kitbag_bundles.errors import ArchiveError


@pytest.mark.parametrize(
    ("given_path", "normal"),
    [
        ("a", "a"),
        ("a/b", "a/b"),
        ("./a", "a"),
        ("././a/", "a"),
        ("a/", "a"),
        (".", ""),
        ("./", ""),
        ("./.", ""),
        ("", ""),
        ("a/..b/.c", "a/..b/.c"),
        ("caf\udce9", "caf\udce9"),
    ],
)
def test_normal_paths(given_path, normal):
    assert normal_path(given_path, "x.tar") == normal


@pytest.mark.parametrize(
    "path", ["/", "/a", "//a", ".//a", "..", "../a", "a/..", "a/../b", "./../a", "a//b", "a/./b",
             "a/.", "a//", "a\0b", "\0"]
)  # fmt: skip
def test_forbidden_names(path):
    with pytest.raises(ArchiveError, match=r"x\.tar: member .* has a forbidden name"):
        normal_path(path, "x.tar")


@given(st.text(alphabet="./ab\0", max_size=12))
def test_a_normal_path_is_relative_and_stays_as_it_is(text):
    try:
        path = normal_path(text, "x.tar")
    except ArchiveError:
        return
    assert normal_path(path, "x.tar") == path
    assert os.path.normpath("/top/" + path).startswith("/top")
    assert not path or os.path.normpath(path) == path


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("link", "file"),
        ("link", "a/b/./c"),
        ("link", "nothing//there/"),
        ("a/link", "../file"),
        ("a/b/link", "../../c/d"),
        ("a/link", ".."),
        ("a/link", "caf\udce9"),
    ],
)
def test_acceptable_links(path, target):
    check_link(path, target, "x.tar")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("link", ""),
        ("link", ".."),
        ("link", "/etc/passwd"),
        ("a/link", "../../file"),
        ("a/link", "b/../c"),
        ("a/link", "./../../c"),
        ("a/link", "b\0"),
        ("", "anything"),
        ("", ""),
    ],
)
def test_links_that_could_leave(path, target):
    with pytest.raises(ArchiveError, match="out of its tree"):
        check_link(path, target, "x.tar")


names = st.sampled_from(["a", "b", "c", "d"])
parts = st.one_of(names, st.sampled_from(["..", "..", ".", ""]))
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
targets = st.lists(parts, min_size=1, max_size=6).map("/".join)


@given(st.lists(st.tuples(paths, targets), max_size=12))
@example([("a", "."), ("b", "a/a/../..")])
@example([("a/b", "../c"), ("c/d", "../.."), ("e", "a/b/d/x")])
def test_accepted_links_never_leave_the_tree_together(wanted):
    """On a real file system, whatever other accepted links such a link passes."""
    with tempfile.TemporaryDirectory() as folder:
        tree = os.path.realpath(f"{folder}/outer/tree")
        os.makedirs(tree)
        _folders(os.path.dirname(tree), levels=1)
        _folders(folder, levels=1)
        made = []
        for path, target in wanted:
            try:
                check_link(path, target, "x.tar")
            except ArchiveError:
                continue
            # As in a contents list: parents are real directories, and a name is there once.
            place, parent = f"{tree}/{path}", os.path.dirname(f"{tree}/{path}")
            above = ["/".join(path.split("/")[:count]) for count in range(1, path.count("/") + 1)]
            linked = any(os.path.islink(f"{tree}/{each}") for each in above)
            if not linked and not os.path.lexists(place):
                os.makedirs(parent, exist_ok=True)
                os.symlink(target, place)
                made.append(place)
        # What is left of the names are folders, so that links lead somewhere.
        for name in "abcd":
            for path in (f"{tree}/{name}", *(f"{tree}/{name}/{inner}" for inner in "abcd")):
                if not os.path.lexists(path) and not os.path.islink(os.path.dirname(path)):
                    os.mkdir(path)
        for place in made:
            try:
                handle = os.open(place, os.O_PATH)
            except OSError:
                continue  # a loop, or a name that is not there
            try:
                found = os.readlink(f"/proc/self/fd/{handle}")
            finally:
                os.close(handle)
            assert f"{found}/".startswith(f"{tree}/")


def _folders(top: str, levels: int) -> None:
    """Everything that a name could lead to is there, outside of the tree too."""
    for name in "abcd" if levels else "":
        os.makedirs(f"{top}/{name}", exist_ok=True)
        _folders(f"{top}/{name}", levels - 1)


def test_growth_is_unlimited_for_what_is_small():
    check_growth(BOMB_FLOOR, 1, "x.tar")
    check_growth(BOMB_FLOOR + 1, BOMB_FLOOR // BOMB_RATIO + 1, "x.tar")
    with pytest.raises(ArchiveError, match="unpacks to more than 200 times its size"):
        check_growth(BOMB_FLOOR + 1, BOMB_FLOOR // BOMB_RATIO, "x.tar")
