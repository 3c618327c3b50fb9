"""The same builds give the same bundle, byte for byte, wherever and however it is packed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.cli import BOTH_SIDES, assert_done, environment
from support.cli import run as run_kitbag
from support.installed import bare_environment
from support.interpreters import Interpreter, find_interpreters
from support.require import require
from support.synthetic import make_synthetic_archive

OTHERS = [one for one in find_interpreters((3, 11)) if one.version[:2] != sys.version_info[:2]]
SOURCES = Path(__file__).resolve().parents[2]
# Pure Python, and all that packing needs for an archive that every Python can read.
PURE = ("pyelftools", "tomli", "tomli-w")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def archives(slim_archive: Path, tmp_path: Path) -> list[Path]:
    names = ("macos-arm64", "aarch64", "windows", "freethreaded-full")
    return [slim_archive, *(make_synthetic_archive(name, tmp_path / "archives") for name in names)]


def sources(paths: list[Path]) -> list[str]:
    return [word for path in paths for word in ("--from", str(path))]


class TestBundle:
    def test_surroundings(self, archives: list[Path], tmp_path: Path) -> None:
        """Folder, time zone, locale, umask, hash seed, clock, order, and the output's name."""
        elsewhere = tmp_path / "ein anderer Ort"
        elsewhere.mkdir()
        copies = []
        for path in archives:
            copy = Path(shutil.copyfile(path, elsewhere / path.name))
            os.utime(copy, (1, 1))
            copy.chmod(0o600)
            copies.append(copy)
        first = tmp_path / "first.kitbag"
        done = run_kitbag("pack", *sources(archives), "-o", first, command=BOTH_SIDES)
        assert_done(done)
        umask = ("sh", "-c", 'umask 077; cd "$0"; exec "$@"', str(elsewhere))
        rounds: list[tuple[dict[str, str], list[Path]]] = [
            ({"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"}, copies[::-1]),
            ({"TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4294967295",
              "SOURCE_DATE_EPOCH": "1", "USER": "someone", "HOSTNAME": "elsewhere",
              "TMPDIR": str(elsewhere), "PYTHONUTF8": "0"}, copies[2:] + copies[:2]),
        ]  # fmt: skip
        for number, (changes, order) in enumerate(rounds):
            other = elsewhere / f"größer {number}.bin"
            done = run_kitbag(
                *("pack", *sources(order), *sources(order[:1]), "-o", other),
                command=BOTH_SIDES, before=umask, env=environment(**changes),
            )  # fmt: skip
            assert_done(done)
            assert digest(other) == digest(first)
            # The permissions of the bundle itself are the person's business.
            assert other.stat().st_mode & 0o777 == 0o600

    def test_nothing_of_this_machine(self, archives: list[Path], tmp_path: Path) -> None:
        """No path, no user and no host name is in the bundle beside the archives' own bytes."""
        import getpass
        import socket
        import zipfile

        bundle = tmp_path / "tools.kitbag"
        assert_done(run_kitbag("pack", *sources(archives), "-o", bundle, command=BOTH_SIDES))
        words = {str(tmp_path), str(SOURCES), str(Path.home())}
        # Short names are in any text by chance.
        words |= {each for each in (socket.gethostname(), getpass.getuser()) if len(each) > 6}
        with zipfile.ZipFile(bundle) as archive:
            for info in archive.infolist():
                assert info.date_time == (1980, 1, 1, 0, 0, 0)
                if not info.filename.startswith("archives/"):
                    data = archive.read(info)
                    for word in words:
                        assert word.encode() not in data, (info.filename, word)

    def test_folder_form_holds_the_same_members(self, slim_archive: Path, tmp_path: Path) -> None:
        import zipfile

        bundle, folder = tmp_path / "tools.kitbag", tmp_path / "tools"
        command = ("pack", "--from", slim_archive, "-o")
        assert_done(run_kitbag(*command, bundle, command=BOTH_SIDES))
        assert_done(run_kitbag(*command, folder, "--format", "dir", command=BOTH_SIDES))
        with zipfile.ZipFile(bundle) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()
        }  # fmt: skip
        assert files == members
        sums = subprocess.run(
            ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True
        )
        assert sums.returncode == 0, sums


class TestRerootedBuild:
    """An installed Python gives the same tar, wherever it is and whichever Python takes it."""

    @pytest.fixture
    def tree(self, slim_archive: Path, tmp_path: Path) -> Path:
        shutil.unpack_archive(slim_archive, tmp_path / "tree", "gztar")
        return tmp_path / "tree" / "python"

    def payload(self, output: str) -> dict[str, Any]:
        (build,) = json.loads(output)["manifest"]["build"]
        payload: dict[str, Any] = build["payload"]
        return payload

    def test_other_place_and_times(self, tree: Path, tmp_path: Path) -> None:
        moved = tmp_path / "ganz woanders" / "py"
        shutil.copytree(tree, moved, symlinks=True)
        for number, path in enumerate(sorted(moved.rglob("*"))):
            if not path.is_symlink():
                os.utime(path, (number, number))
                if path.is_file():
                    path.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
        results = []
        for number, each in enumerate((tree, moved)):
            changes = {"TZ": "Asia/Kolkata", "LC_ALL": "C", "PYTHONHASHSEED": str(number)}
            done = run_kitbag(
                *("pack", "--from", each, "-o", tmp_path / f"{number}.kitbag", "--json"),
                command=BOTH_SIDES, env=environment(**(changes if number else {})),
            )  # fmt: skip
            assert_done(done)
            results.append(done.out)
        first, second = map(self.payload, results)
        assert first["tar-sha256"] == second["tar-sha256"]
        assert digest(tmp_path / "0.kitbag") == digest(tmp_path / "1.kitbag")

    def test_two_pythons(self, tree: Path, tmp_path: Path) -> None:
        require(OTHERS, "needs a second Python of 3.11 or newer")
        libraries = pure_libraries(tmp_path / "libraries")
        digests = set()
        for one in (find_interpreters((3, 11))[0], *OTHERS[:2]):
            payload = self.payload(packed_by(one, libraries, tree, tmp_path / "tools.kitbag"))
            digests.add((payload["tar-sha256"], payload["member"]))
        assert len(digests) == 1

    @pytest.mark.slow
    def test_full_size_by_two_pythons(self, tmp_path: Path) -> None:
        require(OTHERS, "needs a second Python of 3.11 or newer")
        libraries = pure_libraries(tmp_path / "libraries")
        source = find_interpreters((3, 11))[0].path
        payloads = [
            self.payload(packed_by(one, libraries, source, tmp_path / "tools.kitbag"))
            for one in (find_interpreters((3, 11))[0], OTHERS[0])
        ]
        assert payloads[0]["tar-sha256"] == payloads[1]["tar-sha256"]


def pure_libraries(folder: Path) -> Path:
    """Copy kitbag's pure-Python libraries where any Python can import them."""
    for name in PURE:
        for each in importlib.metadata.files(name) or ():
            if ".." in each.parts or (
                each.suffix not in (".py", "") and "dist-info" not in each.parts[0]
            ):
                continue
            if each.suffix == ".so" or "__pycache__" in each.parts:
                continue
            place = folder / each
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(each.locate(), place)
    return folder


def packed_by(one: Interpreter, libraries: Path, source: Path, output: Path) -> str:
    """Pack `source` with kitbag run by the interpreter `one`, and return what it prints."""
    places = [*(str(SOURCES / room) for room in ("packer", "installer", "bundles")), str(libraries)]
    done = subprocess.run(
        [
            *(one.path, "-B", "-m", "kitbag_packer", "pack"),
            *("--from", source, "-o", output, "--json"),
        ],
        env=bare_environment(PYTHONPATH=os.pathsep.join(places), PYTHONNOUSERSITE="1"),
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout


def test_every_order_of_three(slim_archive: Path, tmp_path: Path) -> None:
    paths = [
        slim_archive,
        make_synthetic_archive("musl", tmp_path),
        make_synthetic_archive("i686", tmp_path),
    ]
    digests = set()
    for order in itertools.permutations(paths):
        output = tmp_path / "tools.kitbag"
        assert_done(run_kitbag("pack", *sources(list(order)), "-o", output, command=BOTH_SIDES))
        digests.add(digest(output))
    assert len(digests) == 1
