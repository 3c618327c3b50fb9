import hashlib
import re
from dataclasses import replace

import pytest

from kitbag_packer.cache import Cache
from kitbag_packer.downloads.settings import DownloadSettings
from kitbag_packer.errors import DownloadError, OfflineError
from kitbag_packer.recipes.measuring import Measuring
from kitbag_packer.reporting import QuietReporter
from support.recipes import WINDOWS, an_offer
from support.webserver import serving

DATA = b"an archive" * 500
DIGEST = hashlib.sha256(DATA).hexdigest()
OFFER = replace(an_offer("3.13.5", size=None), sha256=DIGEST)
QUICK = DownloadSettings(retries=1, first_pause=0.01, longest_pause=0.02)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", QuietReporter())


def measured(cache, *offers, settings=QUICK, mirrors=()):
    return Measuring(mirrors, settings, cache, QuietReporter()).run(offers)


def test_what_a_catalog_tells_is_not_asked_for(cache):
    offer = replace(OFFER, size=7, url="http://127.0.0.1:1/x")
    assert measured(cache, offer) == {offer: (7, DIGEST)}


def test_the_server_tells_the_size(cache):
    with serving({"/x.tar.gz": DATA}) as server:
        offer = replace(OFFER, url=server.url + "x.tar.gz")
        assert measured(cache, offer) == {offer: (len(DATA), DIGEST)}
        assert server.sent("/x.tar.gz") <= 1


def test_what_nobody_tells_is_found_out_by_fetching(cache):
    with serving({"/x.tar.gz": DATA}, head=False, ranges=False, chunked=True) as server:
        silent = replace(OFFER, url=server.url + "x.tar.gz")
        unknown = replace(silent, key=an_offer("3.13.5", WINDOWS).key, sha256="")
        found = measured(cache, silent, unknown)
        assert found == {silent: (len(DATA), DIGEST), unknown: (len(DATA), DIGEST)}
    entry = cache.find(DIGEST)
    assert entry is not None
    # From now on the cache tells, and offline too.
    assert measured(cache, silent, settings=DownloadSettings(offline=True)) == {
        silent: (len(DATA), DIGEST)
    }


def test_offline_names_what_is_missing(cache):
    with pytest.raises(OfflineError, match=f"{re.escape(OFFER.filename)}: no catalog tells its si"):
        measured(cache, OFFER, settings=DownloadSettings(offline=True))
    unknown = replace(OFFER, sha256="")
    with pytest.raises(OfflineError, match=r" .and 1 more.: no catalog tells its SHA-256, .* lock"):
        measured(cache, unknown, OFFER, settings=DownloadSettings(offline=True))


def test_a_file_of_this_machine_is_read_offline_too(cache, tmp_path):
    path = tmp_path / OFFER.filename
    path.write_bytes(DATA)
    local = replace(OFFER, sha256="", size=len(DATA), url=path.as_uri(), canonical="")
    found = measured(cache, local, settings=DownloadSettings(offline=True))
    assert found == {local: (len(DATA), DIGEST)}


def test_every_failure_is_told(cache):
    with serving({}) as server:
        one, other = (
            replace(an_offer("3.13.5", size=None), url=server.url + name) for name in ("a", "b")
        )
        with pytest.raises(DownloadError, match="404"):
            measured(cache, one)
        with pytest.raises(DownloadError, match="2 archives could not be fetched, see above"):
            measured(cache, one, replace(other, key=an_offer("3.12.1").key))
