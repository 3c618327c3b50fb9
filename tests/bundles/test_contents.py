from __future__ import annotations

import hashlib
import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitbag_bundles import contents
from kitbag_bundles.contents import Entry, Summary
from kitbag_bundles.errors import BundleError

DIGEST = hashlib.sha256(b"x").hexdigest()
FILE = f"f\t644\t1\t{DIGEST}\t"


def entry(
    path: str, kind: str = "f", *, mode: int = 0o644, size: int = 1, target: str = ""
) -> Entry:
    if kind == "f":
        return Entry(path, "f", mode, size, DIGEST, "")
    mode = {"d": 0o755, "l": 0o777}.get(kind, mode)
    return Entry(path, kind, mode, 0, "", target)


def as_path(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


part = (
    (
        st.binary(min_size=1, max_size=6)
        | st.text(min_size=1, max_size=4).map(lambda text: text.encode("utf-8", "replace"))
        | st.sampled_from([b"lib", b"LIB", b"a-b", b"a", b"a.py"])
    )
    .map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_"))
    .filter(lambda raw: raw not in (b".", b".."))
)
text = st.binary(min_size=1, max_size=12).map(lambda raw: as_path(raw.replace(b"\0", b"_")))


@st.composite
def trees(draw: st.DrawFn) -> list[Entry]:
    paths = draw(st.lists(st.lists(part, min_size=1, max_size=3), max_size=12))
    folders = {b"/".join(path[:count]) for path in paths for count in range(1, len(path))}
    leaves = {b"/".join(path) for path in paths} - folders
    entries = [entry(as_path(folder), "d") for folder in folders]
    files: list[Entry] = []
    for leaf in sorted(leaves):
        kind = draw(st.sampled_from("fffldh" if files else "fld"))
        mode = draw(st.sampled_from([0o644, 0o755]))
        if kind == "h":
            shared = draw(st.sampled_from(files))
            entries.append(entry(as_path(leaf), "h", mode=shared.mode, target=shared.path))
        elif kind == "l":
            entries.append(entry(as_path(leaf), "l", target=draw(text)))
        else:
            size = draw(st.integers(0, 2**40))
            made = entry(as_path(leaf), kind, mode=mode, size=size)
            entries.append(made)
            files += [made] if kind == "f" else []
    return draw(st.permutations(entries))


@given(trees())
def test_a_tree_survives_rendering_and_parsing(tree: list[Entry]) -> None:
    data = contents.render(tree)
    parsed = contents.parse(data, "list")
    assert sorted(parsed) == sorted(tree)
    assert [os.fsencode(each.path) for each in parsed] == sorted(
        os.fsencode(each.path) for each in tree
    )
    assert contents.render(parsed) == data


@settings(max_examples=400)
@given(trees(), st.data())
def test_a_changed_list_is_refused_or_is_itself_canonical(
    tree: list[Entry], data: st.DataObject
) -> None:
    changed = bytearray(contents.render(tree))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed)))
        piece = data.draw(
            st.sampled_from([b"", b"\t", b"\n", b"\\", b"\\x41", b"/", b"..", b"\xff"])
        )
        changed[at : at + data.draw(st.integers(0, 2))] = piece
    try:
        parsed = contents.parse(bytes(changed), "list")
    except BundleError:
        return
    assert contents.render(parsed) == bytes(changed)


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        parsed = contents.parse(data, "list")
    except BundleError:
        return
    assert contents.render(parsed) == data


def test_the_text_of_each_kind() -> None:
    tree = [
        entry("b"),
        entry("b-c", "l", target="../é\\"),
        entry("bin", "d"),
        entry("bin/a\tb\n\r\x01\udcff\\", mode=0o755, size=0),
        entry("bin/h", "h", target="b"),
    ]
    assert contents.render(tree).decode("utf-8") == (
        f"f\t644\t1\t{DIGEST}\tb\n"
        "l\t777\t-\t../é\\\\\tb-c\n"
        "d\t755\t-\t-\tbin\n"
        f"f\t755\t0\t{DIGEST}\tbin/a\\tb\\n\\r\\x01\\xff\\\\\n"
        "h\t644\t-\tb\tbin/h\n"
    )


def test_the_order_is_that_of_bytes_and_not_of_surrogates() -> None:
    # U+10000 is F0 90 80 80 and sorts after the lone byte 80, whose surrogate is U+DC80.
    tree = [entry("\U00010000"), entry("\udc80"), entry("\udcff")]
    parsed = contents.parse(contents.render(tree), "list")
    assert [each.path for each in parsed] == ["\udc80", "\U00010000", "\udcff"]


def test_an_empty_list_is_a_list() -> None:
    assert contents.parse(b"", "list") == ()
    assert contents.summarise(()) == Summary(0, 0, 0, False)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (f"{FILE}a", 1, "line feed"),
        (f"{FILE}a\r\n", 1, "control"),
        (f"{FILE}a\0b\n", 1, "control"),
        (f"{FILE}a\\x00b\n", 1, "NUL"),
        (f"{FILE}a\x7f\n", 1, "control"),
        (f"\ufeff{FILE}a\n", 1, "gives a size"),
        ("\n", 1, "five fields"),
        (f"{FILE}a\n\n", 2, "five fields"),
        (f"{FILE}a\tb\n", 1, "five fields"),
        (f"{FILE}\n", 1, "empty field"),
        (f"{FILE}a\n{FILE}a\n", 2, "repeats"),
        (f"{FILE}b\n{FILE}a\n", 2, "out of order"),
        (f"{FILE}/a\n", 1, "relative and normal"),
        (f"{FILE}/\n", 1, "relative and normal"),
        (f"{FILE}..\n", 1, "relative and normal"),
        (f"{FILE}.\n", 1, "relative and normal"),
        (f"d\t755\t-\t-\ta\n{FILE}a/..\n", 2, "relative and normal"),
        (f"d\t755\t-\t-\ta\n{FILE}a/\n", 2, "relative and normal"),
        (f"d\t755\t-\t-\ta\n{FILE}a//b\n", 2, "parent"),
        (f"{FILE}a/b\n", 1, "parent"),
        (f"{FILE}a\n{FILE}a/b\n", 2, "parent"),
        (f"l\t777\t-\tb\ta\n{FILE}a/b\n", 2, "parent"),
        (f"f\t4755\t1\t{DIGEST}\ta\n", 1, "mode, size or digest"),
        (f"f\t0644\t1\t{DIGEST}\ta\n", 1, "mode, size or digest"),
        (f"f\t600\t1\t{DIGEST}\ta\n", 1, "mode, size or digest"),
        (f"f\t644\t01\t{DIGEST}\ta\n", 1, "mode, size or digest"),
        (f"f\t644\t-1\t{DIGEST}\ta\n", 1, "mode, size or digest"),
        (f"f\t644\t\u0661\t{DIGEST}\ta\n", 1, "mode, size or digest"),
        (f"f\t644\t{10**18}\t{DIGEST}\ta\n", 1, "mode, size or digest"),
        (f"f\t644\t1\t{DIGEST.upper()}\ta\n", 1, "mode, size or digest"),
        (f"f\t644\t1\t{DIGEST}0\ta\n", 1, "mode, size or digest"),
        ("f\t644\t1\t-\ta\n", 1, "mode, size or digest"),
        ("d\t755\t0\t-\ta\n", 1, "gives a size"),
        ("d\t700\t-\t-\ta\n", 1, "unknown type, or"),
        ("d\t755\t-\tx\ta\n", 1, "unknown type, or"),
        ("l\t644\t-\tx\ta\n", 1, "unknown type, or"),
        ("l\t777\t-\t\ta\n", 1, "empty field"),
        ("c\t644\t-\tx\ta\n", 1, "unknown type"),
        (f"{FILE}a\\x41\n", 1, "canonical"),
        (f"{FILE}a\\x0a\n", 1, "canonical"),
        (f"{FILE}a\\xFF\n", 1, "canonical"),
        (f"{FILE}a\\xc3\\xa9\n", 1, "canonical"),
        (f"{FILE}a\\q\n", 1, "canonical"),
        (f"{FILE}a\\\n", 1, "canonical"),
        ("l\t777\t-\ta\\x41\tb\n", 1, "canonical"),
        ("h\t644\t-\tb\ta\n", 1, "no listed file"),
        (f"h\t755\t-\tb\ta\n{FILE}b\n", 1, "no listed file"),
        ("h\t644\t-\ta\ta\n", 1, "no listed file"),
        (f"h\t644\t-\tc\ta\nh\t644\t-\ta\tb\n{FILE}c\n", 2, "no listed file"),
        ("d\t755\t-\t-\ta\nh\t755\t-\ta\tb\n", 2, "no listed file"),
    ],
)
def test_what_is_not_canonical_is_refused_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(BundleError, match=rf"^list: line {line} .*{why}"):
        contents.parse(text.encode("utf-8"), "list")


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(BundleError, match=r"^list: line 2 is not UTF-8"):
        contents.parse(f"{FILE}a\n{FILE}".encode() + b"\xff\n", "list")


def test_a_hard_link_may_come_before_its_file() -> None:
    data = f"h\t644\t-\tb\ta\n{FILE}b\n".encode()
    assert contents.parse(data, "list")[0] == Entry("a", "h", 0o644, 0, "", "b")


def test_the_summary_counts_what_the_manifest_promises() -> None:
    tree = [entry("Ä"), entry("ä", size=41), entry("d", "d"), entry("x", "h", target="Ä")]
    assert contents.summarise(tree) == Summary(42, 4, 2, True)
    assert not contents.folded_collisions(tree[1:])
    assert contents.longest_path([entry("\udcff" * 3)]) == 3


def test_directories_that_differ_in_case_collide() -> None:
    # The terminfo database does this: terminfo/N and terminfo/n.
    assert contents.folded_collisions([entry("N", "d"), entry("n", "d")])


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX file names")
def test_paths_are_what_the_file_system_gives(tmp_path: os.PathLike[str]) -> None:
    name = b"caf\xe9 \xc3\xa9\n"
    with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
        pass
    (listed,) = os.listdir(tmp_path)
    (parsed,) = contents.parse(contents.render([entry(listed)]), "list")
    assert os.path.exists(os.path.join(tmp_path, parsed.path))
