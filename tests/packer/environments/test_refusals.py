"""What keeps environments from being packed, each thing told once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kitbag_bundles.errors import KitbagError, NoMatch, UsageError
from kitbag_bundles.keys import Target
from kitbag_packer.environments.choosing import Chosen
from kitbag_packer.environments.model import WHEEL, For, Pick, Spec
from kitbag_packer.environments.refusals import Attempt, told_once
from kitbag_packer.errors import NoWheel, ResolverError

LINUX, MUSL, MAC = "linux-x86_64-gnu", "linux-x86_64-musl", "macos-aarch64-none"
LOCK = Path(f"/srv/{LINUX}/pylock.toml")


def place(target: str, version: str = "3.13.5") -> For:
    return For("cpython", version, "", Target.parse(target))


def attempt(target: str, *refused: KitbagError, name: str = "app", **more: Any) -> Attempt:
    chosen = Chosen(() if refused else (Pick("a", "1", WHEEL),), tuple(("a", e) for e in refused))
    return Attempt(Spec(name, "lock", LOCK), place(target, **more), chosen, LOCK)


def failed(target: str, message: str, name: str = "app", **more: Any) -> Attempt:
    error = ResolverError(message)
    return Attempt(Spec(name, "project", LOCK), place(target, **more), error=error)


def test_nothing_is_wrong() -> None:
    assert told_once([attempt(LINUX)]) == []


def test_a_package_without_a_wheel_names_who_has_one() -> None:
    lacking = [attempt(each, NoWheel(f"a 1 has none for {each}")) for each in (MUSL, MAC)]
    (error,) = told_once([*lacking, attempt(LINUX)])
    assert isinstance(error, NoWheel)
    assert str(error) == (
        f"{LOCK}: a 1 has none for {MUSL} and {MAC}; there is one for {LINUX}; leave out what has "
        "none, or lock versions that have wheels for it"
    )
    (error,) = told_once(lacking)
    assert "there is one" not in str(error)


def test_what_differs_is_told_apart() -> None:
    first, second = told_once(
        [attempt(LINUX, NoWheel("a"), NoMatch("a")), attempt(LINUX, NoWheel("a"), version="3.12.1")]
    )
    assert str(first).startswith(f"{LOCK}: a; leave out")
    assert isinstance(second, NoMatch)


def test_targets_are_named_where_others_are_well() -> None:
    wrong = [attempt(LINUX, UsageError("a is damaged")), attempt(MUSL, UsageError("a is damaged"))]
    (error,) = told_once(wrong)
    assert str(error).startswith(f"{LOCK}: a is damaged; correct the lock")
    (error,) = told_once([*wrong, attempt(MAC)])
    assert str(error).startswith(f"{LOCK}: a is damaged (for {LINUX} and {MUSL}); correct")
    # Another environment's targets are none of its own.
    (error,) = told_once([*wrong, attempt(MAC, name="other")])
    assert "(for" not in str(error)


def test_what_a_resolver_says_is_told_once_for_all_targets() -> None:
    said = [failed(each, f"{LOCK} can't be resolved for {each}: no a") for each in (LINUX, MUSL)]
    (error,) = told_once(said)
    # The folder is not the target.
    assert str(error) == f"{LOCK} can't be resolved for {LINUX} and {MUSL}: no a"
    assert isinstance(error, ResolverError)
