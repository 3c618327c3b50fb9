from __future__ import annotations

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_packer.downloads.settings import DownloadSettings, settings_from


def test_nothing_said_is_the_default() -> None:
    assert settings_from({}, jobs=None, limit_rate=None, offline=False) == DownloadSettings()


def test_what_is_said_counts() -> None:
    environ = {"KITBAG_HTTP_TIMEOUT": "7.5", "KITBAG_HTTP_RETRIES": "3"}
    found = settings_from(environ, jobs=2, limit_rate=1000, offline=True)
    assert (found.jobs, found.per_host, found.limit_rate, found.offline) == (2, 2, 1000, True)
    assert (found.read_timeout, found.connect_timeout, found.retries) == (7.5, 7.5, 3)


@pytest.mark.parametrize("name", ["KITBAG_HTTP_TIMEOUT", "KITBAG_HTTP_RETRIES"])
@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "1e9"])
def test_what_makes_no_sense_is_refused(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=name):
        settings_from({name: text}, jobs=None, limit_rate=None, offline=False)
