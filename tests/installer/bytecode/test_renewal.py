import hashlib
import os
import struct
import sys
from pathlib import Path

import pytest

from kitbag_bundles.keys import BuildKey
from kitbag_installer.bytecode.compiling import compile_files
from kitbag_installer.bytecode.renewal import renew

KEY = BuildKey.parse("cpython-3.13.5-linux-x86_64-gnu")
NAMES = ("lib/one.py", "lib/two.py", "lib/three.py")


@pytest.fixture
def tree(tmp_path) -> Path:
    folder = tmp_path / "tree"
    (folder / "lib").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin/python3.13").symlink_to(sys.executable)
    for name in NAMES:
        (folder / name).write_text("x = 1\n")
    return folder


def compiled(tree: Path, mode: str) -> dict[str, str]:
    return compile_files(sys.executable, os.fspath(tree), NAMES, home="/old", mode=mode).files


def flags(path: Path) -> int:
    found: int = struct.unpack("<I", path.read_bytes()[4:8])[0]
    return found


@pytest.mark.parametrize(
    ("mode", "kept"), [("timestamp", 0), ("checked-hash", 3), ("unchecked-hash", 3)]
)
def test_what_changed_is_compiled_anew_in_its_mode_but_never_unchecked(tree, tmp_path, mode, kept):
    old = compiled(tree, mode)
    one, two, three = (tree / path for path in old)
    os.link(one, tmp_path / "shared")
    shared = (tmp_path / "shared").read_bytes()
    # As long as the old one, and of the same second.
    times = (tree / NAMES[0]).stat()
    (tree / NAMES[0]).write_text("x = 2\n")
    os.utime(tree / NAMES[0], ns=(times.st_atime_ns, times.st_mtime_ns))
    before = two.read_bytes(), three.read_bytes()
    new = renew(KEY, os.fspath(tree), "/new", dict(old), {NAMES[0], "lib/not compiled.py"})
    assert new.keys() == old.keys()
    assert new != old
    assert new[os.fspath(one.relative_to(tree))] == hashlib.sha256(one.read_bytes()).hexdigest()
    assert flags(one) == kept
    assert b"/new/lib/one.py" in one.read_bytes()
    assert (two.read_bytes(), three.read_bytes()) == before
    assert (tmp_path / "shared").read_bytes() == shared


def test_what_cant_be_compiled_any_more_is_gone(tree):
    old = compiled(tree, "timestamp")
    (tree / NAMES[1]).write_text("def (:\n")
    new = renew(KEY, os.fspath(tree), "/new", dict(old), {NAMES[1]})
    (gone,) = old.keys() - new.keys()
    assert not (tree / gone).exists()
    # An interpreter that does not run here.
    (tree / "bin/python3.13").unlink()
    last = renew(KEY, os.fspath(tree), "/new", dict(new), NAMES)
    assert last == {}
    assert not list(tree.rglob("*.pyc"))


def test_nothing_is_started_for_nothing(tree):
    old = compiled(tree, "timestamp")
    (tree / "bin/python3.13").unlink()
    assert renew(KEY, os.fspath(tree), "/new", dict(old), {"lib/other.py"}) == old
