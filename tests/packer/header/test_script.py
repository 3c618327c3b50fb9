"""The script itself, run by real shells with the few tools that it may use."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reader import ZipContainer
from kitbag_packer.header.script import bundle_header, folder_script
from kitbag_packer.writing import lay_out
from support.bundled import bundle_archives, host_key
from support.bundles import bundle_members, packed_build
from support.cli import Ran, assert_refused, finish
from support.journey import kitbag, shared_bundle
from support.members import below, program, write_archive
from support.require import require, require_command
from support.standins import stand_in_bundle, stand_in_script
from support.synthetic import SYNTHETIC, make_synthetic_archive

if TYPE_CHECKING:
    from kitbag_bundles.container import Location

TOOLS = (
    "cat",
    "chmod",
    "dd",
    "gzip",
    "mkdir",
    "mkfifo",
    "mv",
    "printf",
    "rm",
    "rmdir",
    "tar",
    "uname",
)
SHELLS = ("dash", "busybox", "bash", "ksh", "mksh", "yash", "zsh")
_OPTIONS = {"busybox": ["sh"], "bash": ["--posix"], "zsh": ["--emulate", "sh"]}


@pytest.fixture(scope="module")
def bundle(slim_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_bundle(tmp_path_factory, "self-installer.kitbag", slim_archive)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH with what a bare host has."""
    return make_tools(tmp_path / "tools")


def make_tools(folder: Path, *more: str, without: tuple[str, ...] = ()) -> Path:
    busybox = require_command("busybox")
    folder.mkdir()
    for name in {*TOOLS, "sha256sum", *more} - set(without):
        (folder / name).symlink_to(busybox)
    return folder


def command(shell: str) -> list[str]:
    return [require_command(shell), *_OPTIONS.get(shell, [])]


def by_shell(
    script: Path, *arguments: str | Path, shell: str = "dash", path: Path | str, **env: str
) -> Ran:
    done = subprocess.run(
        [*command(shell), script, *arguments],
        env={"PATH": str(path), **env},
        cwd=script.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def temp(root: Path) -> list[str]:
    return sorted(path.name for path in (root / ".temp").glob("*"))


def of(bundle: Path) -> bytes:
    """The header of a bundle."""
    container = ZipContainer(str(bundle))
    container.close()
    return bundle.read_bytes()[: container.header_size]


class TestBytes:
    def test_shape(self, bundle: Path) -> None:
        header = of(bundle)
        assert header.startswith(b"#!/bin/sh\n")
        assert len(header) % 4096 == 0
        assert b"\0" not in header
        code, _, padding = header.partition(b'\nmain "$@"; exit\n')
        assert code
        assert padding.strip(b"#\n") == b""
        assert padding.endswith(b"\n")

    def test_length_does_not_depend_on_the_place(self) -> None:
        build = packed_build()
        members = bundle_members([build])
        header = bundle_header(manifest_of(build), {str(build.build.key): build.contents})
        near, far = (header(lay_out(members, size)) for size in (0, 4096 << 20))
        assert near != far
        assert len(near) == len(far)

    def test_same_members_same_bytes(
        self, bundle: Path, slim_archive: Path, tmp_path: Path
    ) -> None:
        copy = shutil.copy(slim_archive, tmp_path)
        kitbag("pack", "--from", copy, "-o", tmp_path / "other name")
        assert (tmp_path / "other name").read_bytes() == bundle.read_bytes()

    def test_shellcheck(self, bundle: Path, tmp_path: Path) -> None:
        build = packed_build()
        (tmp_path / "header.sh").write_bytes(of(bundle))
        lists = {str(build.build.key): build.contents}
        (tmp_path / "install.sh").write_bytes(folder_script(manifest_of(build), lists, b"pyz"))
        checked = subprocess.run(
            [require_command("shellcheck"), "-s", "sh", "header.sh", "install.sh"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout) == (0, "")

    @pytest.mark.parametrize(
        "words",
        [["unzip", "-t"], ["7z", "t"], ["bsdtar", "-tf"], ["python3", "-m", "zipfile", "-t"]],
    )
    def test_stock_tools(self, bundle: Path, words: list[str]) -> None:
        tool = require_command(words[0])
        done = subprocess.run([tool, *words[1:], bundle], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def manifest_of(build: object) -> object:
    from kitbag_bundles.manifest import Manifest

    return Manifest(1, (), "it's $x `y`", "2026.11", "0.1.0", (build.build,))  # type: ignore[attr-defined]


@pytest.mark.parametrize("shell", SHELLS)
class TestShells:
    def test_answers(self, bundle: Path, tools: Path, shell: str) -> None:
        shown = by_shell(bundle, "show", shell=shell, path=tools)
        assert shown == Ran(0, kitbag("show", bundle), "")
        verified = by_shell(bundle, "verify", shell=shell, path=tools)
        assert verified == Ran(0, kitbag("verify", bundle), "")
        for word in ("--help", "-h", "help"):
            told = by_shell(bundle, word, shell=shell, path=tools)
            assert (told.status, told.err) == (0, "")
            assert told.out.startswith(f"usage: sh {bundle.name} [COMMAND]")
            assert "uninstall" in told.out
        assert by_shell(bundle, "-V", shell=shell, path=tools).out.startswith("kitbag ")

    def test_a_stand_in_gets_all_arguments(self, tmp_path: Path, tools: Path, shell: str) -> None:
        made = stand_in_bundle(tmp_path)
        done = by_shell(made, "--root", "a b", "3.13", "* '", shell=shell, path=f"{tools}:/bin")
        assert done.status == 0, done.err
        assert done.out.startswith(f"started {tmp_path}/a b/.temp/kitbag-boot-")
        assert done.err == ""


class TestRoot:
    @pytest.mark.parametrize(
        ("arguments", "env", "root"),
        [
            (["--root", "x/y"], {}, "x/y"),
            (["--root=x", "--root", "y"], {"KITBAG_ROOT": "/nowhere"}, "y"),
            (["--root=~/z"], {"HOME": "{}"}, "z"),
            ([], {"KITBAG_ROOT": "{}/k"}, "k"),
            ([], {"XDG_DATA_HOME": "{}", "HOME": "/nowhere"}, "kitbag/python"),
            ([], {"XDG_DATA_HOME": "relative", "HOME": "{}"}, ".local/share/kitbag/python"),
        ],
    )
    def test_as_kitbag_understands_it(
        self, tmp_path: Path, tools: Path, arguments: list[str], env: dict[str, str], root: str
    ) -> None:
        made = stand_in_bundle(tmp_path)
        env = {name: value.format(tmp_path) for name, value in env.items()}
        done = by_shell(made, *arguments, path=f"{tools}:/bin", **env)
        assert done.out.startswith(f"started {tmp_path}/{root}/.temp/kitbag-boot-"), done

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], ("HOME is not set", "--root DIR")),
            (["--root"], ("--root needs a directory",)),
            (["--root="], ("--root is empty",)),
        ],
    )
    def test_none(self, bundle: Path, tools: Path, arguments: list[str], words: list[str]) -> None:
        assert_refused(by_shell(bundle, *arguments, path=tools), 2, *words)


class TestDamage:
    @pytest.fixture
    def damaged(self, bundle: Path, tmp_path: Path) -> Path:
        return Path(shutil.copy(bundle, tmp_path / "damaged.kitbag"))

    def flip(self, path: Path, member: str) -> None:
        container = ZipContainer(str(path))
        container.close()
        place: Location = container.location(member)
        with open(path, "r+b") as file:
            file.seek(place.offset + place.size - 1)
            last = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([last[0] ^ 1]))

    @pytest.mark.parametrize("which", ["kitbag.pyz", "archives/"])
    def test_nothing_of_it_is_run(
        self, damaged: Path, tools: Path, tmp_path: Path, which: str
    ) -> None:
        container = ZipContainer(str(damaged))
        container.close()
        member = next(name for name in container.names() if name.startswith(which))
        self.flip(damaged, member)
        done = by_shell(damaged, "--root", tmp_path / "root", path=tools)
        assert_refused(done, 3, "damaged.kitbag is damaged", member, "copy the bundle again")
        assert not (tmp_path / "root").exists()
        assert_refused(by_shell(damaged, "verify", path=tools), 3, "is damaged", "copy it again")

    @pytest.mark.parametrize("change", [b"\n", b"\0", b"\0" * 5000, None])
    def test_another_end(self, damaged: Path, tools: Path, change: bytes | None) -> None:
        data = damaged.read_bytes()
        damaged.write_bytes(data[:-1] if change is None else data + change)
        assert_refused(by_shell(damaged, "verify", path=tools), 3, "is damaged")

    def test_no_way_to_check(self, bundle: Path, tmp_path: Path) -> None:
        tools = make_tools(tmp_path / "less", without=("sha256sum", "mkfifo"))
        done = by_shell(bundle, "--root", tmp_path / "root", "--no-bin", path=tools)
        assert done.status == 0, done.err
        assert "no sha256sum, shasum or openssl" in done.err
        assert temp(tmp_path / "root") == []

    @pytest.mark.parametrize("tool", ["shasum", "openssl"])
    def test_other_ways_to_check(self, bundle: Path, tmp_path: Path, tool: str) -> None:
        tools = make_tools(tmp_path / "less", without=("sha256sum",))
        (tools / tool).symlink_to(require_command(tool))
        path = f"{tools}:{Path(require_command('perl')).parent}" if tool == "shasum" else str(tools)
        assert by_shell(bundle, "verify", path=path).out.endswith("1 build\n")


class TestChoice:
    def test_only_other_targets(self, tmp_path: Path, tools: Path) -> None:
        made = stand_in_bundle(tmp_path, BuildKey.parse("cpython-3.13.5-macos-aarch64-none"))
        done = by_shell(made, "--root", tmp_path / "root", path=tools)
        host = host_key().target
        assert_refused(done, 5, "builds for macos-aarch64-none", f"this host is {host}")
        assert not (tmp_path / "root").exists()

    def test_the_hosts_own_python(
        self, tmp_path: Path, tools: Path, packable_interpreter: object
    ) -> None:
        made = stand_in_bundle(tmp_path, BuildKey.parse("cpython-3.13.5-macos-aarch64-none"))
        (tools / "python3").symlink_to(packable_interpreter.path)  # type: ignore[attr-defined]
        done = by_shell(made, "--root", tmp_path / "root", "--no-bin", path=tools)
        assert_refused(done, 5, "nothing in the bundle fits this host")
        assert not (tmp_path / "root").exists()

    def test_one_that_does_not_start_is_passed_over(self, tmp_path: Path, tools: Path) -> None:
        broken, sound = host_key("3.12.9"), host_key("3.13.5")
        archive = tmp_path / "broken.tar.gz"
        crash = program("bin/python3.12", b"#!/bin/sh\necho 'no such symbol' >&2; exit 1\n")
        write_archive(below("python", [crash]), archive, ".tar.gz")
        other = tmp_path / "sound.tar.gz"
        more = program("bin/more", os.urandom(9999))
        run = program("bin/python3.13", stand_in_script(sound))
        write_archive(below("python", [more, run]), other, ".tar.gz")
        made = tmp_path / "two.kitbag"
        bundle_archives(made, [(archive, broken), (other, sound)], header=True)
        done = by_shell(made, "--root", tmp_path / "root", path=f"{tools}:/bin")
        assert "/python/bin/python3.13" in done.out, done
        alone = tmp_path / "one.kitbag"
        bundle_archives(alone, [(archive, broken)], header=True)
        done = by_shell(alone, "--root", tmp_path / "root", path=tools)
        assert_refused(done, 5, "cpython-3.12.9", "does not start here (no such symbol)")

    def test_levels(self, tmp_path: Path, tools: Path) -> None:
        require(host_key().target.arch == "x86_64", "an x86-64 machine")
        flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
        fits = {"sse4_2", "popcnt", "cx16", "lahf_lm"} <= set(flags)
        made = stand_in_bundle(tmp_path, BuildKey.parse("cpython-3.13.5-linux-x86_64_v2-gnu"))
        done = by_shell(made, "--root", tmp_path / "root", path=f"{tools}:/bin")
        assert done.status == (0 if fits else 5), done

    def test_show_says_why_not(self, tmp_path: Path, tools: Path) -> None:
        names = [name for name in SYNTHETIC if name.endswith((".tar.gz", ".zip"))][:8]
        archives = [
            (make_synthetic_archive(tmp_path, name), BuildKey.parse(SYNTHETIC[name].key))
            for name in names
        ]
        made = tmp_path / "many.kitbag"
        bundle_archives(made, archives, header=True)
        assert by_shell(made, "show", path=tools) == Ran(0, kitbag("show", made), "")


class TestVolumes:
    @pytest.fixture
    def first(self, bundle: Path, tmp_path: Path) -> Path:
        """Some thirty parts, cut by dd; the last one is no multiple of 4096 bytes."""
        blocks = bundle.stat().st_size // 4096 // 30
        place = tmp_path / "vol"
        place.mkdir()
        for number in range(40):
            part = place / f"tools.kitbag.{number + 1:03}"
            cut = [f"bs={4096 * blocks}", f"skip={number}", "count=1", "status=none"]
            subprocess.run(["dd", f"if={bundle}", f"of={part}", *cut], check=True)
            if not part.stat().st_size:
                part.unlink()
                break
        assert len(list(place.iterdir())) > 25
        return place / "tools.kitbag.001"

    @pytest.mark.parametrize("shell", SHELLS[:3])
    def test_install_and_verify(self, first: Path, tools: Path, tmp_path: Path, shell: str) -> None:
        told = by_shell(first, "verify", shell=shell, path=tools)
        assert (told.status, "sound" in told.out) == (0, True), told
        done = by_shell(first, "--root", tmp_path / "root", "--no-bin", shell=shell, path=tools)
        assert done.status == 0, done.err
        assert "Installed 1 build" in done.out

    @pytest.mark.parametrize("member", ["kitbag.pyz", "manifest.toml", "archives/"])
    def test_missing_and_damaged(
        self, bundle: Path, first: Path, tools: Path, tmp_path: Path, member: str
    ) -> None:
        install = ["--root", str(tmp_path / "root"), "--bin-dir", str(tmp_path / "bin")]
        with zipfile.ZipFile(bundle) as members:
            (info,) = (each for each in members.infolist() if each.filename.startswith(member))
        position = info.header_offset + info.compress_size // 2 + 100
        index, offset = divmod(position, first.stat().st_size)
        number = f"{index + 1:03}"
        part = first.with_suffix(f".{number}")
        data = part.read_bytes()
        part.write_bytes(data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])
        for words in (["verify"], install):
            assert_refused(by_shell(first, *words, path=tools), 3, "is damaged")
        part.unlink()
        missing = f"tools.kitbag.{number} is missing"
        for words in (["verify"], install):
            assert_refused(by_shell(first, *words, path=tools), 3, missing)
        assert not (tmp_path / "root").exists()
        assert not (tmp_path / "bin").exists()


class TestInterrupted:
    def slow(self, folder: Path) -> Path:
        """A stand-in bundle whose interpreter waits as soon as it is asked whether it starts."""
        key = host_key()
        archive = folder / f"{key}.tar.gz"
        script = b'#!/bin/sh\n: >"$STARTED"\nexec sleep 60\n'
        members = [program(f"bin/python{key.version.minor_text}", script)]
        write_archive(below("python", members), archive, ".tar.gz")
        made = folder / "slow.kitbag"
        bundle_archives(made, [(archive, key)], header=True)
        return made

    def start(self, folder: Path, shell: str) -> subprocess.Popen[bytes]:
        made, started = self.slow(folder), folder / "started"
        process = subprocess.Popen(
            [*command(shell), made, "--root", folder / "root"],
            env={**os.environ, "STARTED": str(started)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while not started.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return process

    @pytest.mark.parametrize("shell", SHELLS[:3])
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_nothing_is_left(self, tmp_path: Path, shell: str, number: signal.Signals) -> None:
        process = self.start(tmp_path, shell)
        os.killpg(process.pid, number)
        assert_refused(finish(process), 130, "interrupted; nothing is left half done")
        assert not (tmp_path / "root").exists()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_while_kitbag_works(
        self, bundle: Path, tmp_path: Path, tools: Path, number: signal.Signals
    ) -> None:
        """Only the process that the person started gets the signal."""
        root = tmp_path / "root"
        process = subprocess.Popen(
            [require_command("dash"), bundle, "--root", root, "--no-bin"],
            env={"PATH": str(tools)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 60
        while not any(name.startswith("kitbag-stage-") for name in temp(root)):
            assert time.monotonic() < deadline
            assert process.poll() is None
        process.send_signal(number)
        ended = finish(process)
        assert_refused(ended, 130, "nothing is left half done")
        assert temp(root) == []
        assert not list(root.glob("cpython-*"))

    def test_killed_ones_are_swept_and_live_ones_are_not(
        self, bundle: Path, tmp_path: Path, tools: Path
    ) -> None:
        root = tmp_path / "root"
        (tmp_path / "live").mkdir()
        dead = self.start(tmp_path, "dash")
        os.killpg(dead.pid, signal.SIGKILL)
        dead.communicate()
        (left,) = temp(root)
        live = self.start_in(tmp_path / "live", root)
        (running,) = set(temp(root)) - {left}
        done = by_shell(bundle, "--root", root, "--no-bin", path=tools)
        assert done.status == 0, done.err
        assert temp(root) == [running]
        assert (root / ".temp" / running / "kitbag.pyz").is_file()
        os.killpg(live.pid, signal.SIGTERM)
        assert finish(live).status == 130
        assert temp(root) == []

    def start_in(self, folder: Path, root: Path) -> subprocess.Popen[bytes]:
        (folder / "root").symlink_to(root)
        return self.start(folder, "dash")


@pytest.mark.slow
def test_two_at_once(bundle: Path, tmp_path: Path, tools: Path) -> None:
    root = tmp_path / "root"
    processes = [
        subprocess.Popen(
            [require_command("dash"), bundle, "--root", root, "--no-bin"],
            env={"PATH": str(tools)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    results = [finish(process) for process in processes]
    assert [each.status for each in results] == [0, 0, 0], results
    assert sum("Installed 1 build" in each.out for each in results) == 1
    assert temp(root) == []
