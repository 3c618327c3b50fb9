"""Wheels from source: one build for all environments that it fits, in their fixed order.

What comes out without native code (its tag ends in ``-any``) is for every target. Anything else is
for the platform that it was built on, by each environment's own interpreter.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError
from kitbag_packer.environments.buildfailures import keep_output, reason_of
from kitbag_packer.environments.model import DIRECTORY
from kitbag_packer.environments.sourcetrees import lay_out
from kitbag_packer.environments.uvtool import find_uv, surroundings
from kitbag_packer.environments.wheels import inspect_wheel
from kitbag_packer.errors import NoWheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from kitbag_bundles.errors import KitbagError
    from kitbag_bundles.keys import BuildKey
    from kitbag_packer.downloads.accounts import Accounts
    from kitbag_packer.environments.builders import Builder, Builders
    from kitbag_packer.environments.builtmemory import BuiltMemory
    from kitbag_packer.environments.model import Pick, Planned, WheelFile
    from kitbag_packer.environments.processes import Processes, Ran

EPOCH = 1577836800
"""SOURCE_DATE_EPOCH where nobody said another one: 2020-01-01, which zips can tell."""

_CREDENTIALS = re.compile(r"(://)[^/@\s]+@")


@dataclass(frozen=True)
class Source:
    """One thing to build, and what it is for."""

    pick: Pick
    users: tuple[tuple[Planned, Pick], ...]
    """Each environment with its own pick of it, which may give another reason."""

    @property
    def what(self) -> str:
        """What messages call it."""
        return f"{self.pick.name} {self.pick.version}".rstrip()


@dataclass(frozen=True)
class Outcome:
    """What became of a source."""

    wheels: Mapping[int, WheelFile]
    """By the position of the user."""
    failures: tuple[KitbagError, ...] = ()
    notes: tuple[str, ...] = ()


def sources(planned: Iterable[Planned]) -> list[Source]:
    """Everything that has to be built, in the order of the names; the same thing once."""
    users: dict[Pick, list[tuple[Planned, Pick]]] = {}
    for each in planned:
        for pick in each.picks:
            if pick.kind != "wheel":
                same = dataclasses.replace(pick, reason="", urls=(), size=None)
                users.setdefault(same, []).append((each, pick))
    found = [Source(pick, tuple(using)) for pick, using in users.items()]
    return sorted(found, key=lambda source: (source.pick.name, repr(source.pick)))


class Building:
    """Builds wheels, in any thread."""

    def __init__(
        self,
        builders: Builders,
        processes: Processes,
        folder: Path,
        accounts: Accounts,
        environ: Mapping[str, str],
        *,
        offline: bool,
        memory: BuiltMemory | None = None,
    ) -> None:
        """``folder`` is empty; what is built stays in it."""
        self._builders = builders
        self._processes = processes
        self._folder = folder
        self._accounts = accounts
        self._environ = environ
        self._offline = offline
        self._memory = memory

    def waits_for(self, source: Source) -> BuildKey | None:
        """The build that has to be there before anything can be done; ``None`` for none."""
        for planned, _ in source.users:
            builder = self._builders.own(planned.made_for)
            if builder is not None:
                return builder.key
        return self._builders.others(source.users[0][0].made_for)[0].key

    def make(self, source: Source, file: Path | None) -> Outcome:
        """Build ``source`` for all its users; ``file`` is its source distribution.

        Raises :class:`NoWheel` for what does not build, and what :func:`lay_out` and
        :func:`inspect_wheel` raise.
        """
        wheels: dict[int, WheelFile] = {}
        notes: list[str] = []
        try:
            for number, (planned, _) in enumerate(source.users):
                builder = self._builders.own(planned.made_for)
                if number not in wheels and builder is not None:
                    self._use(builder, source, file, wheels, notes)
            if not notes:
                for builder in self._builders.others(source.users[0][0].made_for):
                    self._use(builder, source, file, wheels, notes)
                    if notes:
                        break
        except CancelledError:
            # Its interpreter could not be had, which is told elsewhere.
            return Outcome({})
        failures = [
            self._unfit(source, *user, notes)
            for number, user in enumerate(source.users)
            if number not in wheels
        ]
        return Outcome(wheels, tuple(failures), tuple(notes))

    def _use(
        self,
        builder: Builder,
        source: Source,
        file: Path | None,
        wheels: dict[int, WheelFile],
        notes: list[str],
    ) -> None:
        """Build with ``builder``, if it runs, and give the wheel to all whom it fits."""
        program = builder.start()
        if program is None:
            return
        made = self._build(builder, program, source, file)
        notes.append(f"{made.wheel.filename}, built by {builder.name}")
        for number, (planned, _) in enumerate(source.users):
            if number not in wheels and self._fits(made, planned):
                wheels[number] = made

    def _fits(self, made: WheelFile, planned: Planned) -> bool:
        from packaging.utils import parse_wheel_filename

        from kitbag_packer.environments.platforms import Platform

        tags = parse_wheel_filename(made.wheel.filename)[3]
        supported = frozenset(Platform.of(planned.made_for, planned.spec.glibc).tags)
        if any(tag.platform == "any" for tag in tags & supported):
            return True
        # A builder's tag of the platform is that of its machine, which is like the target.
        spoken = {(tag.interpreter, tag.abi) for tag in supported}
        like = self._builders.is_like_here(planned.made_for.target)
        return like and any((tag.interpreter, tag.abi) in spoken for tag in tags)

    def _build(
        self, builder: Builder, program: str, source: Source, file: Path | None
    ) -> WheelFile:
        epoch = self._environ.get("SOURCE_DATE_EPOCH", "").strip()
        if not (epoch.isascii() and epoch.isdigit()):
            epoch = str(EPOCH)
        identity = f"{self._builders.identity(builder, program)} {epoch}"
        found = self._memory.recall(source.pick, identity) if self._memory else None
        if found is not None:
            return dataclasses.replace(found, wheel=dataclasses.replace(found.wheel, built=True))
        said = hashlib.sha256(repr((source.pick, builder.name)).encode()).hexdigest()[:16]
        folder = self._folder / f"{source.pick.name}-{said}"
        folder.mkdir(parents=True)
        project = lay_out(
            source.pick,
            file,
            folder / "source",
            epoch=int(epoch),
            processes=self._processes,
            environ=self._environ,
            accounts=self._accounts,
            offline=self._offline,
        )
        out = folder / "wheel"
        out.mkdir()
        home = self._home(source)
        command, variables = self._command(program, home, out, project)
        settled = {"SOURCE_DATE_EPOCH": epoch, "PYTHONHASHSEED": "0"}
        environment = {**surroundings(self._environ), **variables, **settled}
        ran = self._processes.run(command, home, environment)
        made = sorted(out.glob("*.whl"))
        if ran.status or len(made) != 1:
            raise self._failed(builder, source, ran)
        found = inspect_wheel(made[0], made[0].name)
        if self._memory:
            self._memory.remember(source.pick, identity, found)
        return dataclasses.replace(found, wheel=dataclasses.replace(found.wheel, built=True))

    def _command(
        self, program: str, home: Path, out: Path, project: Path
    ) -> tuple[Sequence[str], dict[str, str]]:
        """What builds: uv, or where there is none the interpreter's own pip."""
        from kitbag_packer.environments.indexes import index_settings

        try:
            uv = find_uv(self._environ)
        except UsageError:
            words = ["-m", "pip", "wheel", "--no-deps", "--no-cache-dir", "--no-input"]
            words += ["--disable-pip-version-check", "--wheel-dir", str(out)]
            words += ["--no-index"] if self._offline else []
            pip = {name: text for name, text in self._environ.items() if name.startswith("PIP_")}
            return [program, "-I", *words, str(project)], pip
        variables, options = index_settings(home, self._accounts, self._environ)
        words = ["build", "--wheel", "--python", program, "--out-dir", str(out), "--no-progress"]
        words += ["--offline"] if self._offline else []
        return [uv, *words, *options, str(project)], variables

    @staticmethod
    def _home(source: Source) -> Path:
        """Where the settings of a resolver are looked for: beside what a person named."""
        from pathlib import Path

        path = source.users[0][0].spec.path
        if source.pick.kind == DIRECTORY:
            path = Path(source.pick.path)
        return path if path.is_dir() else path.absolute().parent

    def _failed(self, builder: Builder, source: Source, ran: Ran) -> NoWheel:
        out = _CREDENTIALS.sub(r"\1", self._accounts.hide(ran.out))
        why = reason_of(out) or f"the build ended with status {ran.status}"
        kept = keep_output(out, source.pick.name)
        where = f" ({kept} has all that was said)" if kept else ""
        planned, pick = source.users[0]
        return NoWheel(
            f"{_place(planned)}: {source.what}: {self._reason(pick)}, and building it with "
            f"{builder.name} failed: {why}{where}; give it what it needs, or take another version"
        )

    def _unfit(self, source: Source, planned: Planned, pick: Pick, notes: Sequence[str]) -> NoWheel:
        why = self._reason(pick)
        return NoWheel(
            f"{_place(planned)}: {source.what}: {why}, and what was built here does not run there "
            f"({notes[0]}); pack on such a machine, or take a version that has a wheel for it"
        )

    @staticmethod
    def _reason(pick: Pick) -> str:
        return pick.reason or "has no wheel"


def _place(planned: Planned) -> str:
    return f"environment {planned.spec.name} on {planned.made_for.target}"
