"""The real uv installs from what kitbag exports: from a path, and from a web server."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.keys import BuildKey
from support.bundled import bundle_archives, tiny_bundle
from support.journey import ODD, kitbag, shared_bundle
from support.synthetic import SYNTHETIC, make_synthetic_archive
from support.uvtool import Uv
from support.webserver import serving

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.interpreters import Interpreter
    from support.webserver import WebServer

SEVERAL = (
    *("linux", "v3", "freethreaded", "riscv64", "musl", "armv7", "macos-arm64", "windows"),
    *("windows-x86", "linux-3.14", "old-linux", "pypy", "pypy-bz2"),
    *("graalpy", "graalpy-windows", "pyodide"),
)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of synthetic builds, of all publishers and in all forms."""
    folder = tmp_path_factory.mktemp("several")
    archives = {SYNTHETIC[name].key: make_synthetic_archive(name, folder / "a") for name in SEVERAL}
    pairs = [(path, BuildKey.parse(key)) for key, path in archives.items()]
    return bundle_archives(folder / "several.kitbag", pairs)


def uv_python(
    uv: Uv, verb: str, *arguments: str | Path, offline: bool = True, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run uv without a list of its own; what comes of it is the caller's business."""
    environment = {**uv.environment, **changes}
    if not offline:
        del environment["UV_OFFLINE"]
        environment["UV_HTTP_RETRIES"] = "0"
    return subprocess.run(
        [uv.program, "python", verb, *arguments, "--no-progress"],
        env=environment,
        cwd=uv.downloads.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )


def assert_works(uv: Uv, interpreter: Interpreter) -> None:
    (found,) = [each for each in uv.installed() if "/bin/" in str(each["path"])][:1]
    done = subprocess.run(
        [found["path"], "-I", "-c", "import ssl, sys; print(sys.prefix)"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(uv.root))


@pytest.fixture
def exported(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, slim_archive: Path) -> Path:
    bundle = shared_bundle(tmp_path_factory, "slim", slim_archive)
    place = tmp_path / ODD
    kitbag("export", bundle, "--to", place)
    return place


class TestInstall:
    def test_from_a_path(
        self, exported: Path, tmp_path: Path, packable_interpreter: Interpreter
    ) -> None:
        """As README.txt has it, and again after the tree was moved."""
        for place in (exported, tmp_path / "moved"):
            if not place.exists():
                exported.rename(place)
            uv = Uv.at(tmp_path / f"root-{place.name[:3]}", tmp_path / f"uv-{place.name[:3]}")
            done = uv_python(
                uv, "install", packable_interpreter.minor, "--offline",
                "--python-downloads-json-url", f"file://{place}/download-metadata.json",
                "--mirror", f"file://{place}",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert_works(uv, packable_interpreter)

    def test_from_whole_addresses(
        self, exported: Path, tmp_path: Path, packable_interpreter: Interpreter
    ) -> None:
        uv = Uv.at(tmp_path / "root", tmp_path / "uv")
        done = uv_python(
            uv, "install", packable_interpreter.minor, "--offline",
            "--python-downloads-json-url", exported / "download-metadata-direct.json",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert_works(uv, packable_interpreter)

    def test_from_a_web_server(
        self, exported: Path, tmp_path: Path, packable_interpreter: Interpreter
    ) -> None:
        uv = Uv.at(tmp_path / "root", tmp_path / "uv")
        with serving(exported) as server:
            done = uv_python(
                uv, "install", packable_interpreter.minor, offline=False,
                UV_PYTHON_DOWNLOADS_JSON_URL=f"{server.url}download-metadata.json",
                UV_PYTHON_INSTALL_MIRROR=server.url,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert all(record.status == 200 for record in server.requests)
        assert_works(uv, packable_interpreter)

    def test_from_uvs_own_cache(
        self, exported: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory,
        slim_archive: Path, packable_interpreter: Interpreter,
    ) -> None:  # fmt: skip
        bundle = shared_bundle(tmp_path_factory, "slim", slim_archive)
        kitbag("export", bundle, "--to", exported, "--uv-cache", tmp_path / "cache")
        uv = Uv.at(tmp_path / "root", tmp_path / "uv")
        done = uv_python(
            uv, "install", packable_interpreter.minor, "--offline",
            "--python-downloads-json-url", exported / "download-metadata.json",
            UV_PYTHON_CACHE_DIR=str(tmp_path / "cache"),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert_works(uv, packable_interpreter)


def test_uv_accepts_the_whole_list(several: Path, tmp_path: Path) -> None:
    kitbag("export", several, "--to", tmp_path / "srv")
    uv = Uv.at(tmp_path / "root", tmp_path / "uv")
    done = uv_python(
        uv, "list", "--offline", "--only-downloads", "--all-versions", "--all-platforms",
        "--all-arches", "--output-format", "json",
        "--python-downloads-json-url", tmp_path / "srv" / "download-metadata.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {each["key"] for each in json.loads(done.stdout)} == {
        SYNTHETIC[name].key for name in SEVERAL
    }


def installs(uv: Uv, server: WebServer, *requests: str) -> Sequence[str]:
    """The paths that uv asks for; the builds run nowhere, so it fails in the end."""
    uv_python(
        uv, "install", *requests, offline=False,
        UV_PYTHON_DOWNLOADS_JSON_URL=f"{server.url}download-metadata.json",
        UV_PYTHON_INSTALL_MIRROR=server.url.rstrip("/"),
        UV_PYPY_INSTALL_MIRROR=f"{server.url}pypy",
        UV_GRAALPY_INSTALL_MIRROR=f"{server.url}graalpy",
        UV_PYODIDE_INSTALL_MIRROR=f"{server.url}pyodide",
    )  # fmt: skip
    return [record.path for record in server.requests if record.status == 200]


@pytest.mark.parametrize(
    ("name", "place"),
    [("pypy", "/pypy/"), ("graalpy", "/graalpy/graal-24.2.2/"), ("pyodide", "/pyodide/0.29.5/"),
     ("windows", "/20260101/"), ("old-linux", "/20211017/")],
)  # fmt: skip
def test_uv_fetches_each_publishers_from_its_tree(
    several: Path, tmp_path: Path, name: str, place: str
) -> None:
    kitbag("export", several, "--to", tmp_path / "srv")
    uv = Uv.at(tmp_path / "root", tmp_path / "uv")
    with serving(tmp_path / "srv") as server:
        key = SYNTHETIC[name].key
        # uv knows Pyodide by name alone, not by its key.
        asked = installs(uv, server, "pyodide" if name == "pyodide" else key)
    assert asked == ["/download-metadata.json", place + SYNTHETIC[name].filename]


def test_uv_fetches_what_no_publisher_has(tmp_path: Path) -> None:
    """The archive has the name that re-rooted ones have."""
    name = "cpython-3.13.5+rerooted-x86_64-unknown-linux-gnu-install_only.tar.gz"
    made = make_synthetic_archive("linux", tmp_path / "a")
    archive = made.rename(made.with_name(name))
    key = BuildKey.parse(SYNTHETIC["linux"].key)
    bundle = bundle_archives(tmp_path / "x.kitbag", [(archive, key)])
    kitbag("export", bundle, "--to", tmp_path / "srv")
    uv = Uv.at(tmp_path / "root", tmp_path / "uv")
    with serving(tmp_path / "srv") as server:
        asked = installs(uv, server, str(key))
    assert asked == ["/download-metadata.json", f"/kitbag/{name}"]


def archives_of(bundle: Path) -> dict[str, Any]:
    with Bundle.open(bundle) as opened:
        return {
            str(build.key): (build.payload.sha256, build.payload.member, build.url)
            for build in opened.manifest.builds
        }


def test_kitbag_packs_the_same_again(several: Path, tmp_path: Path) -> None:
    srv = tmp_path / "srv"
    kitbag("export", several, "--to", srv)
    others = ("pypy", "graalpy", "pyodide")
    mirrors = [f"--mirror={srv}", *(f"--mirror={name}={srv}/{name}" for name in others)]
    kitbag(
        "pack", "any", "pypy", "graalpy", "--target", "all", "--offline",
        "--catalog", srv / "download-metadata.json", *mirrors, "-o", tmp_path / "again.kitbag",
    )  # fmt: skip
    before, after = archives_of(several), archives_of(tmp_path / "again.kitbag")
    assert set(after) <= set(before)
    assert len(after) >= 8
    for key, (sha256, member, url) in after.items():
        assert before[key][:2] == (sha256, member)
        assert url.endswith(member.rpartition("/")[2].replace("+", "%2B"))
    kitbag("export", tmp_path / "again.kitbag", "--to", tmp_path / "srv2")
    for path in (tmp_path / "srv2").rglob("*.tar.*"):
        twin = srv / path.relative_to(tmp_path / "srv2")
        assert twin.read_bytes() == path.read_bytes()


def test_a_folder_works_as_a_catalog_too(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "x.kitbag", "3.13.5")
    kitbag("export", bundle, "--to", tmp_path / "srv")
    assert "3.13.5" in kitbag("list", "--catalog", f"{tmp_path}/srv/", "--target", "host")
