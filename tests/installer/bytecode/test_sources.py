import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.keys import BuildKey
from kitbag_installer.bytecode.sources import (
    balanced,
    compiled_path,
    is_broken_on_purpose,
    python_sources,
    source_of,
    why_not_compiled,
)
from kitbag_installer.hosts import Host

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
PYPY = BuildKey.parse("pypy-3.11.13-linux-x86_64-gnu")
PYODIDE = BuildKey.parse("pyodide-3.13.2-emscripten-wasm32-musl")
LINUX = Host("linux", "x86_64", "gnu", "2.39")


def fill(tree, *paths):
    for path in paths:
        full = os.path.join(os.fspath(tree), path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "x"):
            pass


def test_the_library_and_site_packages_but_nothing_else(tmp_path):
    library = "lib/python3.13"
    wanted = [
        f"{library}/__future__.py",
        f"{library}/a b.py",
        f"{library}/abc.py",
        f"{library}/bad\udcff.py",
        f"{library}/config-3.13-x86_64/python-config.py",
        f"{library}/json/__init__.py",
        f"{library}/new\nline.py",
        f"{library}/site-packages/pip/_vendor/x.py",
        f"{library}/é.py",
    ]
    fill(tmp_path, *wanted, "bin/tool.py", "share/x.py", f"{library}/x.pyi", f"{library}/x.py.txt")
    fill(tmp_path, f"{library}/__pycache__/odd.py", "outside/x.py")
    os.symlink("abc.py", tmp_path / library / "link.py")
    os.symlink("../../outside", tmp_path / library / "linked")
    (tmp_path / library / "folder.py").mkdir()
    assert python_sources(KEY, os.fspath(tmp_path)) == sorted(wanted, key=os.fsencode)


@pytest.mark.parametrize("library", ["lib/pypy3.11", "lib-python/3"])
def test_packages_may_be_beside_the_library(tmp_path, library):
    packages = "site-packages" if library == "lib-python/3" else f"{library}/site-packages"
    fill(tmp_path, f"{library}/abc.py", f"{packages}/x.py")
    found = python_sources(PYPY, os.fspath(tmp_path))
    assert found == [f"{library}/abc.py", f"{packages}/x.py"]


def test_an_archive_and_an_empty_tree_have_no_sources(tmp_path):
    fill(tmp_path, "python_stdlib.zip", "x.py")
    assert python_sources(PYODIDE, os.fspath(tmp_path)) == []
    assert python_sources(KEY, os.fspath(tmp_path)) == []


@pytest.mark.parametrize(
    ("path", "broken"),
    [
        ("test/bad_coding2.py", True),
        ("test/badsyntax_future4.py", True),
        ("test/tokenizedata/badsyntax_pep3120.py", True),
        ("test/test_future_stmt/badsyntax_future3.py", True),
        ("lib2to3/tests/data/py2_test_grammar.py", True),
        ("lib2to3/tests/data/fixers/bad_order.py", True),
        ("test/test_lib2to3/data/bom.py", True),
        ("lib2to3/pytree.py", False),
        ("test/notbad_coding.py", False),
        ("site-packages/bad_coding.py", False),
        ("site-packages/lib2to3/tests/data/x.py", False),
    ],
)
def test_what_is_broken_on_purpose_is_left_out(tmp_path, path, broken):
    path = f"lib/python3.12/{path}"
    assert is_broken_on_purpose(path) is broken
    key = BuildKey.parse("cpython-3.12.9-linux-x86_64-gnu")
    fill(tmp_path, path)
    assert python_sources(key, os.fspath(tmp_path)) == ([] if broken else [path])


@given(st.from_regex(r"([a-z .\n]+/){0,3}[a-z.\n]+\.py", fullmatch=True))
def test_the_compiled_path_leads_back(source):
    assert source_of(compiled_path(source, "cpython-313"), "cpython-313") == source
    assert source_of(compiled_path(source, "cpython-313"), "cpython-312") == ""
    assert source_of(compiled_path(source, "cpython-313")) == source


@pytest.mark.parametrize(
    "path", ["a/abc.cpython-313.pyc", "__pycache__/abc.pyc", "__pycache__/abc.cpython-313.py", ""]
)
def test_what_is_no_compiled_file_has_no_source(path):
    assert source_of(path) == source_of(path, "cpython-313") == ""


@given(st.lists(st.integers(0, 5000), max_size=40), st.integers(1, 9))
def test_pieces_hold_everything_once_and_are_about_as_heavy(tmp_path_factory, sizes, count):
    folder = tmp_path_factory.mktemp("sizes")
    sources = [f"{number:03}.py" for number in range(len(sizes))]
    for name, size in zip(sources, sizes, strict=True):
        (folder / name).write_bytes(bytes(size))
    pieces = balanced(os.fspath(folder), sources, count)
    assert sorted(itertools.chain(*pieces)) == sources
    assert all(piece and piece == sorted(piece) for piece in pieces)
    assert len(pieces) == min(count, len(sources))
    loads = [sum(sizes[int(name[:3])] + 2000 for name in piece) for piece in pieces]
    assert not loads or max(loads) - min(loads) <= 7000


def test_what_cant_be_compiled_says_why():
    assert why_not_compiled(KEY, LINUX) == ""
    assert why_not_compiled(PYPY, LINUX) == ""
    assert "one file" in why_not_compiled(PYODIDE, LINUX)
    assert "it is for linux" in why_not_compiled(KEY, Host("windows", "x86_64", "none"))
