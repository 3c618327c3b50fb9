"""Makes environments ready in the temporary directory: what can go on side by side, and the rest.

The wheels of an environment are unpacked as soon as there is a processor for it, while the build
that it belongs to may still be on its way. Its skeleton, bytecode and test need that build in its
place.
"""

from __future__ import annotations

import functools
import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from kitbag_bundles.errors import BundleError, KitbagError, file_system_error
from kitbag_installer.commit import remove_tree
from kitbag_installer.environments.batches import batches
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.modes import plain_modes
from kitbag_installer.environments.places import environment_path
from kitbag_installer.environments.unpacking import Unpacked, unpack_wheels

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.environments import Environment, Wheel
    from kitbag_bundles.reporting import Progress, Reporter
    from kitbag_installer.bytecode.compiling import Compiled
    from kitbag_installer.bytecode.modes import BytecodeOptions
    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.environments.skeleton import Laid
    from kitbag_installer.roots import Root

    Task = Callable[[Progress], Any]


class Made(NamedTuple):
    """An environment that only has to be put into place."""

    tree: str
    receipt: EnvironmentReceipt
    bytecode: Compiled | None
    """What was compiled; ``None`` where nothing was to be."""


class Making:
    """One environment in the making."""

    def __init__(
        self,
        bundle: Bundle,
        environment: Environment,
        root: Root,
        jobs: int,
        seen_as: str = "",
    ) -> None:
        """Nothing is made yet.

        ``seen_as`` is the path that the root will have, empty for the one it has.
        """
        assert environment.python is not None
        self.environment = environment
        self.python = environment.python
        self.tree = root.scratch("stage")
        self.layout = layout_of(self.python)
        self.wheels = bundle.manifest.wheels_of(environment)
        self._bundle = bundle
        self._root = root
        self._jobs = jobs
        self._seen_as = seen_as
        self._outcomes: list[Any] = []

    @property
    def name(self) -> str:
        """What the environment is called."""
        return self.environment.name

    @property
    def home(self) -> str:
        """The path that it will have."""
        return self._seen(environment_path(self._root, self.environment.name))

    def _seen(self, path: str) -> str:
        inside = (self._root.path, self._root.path + os.sep)
        if not self._seen_as or not (path == inside[0] or path.startswith(inside[1])):
            return path
        return self._seen_as + path[len(self._root.path) :]

    def tasks(self) -> list[Task]:
        """What can be done beside other things; :meth:`take` gets what comes of each, in order."""
        with plain_modes():
            os.mkdir(self.tree, 0o755)
        lists = batches(self.wheels, self._jobs)
        return [functools.partial(self._unpack, wheels) for wheels in lists]

    def _unpack(self, wheels: Sequence[Wheel], progress: Progress) -> Any:
        return unpack_wheels(self._bundle, wheels, self.tree, self.layout, self.home, progress)

    @property
    def weight(self) -> int:
        """What it is on a bar: the bytes of its wheels."""
        return sum(wheel.size for wheel in self.wheels)

    def take(self, outcomes: Sequence[Any]) -> None:
        """What came of :meth:`tasks`: values, and errors."""
        self._outcomes = list(outcomes)

    def finish(self, base: str, bytecode: BytecodeOptions, reporter: Reporter) -> Made:
        """Do the rest, with the interpreter at ``base``; on any error nothing is left.

        Raises :class:`KitbagError`: what ended one of the tasks, what is wrong with the wheels
        together, :class:`SmokeTestFailed`.
        """
        try:
            with plain_modes():
                return self._finish(base, bytecode, reporter)
        except OSError as error:
            self.discard()
            raise file_system_error(error, self.tree) from None
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove what was made."""
        remove_tree(self.tree)

    def _finish(self, base: str, bytecode: BytecodeOptions, reporter: Reporter) -> Made:
        from kitbag_installer.environments.merging import describe, merged, render_contents
        from kitbag_installer.environments.receipts import keep_bytecode, write_receipt
        from kitbag_installer.environments.smoke import Started

        for outcome in self._outcomes:
            if isinstance(outcome, KitbagError):
                raise outcome
        values = [value for values in self._outcomes for value in values]
        unpacked = sorted((Unpacked(*value) for value in values), key=lambda each: each.filename)
        files = merged(unpacked, self.tree)
        laid = self._lay_skeleton(base)
        self._check_exposed({*files, *laid.files, *laid.links})
        with Started(self.name, os.path.join(self.tree, self.layout.python)) as started:
            # While it starts, what else there is to do.
            for path in laid.files:
                files[path] = describe(os.path.join(self.tree, path))
            links = {path: os.readlink(os.path.join(self.tree, path)) for path in laid.links}
            contents = render_contents(self.tree, files, links)
            started.check(self.tree, base)
        compiled = self._compile(sorted(files), bytecode, reporter) if bytecode.compile else None
        if self._seen_as:
            self._see_elsewhere(laid.links)
            files["pyvenv.cfg"] = describe(os.path.join(self.tree, "pyvenv.cfg"))
            links = {path: self._seen(target) for path, target in links.items()}
            contents = render_contents(self.tree, files, links)
        receipt = self._receipt(base, unpacked, laid.placed, contents)
        write_receipt(self.tree, receipt, contents)
        if compiled is not None:
            keep_bytecode(self._root, self.tree, compiled.files)
        return Made(self.tree, receipt, compiled)

    def _check_exposed(self, there: Collection[str]) -> None:
        """No name may lead to nothing."""
        for program in self.environment.expose:
            place = f"{self.layout.programs}/{program}"
            if not any(place + suffix in there for suffix in ("", ".cmd", ".exe")):
                raise BundleError(
                    f"{self.name}: no wheel brings the program {program!r}, which it exposes; "
                    "pack the environment without it"
                )

    def _lay_skeleton(self, base: str) -> Laid:
        from kitbag_installer.environments.skeleton import is_planted, plant

        if is_planted(self.python):
            return plant(self.python, base, self.tree, self.home, self.name, self.layout)
        from kitbag_installer.environments.venvs import lay_under, make_by_venv

        beside = self._root.scratch("stage")
        try:
            make_by_venv(self.python, base, beside, self.home, self.name)
            return lay_under(beside, self.tree, self.layout)
        finally:
            remove_tree(beside)

    def _compile(
        self, paths: Sequence[str], options: BytecodeOptions, reporter: Reporter
    ) -> Compiled:
        from kitbag_installer.bytecode.tasks import split, together
        from kitbag_installer.environments.compiling import pieces_of
        from kitbag_installer.workers import run_side_by_side

        inside = f"{self.layout.site}/"
        sources = [path for path in paths if path.startswith(inside) and path.endswith(".py")]
        pieces = pieces_of(
            self.tree, self.layout, split(self.tree, sources, self._jobs), self.home, options
        )
        label = f"compiling {self.environment.name}"
        with reporter.progress(label, sum(piece.weight for piece in pieces)) as progress:
            return together(run_side_by_side(pieces, self._jobs, progress))

    def _see_elsewhere(self, links: Sequence[str]) -> None:
        """Let what leads to the interpreter lead to where that will be."""
        for link in links:
            path = os.path.join(self.tree, link)
            target = os.readlink(path)
            if self._seen(target) != target:
                os.unlink(path)
                os.symlink(self._seen(target), path)
        path = os.path.join(self.tree, "pyvenv.cfg")
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.partition(" = ") for line in file.read().splitlines()]
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("".join(f"{name}{sign}{self._seen(value)}\n" for name, sign, value in lines))

    def _receipt(
        self, base: str, unpacked: Sequence[Unpacked], placed: Sequence[str], contents: bytes
    ) -> EnvironmentReceipt:
        from kitbag_bundles import __version__
        from kitbag_installer.environments.receipts import EnvironmentReceipt, InstalledWheel

        environment, manifest = self.environment, self._bundle.manifest
        return EnvironmentReceipt(
            name=environment.name,
            target=environment.target,
            python=self.python,
            python_version=environment.python_version,
            home=self.home,
            base=self._seen(base),
            kitbag=__version__,
            bundle={
                "name": manifest.name,
                "version": manifest.version,
                "kitbag": manifest.kitbag,
                "digest": self._bundle.promised,
            },
            wheels=tuple(
                InstalledWheel(wheel.filename, wheel.name, wheel.version, wheel.sha256)
                for wheel in self.wheels
            ),
            expose=environment.expose,
            run=environment.run,
            programs=tuple(sorted({name for each in unpacked for name in each.programs})),
            placed=tuple(sorted({*placed, *(path for each in unpacked for path in each.placed)})),
            contents_sha256=hashlib.sha256(contents).hexdigest(),
            foreign=bool(self._seen_as),
        )
