import pytest

from kitbag_bundles.implementations.pyodide import ADAPTER
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.layout import find_library, site_packages, standard_library
from kitbag_bundles.requests import Request

KEY = BuildKey.parse("pyodide-3.13.2-emscripten-wasm32-musl")


def test_names_and_links():
    assert ADAPTER.executable(KEY) == "python"
    assert ADAPTER.names(KEY, default=True) == ("pyodide3.13", "pyodide3", "pyodide")
    assert ADAPTER.links(KEY, {"python"}) == {
        "bin/python3.13": "../python",
        "bin/python": "python3.13",
    }
    assert ADAPTER.links(KEY, {"python", "bin/python", "bin/python3.13"}) == {}


def test_there_is_no_library_to_guard_or_to_compile():
    assert standard_library(KEY) == find_library(KEY, lambda path: True) == ""
    assert site_packages(KEY, "") == ""
    assert not ADAPTER.compiles


@pytest.mark.parametrize(
    "text", ["3.13", "3", "default", "latest", "cpython", ">=3.9", "python3.13"]
)
def test_no_plain_request_means_it(text):
    assert not Request.parse(text).matches(KEY)


@pytest.mark.parametrize("text", ["pyodide", "pyodide3.13", "pyodide@3.13", str(KEY), "any"])
def test_who_asks_for_it_gets_it(text):
    assert Request.parse(text).matches(KEY)
