import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import BuildKey, Target, Version
from kitbag_packer.upstream import TRIPLES, parse_filename, parse_triple, triple
from support.require import require_command

_GNU = "x86_64-unknown-linux-gnu"

COMPLETE = [
    # file name, key, release, flavor, options
    (
        f"cpython-3.13.15+20260814-{_GNU}-pgo+lto-full.tar.zst",
        "cpython-3.13.15-linux-x86_64-gnu",
        "20260814",
        "full",
        ("lto", "pgo"),
    ),
    (
        f"cpython-3.13.5%2B20250723-{_GNU}-freethreaded%2Bpgo%2Blto-full.tar.zst",
        "cpython-3.13.5+freethreaded-linux-x86_64-gnu",
        "20250723",
        "full",
        ("lto", "pgo"),
    ),
    (
        f"cpython-3.13.0+20241016-{_GNU}-freethreaded-install_only_stripped.tar.gz",
        "cpython-3.13.0+freethreaded-linux-x86_64-gnu",
        "20241016",
        "install_only_stripped",
        (),
    ),
    (
        f"79e400c70-cpython-3.13.0-20241016-{_GNU}-install_only.tar.gz",
        "cpython-3.13.0-linux-x86_64-gnu",
        "20241016",
        "install_only",
        (),
    ),
    (
        f"79e400c70-cpython-3.13.0-20241016-{_GNU}-freethreaded-debug-full.tar.zst",
        "cpython-3.13.0+freethreaded+debug-linux-x86_64-gnu",
        "20241016",
        "full",
        (),
    ),
    (
        "cpython-3.12.9+20250311-x86_64_v4-unknown-linux-musl-noopt+static-full.tar.zst",
        "cpython-3.12.9-linux-x86_64_v4-musl",
        "20250311",
        "full",
        ("noopt", "static"),
    ),
    (
        "cpython-3.10.0-aarch64-apple-darwin-debug-20211017T1616.tar.zst",
        "cpython-3.10.0+debug-macos-aarch64-none",
        "20211017T1616",
        "full",
        (),
    ),
    (
        "cpython-3.10.0-x86_64-pc-windows-msvc-shared-install_only-20211017T1616.tar.gz",
        "cpython-3.10.0-windows-x86_64-none",
        "20211017T1616",
        "install_only",
        ("shared",),
    ),
    (
        "cpython-3.9.1-i686-pc-windows-msvc-static-noopt-20210103T1125.tar.zst",
        "cpython-3.9.1-windows-x86-none",
        "20210103T1125",
        "full",
        ("noopt", "static"),
    ),
    (
        "cpython-3.7.6-linux64-musl-20200218T0557.tar.zst",
        "cpython-3.7.6-linux-x86_64-musl",
        "20200218T0557",
        "full",
        (),
    ),
    (
        "cpython-3.7.6-windows-amd64-shared-pgo-20200217T0022.tar.zst",
        "cpython-3.7.6-windows-x86_64-none",
        "20200217T0022",
        "full",
        ("pgo", "shared"),
    ),
    (
        "cpython-3.15.0rc1+20260814-riscv64-unknown-linux-gnu-install_only.tar.gz",
        "cpython-3.15.0rc1-linux-riscv64gc-gnu",
        "20260814",
        "install_only",
        (),
    ),
    (
        f"cpython-3.12.1+rerooted-{_GNU}-install_only.tar.gz",
        "cpython-3.12.1-linux-x86_64-gnu",
        "",
        "rerooted",
        (),
    ),
    (
        f"cpython-3.14.1+rerooted-{_GNU}-freethreaded-install_only.tar.gz",
        "cpython-3.14.1+freethreaded-linux-x86_64-gnu",
        "",
        "rerooted",
        (),
    ),
]


@pytest.mark.parametrize(("name", "key", "release", "flavor", "options"), COMPLETE)
def test_a_complete_name_gives_the_key(name, key, release, flavor, options):
    found = parse_filename(name)
    assert str(found.key) == key
    assert (found.release, found.flavor, found.options) == (release, flavor, options)
    assert name.endswith(found.suffix)
    assert found.static == ("static" in options)


PARTIAL = [
    # file name, implementation, minor, target, release, flavor
    (
        "pypy3.11-v7.3.19-linux64.tar.bz2",
        ("pypy", "3.11", "linux-x86_64-gnu", "7.3.19", ""),
    ),
    (
        "pypy3.9-v7.3.8-aarch64-portable.tar.bz2",
        ("pypy", "3.9", "linux-aarch64-gnu", "7.3.8", "portable"),
    ),
    ("pypy3.7-v7.3.9-osx64.tar.bz2", ("pypy", "3.7", "macos-x86_64-none", "7.3.9", "")),
    ("pypy3.12-v8.0.1-win64.zip", ("pypy", "3.12", "windows-x86_64-none", "8.0.1", "")),
    (
        "graalpy-24.2.2-linux-amd64.tar.gz",
        ("graalpy", "", "linux-x86_64-gnu", "24.2.2", "oracle"),
    ),
    (
        "graalpy3.12-25.2.4-macos-aarch64.tar.gz",
        ("graalpy", "3.12", "macos-aarch64-none", "25.2.4", "oracle"),
    ),
    (
        "graalpy-community-jvm-24.2.2-windows-amd64.zip",
        ("graalpy", "", "windows-x86_64-none", "24.2.2", "community-jvm"),
    ),
    (
        "xbuildenv-0.29.5.tar.gz",
        ("pyodide", "", "emscripten-wasm32-musl", "0.29.5", "xbuildenv"),
    ),
    (
        "pyodide-core-0.27.0.tar.bz2",
        ("pyodide", "", "emscripten-wasm32-musl", "0.27.0", "core"),
    ),
    ("pyodide-314.0.7.tgz", ("pyodide", "", "emscripten-wasm32-musl", "314.0.7", "npm")),
]


@pytest.mark.parametrize(("name", "expected"), PARTIAL)
def test_a_name_without_the_version_says_what_it_knows(name, expected):
    found = parse_filename(name)
    assert found.key is None
    told = (found.implementation, found.minor, str(found.target), found.release, found.flavor)
    assert told == expected
    minor = found.minor or "3.13"
    completed = found.with_version(Version.parse(f"{minor}.2"))
    assert str(completed) == f"{found.implementation}-{minor}.2-{found.target}"
    assert found.admits(completed.version)
    assert found.admits(Version.parse("3.99.0")) == (found.minor == "")


@pytest.mark.parametrize(
    "name",
    [
        "python-3.13.5.tar.gz",
        f"cpython-3.13+20260101-{_GNU}-install_only.tar.gz",
        "cpython-3.13.5+20260101-vax-unknown-linux-gnu-install_only.tar.gz",
        f"cpython-3.13.5+20260101-{_GNU}-install_only.tar",
        f"cpython-3.13.5+20260101-{_GNU}-install_only-full.tar.gz",
        f"cpython-3.13.5+20260101-{_GNU}-extra_crispy.tar.gz",
        f"cpython-3.13.5+rerooted-{_GNU}-full.tar.gz",
        "pypy3.11-v7.3.19-amiga.tar.bz2",
        "graalpy-24.2.2-linux-mips.tar.gz",
        "xbuildenv.tar.gz",
        "",
    ],
)
def test_other_names_say_nothing(name):
    assert parse_filename(name) is None


def test_agrees_with_uv_about_every_download_that_uv_knows():
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or require_command("uv")
    answer = subprocess.run(
        [
            *(uv, "python", "list", "--all-versions", "--all-platforms", "--all-arches"),
            *("--only-downloads", "--output-format", "json", "--offline", "--no-config"),
        ],
        capture_output=True,
        check=True,
    )
    downloads = json.loads(answer.stdout)
    assert len(downloads) > 1000
    for download in downloads:
        file = download["url"].rpartition("/")[2]
        found = parse_filename(file)
        key = BuildKey.parse(download["key"])
        assert found is not None, file
        assert found.with_version(key.version) == key
        assert parse_filename(f"79e400c70-{file.replace('%2B', '-')}") == found
        # uv makes up the versions of GraalPy.
        assert key.implementation == "graalpy" or found.admits(key.version)


def test_triples_and_targets_are_one_to_one():
    for name, target in TRIPLES.items():
        assert triple(target) == name
        assert parse_triple(name) == target
    assert parse_triple("pdp11-dec-unix") is None
    with pytest.raises(UsageError, match="emscripten"):
        triple(Target("emscripten", "wasm32", "musl"))


_VERSIONS = st.builds(
    "3.{}.{}{}".format,
    st.integers(7, 30),
    st.integers(0, 30),
    st.sampled_from(["", "a1", "b12", "rc3"]),
)


@given(
    version=_VERSIONS,
    platform=st.sampled_from(sorted(TRIPLES)),
    variant=st.sampled_from(["", "freethreaded", "debug", "freethreaded+debug"]),
    more=st.sampled_from(["", "pgo+lto", "lto", "noopt", "noopt+static", "shared-pgo"]),
    plus=st.sampled_from(["+", "%2B", "-"]),
)
def test_a_full_name_is_read_back(version, platform, variant, more, plus):
    options = "+".join(part for part in (variant, more) if part)
    rest = f"{options}-full" if options else "full"
    name = f"cpython-{version}+20260101-{platform}-{rest}.tar.zst".replace("+", plus)
    found = parse_filename(name)
    assert found.key == BuildKey("cpython", Version.parse(version), variant, parse_triple(platform))
    assert found.release == "20260101"


@given(
    st.one_of(
        st.text(),
        st.from_regex(r"(cpython|pypy|graalpy|xbuildenv)[-+.%0-9a-z_]*\.tar\.gz"),
        st.from_regex(r"cpython-\d+\.\d+\.\d+[-+]\d{8}-x86_64-unknown-linux-gnu.*\.zip"),
    )
)
def test_no_name_raises(name):
    found = parse_filename(name)
    assert found is None or name.endswith(found.suffix)
