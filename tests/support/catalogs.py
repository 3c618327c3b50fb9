"""Lists of builds in every format, made at test time, as large as the real ones.

Releases, versions and digests are made up; names, targets and quirks are those of upstream.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from kitbag_packer.catalogs.naming import GITHUB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MINORS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")


class Platform(NamedTuple):
    """A triple of python-build-standalone and what uv's list says instead."""

    triple: str
    os: str
    arch: str
    level: str | None
    libc: str
    best: str
    """The best build options for it."""


def _linux() -> Iterator[Platform]:
    for level in (None, "v2", "v3", "v4"):
        arch = f"x86_64_{level}" if level else "x86_64"
        yield Platform(f"{arch}-unknown-linux-gnu", "linux", "x86_64", level, "gnu", "pgo+lto")
        yield Platform(f"{arch}-unknown-linux-musl", "linux", "x86_64", level, "musl", "lto")
    yield Platform("aarch64-unknown-linux-gnu", "linux", "aarch64", None, "gnu", "pgo+lto")
    yield Platform("aarch64-unknown-linux-musl", "linux", "aarch64", None, "musl", "lto")
    for libc in ("gnueabi", "gnueabihf"):
        yield Platform(f"armv7-unknown-linux-{libc}", "linux", "armv7", None, libc, "lto")
    for triple, arch in (("ppc64le", "powerpc64le"), ("riscv64", "riscv64"), ("s390x", "s390x")):
        yield Platform(f"{triple}-unknown-linux-gnu", "linux", arch, None, "gnu", "lto")


PLATFORMS = (
    *_linux(),
    Platform("aarch64-apple-darwin", "darwin", "aarch64", None, "none", "pgo+lto"),
    Platform("x86_64-apple-darwin", "darwin", "x86_64", None, "none", "pgo+lto"),
    Platform("i686-pc-windows-msvc", "windows", "i686", None, "none", "pgo"),
    Platform("x86_64-pc-windows-msvc", "windows", "x86_64", None, "none", "pgo"),
    Platform("aarch64-pc-windows-msvc", "windows", "aarch64", None, "none", "pgo"),
)


def digest(text: str) -> str:
    """A digest that stands for the archive of that name."""
    return hashlib.sha256(text.encode()).hexdigest()


def address(release: str, filename: str, base: str = GITHUB) -> str:
    """Where a release has an archive."""
    return f"{base}{release}/{quote(filename, safe='')}"


def uv_entry(
    version: str,
    url: str,
    *,
    name: str = "cpython",
    os: str = "linux",
    arch: str = "x86_64",
    level: str | None = None,
    libc: str = "gnu",
    variant: str | None = None,
    build: str | None = None,
    sha256: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One entry of a list in uv's format."""
    plain, prerelease = version, ""
    for mark in ("rc", "a", "b"):
        if mark in version:
            plain, _, rest = version.partition(mark)
            prerelease = mark + rest
            break
    major, minor, patch = map(int, plain.split("."))
    return {
        "name": name,
        "arch": {"family": arch, "variant": level},
        "os": os,
        "libc": libc,
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": prerelease,
        "url": url,
        "sha256": sha256,
        "variant": variant,
        "build": build,
        **more,
    }


def versions(patches: int) -> Iterator[tuple[str, str]]:
    """Made-up versions with the release that each came with, newest first."""
    for minor, patch in itertools.product(reversed(MINORS), reversed(range(patches))):
        if minor == "3.15":
            yield f"3.15.0a{patch + 1}", f"2026{patch % 12 + 1:02}05"
        else:
            yield f"{minor}.{patch}", f"{2021 + patch // 4}{patch % 12 + 1:02}15"


def uv_list(patches: int = 18) -> dict[str, dict[str, Any]]:
    """A list in uv's format with thousands of entries: every implementation, target and variant."""
    found: dict[str, dict[str, Any]] = {}
    for version, release in versions(patches):
        free = not version.startswith(("3.9", "3.10", "3.11", "3.12"))
        for platform in PLATFORMS:
            variants: list[tuple[str | None, str]] = [(None, "install_only_stripped.tar.gz")]
            if platform.os != "windows":
                variants.append(("debug", "debug-full.tar.zst"))
            if free:
                best = f"freethreaded+{platform.best}-full.tar.zst"
                variants.append(("freethreaded", best))
                if platform.os != "windows":
                    variants.append(("freethreaded+debug", "freethreaded+debug-full.tar.zst"))
            for variant, rest in variants:
                filename = f"cpython-{version}+{release}-{platform.triple}-{rest}"
                plus = f"+{variant}" if variant else ""
                key = f"cpython-{version}{plus}-{platform.triple}"
                found[key] = uv_entry(
                    version, address(release, filename), os=platform.os, arch=platform.arch,
                    level=platform.level, libc=platform.libc, variant=variant, build=release,
                    sha256=digest(filename),
                )  # fmt: skip
    found.update(_others())
    return found


def _others() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    pypy = "https://downloads.python.org/pypy/"
    for version, release in (("3.11.13", "7.3.20"), ("3.11.11", "7.3.18"), ("3.10.16", "7.3.19")):
        for os, arch, libc, end in (
            ("linux", "x86_64", "gnu", "linux64.tar.gz"),
            ("linux", "aarch64", "gnu", "aarch64.tar.gz"),
            ("linux", "i686", "gnu", "linux32.tar.gz"),
            ("darwin", "aarch64", "none", "macos_arm64.tar.gz"),
            ("windows", "x86_64", "none", "win64.zip"),
        ):
            filename = f"pypy{version.rpartition('.')[0]}-v{release}-{end}"
            found[f"pypy-{version}-{os}-{arch}-{libc}"] = uv_entry(
                version, pypy + filename, name="pypy", os=os, arch=arch, libc=libc,
                build=release, sha256=digest(filename),
            )  # fmt: skip
    graalpy = "https://github.com/oracle/graalpython/releases/download/"
    for version, release in (("3.11.0", "24.2.2"), ("3.12.0", "25.0.1")):
        filename = f"graalpy-{release}-linux-amd64.tar.gz"
        found[f"graalpy-{version}-linux-x86_64-gnu"] = uv_entry(
            version, f"{graalpy}graal-{release}/{filename}", name="graalpy", build=release,
            sha256=digest(filename),
        )  # fmt: skip
    pyodide = "https://github.com/pyodide/pyodide/releases/download/"
    for version, release in (("3.13.2", "0.29.5"), ("3.12.7", "0.27.7"), ("3.12.1", "0.26.4")):
        found[f"cpython-{version}-emscripten-wasm32-musl"] = uv_entry(
            version, f"{pyodide}{release}/xbuildenv-{release}.tar.gz", os="emscripten",
            arch="wasm32", libc="musl", build=release,
        )  # fmt: skip
    return found


def ndjson_line(
    version: str, release: str, platforms: Sequence[Platform] = PLATFORMS
) -> dict[str, Any]:
    """One line of the index: every flavor of one version in one release, with the quirks."""
    artifacts = []
    for platform in platforms:
        words = [platform.best, "debug"]
        if platform.libc == "musl":
            words += ["lto+static", "debug+static", "noopt"]
        if platform.os == "windows":
            words.remove("debug")
        if version.partition("+")[0] >= "3.13":
            words += [f"freethreaded+{word}" for word in words if "static" not in word]
        pairs = [
            ("install_only", "install_only", "tar.gz"),
            ("install_only_stripped", "install_only_stripped", "tar.gz"),
            *((f"{word}+full", f"{word}-full", "tar.zst") for word in words),
        ]
        if version >= "3.13":
            pairs += [
                (f"freethreaded+{flavor}", f"freethreaded-{flavor}", "tar.gz")
                for flavor in ("install_only", "install_only_stripped")
            ]
        for variant, rest, form in pairs:
            filename = f"cpython-{version}+{release}-{platform.triple}-{rest}.{form}"
            artifacts.append(
                {
                    "platform": platform.triple,
                    "variant": variant,
                    "url": address(release, filename),
                    "archive_format": form,
                    "sha256": digest(filename),
                }
            )
    date = f"{release[:4]}-{release[4:6]}-{release[6:]}T12:00:00Z"
    return {"version": f"{version}+{release}", "date": date, "artifacts": artifacts}


def ndjson(lines: Sequence[dict[str, Any]]) -> bytes:
    """An index of these lines."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def large_index(artifacts: int = 50_000) -> bytes:
    """An index with at least so many archives."""
    lines = []
    count = 0
    for number in itertools.count():
        for version, _ in versions(18):
            release = str(20260101 + number)
            lines.append(ndjson_line(version, release))
            count += len(lines[-1]["artifacts"])
            if count >= artifacts:
                return ndjson(lines)
    raise AssertionError
