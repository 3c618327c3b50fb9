"""What an interpreter's answers mean: for each a finding, with its cure."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from kitbag_installer.doctor.findings import Finding, advice, fault, ok

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.doctor.asking import Answer

_LIBRARY = re.compile(
    r"(?:^|: |library )([\w.+@/-]+\.(?:so[\w.]*|dylib)): cannot open shared object"
    r"|Error loading shared library ([\w.+-]+)"
    r"|Library not loaded: (\S+)"
)
"""How the loaders of glibc, musl and macOS tell which library is missing."""

_MODULES: dict[str, tuple[str, ...]] = {
    "ssl": ("_ssl",),
    "ca-certificates": ("_ssl",),
    "sqlite3": ("_sqlite3",),
    "ctypes": ("_ctypes",),
    "zlib": ("zlib",),
    "bz2": ("_bz2",),
    "lzma": ("_lzma",),
    "zstd": ("_zstd",),
    "hashlib": ("_hashlib",),
    "uuid": ("_uuid",),
    "readline": ("readline",),
    "terminfo": ("_curses",),
    "curses": ("_curses", "_curses_panel"),
    "dbm": ("_dbm", "_gdbm"),
    "tkinter": ("_tkinter",),
    "multiprocessing": ("_multiprocessing", "_posixshmem"),
}
"""The extension modules that CPython has for each feature."""
_WITHOUT_FAULT = ("readline", "terminfo", "curses", "dbm", "tkinter", "time-zones", "locale")
"""What many programs never need, and implementations other than CPython may lack."""


class Subject(NamedTuple):
    """What has to be known of a build to judge its interpreter's answers."""

    key: BuildKey
    tree: str
    shipped: frozenset[str]
    """The names of the extension modules that came with it, as far as is known."""
    sources: frozenset[str]
    """The names of the standard library's modules in Python that came with it."""
    libraries: frozenset[str]
    """The file names of its own shared libraries."""
    parts: frozenset[str]
    """What came with it of ``pip``, a ``wheel`` of it for environments, C ``headers``."""
    made_here: bool
    """Whether it is as portable as the machine that it was made from, and no more."""
    mend: str
    """The cure for what is broken inside of the build."""
    renew: str
    """The cure for compiled files that are not what their sources are."""


def names_of_features(subject: Subject) -> list[str]:
    """What the interpreter shall try."""
    key = subject.key
    if key.implementation == "pyodide":
        # It runs inside of a program that gives it no processes, sockets or libraries.
        return ["zlib", "hashlib", "uuid"]
    names = [*_MODULES, "locale", "time-zones", "pip"]
    if (key.version.major, key.version.minor) < (3, 14) or key.implementation != "cpython":
        names.remove("zstd")
    if key.target.os == "windows":
        names = [name for name in names if name not in ("readline", "terminfo", "curses")]
    if key.implementation == "cpython":
        if not _is_shipped(subject, "tkinter"):
            names.remove("tkinter")
        if not _is_shipped(subject, "dbm"):
            names.remove("dbm")
        names += ["bytecode"]
        if key.target.os != "windows":
            names += ["sysconfig"]
    if key.implementation != "graalpy" and key.target.os != "windows":
        names += ["extension"]
    return [*names, *_module_names(subject)]


def _module_names(subject: Subject) -> list[str]:
    return [f"module:{name}" for name in sorted(subject.shipped)]


def _is_shipped(subject: Subject, check: str) -> bool:
    return any(name in subject.shipped for name in _MODULES.get(check, ()))


def judge(subject: Subject, answers: Mapping[str, Answer]) -> list[Finding]:
    """The findings that follow from ``answers``."""
    found = [
        _judge_one(subject, name, answer)
        for name, answer in answers.items()
        if not name.startswith("module:")
    ]
    told = {finding.check for finding in found if finding.severity != "ok"}
    covered = {module for check in told for module in _MODULES.get(check, ())}
    modules = {
        name.partition(":")[2]: answer
        for name, answer in answers.items()
        if name.startswith("module:")
    }
    found += _judge_modules(subject, modules, covered)
    return found


def _judge_modules(
    subject: Subject, answers: Mapping[str, Answer], covered: set[str]
) -> list[Finding]:
    check = "extension-modules"
    broken = {name: answer for name, answer in answers.items() if answer.facts is None}
    found = [
        _failed(subject, check, answer, f"{name}: ")
        for name, answer in broken.items()
        if name not in covered
    ]
    if not broken and answers:
        found = [ok(check, f"{len(answers)} can be imported")]
    return found


def _judge_one(subject: Subject, check: str, answer: Answer) -> Finding:
    if answer.facts is None:
        return _failed(subject, check, answer)
    judgement = _JUDGEMENTS.get(check)
    found = judgement(subject, answer.facts) if judgement else None
    return found or ok(check, str(answer.facts.get("note") or "works"))


def _failed(subject: Subject, check: str, answer: Answer, who: str = "") -> Finding:
    """Why something could not be tried: the module, a library, the interpreter."""
    text = f"{who}{answer.error}"
    if answer.hung:
        cure = f"a longer --time-limit, if this machine is slow; otherwise {subject.mend}"
        return fault(check, text, cure)
    if answer.crashed:
        return fault(check, text, subject.mend)
    library = missing_library(answer.error)
    if library and library.rpartition("/")[2] not in subject.libraries:
        cure = f"install the system's package that has {library}"
        mild = subject.made_here or check == "extension-modules" or check in _WITHOUT_FAULT
        return (advice if mild else fault)(check, f"{who}needs {library}, which is not here", cure)
    if answer.absent and not _was_shipped(subject, check, answer.module):
        return advice(
            check,
            f"this build has no {answer.module or check}",
            "nothing, unless a program needs it; then use a build that has it",
        )
    if check == "extension" and "failed to map segment" in answer.error:
        cure = "set TMPDIR to a directory where programs may run"
        return advice(check, "built, but nothing may be run where temporary files go", cure)
    if check == "multiprocessing":
        return fault(check, text, "see that /dev/shm is there and may be written: a tmpfs")
    if check in _WITHOUT_FAULT and subject.key.implementation != "cpython":
        return advice(check, text, "nothing, unless a program needs it")
    return fault(check, text, subject.mend)


def _was_shipped(subject: Subject, check: str, module: str) -> bool:
    """Whether a module that is not there should be. Without a list nobody knows."""
    return module in subject.shipped | subject.sources or check == "extension-modules"


def missing_library(error: str) -> str:
    """The shared library that a loader's complaint names; empty if it is about something else."""
    found = _LIBRARY.search(error)
    return next(filter(None, found.groups()), "") if found else ""


def _certificates(subject: Subject, facts: Mapping[str, Any]) -> Finding | None:
    count = facts["count"]
    if count:
        return ok("ca-certificates", "found" if count < 0 else "certificates are found")
    places = " or ".join(facts["places"]) or "any place"
    return fault(
        "ca-certificates",
        f"no certificate to trust in {places}: every TLS connection fails",
        "install the system's package of CA certificates, or set SSL_CERT_FILE to a file of them",
    )


def _hashes(subject: Subject, facts: Mapping[str, Any]) -> Finding | None:
    if not facts["missing"]:
        return None
    names = ", ".join(facts["missing"])
    return fault("hashlib", f"lacks {names}", subject.mend)


def _terminal(subject: Subject, facts: Mapping[str, Any]) -> Finding | None:
    if not facts.get("problem"):
        return ok("terminfo", f"{facts['term']} is found")
    import os

    own = os.path.join(subject.tree, "share", "terminfo")
    cure = "set TERMINFO_DIRS to the directory that has it, or TERM to another name"
    if os.path.isdir(own):
        cure = f"export TERMINFO_DIRS={shlex.quote(own)}"
    return advice("terminfo", f"the terminal {facts['term']!r} is described nowhere", cure)


def _tk(subject: Subject, facts: Mapping[str, Any]) -> Finding | None:
    if facts["found"]:
        return None
    cure = "set TK_LIBRARY to the directory that has tk.tcl"
    places = " or ".join(dict.fromkeys(facts["places"]))
    return advice("tkinter", f"Tcl starts, but tk.tcl is not in {places}", cure)


def _texts(subject: Subject, facts: Mapping[str, Any]) -> Finding | None:
    if facts["problem"]:
        return advice(
            "locale",
            f"the locale that the environment names is not here ({facts['problem']})",
            "set LC_ALL to one that is (locale -a), such as C.UTF-8",
        )
    others = [name for name in facts["names"] if name.lower().replace("_", "-") != "utf-8"]
    if others:
        return advice(
            "locale",
            f"texts and file names are taken for {others[0]}",
            "set LC_ALL to a locale with UTF-8, such as C.UTF-8",
        )
    return ok("locale", "UTF-8")


def _zones(subject: Subject, facts: Mapping[str, Any]) -> Finding | None:
    if facts["found"]:
        return None
    return advice(
        "time-zones",
        "zoneinfo finds no time zones",
        "install the system's package tzdata, or Python's package tzdata",
    )


def _pip(subject: Subject, facts: Mapping[str, Any]) -> Finding | None:
    if facts["problem"]:
        return fault("pip", f"can't be imported: {facts['problem']}", subject.mend)
    if "pip" in subject.parts and not facts["version"]:
        return fault("pip", "is gone, and came with this build", subject.mend)
    if "wheel" in subject.parts and not facts["wheels"]:
        message = "what environments get it from is gone: python -m venv fails"
        return fault("pip", message, subject.mend)
    if facts["version"]:
        return ok("pip", f"pip {facts['version']}")
    if facts["wheels"]:
        cure = "nothing, if you use environments: python -m venv gives each one"
        return advice("pip", "is not installed", cure)
    return advice(
        "pip", "this build brings none, nor do its environments", "use another one, such as uv pip"
    )


def _places(subject: Subject, facts: Mapping[str, Any]) -> Finding | None:
    import os

    prefix = os.path.realpath(facts["prefix"])

    def elsewhere(value: object) -> bool:
        path = os.path.realpath(str(value))
        return path != prefix and not path.startswith(prefix + os.sep)

    wrong = {name: value for name, value in facts["values"].items() if value and elsewhere(value)}
    for name, value in sorted(wrong.items()):
        return fault(
            "sysconfig",
            f"{name} is {value}, which is not in this build: extensions will not build",
            subject.mend,
        )
    return ok("sysconfig", "names this place")


def _stale(subject: Subject, facts: Mapping[str, Any]) -> Finding | None:
    stale: Sequence[str] = facts["stale"]
    if not stale:
        return ok("bytecode", "agrees with its sources")
    more = f" and {len(stale) - 1} more" if len(stale) > 1 else ""
    return fault(
        "bytecode",
        f"{stale[0]}{more}: edited, but the compiled file that is used says otherwise",
        f"{subject.renew} to keep the edit; {subject.mend} to undo it",
    )


def _built(subject: Subject, facts: Mapping[str, Any]) -> Finding | None:
    if not facts["compiler"]:
        wanted = f" ({facts['wanted'][0]})" if facts["wanted"] else ""
        return ok("extension", f"not tried: there is no compiler{wanted} here")
    if not facts["headers"] and "headers" in subject.parts:
        message = f"Python.h is not in {facts['include']}, and came with this build"
        return fault("extension", message, subject.mend)
    if not facts["headers"]:
        return advice(
            "extension",
            f"this build has no Python.h in {facts['include']}",
            "nothing, unless extensions are to be built; then use a build with headers",
        )
    if facts.get("failed"):
        return fault(
            "extension",
            f"{facts['compiler']} fails: {facts['failed']}",
            "install what it lacks, such as the C library's headers (libc6-dev, glibc-devel)",
        )
    return ok("extension", f"built with {facts['compiler']}")


_JUDGEMENTS: dict[str, Callable[[Subject, Mapping[str, Any]], Finding | None]] = {
    "ca-certificates": _certificates,
    "hashlib": _hashes,
    "terminfo": _terminal,
    "tkinter": _tk,
    "locale": _texts,
    "time-zones": _zones,
    "pip": _pip,
    "sysconfig": _places,
    "bytecode": _stale,
    "extension": _built,
}
