from __future__ import annotations

import random

from kitbag_bundles import members

ORDER = [
    "__main__.py",
    "kitbag.pyz",
    "install.sh",
    "install.cmd",
    "manifest.toml",
    "contents/cpython-3.12.1-linux-x86_64-gnu.tsv",
    "contents/cpython-3.13.1-linux-x86_64-gnu.tsv",
    "archives/B.tar.gz",
    "archives/a.tar.gz",
    "licenses/python.txt",
    "meta/note",
    "SHA256SUMS",
    "SHA256SUMS.sig",
    "SHA256SUMS.sigstore.json",
]


def test_the_fixed_order() -> None:
    shuffled = ORDER[:]
    random.Random(7).shuffle(shuffled)
    assert members.in_order(shuffled) == ORDER


def test_what_is_special() -> None:
    aligned = [name for name in ORDER if members.is_aligned(name)]
    assert aligned == ["kitbag.pyz", "archives/B.tar.gz", "archives/a.tar.gz"]
    assert [name for name in ORDER if members.is_executable(name)] == ["install.sh"]
    reserved = [name for name in ORDER if members.is_reserved(name)]
    assert reserved == [*ORDER[9:11], *ORDER[12:]]
