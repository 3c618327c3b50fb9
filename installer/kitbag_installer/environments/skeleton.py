"""The empty environment: links to an interpreter, ``pyvenv.cfg``, and scripts that activate it.

What makes an environment is little (https://docs.python.org/3/library/site.html), and for CPython
on Unix it is made here, from the same templates that the build's own ``venv`` fills in, without
starting anything. For the others see :mod:`kitbag_installer.environments.venvs`.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING, Callable, NamedTuple

from kitbag_bundles.errors import ArchiveError
from kitbag_bundles.implementations import implementation_of

if TYPE_CHECKING:
    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.environments.layout import Layout

_VARIABLE = re.compile(r"__VENV_(DIR|NAME|PROMPT|BIN_NAME|PYTHON)__")
_BARE_PROMPT = re.compile(r"""\(["']?__VENV_PROMPT__|\(%s\)""")
"""Where the template has the parentheses around the prompt itself."""
_FOLDERS = ("common", "posix")


class Laid(NamedTuple):
    """What of an environment is not of its wheels."""

    files: list[str]
    links: list[str]
    placed: list[str]
    """Those of the files in which the place of the environment or of its interpreter stands."""


def is_planted(key: BuildKey) -> bool:
    """Whether :func:`plant` knows how an environment of this build is made."""
    return key.implementation == "cpython" and key.target.os in ("linux", "macos")


def plant(key: BuildKey, base: str, tree: str, home: str, name: str, layout: Layout) -> Laid:
    """Make an environment of the build ``key`` in ``tree``, which will be at ``home``.

    ``base`` is where the interpreter is found. Raises :class:`ArchiveError` where a wheel wrote
    what belongs to the environment itself, and :class:`OSError`.
    """
    program = implementation_of(key).executable(key)
    own = os.path.basename(program)
    links = {f"{layout.programs}/{own}": os.path.join(base, program)}
    for other in ("python", "python3", f"python{key.version.minor_text}"):
        if other != own:
            links[f"{layout.programs}/{other}"] = own
    if layout.lib64:
        links["lib64"] = "lib"
    version = key.version
    files = {
        "pyvenv.cfg": f"home = {os.path.dirname(os.path.join(base, program))}\n"
        "include-system-site-packages = false\n"
        f"version = {version.major}.{version.minor}.{version.patch}\n"
        f"prompt = {name!r}\n"
    }
    values = {
        "DIR": home,
        "NAME": name,
        "BIN_NAME": layout.programs,
        "PYTHON": os.path.join(home, layout.programs, own),
        "PROMPT": name,
    }
    library = os.path.join(base, os.path.dirname(layout.site))
    for script, template in _templates(os.path.join(library, "venv", "scripts")):
        files[f"{layout.programs}/{script}"] = filled(template, script, values)
    os.makedirs(os.path.join(tree, layout.site), exist_ok=True)
    os.makedirs(os.path.join(tree, layout.programs), exist_ok=True)
    for path in (*files, *links):
        check_free(tree, path)
    for path, text in files.items():
        with open(os.path.join(tree, path), "xb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
    for path, target in links.items():
        os.symlink(target, os.path.join(tree, path))
    return Laid(list(files), list(links), list(files))


def check_free(tree: str, path: str) -> None:
    """Raise :class:`ArchiveError` if a wheel has put something at ``path``."""
    if os.path.lexists(os.path.join(tree, path)):
        raise ArchiveError(
            f"{path}: a wheel brings this file, which belongs to the environment itself; "
            "pack the environment without that wheel"
        )


def _templates(folder: str) -> list[tuple[str, str]]:
    """The scripts that a build's ``venv`` has, by name; none where it has no ``venv``."""
    found = []
    for part in _FOLDERS:
        try:
            names = sorted(os.listdir(os.path.join(folder, part)))
        except FileNotFoundError:
            continue
        for name in names:
            path = os.path.join(folder, part, name)
            if os.path.isfile(path):
                with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
                    found.append((name, file.read()))
    return found


def filled(template: str, script: str, values: dict[str, str]) -> str:
    """A template of ``venv`` with its variables replaced.

    Older ones have quotes around them, and what stands there is escaped as far as the shell in
    question can; in newer ones the value comes with its quotes.
    """
    prompt = values["PROMPT"]
    bare = bool(_BARE_PROMPT.search(template))
    inside, outside = _quoting(script)

    def replace(found: re.Match[str]) -> str:
        value = values[found.group(1)]
        if found.group(1) == "PROMPT" and not bare:
            value = f"({prompt}) "
        line = found.string[found.string.rfind("\n", 0, found.start()) + 1 : found.start()]
        return inside(value) if line.count('"') % 2 else outside(value)

    return _VARIABLE.sub(replace, template)


def _quoting(script: str) -> tuple[Callable[[str], str], Callable[[str], str]]:
    """How a value is written within double quotes, and how without any."""
    suffix = script.rpartition(".")[2]
    if suffix == "ps1":
        return _as_it_is, lambda value: "'" + value.replace("'", "''") + "'"
    if suffix == "csh":
        # Within its quotes nothing can be escaped.
        return _as_it_is, shlex.quote
    special = r'(["$\\])' if suffix == "fish" else r'(["$`\\])'
    return lambda value: re.sub(special, r"\\\1", value), shlex.quote


def _as_it_is(value: str) -> str:
    return value
