"""What holds for every adapter, on trees with real names."""

from __future__ import annotations

import posixpath
import subprocess
import sys

import pytest

from kitbag_bundles.implementations import implementation_named, implementation_of
from kitbag_bundles.keys import IMPLEMENTATIONS, BuildKey
from support.synthetic import SYNTHETIC


def tree(name: str) -> set[str]:
    """The paths of a synthetic archive relative to the build, folders included."""
    archive = SYNTHETIC[name]
    program = implementation_of(BuildKey.parse(archive.key)).executable(BuildKey.parse(archive.key))
    members = [member.path for member in archive.members()]
    (top,) = {path[: -len(program)] for path in members if path.endswith(f"/{program}")}
    known = {path[len(top) :] for path in members if path.startswith(top)}
    for path in list(known):
        while path := posixpath.dirname(path):
            known.add(path)
    return known


@pytest.mark.parametrize("name", sorted(SYNTHETIC))
def test_what_is_added_means_something_that_is_there(name):
    key = BuildKey.parse(SYNTHETIC[name].key)
    adapter = implementation_of(key)
    known = tree(name)
    links, copies = adapter.links(key, known), adapter.copies(key, known)
    assert not (links.keys() | copies.keys()) & known
    for path, target in links.items():
        assert posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) in known | {
            *links
        }
    assert set(copies.values()) <= known
    library = [each for each in adapter.libraries(key) if each in known]
    assert bool(library) == (key.implementation != "pyodide")


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_each_has_an_adapter_with_a_name(name):
    adapter = implementation_named(name)
    assert adapter.title.lower() == name
    assert adapter.command == ("python" if name == "cpython" else name)
    assert adapter is implementation_named(name)


def test_another_name_has_none():
    with pytest.raises(ValueError, match="'jython' is no implementation"):
        implementation_named("jython")


def test_only_the_adapter_that_is_asked_for_is_imported():
    code = (
        "import sys; from kitbag_bundles.layout import executable; "
        "from kitbag_bundles.keys import BuildKey; "
        "executable(BuildKey.parse('pypy-3.11.15-linux-x86_64-gnu')); "
        "print(*sorted(n for n in sys.modules if n.startswith('kitbag_bundles.implementations.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["kitbag_bundles.implementations.pypy"]
