import pytest

from kitbag_bundles.implementations.pypy import ADAPTER
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.layout import find_library

LINUX = BuildKey.parse("pypy-3.11.15-linux-x86_64-gnu")
WINDOWS = BuildKey.parse("pypy-3.11.15-windows-x86_64-none")
OLD = BuildKey.parse("pypy-3.7.13-linux-x86_64-gnu")


def test_names():
    assert ADAPTER.executable(LINUX) == "bin/pypy3.11"
    assert ADAPTER.executable(WINDOWS) == "pypy3.11.exe"
    assert ADAPTER.names(LINUX, default=True) == ("pypy3.11", "pypy3", "pypy")
    assert ADAPTER.links(LINUX, {"bin/pypy3.11"}) == {"bin/python": "pypy3.11"}
    assert ADAPTER.links(WINDOWS, {"pypy3.11.exe"}) == {}
    assert not ADAPTER.is_rewritten(LINUX)


@pytest.mark.parametrize(
    ("key", "folder", "packages"),
    [
        (LINUX, "lib/pypy3.11", "lib/pypy3.11/site-packages"),
        (WINDOWS, "Lib", "Lib/site-packages"),
        (OLD, "lib-python/3", "site-packages"),
    ],
)
def test_where_the_library_is(key, folder, packages):
    assert find_library(key, {folder, "lib"}.__contains__) == folder
    assert ADAPTER.site_packages(folder) == packages
