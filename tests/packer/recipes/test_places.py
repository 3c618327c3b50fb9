from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_packer.catalogs.model import Offer
from kitbag_packer.recipes.places import located
from kitbag_packer.resolution import Choice

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
OLDER = BuildKey.parse("cpython-3.13.4-linux-x86_64-gnu")
NAME = "cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
DIGEST = hashlib.sha256(b"archive").hexdigest()
PINNED = Offer(KEY, NAME, "", "", DIGEST, 7)


class OneOffer:
    """A catalog of one archive."""

    name, digest, date = "here", "", ""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer

    def offers(self, interest):
        return [self.offer] if interest.in_key(self.offer.key) else []


@pytest.mark.parametrize("digest", [DIGEST, ""])
def test_a_catalog_at_hand_has_it(digest):
    there = replace(PINNED, url="file:///here/x", sha256=digest)
    (found,) = located([Choice("3.13", KEY.target, PINNED)], [OneOffer(there)])
    assert found.offer == replace(PINNED, url="file:///here/x")


@pytest.mark.parametrize(
    "other",
    [
        replace(PINNED, url="file:///here/x", sha256="0" * 64),
        replace(PINNED, url="file:///here/x", filename="another.tar.gz"),
        replace(PINNED, url="file:///here/x", key=OLDER),
    ],
)
def test_another_archive_is_not_it(other):
    choice = Choice("3.13", KEY.target, PINNED)
    assert located([choice], [OneOffer(other)]) == (choice,)


def test_what_has_an_address_is_left_alone():
    choice = Choice("3.13", KEY.target, replace(PINNED, url="https://github.com/x"))
    there = replace(PINNED, url="file:///here/x")
    assert located([choice], [OneOffer(there)]) == (choice,)
