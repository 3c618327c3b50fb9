import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.archives import Member
from kitbag_bundles.contents import Entry, parse, render
from kitbag_bundles.errors import ArchiveError
from kitbag_packer.tree import TreeBuilder, find_top, resolve

DIGEST = "ab" * 32


def file(path: str, mode: int = 0o664, size: int = 3) -> Member:
    return Member(path, "f", mode, size, "")


def link(path: str, target: str) -> Member:
    return Member(path, "l", 0o777, 0, target)


def hard(path: str, target: str) -> Member:
    return Member(path, "h", 0o644, 0, target)


def tree(*members: Member):
    builder = TreeBuilder("x.tar.gz")
    for member in members:
        builder.add(member, DIGEST if member.kind == "f" else "")
    return builder.finish()


def test_entries_are_those_of_the_contents_list():
    top, entries = tree(
        file("python/lib/z", 0o664),
        file("python/bin/python3", 0o700),
        Member("python/empty", "d", 0o700, 0, ""),
        link("python/bin/python", "python3"),
        hard("python/bin/again", "python/bin/python3"),
    )
    assert top == "python"
    assert entries == (
        Entry("bin", "d", 0o755, 0, "", ""),
        Entry("bin/again", "h", 0o755, 0, "", "bin/python3"),
        Entry("bin/python", "l", 0o777, 0, "", "python3"),
        Entry("bin/python3", "f", 0o755, 3, DIGEST, ""),
        Entry("empty", "d", 0o755, 0, "", ""),
        Entry("lib", "d", 0o755, 0, "", ""),
        Entry("lib/z", "f", 0o644, 3, DIGEST, ""),
    )
    assert parse(render(entries), "list") == entries


@pytest.mark.parametrize(
    ("paths", "top"),
    [
        (["python/bin/python3", "python/lib/os.py"], "python"),
        (["pypy3.11-v7.3.19-linux64/bin/pypy3.11"], "pypy3.11-v7.3.19-linux64"),
        (["python/PYTHON.json", "python/install/a", "python/build/x.o"], "python/install"),
        (["xbuildenv/pyodide-root/dist/python", "xbuildenv/x.txt"], "xbuildenv/pyodide-root/dist"),
        (["bin/python3", "lib/os.py"], ""),
        (["install/bin/python3", "PYTHON.json"], "install"),
        (["python/install"], "python"),
        (["python/bin/x", "README"], ""),
        (["alone"], ""),
        (["python", "python/bin"], "python"),
        (["./a", "."], ""),
        ([], ""),
    ],
)
def test_the_top_is_found_as_uv_finds_it(paths, top):
    paths = [path.removeprefix("./") for path in paths if path != "."]
    assert find_top(paths) == top


def test_what_is_beside_the_top_of_a_full_archive_is_left_out():
    top, entries = tree(
        file("python/PYTHON.json"),
        file("python/install/bin/python3"),
        file("python/build/x.o"),
        link("python/build/out", "../licenses"),
    )
    assert top == "python/install"
    assert [entry.path for entry in entries] == ["bin", "bin/python3"]


def test_links_and_folders_may_be_repeated():
    once = (file("p/a"), link("p/b", "a"), hard("p/c", "p/a"), Member("p/d", "d", 0o755, 0, ""))
    again = (link("p/b", "a"), hard("p/c", "p/a"), Member("p/d", "d", 0o700, 0, ""))
    assert tree(*once, *again) == tree(*once)


def test_a_hard_link_to_a_hard_link_shares_the_file():
    _, entries = tree(file("p/a", 0o775), hard("p/b", "p/a"), hard("p/c", "p/b"))
    assert entries[2] == Entry("c", "h", 0o755, 0, "", "a")


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ([file("p/a"), file("p/a")], "holds 'p/a' twice"),
        ([file("p/a"), link("p/b", "a"), link("p/b", "c")], "holds 'p/b' twice"),
        ([link("p/a", "b"), file("p/a")], "holds 'p/a' twice"),
        ([file("p/a"), file("p/a/b")], "below 'a', which is not a folder"),
        ([link("p/a", "c"), file("p/a/b"), file("p/c/d")], "below 'a', which is not a folder"),
        ([link("p", "q"), file("p/a")], "'p', which should be a folder"),
        ([hard("p/b", "p/a")], "no file in it"),
        ([hard("p/b", "p/c"), hard("p/c", "p/b")], "no file in it"),
        ([file("p/a"), link("p/l", "a"), hard("p/b", "p/l")], "no file in it"),
        (
            [file("p/PYTHON.json"), file("p/install/a"), hard("p/install/b", "p/PYTHON.json")],
            "not part of the build",
        ),
        ([file("p/install/a"), link("p/install/b", "../build/x")], "out of its tree"),
        ([file("p/bin/a"), link("p/bin/b", "../../x")], "out of its tree"),
        ([file("p/bin/a"), link("p/bin/b", "/etc/passwd")], "out of its tree"),
        ([file("p/bin/a"), link("p/bin/b", "")], "out of its tree"),
        ([], "is empty"),
    ],
)
def test_what_is_no_tree_is_refused(members, what):
    with pytest.raises(ArchiveError, match=what):
        tree(*members)


def test_links_are_followed_inside_the_tree():
    links = {"bin/python": "python3", "bin/python3": "../lib/real", "a": "b", "b": "a"}
    assert resolve("bin/python", links, {"lib/real"}) == "lib/real"
    assert resolve("bin/python", links, {}) == ""
    assert resolve("a", links, {"a", "b"}) == ""
    assert resolve("lib/real", links, {"lib/real"}) == "lib/real"


_NAMES = st.sampled_from(["a", "b", "install", "python", "B", "é", "\udc80"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_MEMBERS = st.one_of(
    st.builds(file, _PATHS, st.integers(0, 0o777), st.integers(0, 9)),
    st.builds(link, _PATHS, st.lists(st.one_of(_NAMES, st.just("..")), max_size=4).map("/".join)),
    st.builds(hard, _PATHS, _PATHS),
    st.builds(lambda path: Member(path, "d", 0o755, 0, ""), _PATHS),
)


@given(st.lists(_MEMBERS, max_size=12))
def test_every_tree_is_a_sound_contents_list(members):
    try:
        found = tree(*members)
    except ArchiveError:
        return
    assert parse(render(found.entries), "list") == found.entries
