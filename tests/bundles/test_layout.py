import pytest

from kitbag_bundles import layout
from kitbag_bundles.keys import BuildKey
from support.synthetic import SYNTHETIC

LINUX = "linux-x86_64-gnu"


@pytest.mark.parametrize(
    ("key", "executable", "library"),
    [
        (f"cpython-3.13.5-{LINUX}", "bin/python3.13", "lib/python3.13"),
        (f"cpython-3.13.5+freethreaded-{LINUX}", "bin/python3.13t", "lib/python3.13t"),
        (f"cpython-3.13.5+debug-{LINUX}", "bin/python3.13d", "lib/python3.13"),
        (f"cpython-3.13.5+freethreaded+debug-{LINUX}", "bin/python3.13td", "lib/python3.13t"),
        ("cpython-3.13.5-windows-x86_64-none", "python.exe", "Lib"),
        (f"pypy-3.11.15-{LINUX}", "bin/pypy3.11", "lib/pypy3.11"),
        ("pypy-3.11.15-windows-x86_64-none", "pypy3.11.exe", "Lib"),
        (f"graalpy-3.11.0-{LINUX}", "bin/graalpy", "lib/python3.11"),
        ("graalpy-3.11.0-windows-x86_64-none", "bin/graalpy.exe", "Lib"),
        ("pyodide-3.13.2-emscripten-wasm32-musl", "python", ""),
    ],
)
def test_places_inside_a_build(key, executable, library):
    parsed = BuildKey.parse(key)
    assert layout.executable(parsed) == executable
    assert layout.standard_library(parsed) == library


@pytest.mark.parametrize("name", sorted(SYNTHETIC))
def test_the_executable_is_where_the_distributions_have_it(name):
    archive = SYNTHETIC[name]
    key = BuildKey.parse(archive.key)
    paths = {member.path for member in archive.members()}
    assert any(path.endswith(f"/{layout.executable(key)}") for path in paths)


@pytest.mark.parametrize(
    ("key", "names", "short"),
    [
        (f"cpython-3.13.5-{LINUX}", ("python3.13",), ("python3", "python")),
        (f"cpython-3.13.5+freethreaded-{LINUX}", ("python3.13t",), ("python3t", "pythont")),
        (f"pypy-3.11.15-{LINUX}", ("pypy3.11",), ("pypy3", "pypy")),
        (f"graalpy-3.11.0-{LINUX}", ("graalpy3.11",), ("graalpy3", "graalpy")),
    ],
)
def test_names_in_the_bin_directory(key, names, short):
    parsed = BuildKey.parse(key)
    assert layout.command_names(parsed, default=False) == names
    assert layout.command_names(parsed, default=True) == names + short
