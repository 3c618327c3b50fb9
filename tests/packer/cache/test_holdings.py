from __future__ import annotations

import os

import pytest

from kitbag_packer.cache import Cache
from kitbag_packer.cache.holdings import holdings
from support.caches import Messages, digest, keep


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path / "cache", Messages())


def test_archives_come_in_the_order_of_their_names(cache):
    for name in ("b.tar.gz", "a.tar.gz"):
        keep(cache, name.encode(), name)
    found = holdings(cache.folder)
    assert [each.filename for each in found.archives] == ["a.tar.gz", "b.tar.gz"]
    archive = found.archives[0]
    assert (archive.sha256, archive.size) == (digest(b"a.tar.gz"), 8)
    assert archive.url == "https://example.org/"
    assert found.unknown == found.leftovers == found.unfinished == ()


@pytest.mark.parametrize(
    ("state", "total"),
    [
        ('{"total": 8}', 8),
        ('{"total": null}', None),
        ('{"total": true}', None),
        ('{"total": 3}', None),
        ('{"total": "8"}', None),
        ("[]", None),
        ("{", None),
        ("[" * 60_000, None),
    ],
)
def test_a_download_tells_how_far_it_is(cache, state, total):
    with cache.partial("0" * 64, "cpython-3.13.5\x1b[31m") as place:
        place.data.write_bytes(b"half")
        place.state.write_text(state)
        (found,) = holdings(cache.folder).unfinished
    assert (found.size, found.total) == (4, total)
    assert found.label == "cpython-3.13.5?[31m"


def test_one_without_a_lock_is_called_by_its_identity(cache):
    place = cache.folder / "partial" / ("0" * 64)
    place.mkdir(parents=True)
    os.mkfifo(place / "state.json")
    (found,) = holdings(cache.folder).unfinished
    assert (found.label, found.size, found.total) == ("0" * 64, 0, None)
