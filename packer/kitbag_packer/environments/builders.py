"""The interpreters that build wheels: builds of the bundle, unpacked, and those of this machine.

The order is fixed and does not depend on what arrives first.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.keys import BuildKey, Version
from kitbag_installer.hosts import this_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from kitbag_bundles.keys import Target
    from kitbag_installer.hosts import Host
    from kitbag_packer.environments.model import For
    from kitbag_packer.materials import Material

_ABLE = ("cpython", "pypy", "graalpy")


@dataclass(frozen=True)
class Builder:
    """What may build."""

    name: str
    """What people call it: a key, or the path of an interpreter."""
    key: BuildKey | None
    """The build of the bundle that it is; ``None`` for one of this machine."""
    start: Callable[[], str | None]
    """The path of the interpreter, after waiting for it; ``None`` if it does not run here."""


class Builders:
    """All that may build; safe for several threads."""

    def __init__(self, keys: Iterable[BuildKey], folder: Path) -> None:
        """``keys`` are the builds that are there or to come; they are unpacked in ``folder``."""
        self._folder = folder
        self._host: Host = this_host()
        self._materials: dict[BuildKey, Future[Material]] = {key: Future() for key in keys}
        self._locks = {key: threading.Lock() for key in self._materials}
        self._started: dict[BuildKey, str | None] = {}

    def arrived(self, material: Material) -> None:
        """A build is there."""
        future = self._materials.get(material.inspection.key)
        if future is not None and not future.done():
            future.set_result(material)

    def give_up(self) -> None:
        """Nothing more arrives: whoever waits gets the :class:`CancelledError` of a future."""
        for future in self._materials.values():
            future.cancel()

    def is_there(self, key: BuildKey | None) -> bool:
        """Whether there is nothing to wait for."""
        return key is None or self._materials[key].done()

    def own(self, place: For) -> Builder | None:
        """What builds for exactly that; ``None`` if that is not for this platform."""
        key = place.key
        if key is None:
            if not self._is_here(place.target):
                return None
            return self._of_machine(_stand_in(place))
        return self._of_bundle(key) if key in self._materials and self._runs(key) else None

    def others(self, place: For) -> list[Builder]:
        """What builds something that may also do there, the best one first."""
        wanted = _stand_in(place)

        def rank(key: BuildKey) -> tuple[object, ...]:
            return (
                key.implementation != wanted.implementation,
                key.version.minor_text != wanted.version.minor_text,
                key.variant != wanted.variant,
                key.order(),
            )

        keys = sorted(filter(self._runs, self._materials), key=rank)
        return [
            *map(self._of_bundle, keys),
            self._of_machine(wanted),
            Builder(sys.executable, None, lambda: sys.executable),
        ]

    def identity(self, builder: Builder, program: str) -> str:
        """What tells a builder that has started from all others."""
        from kitbag_packer.bytecode.interpreters import ask

        if builder.key is None:
            return repr(ask(program))
        listed = self._materials[builder.key].result().inspection.contents_list
        return f"{builder.key} {hashlib.sha256(listed).hexdigest()}"

    def is_like_here(self, target: Target) -> bool:
        """Whether what is built here runs on ``target``, whose level of the CPU does not count."""
        return self._is_here(target)

    def _is_here(self, target: Target) -> bool:
        host = self._host
        return (target.os, target.cpu, target.libc) == (
            host.os,
            host.arch,
            host.libc if host.os == "linux" else target.libc,
        )

    def _runs(self, key: BuildKey) -> bool:
        return (
            key.implementation in _ABLE and self._is_here(key.target) and not self._host.unfit(key)
        )

    def _of_bundle(self, key: BuildKey) -> Builder:
        return Builder(str(key), key, functools.partial(self._unpacked, key))

    def _of_machine(self, key: BuildKey) -> Builder:
        name = f"a {key.implementation} {key.version.minor_text} of this machine"
        return Builder(name, None, functools.partial(_found_here, key))

    def _unpacked(self, key: BuildKey) -> str | None:
        from kitbag_packer.bytecode.interpreters import ask

        material = self._materials[key].result()
        with self._locks[key]:
            if key not in self._started:
                tree = self._folder / str(key)
                if self._host.lacks(material.build):
                    self._started[key] = None
                else:
                    found = ask(_installed(material, tree))
                    self._started[key] = found.path if found else None
            return self._started[key]


def _installed(material: Material, tree: Path) -> Path:
    """Unpack a build as it is installed, so that it knows its own headers and compilers."""
    from kitbag_bundles.layout import executable
    from kitbag_installer.rewriting import candidates, rewrite_tree
    from kitbag_packer.bytecode.unpacking import unpack_tree

    key = material.inspection.key
    tree.parent.mkdir(parents=True, exist_ok=True)
    unpack_tree(material, tree)
    pristine = {
        path: (tree / path).read_bytes() for path in candidates(key, material.inspection.entries)
    }
    for file in rewrite_tree(key, pristine, str(tree)):
        # Others may share the inode.
        mode = os.stat(tree / file.path).st_mode
        os.unlink(tree / file.path)
        (tree / file.path).write_bytes(file.content)
        os.chmod(tree / file.path, mode)
    return tree / executable(key)


def _found_here(key: BuildKey) -> str | None:
    from kitbag_packer.bytecode.interpreters import on_this_machine

    for found in on_this_machine(key):
        minor = ".".join(found.version.split(".")[:2])
        if (found.implementation, minor, found.free_threaded) == (
            key.implementation,
            key.version.minor_text,
            key.free_threaded,
        ):
            return found.path
    return None


def _stand_in(place: For) -> BuildKey:
    """The build, or one as a wheelhouse's version stands for."""
    if place.key is not None:
        return place.key
    text = place.version if place.version.count(".") > 1 else f"{place.version}.0"
    return BuildKey(place.implementation, Version.parse(text), place.variant, place.target)
