from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_bundles.contents import Entry
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.bytecode.sources import python_sources
from kitbag_installer.rewriting import candidates
from kitbag_packer.bytecode.sources import compilable, without_shipped
from kitbag_packer.bytecode.unpacking import unpack_tree
from kitbag_packer.inspection import inspect_archive
from kitbag_packer.materials import Material

if TYPE_CHECKING:
    from pathlib import Path

LINUX = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")


def listed(*paths: str) -> list[Entry]:
    return [Entry(path, "f", 0o644, 1, "0" * 64, "") for path in sorted(paths)]


def test_the_same_files_as_in_an_installed_tree_but_the_rewritten(
    slim_archive: Path, tmp_path: Path
) -> None:
    found = inspect_archive(slim_archive, reporter=SilentReporter())
    unpack_tree(Material("", slim_archive, slim_archive.name, found), tmp_path / "tree")
    ours = [entry.path for entry in compilable(found.key, found.entries)]
    theirs = python_sources(found.key, str(tmp_path / "tree"))
    touched = set(candidates(found.key, found.entries))
    assert ours == [path for path in theirs if path not in touched]
    assert touched & set(theirs)


def test_what_an_install_may_rewrite_is_not_among_them() -> None:
    library = "lib/python3.13"
    entries = listed(
        "bin/tool.py",
        "lib/other.py",
        f"{library}/os.py",
        f"{library}/cgi.py",
        f"{library}/_sysconfigdata__linux_x86_64-linux-gnu.py",
        f"{library}/config-3.13-x86_64-linux-gnu/python-config.py",
        f"{library}/site-packages/x/y.py",
        f"{library}/site-packages/x/y.pyi",
        f"{library}/__pycache__/strange.py",
        f"{library}/lib2to3/tests/data/py2_test_grammar.py",
    )
    assert [entry.path for entry in compilable(LINUX, entries)] == [
        f"{library}/os.py",
        f"{library}/site-packages/x/y.py",
    ]


def test_other_layouts() -> None:
    windows = BuildKey.parse("cpython-3.13.5-windows-x86_64-none")
    pypy = BuildKey.parse("pypy-3.11.11-linux-x86_64-gnu")
    pyodide = BuildKey.parse("pyodide-3.13.2-emscripten-wasm32-musl")
    entries = listed("Lib/os.py", "lib/pypy3.11/os.py", "lib/python3.13/os.py", "Tools/x.py")
    assert [entry.path for entry in compilable(windows, entries)] == ["Lib/os.py"]
    assert [entry.path for entry in compilable(pypy, entries)] == ["lib/pypy3.11/os.py"]
    assert compilable(pyodide, entries) == ()


def test_bytecode_that_the_archive_has_is_left_to_it() -> None:
    entries = listed(
        "lib/python3.13/a.py",
        "lib/python3.13/b.py",
        "lib/python3.13/__pycache__/a.cpython-313.pyc",
        "lib/python3.13/__pycache__/b.cpython-313.opt-1.pyc",
    )
    sources = compilable(LINUX, entries)
    assert [each.path for each in without_shipped(sources, entries, "cpython-313")] == [
        "lib/python3.13/b.py"
    ]
