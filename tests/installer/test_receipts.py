import gzip
import json
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles import contents
from kitbag_bundles.contents import Entry
from kitbag_bundles.errors import IntegrityError
from kitbag_bundles.keys import BuildKey
from kitbag_installer.receipts import (
    Receipt,
    has_receipt,
    pack_originals,
    read_contents,
    read_originals,
    read_receipt,
    write_receipt,
)
from support.outcome import outcome

ENTRIES = (
    Entry("bin", "d", 0o755, 0, "", ""),
    Entry("bin/caf\udce9", "f", 0o755, 3, "ab" * 32, ""),
    Entry("bin/python", "l", 0o777, 0, "", "caf\udce9"),
)
ORIGINALS = {"bin/pip": b"#!/install/bin/python\n", "lib/caf\udce9": b"\xff\x00\xe9"}


def digest(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def receipt(**changes) -> Receipt:
    found = Receipt(
        key=BuildKey.parse("cpython-3.13.5+freethreaded-linux-x86_64-gnu"),
        home="/opt/caf\xe9 py/cpython",
        kitbag="0.1.0",
        release="20260101",
        flavor="install_only",
        bundle={"name": "edge", "version": "1", "kitbag": "0.1.0"},
        source={"member": "archives/x.tar.gz", "sha256": "cd" * 32, "url": ""},
        contents_sha256=digest(contents.render(ENTRIES)),
        originals_sha256=digest(pack_originals(ORIGINALS)),
        changed={"bin/pip": "ef" * 32},
        added={"BUILD": "01" * 32},
        added_links={"bin/python": "python3.13t"},
    )
    return replace(found, **changes)


@pytest.fixture
def tree(tmp_path) -> str:
    write_receipt(str(tmp_path), receipt(), contents.render(ENTRIES), pack_originals(ORIGINALS))
    return str(tmp_path)


def test_what_is_written_is_what_is_read(tree):
    assert has_receipt(tree)
    found = read_receipt(tree)
    assert found == receipt()
    assert read_contents(tree, found) == ENTRIES
    assert read_originals(tree, found) == ORIGINALS
    assert sorted(os.listdir(f"{tree}/.kitbag")) == [
        "contents.tsv",
        "originals.json.gz",
        "receipt.json",
    ]


def test_a_receipt_is_written_once(tree):
    with pytest.raises(FileExistsError):
        write_receipt(tree, receipt(), b"", b"")


def test_a_tree_of_another_tool_has_none(tmp_path):
    assert not has_receipt(str(tmp_path))
    assert not has_receipt(str(tmp_path / "nothing"))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.binary(), max_size=5))
def test_originals_are_kept_byte_for_byte(originals):
    packed = pack_originals(originals)
    assert pack_originals(dict(reversed(originals.items()))) == packed
    texts = json.loads(gzip.decompress(packed))
    assert {
        name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()
    } == originals


def damage(tree: str, change) -> None:
    path = Path(tree, ".kitbag", "receipt.json")
    table = json.loads(path.read_text())
    table = change(table) or table
    path.write_text(json.dumps(table))


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.pop("home") and None,
        lambda table: table.pop("format") and None,
        lambda table: table.update(format="1"),
        lambda table: table.update(format=None),
        lambda table: table.update(key="not a key"),
        lambda table: table.update(key=5),
        lambda table: table.update(key=None),
        lambda table: table.update(home=["x"]),
        lambda table: table.update(changed=["bin/pip"]),
        lambda table: table.update(changed={"bin/pip": 5}),
        lambda table: table.update({"added-links": "x"}),
        lambda table: table.update(bundle=None),
        lambda table: [table],
        lambda table: "text",
    ],
)
def test_a_receipt_that_makes_no_sense_is_told_as_damage(tree, change):
    damage(tree, change)
    with pytest.raises(IntegrityError, match=r"receipt\.json: .*mend it with"):
        read_receipt(tree)


def test_a_receipt_of_a_newer_kitbag_is_told_as_such(tree):
    damage(tree, lambda table: table.update(format=2))
    with pytest.raises(IntegrityError, match="written by a newer kitbag"):
        read_receipt(tree)


def test_unknown_fields_do_no_harm(tree):
    damage(tree, lambda table: table.update(later="field"))
    assert read_receipt(tree) == receipt()


def test_mutated_receipts_are_read_or_refused(tree):
    path = Path(tree, ".kitbag", "receipt.json")
    whole = path.read_bytes()
    chance = random.Random(5)
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(IntegrityError):
            read_receipt(tree)
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        found, error = outcome(lambda: read_receipt(tree), IntegrityError)
        assert found is None or isinstance(found.home, str)
        assert "\n" not in error


def test_one_that_is_nested_too_deep(tree):
    Path(tree, ".kitbag", "receipt.json").write_text("[" * 100_000)
    with pytest.raises(IntegrityError, match="can't be read"):
        read_receipt(tree)


@pytest.mark.parametrize("name", ["contents.tsv", "originals.json.gz"])
@pytest.mark.parametrize("how", ["changed", "missing"])
def test_the_other_files_are_held_against_the_receipt(tree, name, how):
    path = Path(tree, ".kitbag", name)
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    read = read_contents if name == "contents.tsv" else read_originals
    with pytest.raises(IntegrityError, match=f"{name}: .*kitbag repair"):
        read(tree, read_receipt(tree))
