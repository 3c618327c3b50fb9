"""What sets the implementations of Python apart, one adapter for each behind one interface.

Whoever has to know how a build of one implementation differs from another asks
:func:`implementation_of` and never looks at the name: where the interpreter and its library are,
what an installer adds, what can be rewritten or compiled, what has to be on the target. An adapter
knows names and trees; it touches no file system.

All paths are relative to the build's top directory and use ``/``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container

    from kitbag_bundles.keys import BuildKey


class Program(NamedTuple):
    """A program that must be on the target, outside of the build."""

    name: str
    """The command, ``node``."""
    title: str
    """What people call it, ``Node.js``."""
    least: int
    """The oldest major version that will do."""


class Implementation:
    """What the others have in common, and what an adapter may have otherwise."""

    title = ""
    """What people call it, ``PyPy``."""
    command = ""
    """What the names in a bin directory begin with: ``pypy`` of ``pypy3.11``."""
    reports = ""
    """What its ``sys.implementation.name`` says."""
    exact_version = True
    """Whether the patch of a key is the interpreter's own, and not made up by a catalog."""
    has_prefix = True
    """Whether its ``sys.prefix`` is the directory of the build."""
    has_minor_link = False
    """Whether a minor-version link leads to the highest patch, as uv has it."""
    any_machine = False
    """Whether one build runs on every machine, whatever target its key has."""
    compiles = True
    """Whether bytecode can be made for its library: that is files, and no archive."""
    starts_kitbag = False
    """Whether it is known to run ``kitbag.pyz``."""
    program: Program | None = None
    """What it runs in."""

    def executable(self, key: BuildKey) -> str:
        """The path of the interpreter itself."""
        raise NotImplementedError

    def libraries(self, key: BuildKey) -> tuple[str, ...]:
        """Where the standard library may be, the usual place first; none if it is no directory."""
        raise NotImplementedError

    def site_packages(self, library: str) -> str:
        """Where packages are installed, beside or below ``library``; empty if nowhere."""
        return f"{library}/site-packages" if library else ""

    def names(self, key: BuildKey, *, default: bool) -> tuple[str, ...]:
        """The names to link in a bin directory: ``pypy3.11``; by ``default`` the short ones too."""
        flags = key.abi_flags
        names = [f"{self.command}{key.version.minor_text}{flags}"]
        if default:
            names += [f"{self.command}{key.version.major}{flags}", f"{self.command}{flags}"]
        return tuple(names)

    def is_rewritten(self, key: BuildKey) -> bool:
        """Whether texts of its tree name the place where it was built."""
        return False

    def links(self, key: BuildKey, known: Container[str]) -> dict[str, str]:
        """The links that an installer adds to a tree with the paths ``known``: path → target.

        ``bin/python`` where the archive does not bring it; nothing on Windows.
        """
        program = self.executable(key)
        folder, _, name = program.rpartition("/")
        link = f"{folder}/python"
        return {} if not folder or key.target.os == "windows" or link in known else {link: name}

    def copies(self, key: BuildKey, known: Container[str]) -> dict[str, str]:
        """The files that an installer adds as copies of others of the tree: path → other path."""
        return {}

    def licence(self, flavor: str) -> str:
        """What limits passing a build on, as a sentence; empty where nothing does."""
        return ""


def implementation_of(key: BuildKey) -> Implementation:
    """The adapter for a build."""
    return implementation_named(key.implementation)


def implementation_named(name: str) -> Implementation:
    """The adapter by its name, one of :data:`kitbag_bundles.keys.IMPLEMENTATIONS`.

    Each is imported when it is asked for: out of a zip file all code is compiled at every start.
    """
    if name == "cpython":
        from kitbag_bundles.implementations import cpython as module
    elif name == "pypy":
        from kitbag_bundles.implementations import pypy as module  # type: ignore[no-redef]
    elif name == "graalpy":
        from kitbag_bundles.implementations import graalpy as module  # type: ignore[no-redef]
    elif name == "pyodide":
        from kitbag_bundles.implementations import pyodide as module  # type: ignore[no-redef]
    else:
        raise ValueError(f"{name!r} is no implementation")
    return module.ADAPTER
