import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version as Pep440

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import IMPLEMENTATIONS, VARIANTS, BuildKey, Target, Version
from kitbag_bundles.requests import Request, parse_requests

GNU = "linux-x86_64-gnu"
KEYS = [
    BuildKey.parse(text)
    for text in (
        f"cpython-3.11.9-{GNU}",
        f"cpython-3.12.1-{GNU}",
        f"cpython-3.13.4-{GNU}",
        f"cpython-3.13.5-{GNU}",
        "cpython-3.13.5-linux-x86_64_v3-gnu",
        "cpython-3.13.5-linux-x86_64-musl",
        f"cpython-3.13.5+debug-{GNU}",
        f"cpython-3.13.5+freethreaded-{GNU}",
        f"cpython-3.14.0rc1-{GNU}",
        f"pypy-3.11.15-{GNU}",
        f"graalpy-3.11.0-{GNU}",
        "pyodide-3.13.2-emscripten-wasm32-musl",
    )
]


def chosen(text: str) -> list[str]:
    return [str(key).replace(f"-{GNU}", "") for key in Request.parse(text).choose(KEYS)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3.12", ["cpython-3.12.1"]),
        ("312", ["cpython-3.12.1"]),
        ("3.12.1", ["cpython-3.12.1"]),
        ("3.12.2", []),
        (" 3.12 ", ["cpython-3.12.1"]),
        ("python3.12", ["cpython-3.12.1"]),
        ("cp312", ["cpython-3.12.1"]),
        ("cpython@3.12", ["cpython-3.12.1"]),
        ("CPython@3.12", ["cpython-3.12.1"]),
        ("cpython-3.12", ["cpython-3.12.1"]),
        ("3.13t", ["cpython-3.13.5+freethreaded"]),
        ("3.13+freethreaded", ["cpython-3.13.5+freethreaded"]),
        ("3.13d", ["cpython-3.13.5+debug"]),
        ("3.13+debug", ["cpython-3.13.5+debug"]),
        ("3.13td", []),
        ("3.13.5+gil", ["cpython-3.13.5", "cpython-3.13.5-linux-x86_64_v3-gnu",
                        "cpython-3.13.5-linux-x86_64-musl"]),
        ("3.14", ["cpython-3.14.0rc1"]),
        ("3.14.0rc1", ["cpython-3.14.0rc1"]),
        ("3.14rc1", ["cpython-3.14.0rc1"]),
        ("3.14.0", []),
        ("3.14.0rc2", []),
        (">=3.11,<3.13", ["cpython-3.11.9", "cpython-3.12.1"]),
        (">= 3.11 , < 3.12", ["cpython-3.11.9"]),
        ("~=3.12.0", ["cpython-3.12.1"]),
        ("==3.12.*", ["cpython-3.12.1"]),
        (">=3.14.0a1", ["cpython-3.14.0rc1"]),
        (">3.13.5", ["cpython-3.14.0rc1"]),
        ("pypy", ["pypy-3.11.15"]),
        ("pypy3.11", ["pypy-3.11.15"]),
        ("pypy@3.11", ["pypy-3.11.15"]),
        ("pp311", ["pypy-3.11.15"]),
        ("pypy>=3.10", ["pypy-3.11.15"]),
        ("pypy3.10", []),
        ("graalpy", ["graalpy-3.11.0"]),
        ("gp311", ["graalpy-3.11.0"]),
        ("v3.12", ["cpython-3.12.1"]),
        ("==3.12", ["cpython-3.12.1"]),
        ("==3.12,>3.10", []),
        (">=3.12t", ["cpython-3.13.5+freethreaded"]),
        (">=3.12,<3.14+debug", ["cpython-3.13.5+debug"]),
        ("cp313t", ["cpython-3.13.5+freethreaded"]),
        ("!=3.13.0rc1,>=3.13.5", ["cpython-3.13.5", "cpython-3.13.5-linux-x86_64_v3-gnu",
                                  "cpython-3.13.5-linux-x86_64-musl"]),
        ("pyodide", ["pyodide-3.13.2-emscripten-wasm32-musl"]),
        ("any-3.11", ["cpython-3.11.9", "pypy-3.11.15", "graalpy-3.11.0"]),
        ("cpython-3.13-linux-x86_64-musl", ["cpython-3.13.5-linux-x86_64-musl"]),
        ("cpython-any-linux-any-musl", ["cpython-3.13.5-linux-x86_64-musl"]),
        ("cpython-3.13.5-linux-x86_64_v3-gnu", ["cpython-3.13.5-linux-x86_64_v3-gnu"]),
        ("cpython-3.13.5+t-linux", ["cpython-3.13.5+freethreaded"]),
        ("cpython-3.13t-linux", ["cpython-3.13.5+freethreaded"]),
        ("cpython->=3.12,<3.13-linux", ["cpython-3.12.1"]),
        ("cp312-linux", ["cpython-3.12.1"]),
        ("pypy@3.11-linux-x86_64", ["pypy-3.11.15"]),
        ("3.13-musl", ["cpython-3.13.5-linux-x86_64-musl"]),
        ("313-x86_64_v3", ["cpython-3.13.5-linux-x86_64_v3-gnu"]),
        ("any-musl", ["cpython-3.13.5-linux-x86_64-musl", "pyodide-3.13.2-emscripten-wasm32-musl"]),
        ("3.12-linux-amd64", ["cpython-3.12.1"]),
        ("3.12-darwin-arm64", []),
        ("pypy-linux-any-gnu", ["pypy-3.11.15"]),
        ("latest", ["cpython-3.13.5", "cpython-3.13.5-linux-x86_64_v3-gnu",
                    "cpython-3.13.5-linux-x86_64-musl"]),
    ],
)  # fmt: skip
def test_what_a_request_chooses(text, expected):
    assert chosen(text) == expected


def test_any_means_everything_that_is_released():
    released = [str(key) for key in KEYS if not key.version.prerelease]
    assert [str(key) for key in Request.parse("any").choose(KEYS)] == released


def test_a_full_key_chooses_itself_alone():
    for key in KEYS:
        assert Request.parse(str(key)).choose(KEYS) == [key]


def test_an_installed_prerelease_matches_without_being_asked_for():
    assert Request.parse("3").matches(KEYS[8])
    assert KEYS[8] not in Request.parse("3").choose(KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "3.13x",
        "3.",
        ".3",
        "3.13.5.1",
        "3.13+",
        "3.13+odd",
        "3.13+t+t",
        "cpython3.13.",
        "cpythonic",
        "jython2.7",
        ">=",
        ">=3.11,",
        ">=3.11,,<3.13",
        "=3.11",
        "===3.11",
        ">=3.11 <3.13",
        ">=3.11.*",
        "<3.11.*",
        "~=3.11.*",
        "~=3",
        "==3.12rc1.*",
        "==3rc1",
        "3rc1",
        "cpython-3.13-linux-x86_64-gnu-extra",
        "cpython-3.13+-linux",
        "cpython-",
        "cpython-3.13--x86_64",
        "any-odd",
        "3.13-dev",
        "3.13.0-rc1",
        "linux",
        "linux-3.13",
        "cpython-linux-3.13",
        "cpython-3.13-3.13",
        "cpython-3.13-gnu-linux",
        "3.13-linux-x86_64-gnu-",
        "pypy-any-any-any-any-any",
        ">=3.13dt",
        "v",
        "t",
        "+t",
        "\u0663.13",
        "3.13\n3.12",
    ],
)
def test_what_names_no_python(text):
    with pytest.raises(UsageError, match="names no Python; write"):
        Request.parse(text)


def test_one_bad_request_spoils_all():
    with pytest.raises(UsageError, match=r"'3\.x'"):
        parse_requests(["3.13", "3.x"])
    assert parse_requests([]) == ()


words = st.sampled_from(
    [*("cpython", "pypy", "any", "3.13", "3.13t", ">=3.12", "linux", "x86_64", "gnu", "musl"),
     *("-", "-", "-", "@", "+", "debug", "t", "cp", "313", "darwin", "latest", "v", ",", "")]
)  # fmt: skip
junk = st.one_of(
    st.text(alphabet="<>=!~.,*@+- 0123456789abcdgiloprty_", max_size=24),
    st.lists(words, max_size=10).map("".join),
    st.text(max_size=12),
)


@given(junk)
@example("cpython-3.13.5-linux-x86_64-gnu")
def test_any_text_is_a_request_or_a_usage_error(text):
    try:
        request = Request.parse(text)
    except UsageError:
        return
    assert set(request.choose(KEYS)) <= set(KEYS)
    again = Request.parse(f" {text.upper()} ") if text.isascii() else request
    assert dataclasses.replace(again, text=text) == request


versions = st.builds(Version, st.just(3), st.integers(0, 99), st.integers(0, 99),
                     st.sampled_from(["", "a1", "b2", "rc10"]))  # fmt: skip
platforms = st.text(alphabet="abcdefgn0123456789_", min_size=1, max_size=8)
keys = st.builds(
    BuildKey,
    st.sampled_from(IMPLEMENTATIONS),
    versions,
    st.sampled_from(VARIANTS),
    st.builds(Target, platforms, platforms, platforms),
)


@given(keys, keys)
def test_every_key_is_a_request_for_that_build_alone(key, other):
    """Also for systems that nobody has thought of yet."""
    assert Request.parse(str(key)).choose([key, other]) == [key] * (1 + (key == other))


minors = st.integers(8, 15)
numbers = st.one_of(
    st.builds("3.{}".format, minors),
    st.builds("3.{}.{}".format, minors, st.integers(0, 9)),
    st.builds("3.{}.{}{}{}".format, minors, st.integers(0, 2), st.sampled_from(["a", "b", "rc"]),
              st.integers(0, 3)),
    st.just("3"),
    st.just("313"),
)  # fmt: skip
specifiers = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from([">=", "<=", "==", "!=", "~=", ">", "<"]),
        numbers,
        st.sampled_from(["", "", "", ".*"]),
    ),
    min_size=1,
    max_size=3,
).map(",".join)
full_versions = st.builds(
    "3.{}.{}{}".format,
    minors,
    st.integers(0, 9),
    st.sampled_from(["", "", "a0", "a3", "b1", "rc1", "rc2"]),
)


@given(specifiers, st.lists(full_versions, min_size=1, max_size=6, unique=True))
@example("<3.13", ["3.13.0rc1", "3.12.9"])
@example("~=3.12.0rc1", ["3.12.0rc1", "3.13.0"])
@example("!=3.12.*", ["3.12.0rc1", "3.13.0"])
@example(">=313", ["3.13.0"])
def test_specifiers_mean_what_pep_440_says(text, versions):
    if text.startswith("==") and "," not in text and "*" not in text:
        return  # Alone it is a version as far as it is given; see above.
    try:
        oracle = SpecifierSet(text)
    except InvalidSpecifier:
        with pytest.raises(UsageError):
            Request.parse(text)
        return
    request = Request.parse(text)
    for version in versions:
        key = BuildKey.parse(f"cpython-{version}-{GNU}")
        # Whether prereleases are wanted at all is the business of choose().
        assert request.matches(key) == oracle.contains(Pep440(version), prereleases=True)


@given(st.lists(full_versions, unique=True))
def test_prereleases_are_chosen_only_if_there_is_nothing_else(versions):
    keys = [BuildKey.parse(f"cpython-{version}-{GNU}") for version in versions]
    found = Request.parse("3").choose(keys)
    final = [key for key in keys if not key.version.prerelease]
    assert found == (final or keys)
