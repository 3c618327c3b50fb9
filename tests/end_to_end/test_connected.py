"""The connected side as a whole: requests in, a bundle out, over links and caches of every kind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.reporting import SilentReporter
from support.cli import BOTH_SIDES, assert_refused, environment
from support.cli import run as run_kitbag
from support.installed import check_starts
from support.journey import by_bundle, kitbag, only_build
from support.mirror import EIGHT, Mirror, make_mirror
from support.sharing import shared
from support.webserver import serving

if TYPE_CHECKING:
    from pathlib import Path

    from support.interpreters import Interpreter

MATERIAL = (*EIGHT, "linux-3.14", "freethreaded", "v3", "pypy", "pypy-windows", "debug")
TARGETS = (
    "linux-x86_64-gnu",
    "linux-aarch64-gnu",
    "linux-x86_64-musl",
    "linux-armv7-gnueabihf",
    "macos-aarch64",
    "macos-x86_64",
    "windows-x86_64",
    "windows-aarch64",
)
LINUX = "linux-x86_64-gnu"


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    """A mirror of synthetic archives. Read only."""
    folder = shared(tmp_path_factory, "mirror", lambda place: make_mirror(place / "m", MATERIAL))
    found = make_mirror_again(folder / "m")
    assert len(found.archives) == len(MATERIAL)
    return found


def make_mirror_again(folder: Path) -> Mirror:
    """The mirror that another process of this test run made."""
    from kitbag_bundles.keys import BuildKey
    from support.mirror import Mirrored

    entries = json.loads((folder / "list.json").read_text("utf-8"))
    archives = []
    for key, entry in entries.items():
        name = entry["url"].rpartition("/")[2].replace("%2B", "+")
        (path,) = folder.rglob(name)
        archives.append(Mirrored(BuildKey.parse(key), path, entry["url"]))
    return Mirror(folder, tuple(archives))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def pack(out: Path, cache: Path, *arguments: str | Path) -> str:
    return kitbag("pack", *arguments, "-o", out, "--cache-dir", cache, "--json")


def for_targets(*targets: str) -> list[str]:
    return [word for target in targets for word in ("--target", target)]


class TestManyTargets:
    def test_each_gets_its_archive(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        out = tmp_path / "wide.kitbag"
        pack(out, cache, "3.13", *for_targets(*TARGETS), *mirror.arguments())
        by_key = {str(each.key): each for each in mirror.archives}
        with Bundle.open(out) as bundle:
            builds = bundle.manifest.builds
            assert len(builds) == len(TARGETS)
            for build in builds:
                upstream = by_key[str(build.key)]
                assert build.payload.sha256 == upstream.sha256
                assert build.payload.member == f"archives/{upstream.path.name}"
                assert build.url == upstream.url
                assert build.flavor == "install_only_stripped"
            assert {str(build.key.target) for build in builds} == {
                target if target.count("-") == 2 else f"{target}-none" for target in TARGETS
            }
            bundle.verify(SilentReporter())

    def test_all_leaves_levels_out(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        done = json.loads(
            pack(tmp_path / "x", cache, "3.13", "--target", "all", *mirror.arguments())
        )
        keys = {build["key"] for build in done["manifest"]["build"]}
        assert len(keys) == len(TARGETS)
        assert not any("_v3" in key for key in keys)

    def test_several_requests(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        done = json.loads(
            pack(
                tmp_path / "x",
                cache,
                *("3.13", "3.13t", "3.13+debug", "pypy3.11", "latest", "cpython-3.13-windows"),
                *for_targets(LINUX),
                *mirror.arguments(),
            )
        )
        assert [build["key"] for build in done["manifest"]["build"]] == [
            "cpython-3.13.5-linux-x86_64-gnu",
            "cpython-3.13.5-windows-x86_64-none",
            "cpython-3.13.5+debug-linux-x86_64-gnu",
            "cpython-3.13.5+freethreaded-linux-x86_64-gnu",
            "cpython-3.14.5-linux-x86_64-gnu",
            "pypy-3.11.15-linux-x86_64-gnu",
        ]

    def test_the_lock_gives_the_same_bytes_elsewhere(self, mirror: Mirror, tmp_path: Path) -> None:
        here, there = tmp_path / "here", tmp_path / "there"
        for place in (here, there):
            place.mkdir()
        targets = ", ".join(f'"{target}"' for target in TARGETS)
        recipe = here / "kitbag.toml"
        recipe.write_text(
            '[bundle]\nname = "wide"\nversion = "1"\npython = ["3.13", "cpython@3.13"]\n'
            f"targets = [{targets}]\n[install]\ndefault = true\n"
        )
        kitbag("lock", "-f", recipe, *mirror.arguments(), "--cache-dir", tmp_path / "c1")
        arguments = ("--mirror", mirror.folder.as_uri(), "--locked")
        pack(here / "x", tmp_path / "c1", "-f", recipe, *arguments)
        # Another machine: neither the cache nor the list, and another address for the archives.
        for name in ("kitbag.toml", "kitbag.lock"):
            shutil.copyfile(here / name, there / name)
        with serving(mirror.folder) as server:
            locked = ("-f", there / "kitbag.toml", "--locked", "--mirror", server.url)
            pack(there / "x", tmp_path / "c2", *locked)
        assert (here / "x").read_bytes() == (there / "x").read_bytes()
        lock = (here / "kitbag.lock").read_text("utf-8")
        assert lock.count("[[build]]") == len(TARGETS)
        assert str(tmp_path) not in lock
        assert str(mirror.folder) not in lock


class TestLinks:
    def test_several_processes_fetch_each_archive_once(
        self, mirror: Mirror, cache: Path, tmp_path: Path
    ) -> None:
        count = 8
        with serving(mirror.folder, rate=400_000) as server:
            words = ("3.13", *for_targets(*TARGETS[:4]), *mirror.arguments(server.url))
            started = [
                subprocess.Popen(
                    [*BOTH_SIDES, "pack", *words, "-q", "-o", str(tmp_path / str(number)),
                     "--cache-dir", str(cache)],
                    env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                )
                for number in range(count)
            ]  # fmt: skip
            errors = [process.communicate(timeout=200)[1] for process in started]
            assert [process.returncode for process in started] == [0] * count, errors
            bodies = {record.path for record in server.requests if record.sent}
            assert len(bodies) == 4
            for path in bodies:
                file = mirror.folder / path.lstrip("/")
                assert server.sent(path) == file.stat().st_size
        assert len({(tmp_path / str(number)).read_bytes() for number in range(count)}) == 1

    def test_one_that_fails_stops_no_other(
        self, mirror: Mirror, cache: Path, tmp_path: Path
    ) -> None:
        copy = tmp_path / "mirror"
        shutil.copytree(mirror.folder, copy)
        (gone,) = copy.rglob("*3.13.5*aarch64-unknown-linux-gnu-install_only_stripped.tar.gz")
        (bad,) = copy.rglob("*3.13.5*aarch64-apple-darwin-install_only_stripped.tar.gz")
        gone.unlink()
        good = bad.read_bytes()
        bad.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        out = tmp_path / "x"
        with serving(copy) as server:
            words = ("3.13", *for_targets(*TARGETS), "-o", out, "--cache-dir", cache)
            done = run_kitbag(
                "pack", *words, *Mirror(copy, ()).arguments(server.url), command=BOTH_SIDES
            )
            assert done.status == 3
            lines = [line for line in done.err.splitlines() if "warning" in line]
            assert len(lines) == 2, done.err
            assert "404" in lines[0]
            assert "aarch64-unknown-linux-gnu" in lines[0]
            assert "aarch64-apple-darwin" in lines[1]
            assert "2 builds could not be had" in done.errors[0]
            assert not out.exists()
            kept = {path.name for path in (cache / "archives").iterdir() if not path.suffix}
            assert len(kept) == len(TARGETS) - 2
            # Mended, the next run gets the two that are missing and nothing else.
            before = sum(record.sent for record in server.requests)
            bad.write_bytes(good)
            shutil.copyfile(mirror.folder / gone.relative_to(copy), gone)
            pack(out, cache, "3.13", *for_targets(*TARGETS), *mirror.arguments(server.url))
            sent = sum(record.sent for record in server.requests) - before
            assert sent == len(good) + gone.stat().st_size

    def test_stopped_and_taken_up_again(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        archive = next(each for each in mirror.archives if str(each.key.target) == LINUX)
        size = archive.path.stat().st_size
        with serving(mirror.folder, rate=size // 3) as server:
            words = ("3.13", *for_targets(LINUX), *mirror.arguments(server.url))
            command = [*BOTH_SIDES, "pack", *words, "-o", str(tmp_path / "x")]
            process = subprocess.Popen(
                [*command, "--cache-dir", str(cache)],
                env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            deadline = time.monotonic() + 60
            while not sum(record.sent for record in server.requests) > size // 4:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
            assert process.returncode == 130
            assert [line for line in errors.splitlines() if "error" in line] == [
                "kitbag: error: interrupted; nothing is left half done"
            ]
            assert "Traceback" not in errors
            pack(tmp_path / "x", cache, *words)
            total = sum(record.sent for record in server.requests)
        # What was on its way when the connection was closed counts as sent.
        assert total <= size + 300_000
        assert not list(tmp_path.glob("x.*"))

    def test_several_mirrors_in_turn(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        empty = tmp_path / "empty"
        empty.mkdir()
        with serving(empty) as first, serving(mirror.folder) as second:
            words = ("--catalog", mirror.list, "--mirror", first.url, "--mirror", second.url)
            pack(tmp_path / "x", cache, "3.13", *for_targets(LINUX), *words)
            assert [record.status for record in first.requests] == [404]
            assert {record.status for record in second.requests} == {200}


class TestCache:
    def test_offline_afterwards(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        with serving(mirror.folder) as server:
            words = ("3.13", *for_targets(LINUX), *mirror.arguments(server.url))
            pack(tmp_path / "x", cache, *words)
        pack(tmp_path / "y", cache, *words, "--offline")
        assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
        more = ("3.13", *for_targets(LINUX, "windows-x86_64"), *words[3:])
        done = run_kitbag(
            "pack", *more, "--offline", "-o", tmp_path / "z", "--cache-dir", cache,
            command=BOTH_SIDES,
        )  # fmt: skip
        assert_refused(done, 1)
        assert "cpython-3.13.5+20260101-x86_64-pc-windows-msvc" in done.errors[0]
        assert not (tmp_path / "z").exists()

    def test_rot_is_healed_while_packing(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        """Bytes that changed with nothing else showing it: the writer sees it, and all is well."""
        words = ("3.13", *for_targets(LINUX), *mirror.arguments())
        pack(tmp_path / "x", cache, *words)
        (entry,) = (path for path in (cache / "archives").iterdir() if not path.suffix)
        data = bytearray(entry.read_bytes())
        data[len(data) // 2] ^= 1
        entry.chmod(0o644)
        entry.write_bytes(data)
        pretend_nothing_happened(entry)
        done = run_kitbag(
            "pack", *words, "-o", tmp_path / "y", "--cache-dir", cache, command=BOTH_SIDES
        )
        assert done.status == 0, done.err
        assert "warning" in done.err
        assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()

    def test_what_uv_has_is_not_fetched(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        theirs = tmp_path / "uv"
        theirs.mkdir()
        archive = next(each for each in mirror.archives if str(each.key.target) == LINUX)
        name = archive.path.name.replace("+", "-")
        shutil.copyfile(archive.path, theirs / f"{archive.sha256[:9]}-{name}")
        done = run_kitbag(
            "pack", "3.13", *for_targets(LINUX), "--catalog", mirror.list, "--offline",
            "-o", tmp_path / "x", "--cache-dir", cache,
            command=BOTH_SIDES, env=environment(UV_PYTHON_CACHE_DIR=str(theirs)),
        )  # fmt: skip
        assert done.status == 0, done.err
        assert len(list(theirs.iterdir())) == 1


def pretend_nothing_happened(entry: Path) -> None:
    """Bring the record of an entry's last check up to date, as rot below the file system would."""
    record = entry.with_name(f"{entry.name}.json")
    table = json.loads(record.read_text("utf-8"))
    found = os.stat(entry)
    fresh = {
        "size": found.st_size,
        "mtime-ns": found.st_mtime_ns,
        "ctime-ns": found.st_ctime_ns,
        "inode": found.st_ino,
    }
    stamp = table["checked"]
    assert set(fresh) <= set(stamp), table
    stamp.update(fresh)
    record.write_text(json.dumps(table), "utf-8")


class TestCatalogs:
    def test_a_folder_is_a_catalog(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        words = ("3.13", *for_targets(LINUX, "windows-x86_64"), "--catalog", mirror.folder)
        done = json.loads(pack(tmp_path / "x", cache, *words, "--offline"))
        urls = [build["url"] for build in done["manifest"]["build"]]
        assert len(urls) == 2
        assert not any(str(tmp_path) in url or "file:" in url for url in urls)

    def test_nothing_matches(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        with serving(mirror.folder) as server:
            done = run_kitbag(
                "pack", "3.13", "3.99", *for_targets(LINUX), *mirror.arguments(server.url),
                "-o", tmp_path / "x", "--cache-dir", cache, command=BOTH_SIDES,
            )  # fmt: skip
            assert_refused(done, 4)
            assert "3.99" in done.errors[0]
            assert "3.14.5" in done.errors[0]
            assert not server.requests

    def test_no_digest_no_bundle(self, mirror: Mirror, cache: Path, tmp_path: Path) -> None:
        copy = Mirror(tmp_path / "m", mirror.archives)
        copy.folder.mkdir()
        copy.write_list(sha256=None)
        words = (
            "pack", "3.13", *for_targets(LINUX), "--catalog", copy.list, "--mirror",
            mirror.folder, "-o", tmp_path / "x", "--cache-dir", cache,
        )  # fmt: skip
        assert_refused(run_kitbag(*words, command=BOTH_SIDES), 3)
        done = run_kitbag(*words, "--allow-unverified", command=BOTH_SIDES)
        assert done.status == 0, done.err


@pytest.fixture
def real_mirror(slim_archive: Path, tmp_path: Path) -> Mirror:
    return make_mirror(tmp_path / "real", extra=[slim_archive])


def test_from_a_request_to_a_python_that_runs(
    real_mirror: Mirror, packable_interpreter: Interpreter, cache: Path, tmp_path: Path
) -> None:
    """Fetched over a link that breaks, packed, installed by the bundle itself, and run."""
    out = tmp_path / "tools.kitbag"
    with serving(real_mirror.folder, cut_after=1_000_000) as server:
        pack(out, cache, packable_interpreter.minor, *real_mirror.arguments(server.url))
        sent = sum(record.sent for record in server.requests)
        assert len(server.requests) > 2
    assert sent < real_mirror.archives[0].path.stat().st_size * 1.05
    root = tmp_path / "root"
    done = by_bundle(packable_interpreter.path, out, "install", "--root", root, "--no-bin")
    assert done.status == 0, done.err
    check_starts(only_build(root))
