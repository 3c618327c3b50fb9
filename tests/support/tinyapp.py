"""The environment ``app`` of a tiny build, in two versions, and a root that it is installed in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.environments.places import environment_path, previous_path
from kitbag_installer.roots import Root

from .cli import Ran, assert_done, call
from .environments import tiny_base, with_environments
from .wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

QUIET = SilentReporter()


class Bundles(NamedTuple):
    """Bundles with the environment ``app`` for CPython 3.13.5 (and 3.13.4)."""

    first: Path
    second: Path
    """Another version of it, without ``app-old``."""
    older: Path
    """That of ``first``, for a lower patch."""


def make_bundles(folder: Path) -> Bundles:
    """Make all of them in ``folder``."""
    one = make_wheel(
        folder, "app", "1.0", scripts={"app": "app:main", "app-old": "app:main"}, files=None
    )
    two = make_wheel(folder, "app", "2.0", scripts={"app": "app:main"})
    space = make_wheel(folder, "space-one", files={"space/one.py": "ONE = 1\n"})
    base, older = tiny_base(folder / "base.kitbag"), tiny_base(folder / "b4.kitbag", "3.13.4")
    names = {"app": ["app", "app-old"]}
    return Bundles(
        with_environments(folder / "1.kitbag", base, {"app": [one, space]}, expose=names),
        with_environments(folder / "2.kitbag", base, {"app": [two]}, expose={"app": ["app"]}),
        with_environments(folder / "3.kitbag", older, {"app": [one, space]}, expose=names),
    )


class App:
    """A root, and a bin folder beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def root(self) -> Root:
        return Root(os.fspath(self.path / "root"))

    @property
    def bin(self) -> Path:
        return self.path / "bin"

    @property
    def home(self) -> Path:
        return self.path / "root" / "envs" / "app"

    @property
    def site(self) -> Path:
        return self.home / "lib" / "python3.13" / "site-packages"

    @property
    def previous(self) -> Path:
        return self.path / previous_path(self.root, "app")

    def install(self, bundle: Path, *words: str) -> Ran:
        done = call("install", bundle, *words, "--root", self.root.path, "--bin-dir", self.bin)
        assert_done(done)
        assert os.fspath(self.home) == environment_path(self.root, "app")
        return done

    def kitbag(self, *words: object) -> Ran:
        """Any verb, in this root."""
        return call(*map(str, words), "--root", self.root.path)

    def move(self, path: Path) -> None:
        """Root and bin folder together."""
        self.path.rename(path)
        self.path = path
