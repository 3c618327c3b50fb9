"""The checks that start a build's interpreter: who it is, what works, the environments it makes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import DoesNotFit, Interrupted, SmokeTestFailed
from kitbag_bundles.implementations import implementation_of
from kitbag_installer import smoke
from kitbag_installer.doctor import features
from kitbag_installer.doctor.asking import Interview, Mute
from kitbag_installer.doctor.findings import Finding, fault, ok

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kitbag_installer.doctor.features import Subject
    from kitbag_installer.doctor.processes import Children, Done

_WHERE = "import sys; print(sys.prefix); print(sys.base_prefix)"
_ENVIRONMENTS = 2.0
"""How much longer than other checks making an environment may take: pip is unpacked in it."""


class Bench(NamedTuple):
    """What the checks of one build work with: a scratch directory, and ``limit`` seconds each."""

    children: Children
    scratch: str
    environ: Mapping[str, str]
    limit: float

    def place(self, name: str) -> str:
        """A new directory in the scratch directory."""
        path = os.path.join(self.scratch, name)
        os.mkdir(path)
        return path

    def run_for_smoke(self, command: Sequence[str], environ: Mapping[str, str]) -> smoke.Ran:
        """Run a command for the smoke test."""
        done = self.children.run(command, self.scratch, environ, self.limit)
        return smoke.Ran(*done)


def check_interpreter(subject: Subject, names: Sequence[str], bench: Bench) -> list[Finding]:
    """Start the interpreter and try everything; ``names`` are other paths that lead to it."""
    key, tree = subject.key, subject.tree
    adapter = implementation_of(key)
    program = os.path.join(tree, adapter.executable(key))
    if not os.path.exists(program):
        return [fault("interpreter", f"{adapter.executable(key)} is missing", subject.mend)]
    if adapter.program is not None:
        from kitbag_installer.preflight.programs import lacking

        why = lacking(adapter.program)
        if why:
            cure = f"install {adapter.program.title} {adapter.program.least} or newer"
            return [fault("interpreter", f"was not started: {why}", cure)]
    try:
        smoke.smoke_test(key, tree, bench.run_for_smoke, bench.limit)
    except (SmokeTestFailed, DoesNotFit) as error:
        return [_not_started(subject, str(error))]
    found = [ok("interpreter", f"{adapter.title} {key.version}")]
    try:
        interview = Interview(
            bench.children, program, bench.place("probes"), bench.environ, bench.limit
        )
        answers = interview.ask(features.names_of_features(subject))
        found += features.judge(subject, answers)
        if key.implementation != "pyodide":
            facts = answers["pip"].facts or {}
            with_pip = bool(facts.get("wheels"))
            found += _environments(subject, [program, *names], with_pip, bench)
    except Interrupted:
        raise
    except Mute as error:
        return [_not_started(subject, f"starts, but can't be examined: {error}")]
    except OSError as error:
        found.append(fault("interpreter", f"can't be examined ({error})", "check that path"))
    return found


def _not_started(subject: Subject, text: str) -> Finding:
    message, _, cure = text.removeprefix(f"{subject.key}: ").partition("; ")
    if "GLIBC_" in message:
        return fault("interpreter", message, "choose a build for an older glibc")
    damaged = _damaged(subject.tree)
    if damaged:
        message += f", and {damaged} is not as it was installed"
    if damaged or not cure.startswith("choose"):
        cure = subject.mend
    return fault("interpreter", message, cure)


def _damaged(tree: str) -> str:
    """The first file that is missing or changed; empty if none is, or if nobody can tell."""
    from kitbag_bundles.errors import IntegrityError
    from kitbag_installer.receipts import has_receipt
    from kitbag_installer.verification import damage

    try:
        return next(iter(damage(tree)), "") if has_receipt(tree) else ""
    except (IntegrityError, OSError):
        return ""


def _environments(
    subject: Subject, programs: Sequence[str], with_pip: bool, bench: Bench
) -> list[Finding]:
    """An environment by each name of the build; with pip by the last one, as people do it."""
    check = "environments"
    found: list[Finding] = []
    for number, program in enumerate(programs):
        folder = bench.place(f"environment-{number}")
        problem, cure = _environment(subject, program, folder, bench)
        if problem:
            found.append(fault(check, f"{program} -m venv: {problem}", cure or subject.mend))
        elif with_pip and program == programs[-1]:
            found += _environment_with_pip(subject, folder, bench)
    if not any(finding.check == check for finding in found):
        found.append(ok(check, f"made by {', '.join(programs)}"))
    return found


def _environment(subject: Subject, program: str, folder: str, bench: Bench) -> tuple[str, str]:
    """What is wrong with the environment that ``program`` makes in ``folder``, and a cure."""
    command = [program, "-I", "-B", "-m", "venv", "--without-pip", folder]
    done = _run(bench, command, folder)
    if done.status != 0:
        return _how(done, bench), ""
    done = _run(bench, [_python_of(subject, folder), "-I", "-B", "-c", _WHERE], folder)
    if done.status != 0:
        return f"its python does not start: {_how(done, bench)}", ""
    prefix, _, base = done.out.rstrip("\r\n").partition("\n")
    if os.path.realpath(prefix) != os.path.realpath(folder):
        return f"it takes {prefix} for its prefix", ""
    if os.path.realpath(base.strip("\r\n")) != os.path.realpath(subject.tree):
        return (
            f"it leads to {base.strip()} and not to this build",
            "install the build again, which makes the names anew",
        )
    return "", ""


def _environment_with_pip(subject: Subject, folder: str, bench: Bench) -> list[Finding]:
    """What ``venv`` does by itself, but for bytecode that it would leave in the build."""
    python = _python_of(subject, folder)
    for words in (["-m", "ensurepip", "--default-pip"], ["-m", "pip", "--version"]):
        done = _run(bench, [python, "-B", *words], folder, _ENVIRONMENTS)
        if done.status != 0:
            how = _how(done, bench, _ENVIRONMENTS)
            what = f"python {' '.join(words)} in an environment: {how}"
            return [fault("pip", what, subject.mend)]
    return [ok("pip", " ".join(done.out.split()[:2]) + " in an environment")]


def _run(bench: Bench, command: Sequence[str], folder: str, factor: float = 1.0) -> Done:
    # Not isolated where pip starts Pythons of its own: these take only the environment along.
    environ = {**bench.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
    environ.update({"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    # pip starts other programs to tell who it is, and those leave things in a person's home.
    homes = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    environ.update(dict.fromkeys(homes, bench.scratch))
    try:
        return bench.children.run(command, folder, environ, bench.limit * factor)
    except OSError as error:
        from kitbag_installer.doctor.processes import Done

        return Done(1, "", str(error))


def _how(done: Done, bench: Bench, factor: float = 1.0) -> str:
    if done.status is None:
        return f"no answer within {bench.limit * factor:g} seconds"
    return done.last_line or f"status {done.status}"


def _python_of(subject: Subject, folder: str) -> str:
    if subject.key.target.os == "windows":
        return os.path.join(folder, "Scripts", "python.exe")
    return os.path.join(folder, "bin", "python")
