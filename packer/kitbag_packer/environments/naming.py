"""What environments, their extras, groups and programs may be called, and how one is by itself."""

from __future__ import annotations

import difflib
import re
import tomllib
from typing import TYPE_CHECKING

from kitbag_bundles.environments import is_environment_name, is_program_name
from kitbag_bundles.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from kitbag_packer.environments.model import Spec

DEFAULT = "app"
"""What an environment is called where nothing has a name."""

_GLIBC = re.compile(r"2\.\d{1,3}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)


def project_name(folder: Path) -> str:
    """The normalised name of the project in ``folder``; :data:`DEFAULT` where it has none.

    A file of the project stands for its folder.
    A ``pyproject.toml`` that can't be read has none here: whoever needs it says what is wrong.
    """
    from packaging.utils import canonicalize_name

    folder = folder.parent if folder.is_file() else folder
    try:
        document = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        name = document["project"]["name"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return DEFAULT
    return str(canonicalize_name(name)) if isinstance(name, str) and name else DEFAULT


def problems(spec: Spec) -> Iterator[tuple[str, str]]:
    """What can't be called so: the field of ``spec``, and a clause that goes on from it."""
    if not is_environment_name(spec.name):
        problem = (
            f"{spec.name!r} is no name for an environment; use lower-case letters, digits, '.', "
            "'_' and '-', and nothing that is a Python's"
        )
        yield "name", problem
    for field, names in (("extras", spec.extras), ("groups", spec.groups or ())):
        for name in names:
            if not _NAME.fullmatch(name):
                yield field, f"{name!r} is no name; write letters, digits, '.', '_' and '-'"
    for field, names in (("expose", spec.expose), ("run", (spec.run,) if spec.run else ())):
        for name in names:
            if not is_program_name(name):
                yield field, f"{name!r} is no name of a console script; name one as it is called"
    if spec.glibc and not _GLIBC.fullmatch(spec.glibc):
        yield "glibc", f"{spec.glibc!r} is no version of glibc; write one such as 2.17"


def known(names: Sequence[str], declared: Iterable[str] | None, what: str) -> tuple[str, ...]:
    """``names`` normalised; raises :class:`UsageError` for one that is not among ``declared``.

    ``what`` they are: ``extra`` or ``dependency group``.
    """
    from packaging.utils import canonicalize_name

    there = {str(canonicalize_name(name)) for name in declared or ()}
    for name in names:
        if canonicalize_name(name) not in there:
            near = difflib.get_close_matches(name.lower(), sorted(there), 1)
            hint = f"it has {', '.join(sorted(there))}; name one of these, or none"
            if near:
                hint = f"did you mean {near[0]}?"
            elif not there:
                hint = "it has none; leave it out"
            raise UsageError(f"it knows no {what} {name!r}; {hint}")
    return tuple(str(canonicalize_name(name)) for name in names)
