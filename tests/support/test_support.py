"""The test archives hold what they promise; otherwise tests that use them prove nothing."""

from __future__ import annotations

import bz2
import collections
import gzip
import hashlib
import io
import json
import lzma
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from support import cache, elf, extras
from support.hostile import (
    ACCEPT,
    EITHER,
    REFUSE,
    Hostile,
    base_contents,
    good_archive,
    hostile_archives,
    truncations,
)
from support.interpreters import Interpreter, find_interpreters, packable_interpreters, probe
from support.members import MTIME, Member, below, link, tar_bytes, write_archive
from support.pbs import make_pbs_archive, pbs_members
from support.require import require, require_command
from support.synthetic import SYNTHETIC, make_synthetic_archive
from support.tiny import ANSWERS, make_tiny_archive
from support.wheels import record_line

BARE = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def unpack(archive: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="tar")
    return folder / "python"


def run(*command: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=env or BARE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(pbs_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(pbs_archive, tmp_path_factory.mktemp("full size") / "a folder")


class TestInterpreters:
    def test_first_is_the_one_that_runs_this(self) -> None:
        first = find_interpreters()[0]
        assert first.version == sys.version_info[:3]
        assert first.full_version == platform.python_version()
        assert first.prefix == Path(sys.base_prefix)
        assert "venv" not in str(first.path)

    def test_each_once_and_above_the_minimum(self) -> None:
        found = find_interpreters((3, 11))
        assert len({one.path for one in found}) == len(found)
        assert all(one.version >= (3, 11) for one in found)

    def test_distribution_pythons_are_not_packable(self) -> None:
        assert all(str(one.prefix) != "/usr" for one in packable_interpreters())

    def test_what_is_no_python_is_no_interpreter(self, tmp_path: Path) -> None:
        script = tmp_path / "python3.99"
        script.write_text("#!/bin/sh\necho '{}'; exit 1\n")
        script.chmod(0o755)
        assert probe(script) is None
        assert probe(tmp_path / "missing") is None


class TestSurroundings:
    def test_home_is_empty_and_temporary(
        self, home: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        assert Path.home() == home
        assert not list(home.iterdir())
        assert home.is_relative_to(tmp_path_factory.getbasetemp())

    def test_variables_of_kitbag_and_uv_are_gone(self) -> None:
        kept = {"KITBAG_REQUIRE_ALL", "KITBAG_TEST_CACHE"}
        ours = {name for name in os.environ if name.startswith("KITBAG_")}
        assert ours <= kept
        assert {n for n in os.environ if n.startswith("UV_")} == {
            "UV_CACHE_DIR",
            "UV_NO_CONFIG",
            "UV_OFFLINE",
        }

    def test_require_fails_on_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KITBAG_REQUIRE_ALL", raising=False)
        with pytest.raises(pytest.skip.Exception):
            require(False, "a reason")
        monkeypatch.setenv("KITBAG_REQUIRE_ALL", "1")
        with pytest.raises(pytest.fail.Exception):
            require(False, "a reason")


class TestCache:
    def test_made_once_and_kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cache, "_CHOSEN", str(tmp_path))
        made: list[Path] = []

        def build(path: Path) -> None:
            made.append(path)
            path.write_text("content")

        first = cache.cached({"a": 1}, "name.txt", build)
        assert cache.cached({"a": 1}, "name.txt", build) == first
        assert first.read_text() == "content"
        assert len(made) == 1
        assert cache.cached({"a": 2}, "name.txt", build) != first

    def test_interrupted_build_leaves_nothing_finished(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache, "_CHOSEN", str(tmp_path))

        def broken(path: Path) -> None:
            path.write_text("half")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            cache.cached("key", "name.txt", broken)
        done = cache.cached("key", "name.txt", lambda path: path.write_text("whole"))
        assert done.read_text() == "whole"


class TestArchiveShape:
    def test_full_size(self, pbs_archive: Path, packable_interpreter: Interpreter) -> None:
        with tarfile.open(pbs_archive) as tar:
            members = tar.getmembers()
        one = packable_interpreter
        assert pbs_archive.name == (
            f"cpython-{one.full_version}+20260101-{one.triple}-install_only_stripped.tar.gz"
        )
        assert 4200 < len(members) < 5500
        assert 45e6 < sum(member.size for member in members) < 90e6
        assert not any(member.isdir() for member in members)
        names = [member.name for member in members]
        assert names == sorted(names)
        assert len(set(names)) == len(names)
        assert max(map(len, names)) > 100
        assert {name.split("/")[0] for name in names} == {"python"}
        assert {member.mtime for member in members} == {MTIME}
        assert {(m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, "root", "root")}
        assert {member.mode for member in members if member.isfile()} == {0o664, 0o775}
        assert sum("/share/terminfo/" in name for name in names) == extras.TERMINFO_ENTRIES
        folded = collections.Counter(name.lower() for name in names)
        assert sum(count == 2 for count in folded.values()) == 23
        assert max(folded.values()) == 2
        assert not re.search(
            r"__pycache__|\.pyc$|\.a$|/test/|_testcapi", "\n".join(names), re.MULTILINE
        )

    def test_header_bytes(self, pbs_archive: Path) -> None:
        with pbs_archive.open("rb") as stream:
            assert stream.read(10) == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
        with gzip.open(pbs_archive) as stream:
            assert stream.read(265)[257:265] == b"ustar\x0000"

    def test_slim(self, slim_archive: Path) -> None:
        with tarfile.open(slim_archive) as tar:
            assert 300 < len(tar.getmembers()) < 500
        assert slim_archive.stat().st_size < 8e6

    def test_same_bytes_again(self, packable_interpreter: Interpreter, slim_archive: Path) -> None:
        members = below("python", pbs_members(packable_interpreter, slim=True))
        again = tar_bytes(sorted(members, key=lambda member: member.path))
        assert again == gzip.decompress(slim_archive.read_bytes())

    @pytest.mark.parametrize("suffix", [".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2"])
    def test_compressions_hold_the_same_tar(
        self, suffix: str, packable_interpreter: Interpreter, slim_archive: Path
    ) -> None:
        archive = make_pbs_archive(packable_interpreter, compression=suffix, slim=True)
        data = archive.read_bytes()
        assert archive.name.endswith(suffix)
        plain = {
            ".tar.gz": gzip.decompress,
            ".tgz": gzip.decompress,
            ".tar.zst": _unzstd,
            ".tar.xz": lzma.decompress,
            ".tar.bz2": bz2.decompress,
        }[suffix](data)
        assert plain == gzip.decompress(slim_archive.read_bytes())

    def test_copy_may_be_changed(
        self, packable_interpreter: Interpreter, slim_archive: Path, tmp_path: Path
    ) -> None:
        copy = make_pbs_archive(packable_interpreter, tmp_path, slim=True)
        assert copy.parent == tmp_path
        assert copy.stat().st_ino != slim_archive.stat().st_ino

    def test_full_flavor(self, packable_interpreter: Interpreter) -> None:
        archive = make_pbs_archive(
            packable_interpreter, flavor="full", compression=".tar.zst", slim=True, frames=3
        )
        data = archive.read_bytes()
        assert archive.name.endswith("-pgo+lto-full.tar.zst")
        assert zstandard.get_frame_parameters(data).window_size == 1 << 27
        assert data.count(zstandard.MAGIC_NUMBER.to_bytes(4, "little")) == 3
        with tarfile.open(fileobj=io.BytesIO(_unzstd(data))) as tar:
            names = tar.getnames()
            first = tar.extractfile(names[0])
            assert first is not None
            description = json.load(first)
        assert names[0] == "python/PYTHON.json"
        assert names[1:] == sorted(names[1:])
        assert {name.split("/")[1] for name in names[1:]} == {"build", "install", "licenses"}
        assert f"python/{description['python_exe']}" in names
        assert description["python_config_vars"]["prefix"] == "/install"
        assert any(name.endswith("/test/support/__init__.py") for name in names)
        assert any(name.endswith(".a") for name in names)


def _unzstd(data: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    return reader.read()


class TestArchiveRuns:
    def test_anywhere(self, tree: Path, packable_interpreter: Interpreter) -> None:
        code = (
            "import asyncio, ctypes, json, sqlite3, ssl, sys, zlib; "
            "ctypes.CDLL(None); sqlite3.connect(':memory:').execute('select 1'); "
            "print(json.dumps([sys.prefix, sys.version_info[:3], ssl.OPENSSL_VERSION]))"
        )
        prefix, version, tls = json.loads(run(tree / "bin/python3", "-I", "-B", "-c", code))
        assert prefix == str(tree)
        assert tuple(version) == packable_interpreter.version
        assert tls.startswith("OpenSSL")

    def test_no_trace_of_this_machine(self, tree: Path, packable_interpreter: Interpreter) -> None:
        prefix = str(packable_interpreter.prefix).encode()
        build = packable_interpreter.build_folder.encode()
        for path in tree.rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                assert prefix not in data, path
                assert not build or b"\0" in data or build not in data, path

    def test_venv_with_pip(self, tree: Path, tmp_path: Path) -> None:
        run(tree / "bin/python3", "-m", "venv", tmp_path / "env")
        assert "pip" in run(tmp_path / "env/bin/python", "-m", "pip", "--version")

    def test_slim_venv(self, slim_archive: Path, tmp_path: Path) -> None:
        python = unpack(slim_archive, tmp_path) / "bin/python3"
        run(python, "-m", "venv", "--without-pip", tmp_path / "env")
        code = "import ssl, sqlite3, sysconfig, sys; print(sys.prefix)"
        assert run(tmp_path / "env/bin/python", "-c", code).strip() == str(tmp_path / "env")

    def test_run_path_is_relative(self, tree: Path, packable_interpreter: Interpreter) -> None:
        data = (tree / "bin" / packable_interpreter.executable_name).read_bytes()
        require(elf.run_path(data)[0], "an interpreter that was built with a run path")
        assert elf.run_path(data) == ("DT_RPATH", "$ORIGIN/../lib")

    def test_trampolines(self, tree: Path, packable_interpreter: Interpreter) -> None:
        require_command("realpath")
        name = packable_interpreter.executable_name
        lines = (tree / "bin/pip3").read_text().splitlines()
        assert lines[0] == "#!/bin/sh"
        assert lines[1] == f'\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")/{name}" "$0" "$@"'
        assert lines[2] == "' '''"
        assert str(tree) in run(tree / "bin/pip3", "--version")
        broken = next(tree.glob("lib/python3.*/config-*/python-config.py"))
        done = subprocess.run([broken, "--prefix"], env=BARE, capture_output=True, text=True)
        assert done.returncode == 127
        assert "not found" in done.stderr

    def test_record_is_stale_for_the_scripts_only(self, tree: Path) -> None:
        record = next(tree.glob("lib/python3.*/site-packages/pip-*.dist-info/RECORD"))
        site = record.parents[1]
        stale = []
        for line in record.read_text().splitlines():
            path = line.split(",")[0]
            if line != record_line(path, (site / path).read_bytes()).strip():
                stale.append(path)
        scripts = [path for path in stale if not path.endswith("/RECORD")]
        assert sorted(scripts) == sorted(
            f"../../../bin/{path.name}" for path in (tree / "bin").glob("pip*")
        )
        assert len(scripts) == 3

    def test_sysconfig_is_upstreams(self, tree: Path) -> None:
        path = next(tree.glob("lib/python3.*/_sysconfigdata_*.py"))
        content = path.read_text()
        header, _, body = content.partition("\n")
        assert header == "# system configuration generated and used by the sysconfig module"
        values = json.loads(body.removeprefix("build_time_vars = "))
        assert values["prefix"] == "/install"
        assert values["CC"] == "clang -pthread"
        assert values["AR"] == "/tools/llvm/bin/llvm-ar"
        assert "'--prefix=/install'" in values["CONFIG_ARGS"]
        assert values["abs_srcdir"].startswith("/build/Python-3.")
        assert values["INSTALL"].startswith("/usr/bin/install")
        with_prefix = {
            name
            for name, value in values.items()
            if isinstance(value, str) and re.search(r"(?<![\w.])/install(?![\w])", value)
        }
        assert {"BINDIR", "DESTDIRS", "INCLUDEPY", "LIBDIR", "LIBPL", "SCRIPTDIR"} < with_prefix
        assert len(with_prefix) < 25

    def test_makefile_and_pkgconfig(self, tree: Path) -> None:
        makefile = next(tree.glob("lib/python3.*/config-*/Makefile")).read_text()
        assert re.search(r"^prefix=\s*/install$", makefile, re.MULTILINE)
        assert re.search(r"^CC=\s*clang -pthread$", makefile, re.MULTILINE)
        assert re.search(r"^AR=\s*/tools/llvm/bin/llvm-ar$", makefile, re.MULTILINE)
        for path in (tree / "lib/pkgconfig").glob("*.pc"):
            assert "prefix=${pcfiledir}/../..\n" in path.read_text()

    def test_uv_installs_it(self, slim_archive: Path, tmp_path: Path, home: Path) -> None:
        import uv

        version = slim_archive.name.split("+")[0].removeprefix("cpython-")
        major, minor, patch = (int(part) for part in version.split("."))
        entry = {
            "name": "cpython",
            "arch": {"family": platform.machine(), "variant": None},
            "os": "linux",
            "libc": "gnu",
            "major": major,
            "minor": minor,
            "patch": patch,
            "prerelease": "",
            "url": f"file://{slim_archive}",
            "sha256": hashlib.sha256(slim_archive.read_bytes()).hexdigest(),
            "variant": None,
            "build": "20260101",
        }
        listing = tmp_path / "list.json"
        listing.write_text(json.dumps({"build": entry}))
        root = tmp_path / "root"
        command: list[str | Path] = ["python", "install", version, "--no-bin"]
        command += ["--install-dir", root]
        env = {**BARE, **{k: v for k, v in os.environ.items() if k.startswith(("UV_", "XDG_"))}}
        env["HOME"] = str(home)
        run(uv.find_uv_bin(), *command, "--python-downloads-json-url", listing, env=env)
        installed = root / f"cpython-{version}-linux-{platform.machine()}-gnu"
        code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
        assert run(installed / "bin/python3", "-c", code).strip() == str(installed / "lib")


class TestElf:
    @pytest.mark.parametrize("cpu", elf.CPUS)
    def test_made_files_read_back(self, cpu: str) -> None:
        from elftools.elf import elffile

        data = elf.make_elf(
            cpu,
            interpreter=elf.CPUS[cpu].glibc_loader,
            needed=["libm.so.6", "libc.so.6"],
            versions={"libm.so.6": ["GLIBC_2.17"], "libc.so.6": ["GLIBC_2.4", "GLIBC_2.28"]},
            rpath="$ORIGIN/../lib",
        )
        read = elffile.ELFFile(io.BytesIO(data))
        assert read["e_ident"]["EI_CLASS"] == f"ELFCLASS{elf.CPUS[cpu].bits}"
        assert next(read.iter_segments("PT_INTERP")).get_interp_name() == elf.CPUS[cpu].glibc_loader
        dynamic = next(read.iter_segments("PT_DYNAMIC"))
        assert [tag.needed for tag in dynamic.iter_tags("DT_NEEDED")] == ["libm.so.6", "libc.so.6"]
        assert [tag.rpath for tag in dynamic.iter_tags("DT_RPATH")] == ["$ORIGIN/../lib"]
        needs = {
            library.name: [version.name for version in versions]
            for library, versions in read.get_section_by_name(".gnu.version_r").iter_versions()
        }
        assert needs == {"libm.so.6": ["GLIBC_2.17"], "libc.so.6": ["GLIBC_2.4", "GLIBC_2.28"]}

    def test_run_path_keeps_the_tail(self) -> None:
        old = "/opt/somewhere/far/away/lib"
        data = elf.make_elf("x86_64", needed=["libc.so.6"], rpath=old)
        changed = elf.set_run_path(data, "$ORIGIN/../lib")
        assert elf.run_path(changed) == ("DT_RPATH", "$ORIGIN/../lib")
        assert elf.needed_libraries(changed) == ["libc.so.6"]
        assert len(changed) == len(data)
        assert old[15:].encode() + b"\0" in changed
        with pytest.raises(ValueError, match="no room"):
            elf.set_run_path(data, "x" * 100)

    def test_string_keeps_the_tail(self) -> None:
        data = b"\0/home/me/pythons/v/3.11.7\0/home/me/pythons/v/3.11.7/lib\0"
        changed = elf.replace_string(data, "/home/me/pythons/v/3.11.7", "/install")
        assert changed.startswith(b"\0/install\0pythons/v/3.11.7\0/home/")
        assert len(changed) == len(data)


class TestSynthetic:
    @pytest.mark.parametrize("name", SYNTHETIC)
    def test_every_archive_opens(self, name: str, tmp_path: Path) -> None:
        archive = make_synthetic_archive(name, tmp_path)
        assert archive.name == SYNTHETIC[name].filename
        wanted = {member.path for member in SYNTHETIC[name].members()}
        assert set(_names(archive)) == wanted
        assert len({path.split("/")[0] for path in wanted}) == 1

    def test_repeated_links(self, tmp_path: Path) -> None:
        names = _names(make_synthetic_archive("armv7", tmp_path))
        assert names.count("python/bin/python3") == 2

    def test_other_suffix(self, tmp_path: Path) -> None:
        archive = make_synthetic_archive("musl", tmp_path, compression=".tar.xz")
        assert archive.name.endswith("install_only_stripped.tar.xz")
        assert "python/bin/python3.13" in _names(archive)

    def test_3_14_files(self) -> None:
        paths = {member.path: member for member in SYNTHETIC["linux-3.14"].members()}
        library = "python/lib/python3.14"
        variables = json.loads(
            paths[f"{library}/_sysconfig_vars__linux_x86_64-linux-gnu.json"].data
        )
        assert variables["prefix"] == "/install"
        details = json.loads(paths[f"{library}/build-details.json"].data)
        assert details["base_prefix"] == "../.."


def _names(archive: Path) -> list[str]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            assert opened.testzip() is None
            return opened.namelist()
    if archive.suffix == ".7z":
        import py7zr

        with py7zr.SevenZipFile(archive) as opened:
            return list(opened.getnames())
    data = archive.read_bytes()
    if archive.suffix == ".zst":
        data = _unzstd(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


class TestTiny:
    def test_small(self, tiny_archive: Path) -> None:
        with tarfile.open(tiny_archive) as tar:
            members = tar.getmembers()
        assert len(members) <= 25
        assert any(member.islnk() for member in members)
        assert any(member.issym() for member in members)

    @pytest.mark.parametrize("called", ["direct", "link", "relative", "path"])
    def test_answers_with_its_prefix(
        self, called: str, tiny_archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tree = unpack(tiny_archive, tmp_path / 'a "quoted\\ place')
        arguments = ["-I", "-S", "-B", "-c", "import sys"]
        outside = tmp_path / "elsewhere"
        outside.symlink_to(tree / "bin/python3")
        monkeypatch.chdir(tree / "bin")
        command, env = {
            "direct": (str(tree / "bin/python3.13"), BARE),
            "link": (str(outside), BARE),
            "relative": ("./python", BARE),
            "path": ("python3.13", {"PATH": f"{tree / 'bin'}:/usr/bin:/bin"}),
        }[called]
        assert json.loads(run("/usr/bin/env", command, *arguments, env=env)) == {
            "version": "3.13.5",
            "implementation": "cpython",
            "prefix": str(tree),
            "free_threaded": False,
            "debug": False,
        }

    def test_variants(self, tmp_path: Path) -> None:
        archive = make_tiny_archive(tmp_path, "3.14.2", free_threaded=True, debug=True)
        assert archive.name.endswith("-freethreaded+debug-full.tar.gz")
        tree = unpack(archive, tmp_path / "out") / "install"
        answer = json.loads(run(tree / "bin/python3.14", "-I", "-S", "-B", "-c", ""))
        assert answer["free_threaded"] is True
        assert answer["debug"] is True
        assert (tree / "lib/python3.14t/build-details.json").is_file()

    @pytest.mark.parametrize("answer", sorted(set(ANSWERS) - {"right", "hang"}))
    def test_misbehaves_on_request(self, answer: str, tmp_path: Path) -> None:
        tree = unpack(make_tiny_archive(tmp_path, answer=answer), tmp_path / "out")
        done = subprocess.run(
            [tree / "bin/python3", "-I", "-S", "-B", "-c", ""], env=BARE, capture_output=True
        )
        if answer == "crash":
            assert done.returncode < 0
            return
        assert done.returncode == 0
        if answer in {"silent", "garbage"}:
            assert not done.stdout.startswith(b"{")
        else:
            said = json.loads(done.stdout)
            assert (said["version"], said["prefix"]) != ("3.13.5", str(tree))


class TestHostile:
    def test_good_archive_is_good(self, tmp_path: Path) -> None:
        assert _contents(good_archive(tmp_path)) == base_contents()

    @pytest.mark.parametrize(
        "case",
        [case for name, case in hostile_archives().items() if name != "bomb"],
        ids=lambda case: case.name,
    )
    def test_case(self, case: Hostile, tmp_path: Path) -> None:
        """Each case is written; those with stated contents are legal to the standard library."""
        assert case.verdict in {REFUSE, ACCEPT, EITHER}
        assert case.contents is None or case.verdict != REFUSE
        assert case.contents is not None or case.verdict != ACCEPT
        archive = case(tmp_path)
        assert archive.is_file()
        if case.verdict == ACCEPT:
            assert case.contents is not None
            assert _contents(archive) == dict(case.contents)

    @pytest.mark.slow
    def test_bomb(self, tmp_path: Path) -> None:
        archive = hostile_archives()["bomb"](tmp_path)
        assert archive.stat().st_size < 4 << 20
        with tarfile.open(archive) as tar:
            assert tar.getmember("python/lib/python3.13/bomb").size >= 1 << 30

    def test_no_case_equals_the_good_archive(self, tmp_path: Path) -> None:
        good = good_archive(tmp_path / "good").read_bytes()
        for case in hostile_archives().values():
            if case.name not in {"bomb", "zip-bomb"}:
                assert case(tmp_path / case.name).read_bytes() != good, case.name

    def test_truncations_are_shorter(self, tmp_path: Path) -> None:
        whole = good_archive(tmp_path).read_bytes()
        for length, data in truncations():
            assert data == whole[:length]
            assert length < len(whole)


def _contents(archive: Path) -> dict[str, bytes]:
    data = archive.read_bytes()
    if archive.suffix == ".zst":
        data = _unzstd(data)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() or member.islnk() else None
            if stream is not None:
                found[member.name] = stream.read()
    return found


class TestMembers:
    def test_modes_and_links_survive_zip_and_7z(self, tmp_path: Path) -> None:
        unzip = shutil.which("unzip")
        require(unzip, "the command unzip")
        members = [Member("a/file", b"data\n", 0o775), link("a/link", "file")]
        archive = write_archive(members, tmp_path / "x.zip", ".zip")
        run(str(unzip), "-q", archive, "-d", tmp_path / "out")
        assert (tmp_path / "out/a/link").readlink() == Path("file")
        assert (tmp_path / "out/a/file").stat().st_mode & 0o111
