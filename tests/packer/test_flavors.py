import itertools

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_packer.flavors import Flavor, best, parse_flavor
from support.stock import offer

CPYTHON = "cpython-3.13.5-linux-x86_64-gnu"
MUSL = "cpython-3.13.5-linux-x86_64-musl"
PYPY = "pypy-3.11.13-linux-aarch64-gnu"
GRAALPY = "graalpy-3.12.0-linux-x86_64-gnu"
PYODIDE = "pyodide-3.13.2-emscripten-wasm32-musl"

# Each list is in the order of preference.
PREFERENCES = {
    "kinds": [
        offer(CPYTHON, "install_only_stripped", release="20250101"),
        offer(CPYTHON, "install_only"),
        offer(CPYTHON, "", release="20250101"),
        offer(CPYTHON, "full", options=("lto", "pgo")),
    ],
    "releases": [
        offer(CPYTHON, release="20260101"),
        offer(CPYTHON, release="20251231"),
        offer(CPYTHON, release="20211017T1616"),
        offer(CPYTHON, release="20211017T0000"),
    ],
    "options": [
        offer(CPYTHON, "full", options=("bolt", "lto", "pgo")),
        offer(CPYTHON, "full", options=("lto", "pgo")),
        offer(CPYTHON, "full", options=("lto",)),
        offer(CPYTHON, "full", options=(), release="20270101"),
        offer(CPYTHON, "full", options=("noopt",), release="20280101"),
    ],
    "static": [
        offer(MUSL, "full", options=("lto",)),
        offer(MUSL, "install_only_stripped", release="20250310"),
        offer(MUSL, "full", options=("lto", "static")),
    ],
    "digests": [offer(CPYTHON), offer(CPYTHON, sha256="", filename="z.tar.gz")],
    "pypy": [
        offer(PYPY, "", release="7.3.19"),
        offer(PYPY, "", release="7.3.9"),
        offer(PYPY, "", release="7.3.9rc3"),
        offer(PYPY, "portable", release="7.3.20"),
    ],
    "graalpy": [
        offer(GRAALPY, "community", release="25.0.1"),
        offer(GRAALPY, "community", release="25.0.0"),
        offer(GRAALPY, "oracle", release="25.0.2"),
        offer(GRAALPY, "community-jvm"),
        offer(GRAALPY, "oracle-jvm"),
    ],
    "pyodide": [
        offer(PYODIDE, "xbuildenv", release="0.29.0"),
        offer(PYODIDE, "core", release="0.29.0"),
        offer(PYODIDE, "npm", release="0.29.0"),
        offer(PYODIDE, "full", release="0.29.0"),
    ],
}


@pytest.mark.parametrize("ranked", PREFERENCES.values(), ids=PREFERENCES)
def test_the_better_of_two(ranked):
    for better, worse in itertools.combinations(ranked, 2):
        assert best([better, worse]) == best([worse, better]) == better


def test_any_flavor_will_do():
    assert parse_flavor("") == parse_flavor(" ") == Flavor()
    assert Flavor().admits(offer(CPYTHON, "something new"))


@pytest.mark.parametrize(
    ("text", "admitted"),
    [
        ("full", ["full", "noopt+full", "graalpy", "pypy"]),
        ("pgo+lto+full", ["full", "graalpy", "pypy"]),
        ("Lto", ["full", "graalpy", "pypy"]),
        ("noopt", ["noopt+full", "graalpy", "pypy"]),
        ("install_only", ["install_only", "graalpy", "pypy", "pyodide"]),
        ("community", ["full", "noopt+full", "install_only", "graalpy", "pypy", "pyodide"]),
        ("oracle", ["full", "noopt+full", "install_only", "pypy", "pyodide"]),
    ],
)
def test_a_flavor_restricts_the_implementations_that_know_it(text, admitted):
    offers = {
        "full": offer(CPYTHON, "full", options=("lto", "pgo")),
        "noopt+full": offer(CPYTHON, "full", options=("noopt",)),
        "install_only": offer(CPYTHON, "install_only"),
        "graalpy": offer(GRAALPY, "community"),
        "pypy": offer(PYPY, ""),
        "pyodide": offer(PYODIDE, "xbuildenv"),
    }
    flavor = parse_flavor(text)
    assert [name for name, each in offers.items() if flavor.admits(each)] == admitted


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("install-only", "did you mean install_only"),
        ("stripped", "did you mean install_only_stripped|there are install_only_stripped"),
        ("fulll", r"did you mean full\?"),
        ("comunity", r"did you mean community\?"),
        ("xyz", "there are install_only_stripped, install_only, full, portable, community, .*lto"),
        ("install_only+full", "there are install_only_stripped"),
        ("pgo+install_only", "there are install_only_stripped"),
        ("full+", "did you mean|there are"),
    ],
)
def test_an_unknown_flavor_is_a_usage_error(text, hint):
    with pytest.raises(UsageError, match=rf"--flavor '.*' is no kind of archive; ({hint})"):
        parse_flavor(text)
