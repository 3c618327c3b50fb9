from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles import manifest
from kitbag_bundles.errors import BundleError, UnsupportedFormat
from kitbag_bundles.keys import IMPLEMENTATIONS, VARIANTS, BuildKey, Target, Version
from kitbag_bundles.manifest import (
    BYTECODE_MODES,
    Build,
    Bytecode,
    InstallDefaults,
    Manifest,
    Needs,
    Payload,
)
from support.bundles import LINUX, OLDER, packed_build

SOUND = Manifest(
    1,
    (),
    "edge-tools",
    "2026.11",
    "0.1.0",
    (packed_build().build, packed_build(OLDER).build),
)

BYTECODE = Bytecode(
    member=f"meta/bytecode/{LINUX}.tar.gz",
    size=5,
    sha256="0" * 64,
    tar_sha256="1" * 64,
    files=2,
    unpacked_size=40,
    magic=3571,
    tag="cpython-313",
    mode="checked-hash",
    maker="cpython-3.13.5",
)
COMPILED = dataclasses.replace(
    SOUND, builds=(dataclasses.replace(SOUND.builds[0], bytecode=BYTECODE),)
)

words = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=8)
sizes = st.integers(0, 2**63 - 1)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
keys = st.builds(
    BuildKey,
    st.sampled_from(IMPLEMENTATIONS),
    st.builds(
        Version,
        st.integers(2, 4),
        st.integers(0, 30),
        st.integers(0, 30),
        st.sampled_from(["", "a1", "rc2"]),
    ),
    st.sampled_from(VARIANTS),
    st.builds(
        Target,
        st.sampled_from(["linux", "macos"]),
        st.sampled_from(["x86_64_v3", "aarch64"]),
        st.sampled_from(["gnu", "none"]),
    ),
)


@st.composite
def bytecode_of(draw: st.DrawFn, key: BuildKey) -> Bytecode:
    return Bytecode(
        f"meta/bytecode/{key}.tar.gz",
        draw(sizes),
        draw(digests),
        draw(digests),
        draw(sizes.filter(bool)),
        draw(sizes),
        draw(st.integers(0, 65535)),
        draw(st.from_regex(r"[a-z0-9]{1,9}-[0-9]{2,3}", fullmatch=True)),
        draw(st.sampled_from(BYTECODE_MODES)),
        draw(words.filter(bool)),
    )


@st.composite
def builds(draw: st.DrawFn) -> Build:
    key = draw(keys)
    return Build(
        key,
        key.implementation,
        str(key.version),
        draw(words),
        draw(words),
        draw(words),
        draw(sizes),
        draw(sizes),
        draw(sizes),
        draw(st.booleans()),
        Payload(
            "verbatim",
            f"archives/{draw(st.integers(0, 99))}.zip",
            draw(st.sampled_from(["", "python", "python/install", "a b/ü"])),
            draw(sizes),
            draw(digests),
            draw(st.just("") | digests),
        ),
        Needs(
            draw(words),
            draw(words),
            tuple(draw(st.lists(words, max_size=3))),
            draw(words),
            draw(words),
        ),
        draw(st.booleans()),
        draw(st.none() | bytecode_of(key)),
    )


choices = st.none() | st.booleans()
manifests = st.builds(
    Manifest,
    st.just(1),
    st.just(()),
    words.filter(bool),
    words,
    words.filter(bool),
    st.lists(builds(), max_size=4, unique_by=lambda build: build.key).map(tuple),
    st.builds(InstallDefaults, choices, choices, choices),
)


def text_of(table: dict[str, Any]) -> str:
    return tomli_w.dumps(table)


def changed(where: tuple[str | int, ...], value: Any) -> str:
    """The sound manifest with one value replaced."""
    table: Any = copy.deepcopy(manifest.to_table(SOUND))
    inner = table
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    return text_of(table)


@given(manifests)
def test_round_trip(made: Manifest) -> None:
    assert manifest.parse(text_of(manifest.to_table(made))) == made


def test_the_text_is_in_the_order_of_the_format() -> None:
    lines = text_of(manifest.to_table(SOUND)).splitlines()
    names = [line.split(" = ")[0] for line in lines if line and not line.startswith((" ", "]"))]
    assert names[: names.index("[[build]]") + 1] == [
        *("format", "requires", "[bundle]", "name", "version", "kitbag", "[[build]]")
    ]
    first = names[names.index("[[build]]") + 1 :]
    assert first[: first.index("[[build]]")] == [
        *("key", "implementation", "version", "release", "flavor", "url", "unpacked-size"),
        *("files", "longest-path", "case-collisions", "[build.payload]", "encoding", "member"),
        *("top", "size", "sha256", "tar-sha256", "[build.needs]", "interpreter", "glibc"),
        *("libraries", "cpu", "os"),
    ]


def test_defaults_of_an_install_are_there_only_if_they_say_something() -> None:
    assert "install" not in manifest.to_table(SOUND)
    said = dataclasses.replace(SOUND, install=InstallDefaults(default=True, bin=False))
    text = text_of(manifest.to_table(said))
    assert "\n[install]\ndefault = true\nbin = false\n\n[[build]]" in text
    later = text.replace("[install]\n", "[install]\nsince-later = 1\n")
    assert manifest.parse(later).install == said.install


def test_lookups() -> None:
    build = SOUND.builds[0]
    assert build.contents_member == f"contents/{LINUX}.tsv"
    assert SOUND.build(build.key) is build
    assert SOUND.build(dataclasses.replace(build.key, implementation="pypy")) is None


def test_unknown_keys_are_ignored() -> None:
    table: Any = manifest.to_table(SOUND)
    table["later"] = {"x": 1}
    table["bundle"]["later"] = [1]
    table["build"][0]["later"] = "x"
    table["build"][0]["payload"]["later"] = 1.5
    assert manifest.parse(text_of(table)) == SOUND


def test_a_manifest_without_builds() -> None:
    table = manifest.to_table(SOUND)
    del table["build"]
    assert manifest.parse(text_of(table)).builds == ()


@pytest.mark.parametrize("number", [2, 99])
def test_a_newer_format_says_what_is_needed(number: int) -> None:
    text = f'format = {number}\nrequires = 5\n[bundle]\nkitbag = "7.1"\n'
    with pytest.raises(UnsupportedFormat, match=rf"kitbag 7\.1 in format {number}.*kitbag >= 7\.1"):
        manifest.parse(text)


def test_a_newer_format_need_not_say_which_kitbag() -> None:
    with pytest.raises(UnsupportedFormat, match="a newer kitbag in format 2"):
        manifest.parse("format = 2\n")


def test_an_unknown_ability_is_refused_before_anything_else() -> None:
    with pytest.raises(UnsupportedFormat, match=r"requires windows, deltas.*kitbag >= 7"):
        manifest.parse('format = 1\nrequires = ["windows", "deltas"]\n[bundle]\nkitbag = "7"\n')


def test_an_unknown_encoding_is_refused_before_its_other_keys() -> None:
    text = changed(("build", 0, "payload"), {"encoding": "long-window"})
    with pytest.raises(UnsupportedFormat, match=r"'long-window'.*newer kitbag"):
        manifest.parse(text)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("format",), 0),
        (("format",), -1),
        (("format",), "1"),
        (("format",), True),
        (("format",), 1.0),
        (("requires",), "windows"),
        (("requires",), [1]),
        (("bundle",), "x"),
        (("bundle", "name"), ""),
        (("bundle", "name"), 3),
        (("bundle", "name"), "a\x1b[31mb"),
        (("bundle", "name"), "a\u202eb"),
        (("bundle", "kitbag"), ""),
        (("install",), True),
        (("install",), {"default": 1}),
        (("install",), {"externally-managed": "yes"}),
        (("install",), {"bin": []}),
        (("build",), 3),
        (("build",), [1]),
        (("build", 0, "key"), "cpython-3.13"),
        (("build", 0, "key"), "cpython-3.13.5+t-linux-x86_64-gnu"),
        (("build", 0, "key"), OLDER),
        (("build", 0, "implementation"), "pypy"),
        (("build", 0, "version"), "3.13.6"),
        (("build", 0, "unpacked-size"), -1),
        (("build", 0, "unpacked-size"), 2**63),
        (("build", 0, "unpacked-size"), "1"),
        (("build", 0, "files"), True),
        (("build", 0, "case-collisions"), 1),
        (("build", 0, "payload"), []),
        (("build", 0, "payload", "member"), "kitbag.pyz"),
        (("build", 0, "payload", "member"), "archives/"),
        (("build", 0, "payload", "member"), "archives/../x"),
        (("build", 0, "payload", "member"), "archives/a/b"),
        (("build", 0, "payload", "member"), "archives/a\\b"),
        (("build", 0, "payload", "top"), "../x"),
        (("build", 0, "payload", "top"), "/x"),
        (("build", 0, "payload", "top"), "x/"),
        (("build", 0, "payload", "top"), "./x"),
        (("build", 0, "payload", "sha256"), ""),
        (("build", 0, "payload", "sha256"), "A" * 64),
        (("build", 0, "payload", "sha256"), "0" * 63),
        (("build", 0, "payload", "tar-sha256"), "0"),
        (("build", 0, "needs", "libraries"), [["x"]]),
        (("build", 0, "needs", "glibc"), 2.17),
    ],
)
def test_contradictions_are_refused(where: tuple[str | int, ...], value: Any) -> None:
    with pytest.raises(BundleError, match=r"manifest\.toml|member name") as caught:
        manifest.parse(changed(where, value))
    assert not isinstance(caught.value, UnsupportedFormat)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("member", "meta/bytecode/other.tar.gz"),
        ("member", f"meta/bytecode/{OLDER}.tar.gz"),
        ("member", f"archives/{LINUX}.tar.gz"),
        ("member", f"meta/bytecode/../bytecode/{LINUX}.tar.gz"),
        ("size", -1),
        ("sha256", ""),
        ("tar-sha256", ""),
        ("tar-sha256", "F" * 64),
        ("files", 0),
        ("files", True),
        ("unpacked-size", 2**63),
        ("magic", 65536),
        ("magic", "3571"),
        ("tag", ""),
        ("tag", "cpython.313"),
        ("tag", "../cpython-313"),
        ("tag", "cpython-313\n"),
        ("mode", 3),
        ("mode", ""),
        ("maker", ""),
    ],
)
def test_bytecode_that_contradicts_itself_is_refused(name: str, value: Any) -> None:
    table: Any = manifest.to_table(COMPILED)
    table["build"][0]["bytecode"][name] = value
    with pytest.raises(BundleError, match=rf"manifest\.toml: build {LINUX}") as caught:
        manifest.parse(text_of(table))
    assert not isinstance(caught.value, UnsupportedFormat)
    del table["build"][0]["bytecode"][name]
    with pytest.raises(BundleError, match=rf"misses '{name}'"):
        manifest.parse(text_of(table))


@pytest.mark.parametrize("mode", ["timestamp", "later"])
def test_bytecode_in_another_mode_needs_a_newer_kitbag(mode: str) -> None:
    text = text_of(manifest.to_table(COMPILED)).replace("checked-hash", mode)
    with pytest.raises(UnsupportedFormat, match=f"{mode!r}.*newer kitbag"):
        manifest.parse(text)


def test_two_builds_with_one_key_are_refused() -> None:
    twice = dataclasses.replace(SOUND, builds=(SOUND.builds[0], SOUND.builds[0]))
    with pytest.raises(BundleError, match=f"two builds with the key {LINUX}"):
        manifest.parse(text_of(manifest.to_table(twice)))


def _places(table: Any, prefix: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = []
    for name, value in table.items():
        found.append((*prefix, name))
        if isinstance(value, dict):
            found += _places(value, (*prefix, name))
    return found


@pytest.mark.parametrize(
    "where",
    [place for place in _places(manifest.to_table(SOUND)) if place != ("build",)]
    + _places(manifest.to_table(SOUND)["build"][0], ("build", 0)),
)
def test_every_key_must_be_there(where: tuple[str | int, ...]) -> None:
    table: Any = manifest.to_table(SOUND)
    inner = table
    for step in where[:-1]:
        inner = inner[step]
    del inner[where[-1]]
    with pytest.raises(BundleError, match=f"misses '{where[-1]}'|is not a build key"):
        manifest.parse(text_of(table))


@pytest.mark.parametrize("text", ["", "format", "format = 1\nformat = 1", "\x00", "\ufeffformat=1"])
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(BundleError, match=r"^manifest\.toml "):
        manifest.parse(text)
