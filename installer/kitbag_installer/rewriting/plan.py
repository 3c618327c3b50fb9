"""Which files of a build are rewritten, and how: the one entry that others call.

Only CPython on Unix needs it. PyPy finds everything at run time, GraalPy and Pyodide too, and
python-build-standalone's Windows trees hold no path of the build machine in their texts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles import layout
from kitbag_bundles.implementations import implementation_of
from kitbag_installer.rewriting.prefix import PREFIX_PATH, check_home

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kitbag_bundles.contents import Entry
    from kitbag_bundles.keys import BuildKey

LARGEST_SCRIPT = 256 * 1024
"""Bytes; whatever is larger in ``bin`` is no script."""


class Rewritten(NamedTuple):
    """One file whose content differs from the archive's."""

    path: str
    """Relative to the top of the build, ``/`` between parts."""
    pristine: bytes
    content: bytes


def candidates(key: BuildKey, entries: Sequence[Entry]) -> tuple[str, ...]:
    """The files whose pristine bytes :func:`rewrite_tree` needs, in the order of ``entries``.

    Decided from names and sizes alone. Hard links are not among them: whoever writes a rewritten
    file gives it an inode of its own or writes the links anew.
    """
    if not _is_rewritten(key):
        return ()
    kinds = _kinds(key)
    return tuple(
        entry.path
        for entry in entries
        if entry.kind == "f"
        and (entry.path.startswith(("bin/", "lib/")))
        and _kind(kinds, entry.path)
        and (entry.size < LARGEST_SCRIPT or not entry.path.startswith("bin/"))
    )


def rewrite_tree(key: BuildKey, pristine: Mapping[str, bytes], home: str) -> tuple[Rewritten, ...]:
    """What changes in the build ``key`` when it is installed as ``home``, sorted by path.

    ``pristine`` maps the paths of :func:`candidates` to the archive's bytes; others are ignored,
    and so is everything that is not UTF-8 text. RECORD files agree with the other new contents.
    Raises :class:`DoesNotFit` for a home that no text can name and :class:`ArchiveError` for a
    generated file that nobody could make right.
    """
    check_home(home)
    if not _is_rewritten(key):
        return ()
    kinds = _kinds(key)
    rewriters = _rewriters(home, f"{home}/{layout.executable(key)}")
    changed: dict[str, bytes] = {}
    records: dict[str, str] = {}
    for path in sorted(pristine):
        kind = _kind(kinds, path)
        text = _text(pristine[path], script=kind in _SCRIPTS) if kind else None
        if text is None:
            continue
        if kind == "record":
            records[path] = text
            continue
        new = rewriters[kind](text)
        if new != text:
            changed[path] = new.encode()
    if records:
        from kitbag_installer.rewriting import record

        site_packages = layout.standard_library(key) + "/site-packages"
        for path, text in records.items():
            new = record.rewrite(text, site_packages, changed)
            if new != text:
                changed[path] = new.encode()
    return tuple(Rewritten(path, pristine[path], changed[path]) for path in sorted(changed))


def leftover_prefixes(
    key: BuildKey, files: Mapping[str, bytes], home: str = ""
) -> list[tuple[str, int]]:
    """Where the build-time prefix still stands in texts: path and line number, from 1.

    Of ``files``, path to bytes, those that a build of ``key`` has rewritten are looked at.
    ``home`` is taken out first, for a root that is itself below ``/install``.
    """
    if not _is_rewritten(key):
        return []
    kinds = _kinds(key)
    found = []
    for path in sorted(files):
        text = _text(files[path]) if _kind(kinds, path) else None
        if text is None or layout.PREFIX not in text:
            continue
        if home:
            text = text.replace(home, ".")  # what follows is not the start of a path
        lines = enumerate(text.split("\n"), 1)
        found += [(path, number) for number, line in lines if PREFIX_PATH.search(line)]
    return found


_SCRIPTS = ("bin", "module")


def _is_rewritten(key: BuildKey) -> bool:
    return implementation_of(key).is_rewritten(key)


def _kinds(key: BuildKey) -> re.Pattern[str]:
    """A pattern whose one matching group names the kind of a path."""
    library = re.escape(layout.standard_library(key))
    return re.compile(
        r"(?P<bin>bin/[^/]+)"
        r"|(?P<pkgconfig>lib/pkgconfig/[^/]+\.pc)"
        r"|(?P<variables>lib/(?:(?!python)[^/]+/)?[^/]+Config\.sh)"
        rf"|{library}/(?:"
        r"(?P<sysconfigdata>_sysconfigdata_[^/]*\.py)"
        r"|(?P<sysconfig_vars>_sysconfig_vars_[^/]*\.json)"
        r"|(?P<build_details>build-details\.json)"
        r"|(?P<makefile>config-[^/]+/Makefile)"
        r"|(?P<module>config-[^/]+/python-config\.py|cgi\.py)"
        r"|(?P<record>site-packages/[^/]+\.dist-info/RECORD))"
    )


def _kind(kinds: re.Pattern[str], path: str) -> str:
    found = kinds.fullmatch(path)
    return (found.lastgroup or "") if found else ""


def _text(data: bytes, *, script: bool = False) -> str | None:
    """The text of a file, or ``None`` for what is no UTF-8 text (or, if asked, no script)."""
    if b"\0" in data or (script and not data.startswith(b"#!")):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _rewriters(home: str, interpreter: str) -> Mapping[str, Callable[[str], str]]:
    from kitbag_installer.rewriting import (
        build_details,
        makefile,
        pkgconfig,
        scripts,
        shell_config,
        sysconfig_vars,
        sysconfigdata,
    )

    def program(text: str) -> str:
        new = scripts.rewrite(text, interpreter)
        if new == text:
            return shell_config.rewrite(text)
        return shell_config.rewrite_python(new)

    return {
        "bin": program,
        "module": lambda text: shell_config.rewrite_python(
            scripts.rewrite(text, interpreter, any_place=True)
        ),
        "pkgconfig": pkgconfig.rewrite,
        "variables": lambda text: shell_config.rewrite_variables(text, home),
        "sysconfigdata": lambda text: sysconfigdata.rewrite(text, home),
        "sysconfig_vars": lambda text: sysconfig_vars.rewrite(text, home),
        "build_details": build_details.rewrite,
        "makefile": lambda text: makefile.rewrite(text, home),
    }
