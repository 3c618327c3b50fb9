"""Where archives lie in a mirror, and what a list says of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.keys import BuildKey
from kitbag_bundles.manifest import VERBATIM, Build, Needs, Payload
from kitbag_bundles.names import check_member_names
from kitbag_installer.mirrors import address_of, cached_name, entry_of, place_in, place_of
from kitbag_packer.catalogs.model import Interest
from kitbag_packer.catalogs.uvlist import UvListCatalog

PBS = "https://github.com/astral-sh/python-build-standalone/releases/download/"
NAME = "cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"


def make_build(key="cpython-3.13.5-linux-x86_64-gnu", name=NAME, url="", release="20260101"):
    parsed = BuildKey.parse(key)
    payload = Payload(VERBATIM, f"archives/{name}", "python", 27687047, "ab" * 32, "")
    return Build(
        parsed, parsed.implementation, str(parsed.version), release, "install_only", url,
        1, 1, 1, False, payload, Needs("", "", (), "", ""),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("build", "place"),
    [
        (make_build(url=f"{PBS}20260101/{NAME.replace('+', '%2B')}"), f"20260101/{NAME}"),
        (make_build(url=f"https://github.com/indygreg/{PBS[29:]}20260101/{NAME}"),
         f"20260101/{NAME}"),
        (make_build(), f"20260101/{NAME}"),
        (make_build(url="https://elsewhere.example/x.tar.gz"), f"20260101/{NAME}"),
        # Folders that packages have.
        (make_build(release="wheels"), f"kitbag/{NAME}"),
        (make_build(url=f"{PBS}simple/{NAME}"), f"20260101/{NAME}"),
        (make_build(name="cpython-3.13.5+rerooted-x.tar.gz", release=""),
         "kitbag/cpython-3.13.5+rerooted-x.tar.gz"),
        (make_build("cpython-3.9.7-linux-x86_64-gnu", "cpython-3.9.7-x-20211017T1616.tar.zst",
                    release="20211017T1616"), "20211017/cpython-3.9.7-x-20211017T1616.tar.zst"),
        (make_build("pypy-3.11.15-linux-x86_64-gnu", "pypy3.11-v7.3.23-linux64.tar.gz",
                    release="7.3.23"), "pypy/pypy3.11-v7.3.23-linux64.tar.gz"),
        (make_build("graalpy-3.11.0-linux-x86_64-gnu", "graalpy-24.2.2-linux-amd64.tar.gz",
                    release="24.2.2"), "graalpy/graal-24.2.2/graalpy-24.2.2-linux-amd64.tar.gz"),
        (make_build("pyodide-3.13.2-emscripten-wasm32-musl", "xbuildenv-0.29.5.tar.gz",
                    release="0.29.5"), "pyodide/0.29.5/xbuildenv-0.29.5.tar.gz"),
    ],
)  # fmt: skip
def test_places(build, place):
    assert place_of(build) == place
    assert place_in({"url": address_of(build.implementation, place)}) == place


@pytest.mark.parametrize(
    "rest",
    ["../../etc/x", "%2e%2e/x", "/etc/x", "pypy/x", "a/b/x", "CON/x", "a%00/x", "a?b/x", "a%5cb/x"],
)
def test_an_address_never_leads_out_of_its_mirror(rest):
    build = make_build(name="x", url=PBS + rest, release=rest)
    assert place_of(build) == "kitbag/x"
    assert place_in({"url": PBS + rest}) == ""


def test_an_archive_under_another_name_is_not_the_publishers():
    """Such as one that was compressed anew."""
    build = make_build(name="other.tar.gz", url=f"{PBS}20260101/{NAME}")
    assert place_of(build) == "20260101/other.tar.gz"


@given(st.text(), st.text(max_size=20))
def test_any_address_and_release_give_a_safe_place(url, release):
    for text in (url, PBS + url):
        check_member_names([place_of(make_build(url=text, release=release))])


@pytest.mark.parametrize(
    ("key", "name", "differing"),
    [
        ("cpython-3.14.0rc1+freethreaded-macos-aarch64-none", "cpython", {"os": "darwin"}),
        ("cpython-3.13.5-windows-x86-none", "cpython", {"arch": {"family": "i686"}}),
        ("cpython-3.13.5-linux-riscv64gc-gnu", "cpython", {"arch": {"family": "riscv64"}}),
        ("pyodide-3.13.2-emscripten-wasm32-musl", "cpython", {"os": "emscripten"}),
        ("cpython-3.13.5-linux-x86_64_v3-gnu", "cpython", {"arch": {"variant": "v3"}}),
        ("cpython-3.13.5-linux-armv7-gnueabihf", "cpython", {"arch": {"family": "armv7"}}),
        ("pypy-3.11.15-linux-x86_64-gnu", "pypy", {}),
    ],
)
def test_entries_speak_uvs_words_and_read_back(key, name, differing):
    build = make_build(key)
    _, entry = entry_of(build, place_of(build))
    assert entry["name"] == name
    for field, value in differing.items():
        if isinstance(value, dict):
            assert value.items() <= entry[field].items()
        else:
            assert entry[field] == value
    catalog = UvListCatalog({"any": entry}, name="x", digest="")
    (offer,) = catalog.offers(Interest())
    assert (str(offer.key), offer.sha256, offer.size) == (key, "ab" * 32, 27687047)
    assert offer.filename == NAME


def test_what_no_publisher_has_gets_no_public_address():
    build = make_build(name="cpython-3.13.5+rerooted-x.tar.gz", release="")
    _, entry = entry_of(build, place_of(build))
    (offer,) = UvListCatalog({"any": entry}, name="x", digest="").offers(Interest())
    assert entry["build"] is None
    assert entry["url"] == f"{PBS}kitbag/cpython-3.13.5%2Brerooted-x.tar.gz"
    assert offer.canonical == ""


def test_names_in_uvs_cache():
    build = make_build()
    assert cached_name("79e400c7012345", place_of(build)) == f"79e400c70-{NAME.replace('+', '-')}"


def test_entries_of_different_builds_have_different_names():
    builds = [make_build(), make_build("cpython-3.13.5-linux-x86_64_v3-gnu")]
    builds.append(replace(builds[0], key=BuildKey.parse("cpython-3.13.5+debug-linux-x86_64-gnu")))
    assert len({entry_of(each, "x")[0] for each in builds}) == 3
