"""Names and addresses of archives."""

from __future__ import annotations

import pytest

from kitbag_packer.catalogs.embedded import EmbeddedCatalog
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.catalogs.naming import GITHUB, NameReader, canonical_address, filename_of
from kitbag_packer.upstream import parse_filename

NAME = "cpython-3.13.5+20250612-x86_64-unknown-linux-gnu-install_only.tar.gz"
QUOTED = NAME.replace("+", "%2B")
PYPY = "https://downloads.python.org/pypy/pypy3.11-v7.3.20-linux64.tar.gz"


def test_many_names_are_read_as_each_alone() -> None:
    reader = NameReader()
    names = [offer.filename for offer in EmbeddedCatalog().offers(Interest())]
    strange = [
        *(NAME.replace("3.13.5", number) for number in ("3.14.0rc1", "3.13", "3.99999.1")),
        *(NAME.replace("install_only", rest) for rest in ("install_only-install_only", "x", "")),
        *("", "setup.exe", "cpython-3.13.5+20250612-"),
    ]
    for name in (*names, *names[:9], *strange, *strange):
        assert reader.read(name) == parse_filename(name), name


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (f"{GITHUB}20250612/{QUOTED}", f"{GITHUB}20250612/{QUOTED}"),
        (f"{GITHUB}20250612/{NAME}", f"{GITHUB}20250612/{QUOTED}"),
        (f"{GITHUB.replace('astral-sh', 'indygreg')}20250612/{QUOTED}",
         f"{GITHUB}20250612/{QUOTED}"),
        (f"https://releases.astral.sh/github/python-build-standalone/releases/download/20250612/{QUOTED}",
         f"{GITHUB}20250612/{QUOTED}"),
        (f"http://me:secret@mirror.example:8080/py/{NAME}?token=x", f"{GITHUB}20250612/{QUOTED}"),
        (f"https://github.com/fork/builds/releases/download/20250612/{QUOTED}",
         f"https://github.com/fork/builds/releases/download/20250612/{QUOTED}"),
        (PYPY, PYPY),
        (PYPY.replace("//", "//me:secret@") + "?token=x#y", PYPY),
        (f"file:///srv/{QUOTED}", ""),
    ],
)  # fmt: skip
def test_canonical_address(url: str, address: str) -> None:
    assert canonical_address(url, filename_of(url)) == address
