import pytest

from kitbag_bundles.implementations.graalpy import ADAPTER
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.layout import find_library

LINUX = BuildKey.parse("graalpy-3.11.0-linux-x86_64-gnu")
WINDOWS = BuildKey.parse("graalpy-3.11.0-windows-x86_64-none")


def test_names():
    assert ADAPTER.executable(LINUX) == "bin/graalpy"
    assert ADAPTER.executable(WINDOWS) == "bin/graalpy.exe"
    assert ADAPTER.names(LINUX, default=True) == ("graalpy3.11", "graalpy3", "graalpy")
    assert ADAPTER.links(LINUX, {"bin/graalpy"}) == {"bin/python": "graalpy"}
    assert ADAPTER.links(WINDOWS, {"bin/graalpy.exe"}) == {}


@pytest.mark.parametrize(
    ("key", "known", "library"),
    [
        (LINUX, {"lib/python3.11", "lib/graalpy24.2"}, "lib/python3.11"),
        (LINUX, {"lib-python/3", "lib-graalpython"}, "lib-python/3"),
        (WINDOWS, {"Lib"}, "Lib"),
        (LINUX, {"lib/graalpy24.2"}, ""),
    ],
)
def test_where_the_library_is(key, known, library):
    assert find_library(key, known.__contains__) == library


def test_only_oracles_own_builds_have_a_limit():
    for flavor in ("oracle", "oracle-jvm"):
        assert ADAPTER.licence(flavor).startswith("Oracle's build of GraalPy, whose licence (GFTC)")
    assert ADAPTER.licence("").startswith("perhaps Oracle's build")
    for flavor in ("community", "community-jvm"):
        assert ADAPTER.licence(flavor) == ""
