import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version as Pep440

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import IMPLEMENTATIONS, VARIANTS, BuildKey, Target, Version

versions = st.builds(
    Version,
    st.integers(0, 999),
    st.integers(0, 999),
    st.integers(0, 9999),
    st.one_of(st.just(""), st.from_regex(r"\A(a|b|rc)(0|[1-9][0-9]{0,3})\Z")),
)
words = st.from_regex(r"\A[a-z0-9_]{1,8}\Z")
targets = st.builds(Target, words, words, words)
keys = st.builds(
    BuildKey, st.sampled_from(IMPLEMENTATIONS), versions, st.sampled_from(VARIANTS), targets
)


@given(keys)
def test_a_key_is_its_text(key):
    assert BuildKey.parse(str(key)) == key


@given(versions, versions)
def test_versions_are_ordered_as_pep_440_orders_them(one, other):
    first, second = Pep440(str(one)), Pep440(str(other))
    assert (one < other) == (first < second)
    assert (one == other) == (first == second)
    assert (one >= other) == (first >= second)


def test_a_prerelease_comes_before_its_release():
    texts = ["3.13.9", "3.14.0a1", "3.14.0a7", "3.14.0b1", "3.14.0rc1", "3.14.0rc10", "3.14.0"]
    parsed = [Version.parse(text) for text in texts]
    assert sorted(parsed, key=lambda version: (version, str(version))) == parsed
    assert max(parsed) == parsed[-1]


@pytest.mark.parametrize(
    "text", ["3.13", "3", "", "3.13.5.1", "3.13.5rc", "3.13.5c1", "v3.13.5", "3.13.x", "3.13.5 "]
)
def test_only_a_full_version_is_one(text):
    with pytest.raises(UsageError, match="is not a full Python version"):
        Version.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux-x86_64-gnu", Target("linux", "x86_64", "gnu")),
        ("macos-aarch64", Target("macos", "aarch64", "none")),
        ("windows-x86_64-none", Target("windows", "x86_64", "none")),
    ],
)
def test_targets(text, expected):
    assert Target.parse(text) == expected


@pytest.mark.parametrize("text", ["linux-x86_64", "linux", "", "a-b-c-d", "Linux-x86-gnu", "a--b"])
def test_what_is_no_target(text):
    with pytest.raises(UsageError, match="is not a target"):
        Target.parse(text)


@pytest.mark.parametrize(
    ("arch", "cpu", "level"),
    [("x86_64", "x86_64", 1), ("x86_64_v3", "x86_64", 3), ("aarch64", "aarch64", 1)],
)
def test_the_level_is_a_part_of_the_architecture(arch, cpu, level):
    target = Target("linux", arch, "gnu")
    assert (target.cpu, target.cpu_level) == (cpu, level)


def test_what_a_key_tells():
    key = BuildKey.parse("cpython-3.14.0rc2+freethreaded+debug-linux-x86_64-gnu")
    assert key.version == Version(3, 14, 0, "rc2")
    assert key.variant == "freethreaded+debug"
    assert key.minor_key == "cpython-3.14+freethreaded+debug-linux-x86_64-gnu"
    assert key.abi_flags == "td"
    assert key.free_threaded
    assert BuildKey.parse("pypy-3.11.15-linux-x86_64-gnu").minor_key == "pypy-3.11-linux-x86_64-gnu"


@pytest.mark.parametrize(("short", "variant"), [("t", "freethreaded"), ("d", "debug")])
def test_short_variants_are_understood_and_written_in_full(short, variant):
    key = BuildKey.parse(f"cpython-3.13.5+{short}-linux-x86_64-gnu")
    assert str(key) == f"cpython-3.13.5+{variant}-linux-x86_64-gnu"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cpython",
        "cpython-3.13-linux-x86_64-gnu",
        "cpython-3.13.5-linux-x86_64",
        "cpython-3.13.5+-linux-x86_64-gnu",
        "cpython-3.13.5+odd-linux-x86_64-gnu",
        "jython-2.7.3-linux-x86_64-gnu",
        "cpython-3.13.5-linux-x86_64-gnu-extra",
        "cpython-3.13.5-linux-x86/64-gnu",
        "cpython-3.13.5-..-x86_64-gnu",
        "cpython-3.13.5--x86_64-gnu",
        "cpython-\u0663.13.5-linux-x86_64-gnu",
    ],
)
def test_what_is_no_key(text):
    assert BuildKey.try_parse(text) is None
    with pytest.raises(UsageError, match="is not a build key"):
        BuildKey.parse(text)


@given(st.text())
def test_any_text_is_a_key_or_not(text):
    key = BuildKey.try_parse(text)
    assert key is None or "/" not in str(key)


def test_order_prefers_implementation_then_version_then_variant():
    texts = [
        "cpython-3.12.9-linux-x86_64-gnu",
        "cpython-3.13.5-linux-x86_64-gnu",
        "cpython-3.13.5-linux-x86_64_v3-gnu",
        "cpython-3.13.5+debug-linux-x86_64-gnu",
        "cpython-3.13.5+freethreaded-linux-x86_64-gnu",
        "pypy-3.11.15-linux-x86_64-gnu",
        "graalpy-3.11.0-linux-x86_64-gnu",
    ]
    found = sorted((BuildKey.parse(text) for text in reversed(texts)), key=BuildKey.order)
    assert [str(key) for key in found] == texts
