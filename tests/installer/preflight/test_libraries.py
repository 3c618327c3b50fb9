import os
import subprocess
from pathlib import Path

import pytest

from kitbag_installer.hosts import elf_interpreter
from kitbag_installer.preflight.libraries import missing_libraries
from support.elf import CPUS, make_elf
from support.require import require, require_command


@pytest.fixture
def loader() -> str:
    found = elf_interpreter(os.path.realpath("/bin/sh"))
    require("ld-linux" in found, "a dynamically linked shell")
    return found


def test_this_systems_own_libraries_are_found(loader):
    cache = require_command("ldconfig")
    listed = subprocess.run([cache, "-p"], capture_output=True, text=True, check=True).stdout
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout
    flavor = {"x86_64": "x86-64", "aarch64": "AArch64"}.get(machine.strip(), "libc6")
    names = [line.split()[0] for line in listed.splitlines()[1:] if flavor in line and "=>" in line]
    assert len(names) > 10
    # The loader itself is listed as well.
    assert missing_libraries(names, loader) == ()
    assert missing_libraries(["libc.so.6", "libnever.so.1"], loader) == ("libnever.so.1",)


def test_what_the_environment_names(loader, tmp_path, monkeypatch):
    (tmp_path / "libmine.so.1").write_bytes(Path(loader).read_bytes()[:64])
    assert missing_libraries(["libmine.so.1"], loader) == ("libmine.so.1",)
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere:{tmp_path}")
    assert missing_libraries(["libmine.so.1"], loader) == ()


def test_one_for_another_machine_does_not_count(loader, tmp_path, monkeypatch):
    other = "aarch64" if "x86" in loader else "x86_64"
    assert other in CPUS
    (tmp_path / "libmine.so.1").write_bytes(make_elf(other, needed=["libc.so.6"]))
    (tmp_path / "libtext.so.1").write_text("INPUT(libmine.so.1)\n")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    wanted = ("libmine.so.1", "libtext.so.1")
    assert missing_libraries(wanted, loader) == wanted


def test_the_cache_of_ldconfig(loader, tmp_path):
    """Its texts end with NUL; a name may be the end of a path. What is gone does not count."""
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "libmine.so.1").write_bytes(Path(loader).read_bytes()[:64])
    cache = tmp_path / "ld.so.cache"
    paths = ["/gone/libmine.so.1", f"{folder}/libmine.so.1", f"{folder}/libmine.so.2"]
    cache.write_bytes(b"glibc-ld.so.cache1.1" + b"\0".join([b"", *map(str.encode, paths), b""]))
    wanted = ["libmine.so.1", "libmine.so.2", "mine.so.1"]
    assert missing_libraries(wanted, loader, cache=str(cache)) == ("libmine.so.2", "mine.so.1")


def test_damaged_caches_are_no_reason_to_fail(loader, tmp_path):
    cache = tmp_path / "ld.so.cache"
    for data in (b"", b"\0", b"/libnever.so.1", b"libnever.so.1\0", b"\xff/libnever.so.1\0\0"):
        cache.write_bytes(data)
        assert missing_libraries(["libnever.so.1"], loader, cache=str(cache)) == ("libnever.so.1",)
    assert missing_libraries(["libnever.so.1"], "", cache=str(tmp_path)) == ("libnever.so.1",)


def test_musl_has_its_own_directories(tmp_path):
    loader = tmp_path / "ld-musl-none.so.1"
    loader.write_bytes(make_elf("x86_64", needed=[]))
    assert missing_libraries(["libnever.so.1"], str(loader)) == ("libnever.so.1",)
