from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import IntegrityError
from kitbag_installer.receiptlists import pack_bytecode, parse_bytecode, read_list

DIGEST = "ab" * 32


# As the file system has names: any bytes but a NUL and a slash, undecodable ones as surrogates.
NAMES = st.binary(min_size=1, max_size=20).map(
    lambda raw: raw.replace(b"\0", b"-").decode("utf-8", "surrogateescape")
)


class TestBytecode:
    @given(st.dictionaries(NAMES, st.just(DIGEST)))
    def test_a_list_comes_back(self, digests):
        assert parse_bytecode(pack_bytecode(digests)) == digests

    def test_names_are_bytes(self):
        digests = {"lib/caf\udce9.pyc": DIGEST, "lib/a\tb.pyc": DIGEST}
        assert parse_bytecode(pack_bytecode(digests)) == digests

    def test_no_files_are_no_list(self):
        assert pack_bytecode({}) == b""

    def test_the_order_is_bytewise(self):
        packed = pack_bytecode({"b": DIGEST, "a/z": DIGEST, "a": DIGEST})
        assert [line.split(b"\t")[1] for line in packed.splitlines()] == [b"a", b"a/z", b"b"]


class TestReading:
    def test_only_what_the_receipt_has(self, tmp_path):
        (tmp_path / ".kitbag").mkdir()
        path = tmp_path / ".kitbag" / "contents.tsv"
        path.write_bytes(b"x")
        sha256 = hashlib.sha256(b"x").hexdigest()
        assert read_list(str(tmp_path), "contents.tsv", sha256) == b"x"
        path.write_bytes(b"y")
        with pytest.raises(IntegrityError, match=r"contents\.tsv: differs from its receipt; mend"):
            read_list(str(tmp_path), "contents.tsv", sha256)

    def test_one_that_is_gone(self, tmp_path):
        with pytest.raises(IntegrityError, match=r"can't be read.*No such file.*repair"):
            read_list(str(tmp_path), "contents.tsv", DIGEST)
