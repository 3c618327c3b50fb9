import dataclasses
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from kitbag_bundles.errors import NoMatch, UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_packer.cache import Cache
from kitbag_packer.catalogs.model import Offer
from kitbag_packer.downloads.settings import DownloadSettings
from kitbag_packer.errors import StaleLock, Unverified
from kitbag_packer.recipes.fitting import check
from kitbag_packer.recipes.lock import Lock, choices_of, render
from kitbag_packer.recipes.locking import make_lock
from kitbag_packer.recipes.recipe import TargetOptions
from kitbag_packer.reporting import QuietReporter
from support.recipes import (
    CATALOG_DIGEST,
    LINUX,
    MACOS,
    WINDOWS,
    ListCatalog,
    a_pin,
    a_recipe,
    an_offer,
)

OLD = ListCatalog(
    (
        *(an_offer("3.13.5", target) for target in (LINUX, WINDOWS, MACOS)),
        an_offer("3.13.5", WINDOWS, flavor="install_only"),
        an_offer("3.12.9"),
        an_offer("3.12.9", WINDOWS),
    )
)
NEW = ListCatalog(
    (
        *OLD.known,
        an_offer("3.13.6", release="20260202"),
        an_offer("3.13.5", release="20260202"),
        an_offer("3.12.10", release="20260202"),
        an_offer("3.14.0", release="20260202"),
    ),
    digest="e" * 64,
    date="2026-11-11",
)


@pytest.fixture
def lock_it(tmp_path):
    def make(recipe, previous=None, *, catalogs=(OLD,), upgrade=False) -> Lock:
        # No network is needed: the catalogs tell everything.
        made = make_lock(
            recipe,
            previous,
            upgrade=upgrade,
            catalogs=catalogs,
            mirrors=(),
            settings=DownloadSettings(offline=True),
            cache=Cache(tmp_path / "cache", QuietReporter()),
            reporter=QuietReporter(),
        )
        check(made, recipe)
        return made

    return make


def builds(lock: Lock) -> list[tuple[str, ...]]:
    return [(str(pin.key.version), pin.target, *pin.requests) for pin in lock.pins]


def test_a_first_lock(lock_it):
    lock = lock_it(a_recipe("3.13", "3.12", targets=(LINUX, "windows-x86_64")))
    assert builds(lock) == [
        ("3.12.9", LINUX, "3.12"),
        ("3.12.9", WINDOWS, "3.12"),
        ("3.13.5", LINUX, "3.13"),
        ("3.13.5", WINDOWS, "3.13"),
    ]
    assert lock.pins[2] == a_pin("3.13.5")
    assert [dataclasses.astuple(each) for each in lock.catalogs] == [
        (CATALOG_DIGEST, "embedded", "2026-10-25")
    ]


def test_what_fits_is_kept_until_an_upgrade(lock_it):
    first = lock_it(a_recipe())
    recipe = a_recipe("3.13", "3.12")
    second = lock_it(recipe, first, catalogs=(NEW,))
    assert builds(second) == [("3.12.10", LINUX, "3.12"), ("3.13.5", LINUX, "3.13")]
    assert second.pins[1] == first.pins[0]
    # Each names the catalog that told of it.
    assert [pin.catalog for pin in second.pins] == ["e" * 64, CATALOG_DIGEST]
    assert [each.sha256 for each in second.catalogs] == [CATALOG_DIGEST, "e" * 64]
    assert lock_it(recipe, second, catalogs=(NEW,)) == second
    third = lock_it(recipe, second, catalogs=(NEW,), upgrade=True)
    assert builds(third) == [("3.12.10", LINUX, "3.12"), ("3.13.6", LINUX, "3.13")]
    assert [each.sha256 for each in third.catalogs] == ["e" * 64]
    back = lock_it(a_recipe("3.12"), third, catalogs=())
    assert builds(back) == [("3.12.10", LINUX, "3.12")]


def test_a_pin_that_no_longer_fits_is_looked_up_again(lock_it):
    first = lock_it(a_recipe(targets=(WINDOWS,)))
    other = lock_it(a_recipe(targets=(WINDOWS,), flavor="install_only"), first)
    assert [pin.flavor for pin in other.pins] == ["install_only"]
    again = lock_it(a_recipe(targets=(WINDOWS,)), other)
    assert [pin.flavor for pin in again.pins] == ["install_only_stripped"]


def test_two_requests_for_one_build_are_one_pin(lock_it):
    recipe = a_recipe("latest", "3.13", ">=3.13")
    assert builds(lock_it(recipe)) == [("3.13.5", LINUX, "3.13", ">=3.13", "latest")]
    # A later release of what is locked would be a second archive of the same build.
    first = lock_it(a_recipe())
    second = lock_it(a_recipe("3.13", "3.13.5"), first, catalogs=(NEW,))
    assert builds(second) == [("3.13.5", LINUX, "3.13", "3.13.5")]
    assert second.pins[0].sha256 == first.pins[0].sha256


def test_options_of_a_target(lock_it):
    options = TargetOptions("windows-x86_64", flavor="install_only")
    recipe = a_recipe(targets=(LINUX, "windows-x86_64"), target_options=(options,))
    assert [(pin.target, pin.flavor) for pin in lock_it(recipe).pins] == [
        (LINUX, "install_only_stripped"),
        (WINDOWS, "install_only"),
    ]


def test_all_targets(lock_it):
    recipe = a_recipe(targets=("all",), target_options=(TargetOptions(WINDOWS, ("3.12",)),))
    lock = lock_it(recipe)
    assert builds(lock) == [
        ("3.12.9", WINDOWS, "3.12"),
        ("3.13.5", "all", "3.13"),
        ("3.13.5", "all", "3.13"),
    ]
    assert [str(pin.key.target) for pin in lock.pins] == [WINDOWS, LINUX, MACOS]
    assert lock_it(recipe, lock) == lock
    named = lock_it(replace(recipe, targets=("all", LINUX)), lock, catalogs=())
    assert builds(named)[1:] == [("3.13.5", LINUX, "3.13"), ("3.13.5", "all", "3.13")]
    # Some that were named before are not all.
    first = lock_it(a_recipe(), catalogs=(NEW,))
    everywhere = lock_it(a_recipe(targets=("all",)), first, catalogs=(NEW,))
    assert len(everywhere.pins) == 3
    with pytest.raises(NoMatch, match="for none but the targets that the recipe names; leave"):
        lock_it(a_recipe("3.14", targets=("all", LINUX)), catalogs=(NEW,))


def test_what_can_not_be_had_locks_nothing(lock_it):
    with pytest.raises(NoMatch, match=r"3\.99"):
        lock_it(a_recipe("3.13", "3.99"))
    with pytest.raises(Unverified, match=r"3\.13\.5"):
        lock_it(a_recipe(), catalogs=(ListCatalog((an_offer("3.13.5", verified=False),)),))


def test_one_build_in_two_flavors_is_refused(lock_it):
    key = BuildKey.parse("pyodide-3.13.2-emscripten-wasm32-musl")
    offers = (
        Offer(key, f"{name}-0.28.0.tar.bz2", "", "", letter * 64, 7, flavor, "0.28.0")
        for name, flavor, letter in (("xbuildenv", "xbuildenv", "a"), ("pyodide", "full", "b"))
    )
    options = TargetOptions(WINDOWS, ("pyodide3.13",), "full")
    recipe = a_recipe("pyodide", targets=(LINUX, WINDOWS), target_options=(options,))
    with pytest.raises(UsageError, match=f"the recipe asks for {key} in two flavors"):
        lock_it(recipe, catalogs=(ListCatalog(tuple(offers)),))


@pytest.mark.parametrize(
    ("place", "written"),
    [
        ("{recipe}/lists/own.json", "lists/own.json"),
        ("{recipe}/archives", "archives/"),
        ("/media/stick/archives", "archives"),
        ("embedded", "embedded"),
        ("https://host.example/list.json", "https://host.example/list.json"),
        ("file:///home/somebody/list.json", "list.json"),
    ],
)
def test_a_catalog_is_named_without_the_places_of_a_machine(lock_it, tmp_path, place, written):
    name = place.format(recipe=tmp_path)
    recipe = a_recipe(catalogs=("lists/own.json", "archives/"), folder=Path(tmp_path))
    lock = lock_it(recipe, catalogs=(replace(OLD, name=name),))
    table = tomllib.loads(render(lock))
    assert [each["name"] for each in table["catalog"]] == [written]
    assert str(tmp_path) not in render(lock)


FREE = ListCatalog(
    (
        Offer(
            BuildKey.parse("cpython-3.13.5+debug-linux-x86_64-gnu"),
            "cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-debug-full.tar.zst",
            "",
            "https://host.example/debug",
            "d" * 64,
            99,
            "full",
            "20260101",
        ),
        an_offer("3.14.0", release="20260202"),
        an_offer("3.12.9"),
    )
)


def starting(lock: Lock) -> list[str]:
    return [str(pin.key.version) for pin in lock.pins if pin.bootstrap]


def test_what_starts_the_bundle_is_locked_too(lock_it):
    recipe = a_recipe("3.13+debug")
    lock = lock_it(recipe, catalogs=(FREE,))
    (pin,) = (pin for pin in lock.pins if pin.bootstrap)
    assert (str(pin.key), pin.requests, pin.target) == (f"cpython-3.14.0-{LINUX}", (), LINUX)
    table = tomllib.loads(render(lock))
    assert [each.get("bootstrap", False) for each in table["build"]] == [False, True]
    assert "needs-python" not in table
    assert [choice.bootstrap for choice in choices_of(lock)] == [False, True]
    # It stays while it helps, and goes when it does not.
    newer = replace(FREE, known=(*FREE.known, an_offer("3.14.1", release="20260202")))
    assert starting(lock_it(recipe, lock, catalogs=(newer,))) == ["3.14.0"]
    assert starting(lock_it(recipe, lock, catalogs=(newer,), upgrade=True)) == ["3.14.1"]
    wider = a_recipe("3.13+debug", "3.14")
    assert starting(lock_it(wider, lock, catalogs=(FREE,))) == []
    assert builds(lock_it(wider, lock, catalogs=(FREE,)))[-1] == ("3.14.0", LINUX, "3.14")
    assert starting(lock_it(a_recipe("3.12"), lock, catalogs=(FREE,))) == []
    assert starting(lock_it(replace(recipe, bootstrap=False), lock, catalogs=(FREE,))) == []


def test_a_lock_knows_where_a_python_is_needed(lock_it):
    recipe = a_recipe("3.13+debug")
    lock = lock_it(recipe, catalogs=(replace(FREE, known=FREE.known[:1]),))
    assert (lock.needs_python, starting(lock)) == ((LINUX,), [])
    assert tomllib.loads(render(lock))["needs-python"] == [LINUX]


def test_too_few_or_too_many_builds_to_start_with_make_a_lock_stale(lock_it):
    recipe = a_recipe("3.13+debug")
    lock = lock_it(recipe, catalogs=(FREE,))
    bare = replace(lock, pins=lock.pins[:1])
    with pytest.raises(StaleLock, match=f"no build is locked to start the bundle with on {LINUX}"):
        check(bare, recipe)
    check(bare, replace(recipe, bootstrap=False))
    with pytest.raises(StaleLock, match=r"is locked for starting the bundle, but .* is false"):
        check(lock, replace(recipe, bootstrap=False))
    plain = lock_it(a_recipe("3.12"), catalogs=(FREE,))
    with pytest.raises(StaleLock, match="which starts without it"):
        check(replace(plain, pins=(*plain.pins, lock.pins[1])), a_recipe("3.12"))
