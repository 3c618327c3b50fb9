"""What the inside of a tree says about the build that it is.

Nothing here trusts a file name: the version comes from ``patchlevel.h``, ``PYTHON.json`` or
``pyodide-lock.json``, the variant from the names of folders and libraries and from the generated
sysconfig module, the platform from the header of the executable.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kitbag_bundles.errors import ArchiveError, UsageError
from kitbag_bundles.keys import Target, Version
from kitbag_packer.upstream import parse_triple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Evidence", "gather", "is_witness"]

_WITNESS = re.compile(
    r"(?:^|/)(?:PYTHON\.json|pyodide-lock\.json|patchlevel\.h|_sysconfigdata_[^/]*\.py)$"
)
_PATCHLEVEL = re.compile(
    r"include/(?:(?:python|pypy)\d+\.\d+[td]*/)?patchlevel\.h|lib/graalpy[\d.]*/.*patchlevel\.h",
    re.IGNORECASE,
)
_PY_VERSION = re.compile(r'^[ \t]*#[ \t]*define[ \t]+PY_VERSION[ \t]+"([^"+]+)\+?"', re.MULTILINE)
_PY_DEBUG = re.compile(r"""['"]Py_DEBUG['"]\s*:\s*([01])\b""")
_SYSCONFIG = re.compile(r"lib/python\d+\.\d+t?/_sysconfigdata_[^/]*\.py")

_LIBRARY_FOLDER = re.compile(r"lib/(python|pypy)(\d+\.\d+)(t?)/")
_WINDOWS_DLL = re.compile(r"python(\d)(\d+)(t?)(_d)?\.dll", re.IGNORECASE)
_UNIX_EXECUTABLE = re.compile(r"bin/python(\d+\.\d+)(t?)(d?)")
_HINTS = (
    ("pyodide", re.compile(r"pyodide(?:-lock\.json|\.asm\.m?js|\.mjs)")),
    ("graalpy", re.compile(r"bin/graalpy(?:\.exe)?|lib/graalpy.*")),
    ("pypy", re.compile(r"bin/pypy3?[\d.]*|pypy3?[\d.]*\.exe|lib/pypy\d.*")),
    ("cpython", re.compile(r"bin/python\d+\.\d+[td]*|python(?:\d+\.\d+t)?(?:_d)?\.exe")),
)


@dataclass
class Evidence:
    """What was found; ``None`` and the empty text stand for nothing found."""

    implementation: str = ""
    version: Version | None = None
    version_source: str = ""
    """The path that told the version, for messages."""
    minors: set[str] = field(default_factory=set)
    """Minor versions that names of folders and libraries speak of."""
    free_threaded: bool | None = None
    debug: bool | None = None
    target: Target | None = None
    """The exact target, with CPU level, where PYTHON.json names it."""


def is_witness(path: str) -> bool:
    """Whether a member of an archive is a file that :func:`gather` wants to read."""
    return bool(_WITNESS.search(path))


def gather(paths: Iterable[str], texts: Mapping[str, bytes], python_json: bytes) -> Evidence:
    """Collect what a tree says about itself.

    ``paths`` are those of the tree, ``texts`` the contents of its witnesses by path, and
    ``python_json`` that of a full archive's description, empty if there is none. Raises
    :class:`ArchiveError` when two witnesses contradict each other or one is unreadable.
    """
    found = Evidence()
    _from_names(found, paths)
    for path, text in sorted(texts.items()):
        _from_text(found, path, text)
    if python_json:
        _from_python_json(found, python_json)
    return found


def _from_names(found: Evidence, paths: Iterable[str]) -> None:
    hints: set[str] = set()
    flags: set[tuple[bool, bool | None]] = set()
    for path in paths:
        hints.update(name for name, pattern in _HINTS if pattern.fullmatch(path))
        folder = _LIBRARY_FOLDER.match(path)
        dll = _WINDOWS_DLL.fullmatch(path)
        executable = _UNIX_EXECUTABLE.fullmatch(path)
        if folder:
            found.minors.add(folder[2])
            flags.add((bool(folder[3]), None))
        elif dll:
            found.minors.add(f"{dll[1]}.{dll[2]}")
            flags.add((bool(dll[3]), bool(dll[4])))
        elif executable and executable[3]:
            flags.add((bool(executable[2]), True))
    found.implementation = next((name for name, _ in _HINTS if name in hints), "")
    if flags:
        found.free_threaded = any(free for free, _ in flags)
        if any(debug is not None for _, debug in flags):
            found.debug = any(debug for _, debug in flags)


def _from_text(found: Evidence, path: str, text: bytes) -> None:
    if _PATCHLEVEL.fullmatch(path):
        define = _PY_VERSION.search(text.decode("utf-8", "replace"))
        if define:
            _set_version(found, define[1], path)
    elif _SYSCONFIG.fullmatch(path):
        flag = _PY_DEBUG.search(text.decode("utf-8", "replace"))
        if flag:
            found.debug = flag[1] == "1"
    elif path == "pyodide-lock.json":
        info = _json(text, path).get("info")
        python = info.get("python") if isinstance(info, dict) else None
        # Some locks name the minor version alone.
        if isinstance(python, str) and python.count(".") == 2:
            _set_version(found, python, path)
        elif isinstance(python, str):
            found.minors.add(python)


def _from_python_json(found: Evidence, text: bytes) -> None:
    told = _json(text, "PYTHON.json")
    version, triple, options = (
        told.get(name) for name in ("python_version", "target_triple", "build_options")
    )
    if isinstance(version, str):
        _set_version(found, version, "PYTHON.json")
    if isinstance(triple, str):
        found.target = parse_triple(triple)
    if isinstance(options, str):
        words = options.split("+")
        for name, value in (
            ("free_threaded", "freethreaded" in words),
            ("debug", "debug" in words),
        ):
            if getattr(found, name) not in (None, value):
                raise ArchiveError(
                    f"PYTHON.json says {options!r} of the build options, and the tree beside it"
                    " says otherwise; do not use this archive"
                )
            setattr(found, name, value)


def _set_version(found: Evidence, text: str, source: str) -> None:
    try:
        version = Version.parse(text)
    except UsageError:
        raise ArchiveError(f"{source} in the archive gives {text!r} as the version") from None
    if found.version not in (None, version):
        raise ArchiveError(
            f"the archive contradicts itself: {found.version_source} says {found.version},"
            f" {source} says {version}; do not use it"
        )
    found.version, found.version_source = version, source
    found.minors.add(version.minor_text)


def _json(text: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{name} in the archive is damaged: {error}") from None
    if not isinstance(value, dict):
        raise ArchiveError(f"{name} in the archive is not a JSON object")
    return value
