from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles import sums
from kitbag_bundles.errors import BundleError
from support.require import require_command

if TYPE_CHECKING:
    from pathlib import Path

A = "0" * 64
digests = st.dictionaries(
    st.from_regex(r"[a-z0-9_+-]{2,8}", fullmatch=True).map("archives/{}.tar.gz".format),
    st.binary(max_size=4).map(lambda data: hashlib.sha256(data).hexdigest()),
)


@given(digests)
def test_round_trip(mapping: dict[str, str]) -> None:
    data = sums.render(mapping)
    assert sums.parse(data) == mapping
    assert list(sums.parse(data)) == sorted(mapping)


@given(digests, st.integers(0, 200), st.sampled_from([b"", b"\r", b"\n", b" ", b"*", b"\\", b"A"]))
def test_a_changed_file_is_refused_or_is_itself_canonical(
    mapping: dict[str, str], at: int, piece: bytes
) -> None:
    data = sums.render(mapping)
    changed = data[:at] + piece + data[at + 1 :]
    try:
        parsed = sums.parse(changed)
    except BundleError:
        return
    assert sums.render(parsed) == changed


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (f"{A}  a", "line feed"),
        (f"{A}  a\r\n", "line 1"),
        (f"\ufeff{A}  a\n", "line 1"),
        (f"{A} *a\n", "line 1"),
        (f"{A} a\n", "line 1"),
        (f"{A}   a\n", "line 1"),
        (f"{A}  a\n\n", "line 2"),
        (f"# note\n{A}  a\n", "line 1"),
        (f"{'A' * 64}  a\n", "line 1"),
        (f"{A[1:]}  a\n", "line 1"),
        (f"{A}  a\n{A}  a\n", "line 2 is out of order or repeats"),
        (f"{A}  b\n{A}  a\n", "line 2 is out of order"),
        (f"{A}  ../a\n", "not a relative"),
        (f"\\{A}  a\\nb\n", "line 1"),
        (f"{A}  \u00e9\n", "line 1"),
        (f"{A}  A\n{A}  a\n", "case is folded"),
    ],
)
def test_other_spellings_are_refused(data: str, why: str) -> None:
    with pytest.raises(BundleError, match=why):
        sums.parse(data.encode("utf-8"))


def test_what_the_file_cannot_list() -> None:
    assert sums.is_unlisted("SHA256SUMS")
    assert sums.is_unlisted("SHA256SUMS.sigstore.json")
    assert not sums.is_unlisted("SHA256SUMS.sig/x")
    assert not sums.is_unlisted("meta/SHA256SUMS")


def test_sha256sum_reads_it(tmp_path: Path) -> None:
    tool = require_command("sha256sum")
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "a b+c").write_bytes(b"x")
    listed = {"meta/a b+c": hashlib.sha256(b"x").hexdigest()}
    (tmp_path / "SHA256SUMS").write_bytes(sums.render(listed))
    done = subprocess.run([tool, "--strict", "-c", "SHA256SUMS"], cwd=tmp_path, check=False)
    assert done.returncode == 0
