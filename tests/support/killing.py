"""A command that is killed wherever it changes something, on the same state each time."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

from support.cli import TARGET_SIDE, call, environment, run
from support.faults import killed_at, mutating_calls
from support.snapshots import dangling, snapshot, temporary

if TYPE_CHECKING:
    from pathlib import Path

    from support.cli import Ran
    from support.faults import Call
    from support.snapshots import Thing


class Killed:
    """What there is before the command, in ``template``, and where it works, in ``place``.

    A subclass makes what is there, tells the command, and knows what must be true halfway.
    """

    inject = ""
    end: dict[str, Thing]
    """What is there in the end, if nothing disturbs."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "place"
        self.template = folder / "template"
        self.log = folder / "strace.log"
        self.root, self.bin = self.place / "root", self.place / "bin"

    def command(self) -> list[str]:
        """What is killed."""
        raise NotImplementedError

    def check_halfway(self) -> None:
        """What must be true after the kill."""
        raise NotImplementedError

    def keep(self) -> None:
        """Take what is there now as what is there before each command."""
        self.place.rename(self.template)
        self.reset()

    def reset(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.template, self.place, symlinks=True)

    def where(self) -> list[str]:
        return ["--root", str(self.root), "--bin-dir", str(self.bin)]

    def everything(self) -> dict[str, Thing]:
        return snapshot(self.place)

    def calls(self) -> list[Call]:
        """The system calls by which the command changes something."""
        self.reset()
        command = [*TARGET_SIDE, *self.command()]
        return mutating_calls(command, self.log, inject=self.inject, env=environment())

    def attempt(self, at: Call, *, halfway: bool = True) -> None:
        """Let the command be killed as it comes to ``at``; then look, and run it again."""
        self.reset()
        words = killed_at(at, self.log, inject=self.inject)
        ran = run(*self.command(), before=words)
        assert ran.status == -signal.SIGKILL or self.may_live(ran), (at, ran)
        try:
            if halfway:
                self.check_halfway()
            self.check_end()
        except AssertionError as error:
            raise AssertionError(f"killed at {at}: {error}") from error

    def may_live(self, ran: Ran) -> bool:
        """Whether another process of the command was the one that the kill met."""
        return False

    def check_end(self) -> None:
        """The next run ends what was begun."""
        ran = call(*self.command())
        assert ran.status == 0, ran
        self.check_settled()

    def check_settled(self) -> None:
        found = self.everything()
        differing = {p for p in {*found, *self.end} if found.get(p) != self.end.get(p)}
        assert not differing
        assert not temporary(self.root)
        assert not dangling(self.root, self.bin)
