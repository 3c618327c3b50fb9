"""Where builds are unpacked, started and compiled; its threads share what they find out."""

from __future__ import annotations

import functools
import hashlib
import shutil
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kitbag_packer.bytecode.makers import fits, helpers, remedy
from kitbag_packer.bytecode.sources import without_shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.hosts import Host
    from kitbag_packer.bytecode.interpreters import Interpreter
    from kitbag_packer.bytecode.memory import BytecodeMemory
    from kitbag_packer.bytecode.meter import Meter
    from kitbag_packer.bytecode.overlays import Overlay
    from kitbag_packer.materials import Material


@dataclass(frozen=True)
class Outcome:
    """What became of one build."""

    key: BuildKey
    overlay: Overlay | None = None
    problem: str = ""
    """Why there is no bytecode, one line; empty where there could not be any."""
    failures: dict[str, str] = field(default_factory=dict)
    """Sources that would not compile, and why."""


class _Maker(NamedTuple):
    """What may make the bytecode of a build."""

    identity: str
    """What tells it from all others, for a memory."""
    start: Callable[[], Interpreter | None]
    """Starts it; nothing comes of one that does not run here after all."""
    trusted: bool
    """Whether its bytecode is right for the build as far as their versions tell."""


class Workshop:
    """Makes bytecode, in any thread."""

    def __init__(
        self,
        materials: Sequence[Material],
        folder: Path,
        memory: BytecodeMemory,
        mode: str,
        meter: Meter,
    ) -> None:
        from kitbag_installer.hosts import this_host

        self.meter = meter
        self._materials = materials
        self._folder = folder
        self._memory = memory
        self._mode = mode
        self._host: Host = this_host()
        self._names = {each.inspection.key: str(n) for n, each in enumerate(materials)}
        self._locks = {each.inspection.key: threading.Lock() for each in materials}
        self._started: dict[BuildKey, Interpreter | None] = {}
        self._asking = threading.Lock()
        self._asked: dict[tuple[str, str], list[Interpreter]] = {}

    def make(self, material: Material, sources: Sequence[Entry]) -> Outcome:
        """Compile ``sources`` of one build with the first maker that will do."""
        key = material.inspection.key
        if not sources:
            return Outcome(key)
        tree = self._folder / f"{self._names[key]}.sources"
        try:
            return self._make(material, sources, tree)
        finally:
            shutil.rmtree(tree, ignore_errors=True)

    def _make(self, material: Material, sources: Sequence[Entry], tree: Path) -> Outcome:
        key, release = material.inspection.key, material.inspection.release
        place = self._folder / f"{self._names[key]}.tar.gz"
        magic: int | None = None
        for maker in self._makers(material):
            overlay = self._memory.recall(material, maker.identity, self._mode, place)
            if overlay is not None:
                self.meter.add(sum(each.size for each in sources))
                return Outcome(key, overlay)
            interpreter = maker.start()
            if interpreter is None:
                continue
            if not tree.exists():
                magic = _lay_out(material, sources, tree)
            agreed = magic is None or interpreter.magic == magic
            if agreed and (maker.trusted or fits(interpreter, key, release, magic)):
                outcome = self._compile(material, sources, interpreter, tree, place)
                if outcome.overlay is not None:
                    self._memory.remember(material, maker.identity, outcome.overlay)
                return outcome
        number = "" if magic is None else f" with the magic number {magic}"
        return Outcome(
            key,
            problem=f"packed without bytecode, because no interpreter at hand makes it{number}; "
            f"{remedy(key, release, self._host)}",
        )

    def _makers(self, material: Material) -> Iterator[_Maker]:
        """Whatever may make bytecode for ``material``, in the fixed order."""
        for helper in helpers(material, self._materials, self._host):
            digest = hashlib.sha256(helper.inspection.contents_list).hexdigest()
            identity = f"build {helper.inspection.key} {digest}"
            yield _Maker(identity, functools.partial(self._start, helper), trusted=True)
        for found in self._of_this_machine(material.inspection.key):
            yield _Maker(f"machine {found!r}", functools.partial(_known, found), trusted=False)

    def _of_this_machine(self, key: BuildKey) -> list[Interpreter]:
        from kitbag_packer.bytecode.interpreters import on_this_machine

        with self._asking:
            line = (key.implementation, key.version.minor_text + key.abi_flags)
            if line not in self._asked:
                self._asked[line] = list(on_this_machine(key))
            return self._asked[line]

    def _start(self, helper: Material) -> Interpreter | None:
        """Unpack a build of the bundle and ask it; ``None`` if it does not run here after all."""
        from kitbag_bundles.layout import executable
        from kitbag_packer.bytecode.interpreters import ask
        from kitbag_packer.bytecode.unpacking import unpack_tree

        key = helper.inspection.key
        with self._locks[key]:
            if key not in self._started:
                tree = self._folder / f"{self._names[key]}.tree"
                unpack_tree(helper, tree)
                self._started[key] = ask(tree / executable(key))
            return self._started[key]

    def _compile(
        self,
        material: Material,
        sources: Sequence[Entry],
        maker: Interpreter,
        tree: Path,
        place: Path,
    ) -> Outcome:
        from kitbag_installer.bytecode.compiling import compile_files
        from kitbag_packer.bytecode.overlays import write_overlay

        key = material.inspection.key
        wanted = without_shipped(sources, material.inspection.entries, maker.tag)
        if not wanted:
            return Outcome(key)
        done = compile_files(
            maker.path,
            str(tree),
            [each.path for each in wanted],
            home="",
            mode=self._mode,
            insist=True,
            reproducible=True,
            progress=self.meter.of([each.size for each in wanted]),
        )
        if done.failures:
            return Outcome(key, failures=done.failures)
        overlay = write_overlay(material, tree, list(done.files), maker, self._mode, place)
        return Outcome(key, overlay)


def _known(interpreter: Interpreter) -> Interpreter:
    return interpreter


def _lay_out(material: Material, sources: Sequence[Entry], tree: Path) -> int | None:
    """Unpack the sources, by themselves, into ``tree``; returns the magic number they tell."""
    from kitbag_packer.bytecode.magic import magic_of, witnesses
    from kitbag_packer.bytecode.unpacking import unpack_files

    files = [each.path for each in material.inspection.entries if each.kind == "f"]
    telling = witnesses(material.inspection.key, files)
    unpack_files(material, {*telling, *(each.path for each in sources)}, tree)
    return magic_of(tree, telling)
