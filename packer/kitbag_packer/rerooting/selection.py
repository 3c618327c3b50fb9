"""Choose the interpreter's own files and say where each goes in the tree.

Only names that CPython itself installs are taken, so packages, `.pth` files, start-up hooks
(`sitecustomize`), bytecode and other software below the same prefix stay behind. The tree has
python-build-standalone's shape whatever shape the source has.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kitbag_packer.rerooting.relocation import is_shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kitbag_packer.rerooting.probing import Interpreter

TEST_PACKAGES = frozenset(
    (
        "bsddb/test",
        "ctypes/test",
        "distutils/tests",
        "email/test",
        "idlelib/idle_test",
        "json/tests",
        "lib-tk/test",
        "lib2to3/tests",
        "sqlite3/test",
        "test",
        "tkinter/test",
        "unittest/test",
    )
)
"""The test suite's packages below the standard library; python-build-standalone's list."""

TEST_EXTENSIONS = frozenset(
    (
        "_ctypes_test",
        "_testbuffer",
        "_testcapi",
        "_testexternalinspection",
        "_testimportmultiple",
        "_testinternalcapi",
        "_testlimitedcapi",
        "_testmultiphase",
        "_testsinglephase",
        "_testclinic",
        "_testclinic_limited",
        "_xxtestfuzz",
    )
)
"""Extension modules that only the test suite imports.

All but the last three are python-build-standalone's list; it doesn't build those three.
"""

SPLIT_OFF = (
    ("ensurepip", (3, 8), (3, 99)),
    ("idlelib", (3, 8), (3, 99)),
    ("tkinter", (3, 8), (3, 99)),
    ("venv", (3, 8), (3, 99)),
    ("distutils", (3, 8), (3, 11)),
    ("lib2to3", (3, 8), (3, 12)),
)
"""Packages that distributions ship apart from the interpreter, with the versions that have them."""

_NEVER_FOLDERS = frozenset({"__pycache__", "site-packages", "dist-packages"})
_NEVER_FILES = frozenset({"sitecustomize.py", "usercustomize.py", "EXTERNALLY-MANAGED"})
_TCL = re.compile(r"(?:tcl|tk|itcl|thread|tdbc\w*?|Tix)\d[\d.]*")
_TCL_LIBRARY = re.compile(r"lib(?:tcl|tcl9tk|tk)\d[\d.]*\.so")


@dataclass
class Selection:
    """What was chosen.

    ``files`` maps paths in the tree to paths on this machine, which may be links; ``links`` are
    the tree's usual links with their text; ``folders`` maps folders of the tree to where they
    come from.
    """

    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, tree: str, source: str) -> bool:
        """Take a file that CPython is known to install, wherever its links lead."""
        if tree not in self.files and os.path.isfile(source):
            self.files[tree] = os.path.realpath(source)
        return tree in self.files

    def link(self, path: str, *names: str) -> None:
        """Link names beside a file to it, where they are free."""
        folder, _, target = path.rpartition("/")
        for name in names:
            if f"{folder}/{name}" not in self.files:
                self.links.setdefault(f"{folder}/{name}", target)


def select(interpreter: Interpreter, *, with_tests: bool) -> Selection:
    """Everything but site-packages."""
    chosen = Selection()
    _standard_library(interpreter, chosen, with_tests)
    _headers(interpreter, chosen)
    _libraries(interpreter, chosen)
    _commands(interpreter, chosen)
    if not is_shared(interpreter.prefix):
        _data(interpreter, chosen)
    return chosen


def library_folders(interpreter: Interpreter) -> list[str]:
    """Where the interpreter's shared libraries and `.pc` files may lie, most likely first."""
    places = [
        interpreter.located(interpreter.variable("LIBDIR")),
        os.path.join(interpreter.prefix, interpreter.library_folder),
        os.path.join(interpreter.prefix, "lib"),
    ]
    return list(dict.fromkeys(os.path.normpath(place) for place in places if place))


def _standard_library(interpreter: Interpreter, chosen: Selection, with_tests: bool) -> None:
    root = interpreter.standard_library
    top = f"lib/{interpreter.library_name}"
    chosen.folders[top] = root
    for relative, source in _walk(root, with_tests):
        chosen.files[f"{top}/{relative}"] = source
    dynamic = interpreter.located(interpreter.variable("DESTSHARED"))
    if dynamic and not os.path.isdir(os.path.join(root, "lib-dynload")) and os.path.isdir(dynamic):
        for relative, source in _walk(dynamic, with_tests, "lib-dynload/"):
            chosen.files[f"{top}/{relative}"] = source
    version = (interpreter.version.major, interpreter.version.minor)
    for name, first, last in SPLIT_OFF:
        if first <= version <= last and f"{top}/{name}/__init__.py" not in chosen.files:
            chosen.notes.append(f"this Python comes without the standard library's {name}")


def _walk(root: str, with_tests: bool, start: str = "") -> Iterator[tuple[str, str]]:
    for folder, folders, files in os.walk(root):
        inside = os.path.relpath(folder, root)
        below = start + ("" if inside == "." else inside + "/")
        linked = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(
            name
            for name in folders
            if name not in _NEVER_FOLDERS
            and name not in linked
            and (with_tests or below + name not in TEST_PACKAGES)
        )
        for name in sorted(files + [name for name in linked if name not in _NEVER_FOLDERS]):
            if _is_carried(below, name, with_tests):
                yield below + name, os.path.join(folder, name)


def _is_carried(below: str, name: str, with_tests: bool) -> bool:
    if not below and name in _NEVER_FILES:
        return False
    if name.endswith((".pyc", ".pth")):
        return False
    if below.startswith("config-"):
        # The static library, and links to the shared one, which lib/ holds.
        return re.fullmatch(r"libpython.*\.(?:a|so)", name) is None
    if below == "lib-dynload/":
        return with_tests or name.partition(".")[0] not in TEST_EXTENSIONS
    return True


def _headers(interpreter: Interpreter, chosen: Selection) -> None:
    source = interpreter.headers
    top = f"include/{os.path.basename(source)}"
    chosen.folders[top] = source
    if not os.path.isfile(os.path.join(source, "Python.h")):
        chosen.notes.append(
            "no C headers: they are not installed here, so extensions can't be built with this"
            " Python"
        )
    # Packages install headers of their own beside these (greenlet, numpy): only CPython's folders.
    for below in ("", "cpython", "internal"):
        start = os.path.join(source, below) if below else source
        for folder, folders, files in os.walk(start):
            if not below:
                folders.clear()
            inside = os.path.relpath(folder, source)
            path = top if inside == "." else f"{top}/{inside}"
            for file in files:
                if file.endswith(".h"):
                    chosen.files[f"{path}/{file}"] = os.path.join(folder, file)
    # Debian's pyconfig.h only includes the one of the architecture from /usr/include.
    multiarch = interpreter.variable("MULTIARCH")
    parts = os.path.split(source)
    real = os.path.join(parts[0], multiarch, parts[1], "pyconfig.h")
    if multiarch and os.path.isfile(real):
        chosen.files[f"{top}/pyconfig.h"] = real


def _libraries(interpreter: Interpreter, chosen: Selection) -> None:
    version = interpreter.version.minor_text
    flags = interpreter.abi_flags
    library = f"libpython{version}{flags}.so"
    configs = {
        f"python-{version}{flags}.pc": (f"python-{version}.pc", "python3.pc"),
        f"python-{version}{flags}-embed.pc": (f"python-{version}-embed.pc", "python3-embed.pc"),
    }
    for folder in library_folders(interpreter):
        for name in (f"{library}.1.0", "libpython3.so"):
            chosen.add(f"lib/{name}", os.path.join(folder, name))
        for name in configs:
            chosen.add(f"lib/pkgconfig/{name}", os.path.join(folder, "pkgconfig", name))
    if f"lib/{library}.1.0" in chosen.files:
        chosen.link(f"lib/{library}.1.0", library)
    for name, links in configs.items():
        if f"lib/pkgconfig/{name}" in chosen.files:
            chosen.link(f"lib/pkgconfig/{name}", *links)


def _commands(interpreter: Interpreter, chosen: Selection) -> None:
    version = interpreter.version.minor_text
    full = f"{version}{interpreter.abi_flags}"
    source = os.path.join(interpreter.prefix, "bin")
    chosen.files[f"bin/python{full}"] = str(interpreter.executable)
    chosen.link(f"bin/python{full}", f"python{version}", "python3", "python")
    for name, links in (
        (f"idle{version}", ("idle3",)),
        (f"pydoc{version}", ("pydoc3",)),
        (f"2to3-{version}", ("2to3",)),
        (f"python{full}-config", (f"python{version}-config", "python3-config")),
    ):
        if chosen.add(f"bin/{name}", os.path.join(source, name)):
            chosen.link(f"bin/{name}", *links)
    manual = interpreter.located(interpreter.variable("MANDIR")) or os.path.join(
        interpreter.prefix, "share/man"
    )
    for ending in (".1", ".1.gz"):
        page = f"python{version}{ending}"
        if chosen.add(f"share/man/man1/{page}", os.path.join(manual, "man1", page)):
            chosen.link(f"share/man/man1/{page}", f"python3{ending}")


def _data(interpreter: Interpreter, chosen: Selection) -> None:
    """Tcl/Tk and terminfo, where the interpreter has its prefix for itself."""
    for folder in library_folders(interpreter):
        for name in _listing(folder):
            path = os.path.join(folder, name)
            if _TCL_LIBRARY.fullmatch(name):
                chosen.add(f"lib/{name}", path)
            elif _TCL.fullmatch(name) and os.path.isdir(path):
                _tree(chosen, f"lib/{name}", path)
    _tree(chosen, "share/terminfo", os.path.join(interpreter.prefix, "share/terminfo"))


def _tree(chosen: Selection, top: str, root: str) -> None:
    if not os.path.isdir(root):
        return
    chosen.folders[top] = root
    for folder, folders, files in os.walk(root):
        linked = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        inside = os.path.relpath(folder, root)
        path = top if inside == "." else f"{top}/{inside}"
        for name in files + linked:
            chosen.files.setdefault(f"{path}/{name}", os.path.join(folder, name))


def _listing(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
