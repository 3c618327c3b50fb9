import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import Target
from kitbag_bundles.requests import Request
from kitbag_installer.hosts import this_host
from kitbag_packer import targets
from kitbag_packer.targets import EMSCRIPTEN, KNOWN, Wanted, default_libc, parse_target
from kitbag_packer.upstream import TRIPLES

GNU = Target.parse("linux-x86_64-gnu")
MUSL = Target.parse("linux-x86_64-musl")
MAC = Target.parse("macos-aarch64-none")
WINDOWS = Target.parse("windows-x86_64-none")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux-x86_64-gnu", "linux-x86_64-gnu"),
        (" Linux-x86_64 ", "linux-x86_64-gnu"),
        ("linux-armv7", "linux-armv7-gnueabihf"),
        ("linux-x86_64_v3-gnu", "linux-x86_64_v3-gnu"),
        ("linux-x86-64-v3", "linux-x86_64_v3-gnu"),
        ("macos-aarch64", "macos-aarch64-none"),
        ("windows-x86_64", "windows-x86_64-none"),
        ("emscripten-wasm32", "emscripten-wasm32-musl"),
        ("darwin-arm64", "macos-aarch64-none"),
        ("win-amd64", "windows-x86_64-none"),
        ("windows-i686", "windows-x86-none"),
        ("linux-ppc64le", "linux-powerpc64le-gnu"),
        ("linux-riscv64", "linux-riscv64gc-gnu"),
        ("linux-armhf", "linux-armv7-gnueabihf"),
        ("linux-arm64-musl", "linux-aarch64-musl"),
        ("aarch64-linux-gnu", "linux-aarch64-gnu"),
        ("aarch64-linux", "linux-aarch64-gnu"),
        ("linux/amd64", "linux-x86_64-gnu"),
        ("linux/amd64/v3", "linux-x86_64_v3-gnu"),
        ("linux/arm/v7", "linux-armv7-gnueabihf"),
        ("linux/arm64/v8", "linux-aarch64-gnu"),
    ],
)
def test_names_of_targets(text, expected):
    assert str(parse_target(text)) == expected


@pytest.mark.parametrize("triple", TRIPLES)
def test_triples(triple):
    assert parse_target(triple) == TRIPLES[triple]


@pytest.mark.parametrize("target", KNOWN, ids=str)
def test_every_known_target_is_its_own_name(target):
    assert parse_target(str(target)) == target
    if default_libc(target.os, target.arch) == target.libc:
        assert parse_target(f"{target.os}-{target.arch}") == target


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("linux-x86_64-gun", r"did you mean linux-x86_64-gnu or"),
        ("linux-x68_64", r"did you mean linux-x86_64-gnu or"),
        ("macos", r"did you mean macos-aarch64-none or macos-x86_64-none\?"),
        ("darwin", r"did you mean macos-aarch64-none or macos-x86_64-none\?"),
        ("musl-x86_64", r"did you mean linux-x86_64-musl\?"),
        ("hots", r"did you mean host\?"),
        ("linux-x86_64-none", r"did you mean linux-x86_64-gnu or"),
        ("windows-x86_64-gnu", r"did you mean windows-x86_64-none"),
        ("linux-arm", r"did you mean linux-armv7-gnueabi"),
        ("linux-x86_64_v9-gnu", r"did you mean linux-x86_64_v\d-gnu"),
        ("", r"write linux-x86_64-gnu, macos-aarch64, windows-x86_64, host or all"),
        ("qqq", r"write linux-x86_64-gnu"),
    ],
)
def test_a_wrong_target_names_the_nearest(text, hint):
    with pytest.raises(
        UsageError, match=f"{text!r} is no target that there are builds for; {hint}"
    ):
        parse_target(text)


words = st.sampled_from(["linux", "x86_64", "v3", "gnu", "-", "/", "arm", "darwin", "none", "pc"])


@given(st.one_of(st.text(max_size=20), st.lists(words, max_size=8).map("".join)))
def test_any_text_is_a_known_target_or_a_usage_error(text):
    try:
        found = parse_target(text)
    except UsageError:
        return
    assert found in KNOWN
    assert parse_target(str(found)) == found


def test_nothing_means_this_machine_at_its_baseline():
    host = this_host()
    expected = (Target(host.os, host.arch, host.libc),)
    assert Wanted.parse([]) == Wanted.parse(["host"]) == Wanted(expected)
    assert Wanted.parse(["HOST", str(expected[0]), "host"]) == Wanted(expected)


def of(text, wanted, available=()):
    found = Wanted.parse(wanted).of(Request.parse(text), map(Target.parse, available))
    return [str(target) for target in found]


@pytest.fixture
def _alpine(monkeypatch):
    monkeypatch.setattr(targets, "host_target", lambda: MUSL)


def test_a_request_without_a_platform_is_for_what_is_wanted():
    assert of("3.13", ["linux-x86_64", "macos-arm64"]) == [str(GNU), str(MAC)]


def test_pyodide_is_for_its_own_target_only():
    assert of("pyodide", ["linux-x86_64", "all"]) == [str(EMSCRIPTEN)]
    assert of("any-emscripten", ["linux-x86_64"]) == [str(EMSCRIPTEN)]


def test_a_request_that_names_a_platform_takes_the_wanted_targets_that_fit():
    wanted = ["linux-x86_64", "linux-aarch64-musl", "macos-arm64"]
    assert of("3.13-linux", wanted) == [str(GNU), "linux-aarch64-musl"]
    assert of("3.13-musl", wanted) == ["linux-aarch64-musl"]


@pytest.mark.usefixtures("_alpine")
def test_a_request_that_names_a_platform_stands_for_it():
    wanted = ["windows-x86_64"]
    assert of("3.13-linux", wanted) == [str(MUSL)]
    assert of("3.13-linux-x86_64_v3", wanted) == ["linux-x86_64_v3-musl"]
    assert of("3.13-aarch64", wanted) == ["linux-aarch64-gnu"]
    assert of("3.13-linux-armv7", wanted) == ["linux-armv7-gnueabihf"]
    assert of("3.13-macos", wanted) == ["macos-x86_64-none"]
    assert of("3.13-macos-arm64", wanted) == [str(MAC)]
    assert of("cpython-3.13.5-linux-s390x-gnu", wanted) == ["linux-s390x-gnu"]


def test_all_is_what_there_is_without_levels():
    there = [str(WINDOWS), "linux-x86_64_v3-gnu", str(GNU)]
    assert of("3.13", ["all"], there) == [str(GNU), str(WINDOWS)]
    assert of("3.13-linux", ["all"], there) == [str(GNU)]
    assert of("3.13-x86_64_v3", ["all"], there) == ["linux-x86_64_v3-gnu"]
    assert of("3.13", ["all", "linux-x86_64_v3"], there) == [
        "linux-x86_64_v3-gnu", str(GNU), str(WINDOWS),
    ]  # fmt: skip
    assert of("3.13", ["all"]) == []
