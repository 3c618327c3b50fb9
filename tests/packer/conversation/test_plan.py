from __future__ import annotations

import threading
from dataclasses import replace

from kitbag_bundles.keys import Target
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.cli.terminal import human_size
from kitbag_packer.cache import Cache
from kitbag_packer.conversation.plan import AWAY, HERE, LOCAL, Part, Plan, Survey, describe
from kitbag_packer.downloads.settings import DownloadSettings
from kitbag_packer.resolution import Choice
from support.stock import offer

KEY = "cpython-3.13.5-linux-x86_64-gnu"
SETTINGS = DownloadSettings()


def choice(**fields):
    return Choice("3.13", Target.parse("linux-x86_64-gnu"), offer(KEY, **fields))


def survey(tmp_path, choices, measure, settings=SETTINGS):
    cache = Cache(tmp_path / "cache", SilentReporter())
    return Survey(choices, cache, settings, (), measure)


def never(urls, settings):
    raise AssertionError("nothing is to be asked")


def test_what_is_known_is_not_asked_for(tmp_path):
    import hashlib

    local = tmp_path / "x.tar.gz"
    local.write_bytes(b"12345")
    digest = hashlib.sha256(b"123").hexdigest()
    cached = tmp_path / "data"
    cached.write_bytes(b"123")
    cache = Cache(tmp_path / "cache", SilentReporter())
    cache.keep(cached, sha256=digest, filename="x", url="")
    found = Survey(
        [choice(size=7), choice(url=local.as_uri()), choice(sha256=digest)],
        cache,
        SETTINGS,
        (),
        never,
    )
    assert found.finished(0)
    assert found.plan().parts == (Part(KEY, AWAY, 7), Part(KEY, LOCAL, 5), Part(KEY, HERE, 3))


def test_the_others_are_asked_for_in_the_background(tmp_path):
    go = threading.Event()

    def measure(urls, settings):
        assert settings.read_timeout <= 5
        assert urls == [(choice().offer.url,)]
        assert go.wait(30)
        return [9]

    found = survey(tmp_path, [choice(), choice(size=1)], measure)
    assert not found.finished(0)
    assert [part.size for part in found.plan().parts] == [None, 1]
    go.set()
    assert found.finished(30)
    assert [part.size for part in found.plan().parts] == [9, 1]


def test_offline_nothing_is_asked(tmp_path):
    settings = replace(SETTINGS, offline=True)
    found = survey(tmp_path, [choice()], never, settings)
    assert found.finished(0)
    assert found.plan().parts == (Part(KEY, AWAY, None),)


def test_a_plan_for_people():
    plan = Plan((Part("a", AWAY, 27_700_000), Part("b", HERE, 3_000_000), Part("c", AWAY, None)))
    *parts, total = describe(plan, human_size)
    assert parts == [
        "  27.7 MB  a",
        "   3.0 MB  b  (here already)",
        "        ?  c",
    ]
    assert total == (
        "  3 builds; to fetch: more than 27.7 MB (1 unknown); "
        "the bundle: more than 31.7 MB (1 unknown)"
    )
    assert describe(Plan((Part("b", HERE, 3_000_000),)), human_size)[-1] == (
        "  1 build; to fetch: nothing; the bundle: about 3.4 MB"
    )
    assert describe(Plan((Part("c", AWAY, None),)), human_size)[-1] == (
        "  1 build; to fetch: unknown; the bundle: unknown"
    )
