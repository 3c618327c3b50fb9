"""Starts the programs of an environment, in the place of this process where the system can."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import KitbagError, NoMatch, UsageError
from kitbag_installer import handover
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.naming import check_names
from kitbag_installer.environments.places import environment_path
from kitbag_installer.environments.receipts import read_receipt
from kitbag_installer.environments.subjects import present_environments
from kitbag_installer.environments.verification import misplaced, missing_interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kitbag_installer.environments.receipts import EnvironmentReceipt
    from kitbag_installer.roots import Root

_SUFFIXES = ("", ".cmd", ".exe") if os.name == "nt" else ("",)


class Program(NamedTuple):
    """A program of an environment that can be started."""

    path: str
    home: str
    """The environment."""
    programs: str
    """The directory of all its programs."""


def find_program(root: Root, name: str, command: str = "") -> Program:
    """The program ``command`` of the environment ``name``, or the one that it is for.

    Raises :class:`NoMatch` if there is no such environment or program, :class:`UsageError` where
    the environment is for none in particular, :class:`IntegrityError`, and :class:`KitbagError`
    where it can't run.
    """
    check_names((name,), present_environments(root), root.path, only=True)
    place = environment_path(root, name)
    receipt = read_receipt(place)
    problem = misplaced(place, receipt) or missing_interpreter(receipt)
    if receipt.foreign and receipt.home != place:
        problem = f"it was made for use as {receipt.home}"
    if problem:
        raise KitbagError(f"{name} can't run: {problem}")
    wanted = command or _usual(receipt)
    folder = os.path.join(place, layout_of(receipt.python).programs)
    for suffix in _SUFFIXES:
        path = os.path.join(folder, wanted + suffix)
        if os.path.basename(wanted) == wanted and os.path.isfile(path):
            return Program(path, place, folder)
    has = ", ".join(_names(receipt)) or "none but python"
    raise NoMatch(f"{name} has no program {wanted!r}; it has {has}")


def _usual(receipt: EnvironmentReceipt) -> str:
    """The program that an environment is for."""
    if receipt.run:
        return receipt.run
    names = _names(receipt)
    if receipt.name in names:
        return receipt.name
    for only in (receipt.expose, names):
        if len(only) == 1:
            return only[0]
    has = ", ".join(names) or "python"
    raise UsageError(
        f"{receipt.name} is for no program in particular; name one with --command: {has}"
    )


def _names(receipt: EnvironmentReceipt) -> tuple[str, ...]:
    if not layout_of(receipt.python).windows:
        return receipt.programs
    return tuple(name.removesuffix(".cmd") for name in receipt.programs)


def environment_of(program: Program, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables for ``program``: as if its environment had been activated."""
    variables = {**environ, "VIRTUAL_ENV": program.home}
    path = environ.get("PATH", os.defpath)
    variables["PATH"] = program.programs + os.pathsep + path if path else program.programs
    for misleading in ("PYTHONHOME", "__PYVENV_LAUNCHER__"):
        variables.pop(misleading, None)
    return variables


def start(program: Program, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Become ``program``; where the system can't do that, run it, and return its exit status.

    Raises :class:`KitbagError` if it can't be started.
    """
    command = [program.path, *arguments]
    variables = environment_of(program, environ)
    try:
        if os.name == "nt":
            import subprocess

            return subprocess.run(command, env=variables, check=False).returncode
        handover.prepare()
        os.execve(program.path, command, variables)
    except OSError as error:
        raise KitbagError(
            f"{program.path}: can't be started ({error.strerror}); kitbag doctor tells why"
        ) from None
