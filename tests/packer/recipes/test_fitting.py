from dataclasses import replace

import pytest

from kitbag_bundles import __version__
from kitbag_packer.errors import StaleLock
from kitbag_packer.recipes.fitting import check, check_kitbag
from kitbag_packer.recipes.lock import Lock, Pin
from kitbag_packer.recipes.recipe import TargetOptions
from support.recipes import LINUX, MACOS, WINDOWS, a_pin, a_recipe


def lock(*pins) -> Lock:
    return Lock.of(pins, [])


def everywhere_pin(target: str) -> Pin:
    return replace(a_pin("3.13.5", target), target="all")


def test_a_lock_that_goes_with_its_recipe():
    check(lock(a_pin("3.13.5")), a_recipe())
    check(lock(a_pin("3.13.5", LINUX, "3.13", "latest")), a_recipe("latest", "3.13"))
    recipe = a_recipe(
        targets=(LINUX, WINDOWS),
        target_options=(TargetOptions("windows-x86_64", ("3.12",), "install_only"),),
    )
    windows = a_pin("3.12.9", WINDOWS, asked_flavor="install_only", flavor="install_only")
    check(lock(windows, a_pin("3.13.5")), recipe)


def test_all_targets():
    everywhere = a_recipe(targets=("all",))
    pins = (everywhere_pin(LINUX), everywhere_pin(MACOS))
    check(lock(*pins), everywhere)
    # Those that the recipe names now were among all.
    check(lock(*pins), a_recipe(targets=("all", LINUX)))
    # But some that were named before are not all.
    with pytest.raises(StaleLock, match=r"'3\.13' on all targets is not locked"):
        check(lock(a_pin("3.13.5")), everywhere)
    with pytest.raises(StaleLock, match=r"locked for '3\.13' on all targets, which nothing asks"):
        check(lock(a_pin("3.13.5"), pins[1]), a_recipe())
    special = a_recipe(targets=("all",), target_options=(TargetOptions(MACOS, ("3.12",)),))
    with pytest.raises(StaleLock, match=f"'3.12' on {MACOS} is not locked .and 1 more"):
        check(lock(*pins), special)
    check(lock(pins[0], a_pin("3.12.1", MACOS)), special)


@pytest.mark.parametrize(
    ("pins", "recipe", "where"),
    [
        ((), a_recipe(), f"'3.13' on {LINUX} is not locked;"),
        (
            (a_pin("3.13.5"),),
            a_recipe(targets=(LINUX, WINDOWS)),
            f"'3.13' on {WINDOWS} is not locked;",
        ),
        (
            (a_pin("3.13.5"), a_pin("3.12.9")),
            a_recipe(),
            f"cpython-3.12.9-{LINUX} is locked for '3.12' on {LINUX}, which nothing asks for;",
        ),
        (
            (a_pin("3.13.5"), a_pin("3.13.5", MACOS)),
            a_recipe(),
            f"cpython-3.13.5-{MACOS} is locked for '3.13' on {MACOS}, which nothing asks for;",
        ),
        (
            (a_pin("3.12.9", LINUX, "3.13"),),
            a_recipe(),
            f"cpython-3.12.9-{LINUX} is locked for '3.13', but it does not satisfy that;",
        ),
        (
            (replace(a_pin("3.13.5", MACOS), target=LINUX),),
            a_recipe(),
            f"cpython-3.13.5-{MACOS} is locked for '3.13', but it is not for {LINUX};",
        ),
        (
            (a_pin("3.13.5"),),
            a_recipe(flavor="install_only"),
            "is locked for '3.13', but in flavor (best), not install_only;",
        ),
        (
            (a_pin("3.13.5", asked_flavor="full"),),
            a_recipe(flavor="full"),
            "but its flavor is install_only_stripped, not full;",
        ),
        (
            (a_pin("3.13.5", unverified=True),),
            a_recipe(),
            "but nobody published its SHA-256, and allow-unverified is off;",
        ),
    ],
)
def test_where_it_does_not_go_with_its_recipe(pins, recipe, where):
    with pytest.raises(StaleLock) as caught:
        check(lock(*pins), recipe)
    message = str(caught.value)
    assert message.startswith("the lock does not go with its recipe: ")
    assert where in message
    assert message.endswith("; bring it up to date with kitbag lock")


def test_another_kitbag_is_told_and_refused():
    ours = lock(a_pin("3.13.5"))
    assert check_kitbag(ours) == check_kitbag(ours, relock=True) == ""
    older = replace(ours, kitbag="0.0.1")
    with pytest.raises(StaleLock, match=rf"made by kitbag 0\.0\.1, and this is {__version__}; use"):
        check_kitbag(older)
    assert "the bundle is not the same bytes" in check_kitbag(older, relock=True)
    changed = replace(ours, installer_sha256="0" * 64)
    with pytest.raises(StaleLock, match=r"another kitbag .*: its kitbag\.pyz differs; .*--relock"):
        check_kitbag(changed)
