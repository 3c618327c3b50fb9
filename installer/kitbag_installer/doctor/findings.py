"""What the doctor says: findings, and every check that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

FAULT = "fault"
ADVICE = "advice"
OK = "ok"

OF_THE_ROOT: dict[str, str] = {
    "noexec": "programs may run where the root is",
    "space": "there is room for what Python writes",
    "permissions": "nobody else may change what is run from here",
    "leftovers": "no interrupted run left anything behind",
    "kitbag": "kitbag itself is in the root, and the kitbag command runs it",
    "minor-link": "each minor-version link leads to the build that it should",
    "dangling-link": "no link leads to nothing",
    "bin-names": "the names in the bin folders lead to the builds",
    "path": "the bin folder is on PATH",
    "shadowed": "no other Python of the same name comes first on PATH",
    "variables": "no variable leads interpreters astray",
}
"""The checks of a root and of what surrounds it, in the order in which they are told."""

OF_A_BUILD: dict[str, str] = {
    "receipt": "the receipt can be read",
    "home": "the build is where it was installed",
    "target": "the build is for this machine",
    "interpreter": "it starts, and says the version and the prefix that it should",
    "stale-paths": "no generated file names the place where it was built, or a missing program",
    "links": "the build's own links are there and lead where they should",
    "sysconfig": "sysconfig names the place where the build is",
    "externally-managed": "pip is told that the build is looked after by others",
    "bytecode": "compiled files agree with their sources",
    "environments": "python -m venv works, by each name of the build",
    "pip": "pip is there, and an environment gets one without a network",
    "extension": "a C extension can be built, where there is a compiler",
    "extension-modules": "every extension module that is shipped can be imported",
    "ssl": "TLS can begin a handshake",
    "ca-certificates": "TLS finds certificates to trust",
    "sqlite3": "a query in memory is answered",
    "ctypes": "C functions can be called, and call back",
    "zlib": "zlib packs and unpacks",
    "bz2": "bzip2 packs and unpacks",
    "lzma": "xz packs and unpacks",
    "zstd": "Zstandard packs and unpacks (3.14 and later)",
    "hashlib": "every algorithm that Python promises is there, and SHA-256 is right",
    "uuid": "identifiers are made",
    "readline": "lines can be edited",
    "terminfo": "the terminal's description is found",
    "curses": "curses can be imported",
    "dbm": "a database file can be written, where a module for it is shipped",
    "tkinter": "Tcl starts and Tk's files are found, where tkinter is shipped",
    "locale": "the locale is there, and texts are UTF-8",
    "time-zones": "time zones are found",
    "multiprocessing": "semaphores can be made",
}
"""The checks of one build, in the order in which they are told."""

OF_AN_ENVIRONMENT: dict[str, str] = {
    "environment-receipt": "the receipt of the environment can be read",
    "environment-home": "the environment is where it was installed",
    "environment-build": "the build that it belongs to is there",
    "environment-interpreter": "it starts, with its .pth files, and says the prefix that it should",
    "environment-links": "no link in it leads to nothing",
    "environment-records": "every file is there of which a RECORD speaks",
    "environment-scripts": "the first lines of its programs lead to an interpreter",
    "environment-names": "its names in the bin folders lead to its programs",
}
"""The checks of one environment, in the order in which they are told."""

CHECKS = {**OF_THE_ROOT, **OF_A_BUILD, **OF_AN_ENVIRONMENT}
"""The code of every check, stable, with what holds if it is passed."""
_RANKS = {check: rank for rank, check in enumerate(CHECKS)}


class Finding(NamedTuple):
    """What one check found: one line, and one line on what to do about it."""

    check: str
    """One of :data:`CHECKS`."""
    severity: str
    """``fault`` (it does not work), ``advice`` (it may matter), ``ok``."""
    message: str
    cure: str = ""
    """Empty where nothing needs one."""


def fault(check: str, message: str, cure: str) -> Finding:
    """Something does not work."""
    return Finding(check, FAULT, message, cure)


def advice(check: str, message: str, cure: str) -> Finding:
    """Something that may matter, or only on some machines."""
    return Finding(check, ADVICE, message, cure)


def ok(check: str, message: str) -> Finding:
    """A check that was passed, or that is not for this build."""
    return Finding(check, OK, message)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """``findings`` by the order of the checks; those of one check stay as they are."""
    return tuple(sorted(findings, key=lambda finding: _RANKS[finding.check]))
