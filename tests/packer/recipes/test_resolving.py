"""Environments of a recipe against a real `pylock.toml` and real wheels; no network is needed."""

from dataclasses import replace
from pathlib import Path

import pytest

from kitbag_bundles.errors import NoMatch, UsageError
from kitbag_packer.cache import Cache
from kitbag_packer.downloads.settings import DownloadSettings
from kitbag_packer.errors import NoWheel, StaleLock
from kitbag_packer.recipes.changes import environment_changes
from kitbag_packer.recipes.fitting import check
from kitbag_packer.recipes.lock import Lock, render
from kitbag_packer.recipes.locking import make_lock
from kitbag_packer.recipes.pinning import planned_of
from kitbag_packer.recipes.recipe import EnvironmentOptions, Recipe
from kitbag_packer.reporting import QuietReporter
from support.projects import make_project
from support.recipes import LINUX, WINDOWS, ListCatalog, a_recipe, an_offer
from support.wheels import make_wheel, pylock_of

STOCK = ListCatalog(
    tuple(
        an_offer(version, target) for version in ("3.12.9", "3.13.5") for target in (LINUX, WINDOWS)
    )
)
APP = EnvironmentOptions("app", lock="pylock.toml")


@pytest.fixture
def folder(tmp_path) -> Path:
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "pure")
    make_wheel(wheels, "native", tags="cp39-abi3-manylinux_2_17_x86_64")
    make_wheel(wheels, "native", tags="cp39-abi3-win_amd64")
    write_lock(tmp_path)
    return tmp_path


def write_lock(folder: Path) -> None:
    text = pylock_of(sorted((folder / "wheels").glob("*.whl")))
    (folder / "pylock.toml").write_text(text.replace(f"{folder}/", ""))


@pytest.fixture
def lock_it(tmp_path):
    def make(recipe: Recipe, previous: Lock | None = None, *, upgrade: bool = False) -> Lock:
        made = make_lock(
            recipe,
            previous,
            upgrade=upgrade,
            catalogs=(STOCK,),
            mirrors=(),
            settings=DownloadSettings(offline=True),
            cache=Cache(tmp_path / "cache", QuietReporter()),
            reporter=QuietReporter(),
        )
        check(made, recipe)
        return made

    return make


def recipe_of(folder: Path, *environments: EnvironmentOptions, **more: object) -> Recipe:
    python = more.pop("python", ("3.13",))
    targets = more.pop("targets", (LINUX, WINDOWS))
    return a_recipe(
        *python, targets=targets, environments=environments or (APP,), folder=folder, **more
    )


def files(lock: Lock) -> dict[str, list[str]]:
    return {pin.title: [each.filename for each in pin.packages] for pin in lock.environments}


def test_every_build_has_its_packages(lock_it, folder):
    lock = lock_it(recipe_of(folder))
    assert files(lock) == {
        f"app for cpython-3.13.5-{LINUX}": [
            "native-1.0-cp39-abi3-manylinux_2_17_x86_64.whl",
            "pure-1.0-py3-none-any.whl",
        ],
        f"app for cpython-3.13.5-{WINDOWS}": [
            "native-1.0-cp39-abi3-win_amd64.whl",
            "pure-1.0-py3-none-any.whl",
        ],
    }
    pure = lock.environments[0].packages[1]
    assert (pure.url, pure.path) == ("", "wheels/pure-1.0-py3-none-any.whl")
    assert pure.size == (folder / pure.path).stat().st_size
    assert str(folder) not in render(lock)


def test_one_for_no_build_is_told_before_anything_is_fetched(tmp_path, folder):
    alone = ListCatalog((an_offer("3.13.5", LINUX, size=None),))
    recipe = recipe_of(folder, replace(APP, python="3.12"), targets=(LINUX,))
    with pytest.raises(NoMatch, match=r"environment app is for '3.12', which nothing that is"):
        make_lock(
            recipe,
            None,
            upgrade=False,
            catalogs=(alone,),
            mirrors=(),
            settings=DownloadSettings(offline=True),
            cache=Cache(tmp_path / "cache", QuietReporter()),
            reporter=QuietReporter(),
        )


def test_a_path_that_no_system_has_leads_nowhere(lock_it, folder):
    recipe = recipe_of(folder)
    lock = lock_it(recipe)
    pin = lock.environments[0]
    long = replace(pin.packages[0], path="w" * 3000, url="https://example.com/a.whl")
    changed = replace(lock, environments=(replace(pin, packages=(long,)),))
    (planned,) = planned_of(changed, recipe)
    assert planned.picks[0].urls == ("https://example.com/a.whl",)


def test_a_lock_leads_back_to_what_was_planned(lock_it, folder):
    recipe = recipe_of(folder, replace(APP, expose=("b", "a"), run="a"))
    lock = lock_it(recipe)
    planned = planned_of(lock, recipe)
    assert [str(each.made_for.key) for each in planned] == [str(pin.key) for pin in lock.pins]
    assert planned[0].spec.expose == ("a", "b")
    assert planned[0].made_for.release == "20260101"
    for each in planned:
        assert all(Path(pick.urls[0].removeprefix("file://")).is_file() for pick in each.picks)


def test_an_environment_is_for_the_builds_that_it_asks_for(lock_it, folder):
    old = EnvironmentOptions("old", python="3.12", lock="pylock.toml")
    lock = lock_it(recipe_of(folder, APP, old, python=("3.12", "3.13")))
    assert [pin.title for pin in lock.environments] == [
        *(f"app for cpython-{v}-{t}" for v in ("3.12.9", "3.13.5") for t in (LINUX, WINDOWS)),
        f"old for cpython-3.12.9-{LINUX}",
        f"old for cpython-3.12.9-{WINDOWS}",
    ]
    with pytest.raises(NoMatch, match=r"environment old is for '3\.12', which nothing that is"):
        lock_it(recipe_of(folder, old))


def test_what_fits_is_kept(lock_it, folder):
    first = lock_it(recipe_of(folder, targets=(LINUX,)))
    before = (folder / "pylock.toml").read_text()
    second = lock_it(recipe_of(folder), first)
    assert second.environments[0] is first.environments[0]
    make_wheel(folder / "wheels", "pure", "2.0")
    (folder / "wheels" / "pure-1.0-py3-none-any.whl").unlink()
    write_lock(folder)
    with pytest.raises(StaleLock, match=r"is locked from pylock\.toml, which names other packages"):
        check(second, recipe_of(folder))
    third = lock_it(recipe_of(folder), second)
    assert [(each.what, each.packages) for each in environment_changes(second, third)] == [
        ("updated", ("pure 2.0, was 1.0",)),
        ("updated", ("pure 2.0, was 1.0",)),
    ]
    (folder / "pylock.toml").write_text(before.partition('name = "pure"')[0][:-13])
    fourth = lock_it(recipe_of(folder, targets=(LINUX,)), third)
    assert [(each.what, each.packages) for each in environment_changes(third, fourth)] == [
        ("updated", ("pure 2.0 is gone",)),
        ("removed", ()),
    ]


def test_what_nothing_asks_for(lock_it, folder):
    lock = lock_it(recipe_of(folder))
    for recipe, message in (
        (recipe_of(folder, replace(APP, name="other")), "environment other for .* is not locked"),
        (recipe_of(folder, replace(APP, glibc="2.28")), r"is locked with glibc \(none\), not 2.28"),
        (a_recipe(targets=(LINUX, WINDOWS)), "environment app for .* which nothing asks for"),
    ):
        with pytest.raises(StaleLock, match=message):
            check(lock, recipe)


def test_a_wheelhouse_has_no_builds(lock_it, folder):
    recipe = recipe_of(folder, wheelhouse_only=True)
    lock = lock_it(recipe)
    assert lock.pins == ()
    assert list(files(lock)) == [f"app for 3.13 on {LINUX}", f"app for 3.13 on {WINDOWS}"]
    assert [each.made_for.key for each in planned_of(lock, recipe)] == [None, None]
    with pytest.raises(UsageError, match=r"app is for 3\.12 and 3\.13 on linux"):
        lock_it(recipe_of(folder, wheelhouse_only=True, python=("3.12", "3.13")))


def test_a_target_without_wheels(lock_it, folder):
    (folder / "wheels" / "native-1.0-cp39-abi3-win_amd64.whl").unlink()
    write_lock(folder)
    with pytest.raises(NoWheel, match=r"native 1\.0"):
        lock_it(recipe_of(folder))


def test_what_is_built_is_named_by_its_source(lock_it, folder):
    make_project(folder / "src", "mine")
    lock = folder / "pylock.toml"
    lock.write_text(
        lock.read_text() + '\n[[packages]]\nname = "mine"\ndirectory = { path = "src" }\n'
    )
    found = lock_it(recipe_of(folder)).environments[0].packages[0]
    assert (found.name, found.version, found.kind, found.path) == ("mine", "", "directory", "src")


def test_a_wheel_of_this_machine_alone_goes_into_the_cache(lock_it, folder, tmp_path):
    away = tmp_path.parent / f"{tmp_path.name}-away"
    (folder / "wheels").rename(away)
    (folder / "pylock.toml").write_text(pylock_of(sorted(away.glob("*.whl"))))
    recipe = recipe_of(folder)
    lock = lock_it(recipe)
    assert str(away) not in render(lock)
    pure = lock.environments[0].packages[1]
    assert (pure.url, pure.path) == ("", "")
    assert Cache(tmp_path / "cache", QuietReporter()).find(pure.sha256)
    assert planned_of(lock, recipe)[0].picks[1].urls == ()
