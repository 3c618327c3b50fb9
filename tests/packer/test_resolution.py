"""Resolution, on catalogs in memory; and on the real embedded one, which is large."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import NoMatch, UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.requests import parse_requests
from kitbag_installer.hosts import this_host
from kitbag_packer.catalogs.embedded import EmbeddedCatalog
from kitbag_packer.errors import Unverified
from kitbag_packer.resolution import available, differing, resolve
from kitbag_packer.targets import KNOWN
from support.stock import offer, stock

GNU, MUSL = "linux-x86_64-gnu", "linux-x86_64-musl"
V3, ARM, WINDOWS = "linux-x86_64_v3-gnu", "linux-aarch64-gnu", "windows-x86_64-none"
PYODIDE = "pyodide-3.13.2-emscripten-wasm32-musl"

STOCK = stock(
    *(f"cpython-{version}-{GNU}" for version in ("3.12.9", "3.13.4", "3.13.5", "3.14.0rc1")),
    *(f"cpython-3.13.5{variant}-{GNU}" for variant in ("+freethreaded", "+debug")),
    *(f"cpython-3.13.{patch}-{V3}" for patch in (4, 5)),
    f"cpython-3.12.9-{ARM}",
    f"cpython-3.13.4-{WINDOWS}",
    offer(f"pypy-3.11.13-{GNU}", "", release="7.3.20"),
    offer(f"pypy-3.12.1-{GNU}", "", release="7.3.21"),
    offer(f"graalpy-3.13.0-{GNU}", "community", release="25.0.0"),
    offer(PYODIDE, "xbuildenv", release="0.29.0"),
)


def chosen(requests, targets=(GNU,), catalogs=(STOCK,), **options):
    asked = parse_requests([requests] if isinstance(requests, str) else requests)
    return [str(each.offer.key) for each in resolve(asked, targets, catalogs, **options)]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("3", f"cpython-3.13.5-{GNU}"),
        ("3.13", f"cpython-3.13.5-{GNU}"),
        ("3.13.4", f"cpython-3.13.4-{GNU}"),
        ("latest", f"cpython-3.13.5-{GNU}"),
        ("any", f"cpython-3.13.5-{GNU}"),
        ("cpython", f"cpython-3.13.5-{GNU}"),
        (">=3.12", f"cpython-3.13.5-{GNU}"),
        ("<3.13", f"cpython-3.12.9-{GNU}"),
        ("any-3.11", f"pypy-3.11.13-{GNU}"),
        ("any-3.12", f"cpython-3.12.9-{GNU}"),
        ("3.14", f"cpython-3.14.0rc1-{GNU}"),
        ("3.14.0rc1", f"cpython-3.14.0rc1-{GNU}"),
        (">=3.13.0a1", f"cpython-3.14.0rc1-{GNU}"),
        ("3.13t", f"cpython-3.13.5+freethreaded-{GNU}"),
        ("3+debug", f"cpython-3.13.5+debug-{GNU}"),
        ("pypy", f"pypy-3.12.1-{GNU}"),
        ("pypy3.11", f"pypy-3.11.13-{GNU}"),
        ("graalpy", f"graalpy-3.13.0-{GNU}"),
        ("pyodide", PYODIDE),
        ("3.13-x86_64_v3", f"cpython-3.13.5-{V3}"),
        (f"cpython-3.13.4-{WINDOWS}", f"cpython-3.13.4-{WINDOWS}"),
        ("3.13-windows-amd64", f"cpython-3.13.4-{WINDOWS}"),
    ],
)
def test_one_request_is_one_build(request_, expected):
    assert chosen(request_) == [expected]


def test_the_host_is_the_default():
    host = this_host()
    key = f"cpython-3.13.5-{host.os}-{host.arch}-{host.libc}"
    leveled = key.replace(host.arch, f"{host.arch}_v2")
    assert chosen("3.13", (), [stock(key, leveled)]) == [key]


def test_each_target_gets_its_newest():
    found = resolve(parse_requests(["3.13", "pypy"]), [GNU, WINDOWS], [STOCK_WITH_PYPY])
    assert [str(each.offer.key) for each in found] == [
        f"cpython-3.13.4-{WINDOWS}",
        f"cpython-3.13.5-{GNU}",
        f"pypy-3.12.1-{GNU}",
        f"pypy-3.12.1-{WINDOWS}",
    ]
    assert [(each.request, str(each.target)) for each in found][:2] == [
        ("3.13", WINDOWS), ("3.13", GNU),
    ]  # fmt: skip
    different = differing(found)
    assert list(different) == ["3.13"]
    assert [str(each.offer.key.version) for each in different["3.13"]] == ["3.13.4", "3.13.5"]


STOCK_WITH_PYPY = stock(*STOCK.listed, offer(f"pypy-3.12.1-{WINDOWS}", ""))


def test_all_targets_without_levels():
    assert chosen("3.13", ["all"]) == [f"cpython-3.13.4-{WINDOWS}", f"cpython-3.13.5-{GNU}"]
    assert chosen("3.12", ["all"]) == [f"cpython-3.12.9-{ARM}", f"cpython-3.12.9-{GNU}"]
    assert chosen("3.13", ["all", V3]) == [
        f"cpython-3.13.4-{WINDOWS}", f"cpython-3.13.5-{GNU}", f"cpython-3.13.5-{V3}",
    ]  # fmt: skip


def test_the_same_build_twice_is_one_choice():
    found = resolve(parse_requests(["3.13", "latest", "3.13.5", "pyodide"]), [GNU, V3], [STOCK])
    assert [(each.request, str(each.target)) for each in found] == [
        ("3.13", GNU), ("3.13", V3), ("pyodide", "emscripten-wasm32-musl"),
    ]  # fmt: skip


def test_the_best_archive_is_taken():
    key = f"cpython-3.13.5-{GNU}"
    catalog = stock(
        offer(key, "full", options=("lto", "pgo")),
        offer(key, "full", options=("noopt",)),
        offer(key, "install_only", release="20260202"),
        offer(key, "install_only"),
    )

    def filename(**options):
        (choice,) = resolve(parse_requests(["3.13"]), [GNU], [catalog], **options)
        return choice.offer.filename

    assert filename() == f"{key}-20260202-install_only.tar.gz"
    assert filename(flavor="full") == f"{key}-20260101-lto+pgo+full.tar.gz"
    assert filename(flavor="noopt+full") == f"{key}-20260101-noopt+full.tar.gz"


def test_a_flavor_holds_for_the_implementations_that_have_it():
    newer = stock(offer(f"cpython-3.13.6-{GNU}", "install_only"), *STOCK.listed)
    mixed = ["3.13", "graalpy", "any-3.11"]
    assert chosen(mixed, catalogs=[newer], flavor="install_only_stripped") == [
        f"cpython-3.13.5-{GNU}", f"pypy-3.11.13-{GNU}", f"graalpy-3.13.0-{GNU}",
    ]  # fmt: skip
    assert chosen(mixed, catalogs=[newer], flavor="community")[0] == f"cpython-3.13.6-{GNU}"


def test_a_static_build_only_if_there_is_nothing_else():
    static = offer(f"cpython-3.13.6-{MUSL}", "full", options=("lto", "static"))
    old = offer(f"cpython-3.12.9-{MUSL}", "install_only", release="20250212")
    catalog = stock(static, old, f"cpython-3.13.2-{MUSL}")
    assert chosen("3.13", [MUSL], [catalog]) == [f"cpython-3.13.2-{MUSL}"]
    assert chosen("3.13", [MUSL], [catalog], flavor="static+full") == [f"cpython-3.13.6-{MUSL}"]
    assert chosen("3.12", [MUSL], [catalog]) == [f"cpython-3.12.9-{MUSL}"]


def test_the_first_catalog_that_knows_the_build_wins():
    key = f"cpython-3.13.5-{GNU}"
    own = stock(offer(key, "full", sha256=""))
    (choice,) = resolve(parse_requests(["3.13"]), [GNU], [own, STOCK], allow_unverified=True)
    assert choice.offer.flavor == "full"


def test_everything_that_fails_is_in_one_message():
    asked = parse_requests(["3.13", "3.13.9", "3.99", "pypy3.11"])
    with pytest.raises(NoMatch) as caught:
        resolve(asked, [GNU, ARM], [STOCK])
    parts = str(caught.value).split("; ")
    assert [part.partition(":")[0] for part in parts] == [
        f"nothing matches 3.13 for {ARM}",
        f"nothing matches 3.13.9 for {GNU}",
        f"nothing matches 3.13.9 for {ARM}",
        f"nothing matches 3.99 for {GNU}",
        f"nothing matches 3.99 for {ARM}",
        "and 1 more like these",
    ]


def test_a_wrong_word_is_told_before_anything_is_looked_up():
    with pytest.raises(UsageError, match="is no target"):
        resolve((), ["linux-x86_65"], [])
    with pytest.raises(UsageError, match="--flavor"):
        resolve((), [], [], flavor="fat")


def test_an_archive_without_a_digest():
    catalog = stock(offer(PYODIDE, "xbuildenv", sha256=""), f"cpython-3.13.5-{GNU}")
    with pytest.raises(Unverified) as caught:
        chosen(["pyodide", "3.13"], catalogs=[catalog])
    assert caught.value.exit_status == 3
    assert re.fullmatch(
        rf"no SHA-256 is known for {PYODIDE} \(.*-xbuildenv\.tar\.gz\), .*--catalog .*"
        r"--allow-unverified",
        str(caught.value),
    )
    assert len(chosen(["pyodide", "3.13"], catalogs=[catalog], allow_unverified=True)) == 2


final = st.builds("3.{}.{}".format, st.integers(12, 14), st.integers(0, 20))
early = st.builds("3.{}.0{}".format, st.integers(14, 15), st.sampled_from(["a1", "b2", "rc1"]))
keys = st.builds(
    "{}-{}{}-{}".format,
    st.sampled_from(["cpython", "pypy"]),
    st.one_of(final, early),
    st.sampled_from(["", "+freethreaded"]),
    st.sampled_from([GNU, V3, WINDOWS]),
)


@given(
    st.lists(keys, min_size=1, max_size=12, unique=True),
    st.sampled_from(["3", "3.13", "any", ">=3.13", "3.14t", "pypy", "3.14-linux", "latest"]),
    st.lists(st.sampled_from([GNU, V3, WINDOWS, "all"]), min_size=1, max_size=3),
)
def test_nothing_better_is_ever_left_behind(listed, text, targets):
    catalog = stock(*listed)
    (asked,) = parse_requests([text])
    try:
        found = resolve([asked], targets, [catalog])
    except NoMatch:
        return
    assert list(found) == sorted(found, key=lambda each: each.offer.key.order())
    assert len({each.target for each in found}) == len(found)
    for choice in found:
        key = choice.offer.key
        assert asked.matches(key)
        assert key.target == choice.target
        rivals = [
            other.key
            for other in catalog.listed
            if asked.matches(other.key)
            and other.key.target == key.target
            and (other.key.implementation, other.key.variant) == (key.implementation, key.variant)
        ]
        released = [rival.version for rival in rivals if not rival.version.prerelease]
        assert key.version == max(released or [rival.version for rival in rivals])


class TestAvailable:
    def listed(self, *requests, targets=(GNU,), catalogs=(STOCK,), **options):
        found = available(parse_requests(requests), targets, catalogs, **options)
        return [str(each.key) for each in found]

    def test_the_newest_of_each_minor_newest_first(self):
        assert self.listed() == [
            f"cpython-3.14.0rc1-{GNU}",
            f"cpython-3.13.5-{GNU}",
            f"cpython-3.12.9-{GNU}",
            f"pypy-3.12.1-{GNU}",
            f"pypy-3.11.13-{GNU}",
            f"graalpy-3.13.0-{GNU}",
            PYODIDE,
        ]

    def test_what_is_asked_for(self):
        assert self.listed("3.13t") == [f"cpython-3.13.5+freethreaded-{GNU}"]
        assert self.listed("3.13.4") == [f"cpython-3.13.4-{GNU}"]
        assert self.listed("latest") == [f"cpython-3.13.5-{GNU}"]
        assert self.listed("any")[1:4] == [
            f"cpython-3.13.5-{GNU}",
            f"cpython-3.13.5+debug-{GNU}",
            f"cpython-3.13.5+freethreaded-{GNU}",
        ]

    def test_all_versions(self):
        assert self.listed("3.13", all_versions=True) == [
            f"cpython-3.13.5-{GNU}", f"cpython-3.13.4-{GNU}",
        ]  # fmt: skip
        assert self.listed("latest", all_versions=True) == [f"cpython-3.13.5-{GNU}"]

    def test_targets(self):
        assert self.listed("3.13", targets=["all"]) == [
            f"cpython-3.13.5-{GNU}", f"cpython-3.13.4-{WINDOWS}",
        ]  # fmt: skip
        assert self.listed("3.13", targets=[V3]) == [f"cpython-3.13.5-{V3}"]

    def test_of_each_build_the_archive_that_would_be_taken(self):
        key = f"cpython-3.13.5-{GNU}"
        catalog = stock(offer(key, "full"), offer(key, "install_only"))
        for flavor, expected in (("", "install_only"), ("full", "full")):
            (found,) = available((), [GNU], [catalog], flavor=flavor)
            assert found.flavor == expected

    def test_nothing(self):
        with pytest.raises(NoMatch, match=r"nothing matches 3\.99 for"):
            self.listed("3.99")
        with pytest.raises(NoMatch, match=r"nothing matches 3\.99 for"):
            self.listed("3.13.4", "3.99")
        with pytest.raises(NoMatch, match="nothing matches any for"):
            self.listed(catalogs=[stock()])


@pytest.fixture(scope="module")
def embedded():
    return EmbeddedCatalog()


class TestEmbedded:
    """What comes with kitbag: thousands of real archives."""

    def test_a_request_takes_no_time(self):
        started = time.perf_counter()
        chosen(["3.13", "pypy3.11"], [GNU, WINDOWS], [EmbeddedCatalog()])
        assert time.perf_counter() - started < 0.3

    def test_one_build_for_every_minor_and_target(self, embedded):
        listed = available((), ["all"], [embedded])
        minors = {each.key.minor_key for each in listed}
        assert len(minors) == len(listed) > 50
        assert {each.key.target for each in listed} <= set(KNOWN)
        for each in listed[:20]:
            minor = each.key.version.minor_text
            text = f"{each.key.implementation}-{minor}-{each.key.target}"
            (choice,) = resolve(parse_requests([text]), [GNU], [embedded], allow_unverified=True)
            assert choice.offer == each

    def test_every_build_can_be_had_by_its_key(self, embedded):
        everything = available(parse_requests(["any"]), ["all"], [embedded], all_versions=True)
        assert len(everything) > 1000
        for each in everything[::97]:
            asked = parse_requests([str(each.key)])
            (choice,) = resolve(asked, ["all"], [embedded], allow_unverified=True)
            assert choice.offer == each
        assert all(BuildKey.parse(str(each.key)) == each.key for each in everything)
