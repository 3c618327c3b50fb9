import io
import os
import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from kitbag_installer.launcher import (
    COMMAND,
    PYZ,
    is_command_of,
    keep_commands,
    leave_kitbag,
    remove_command,
    write_command,
)
from kitbag_installer.roots import Root
from support.require import require, require_command

SHELLS = {"sh": ["sh"], "busybox": ["busybox", "sh"], "bash": ["bash", "--posix"]}
NAMES = [
    "plain",
    "with space",
    "it's",
    'double "quotes"',
    "caf\xe9 \u2603",
    "$HOME`id`$(id)",
    "back\\slash",
    "star*[a-z]?",
    "-dash",
    "semi;colon&",
]


def pyz(version: str = "1.2.3", extra: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("kitbag_bundles/__init__.py", f'"""Doc."""\n\n__version__ = "{version}"\n')
        archive.writestr("__main__.py", extra)
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path):
    root = Root(str(tmp_path / "root"))
    root.prepare()
    return root


def stand_in(root: Root, key: str) -> None:
    """A python3 that tells who it is and what it was asked."""
    program = Path(root.install_path(key), "bin", "python3")  # type: ignore[arg-type]
    program.parent.mkdir(parents=True)
    program.write_text(
        f'#!/bin/sh\necho {key}\nfor word in "$@"; do echo "<$word>"; done\nexit 7\n'
    )
    program.chmod(0o755)


def run(shell: str, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [require_command(SHELLS[shell][0]), *SHELLS[shell][1:], command, *arguments]
    return subprocess.run(words, capture_output=True, text=True)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", NAMES)
def test_the_command_runs_the_kitbag_of_its_root(shell, name, tmp_path):
    root = Root(str(tmp_path / name))
    root.prepare()
    stand_in(root, "cpython-3.13.5-linux-x86_64-gnu")
    command = write_command(root, str(tmp_path / "bin"), force=False)
    done = run(shell, command, "verify", "a b", "", "it's", "*")
    assert done.stdout.splitlines() == [
        "cpython-3.13.5-linux-x86_64-gnu",
        *("<-I>", "<-S>", "<-B>"),
        f"<{root.path}/.kitbag/kitbag.pyz>",
        *("<verify>", "<a b>", "<>", "<it's>", "<*>"),
    ]
    assert (done.returncode, done.stderr) == (7, "")


def test_the_command_starts_as_a_program(root, tmp_path):
    stand_in(root, "cpython-3.13.5-linux-x86_64-gnu")
    command = write_command(root, str(tmp_path / "bin"), force=False)
    done = subprocess.run([command], capture_output=True, text=True)
    assert done.returncode == 7
    assert os.stat(command).st_mode & 0o777 == 0o755


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["3.9.20", "3.13.5", "3.12.1"], "3.13.5"),
        (["3.9.20"], "3.9.20"),
        (["3.9.20", "3.10.1"], "3.10.1"),
        (["3.8.20", "3.9.1"], "3.9.1"),
        (["3.14.0rc1", "3.13.5"], "3.14.0rc1"),
    ],
)
def test_it_takes_the_newest_python(shell, keys, expected, root, tmp_path):
    for version in keys:
        stand_in(root, f"cpython-{version}-linux-x86_64-gnu")
    command = write_command(root, str(tmp_path / "bin"), force=False)
    assert f"cpython-{expected}-linux" in run(shell, command).stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["pypy-3.10.14", "pypy-3.9.19"], "pypy-3.10.14"),
        (["pypy-3.11.15", "cpython-3.9.20"], "cpython-3.9.20"),
        (["pypy-3.11.15", "cpython-3.8.20"], "pypy-3.11.15"),
    ],
)
def test_a_pypy_will_do(shell, keys, expected, root, tmp_path):
    for key in keys:
        stand_in(root, f"{key}-linux-x86_64-gnu")
        folder = Path(root.path, f"{key}-linux-x86_64-gnu", "bin")
        (folder / "python").symlink_to("python3")
    command = write_command(root, str(tmp_path / "bin"), force=False)
    assert run(shell, command).stdout.startswith(f"{expected}-linux")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "keys", [[], ["cpython-3.8.20-linux-x86_64-gnu"], ["graalpy-3.11.0-linux-x86_64-gnu"]]
)
def test_without_a_python_it_says_what_to_do(shell, keys, root, tmp_path):
    for key in keys:
        stand_in(root, f"{key}-x86_64-gnu")
    done = run(shell, write_command(root, str(tmp_path / "bin"), force=False))
    assert done.returncode == 5
    assert done.stderr == (
        f"kitbag: no CPython or PyPy 3.9 or newer is installed in {root.path}; "
        "use the bundle instead\n"
    )


def test_a_python_that_may_not_run_is_none(root, tmp_path):
    require(os.path.exists("/bin/sh"), "a shell")
    stand_in(root, "cpython-3.13.5-linux-x86_64-gnu")
    Path(root.path, "cpython-3.13.5-linux-x86_64-gnu", "bin", "python3").chmod(0o644)
    assert run("sh", write_command(root, str(tmp_path / "bin"), force=False)).returncode == 5


def test_the_command_is_written_once_and_removed_by_its_own_root(root, tmp_path):
    folder = str(tmp_path / "bin")
    command = write_command(root, folder, force=False)
    inode = os.stat(command).st_ino
    assert write_command(root, folder, force=False) == command == f"{folder}/{COMMAND}"
    assert os.stat(command).st_ino == inode
    other = Root(str(tmp_path / "other"))
    other.prepare()
    assert not remove_command(other, folder)
    assert write_command(other, folder, force=False) == command
    assert not remove_command(root, folder)
    assert remove_command(other, folder)
    assert not remove_command(other, folder)
    assert os.listdir(folder) == []


def test_commands_are_kept_right_where_they_are_this_roots(root, tmp_path):
    folder, other = str(tmp_path / "bin"), Root(str(tmp_path / "other"))
    other.prepare()
    keep_commands(root, [folder])
    assert not os.path.lexists(folder)
    os.mkdir(folder)
    keep_commands(root, [folder])
    keep_commands(other, [folder])
    assert is_command_of(root, f"{folder}/{COMMAND}")
    keep_commands(other, [folder], [root.path])
    assert is_command_of(other, f"{folder}/{COMMAND}")


@pytest.mark.parametrize("kind", ["file", "large", "link", "folder"])
def test_a_command_of_someone_else_stays(kind, root, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    place = folder / COMMAND
    if kind == "folder":
        place.mkdir()
    elif kind == "link":
        (tmp_path / "theirs").write_text("# Made by kitbag, which replaces it as it likes.")
        place.symlink_to(tmp_path / "theirs")
    else:
        place.write_bytes(b"theirs" if kind == "file" else bytes(100_000))
    assert write_command(root, str(folder), force=False) == ""
    assert not remove_command(root, str(folder))
    if kind != "folder":
        assert write_command(root, str(folder), force=True) == str(place)
        assert not place.is_symlink()


def test_kitbag_stays_in_the_root(root):
    assert leave_kitbag(root, pyz("1.2.3"))
    place = Path(root.own, PYZ)
    assert place.read_bytes() == pyz("1.2.3")
    assert place.stat().st_mode & 0o777 == 0o644
    assert not leave_kitbag(root, pyz("1.2.3"))


@pytest.mark.parametrize(
    ("present", "new", "replaced"),
    [
        ("1.2.3", "1.2.4", True),
        ("1.2.3", "1.10.0", True),
        ("1.10.0", "1.9.9", False),
        ("1.2.3", "1.2.3", True),
        ("0.1.0.dev1", "0.1.0", True),
    ],
)
def test_an_older_kitbag_does_not_replace_a_newer_one(root, present, new, replaced):
    leave_kitbag(root, pyz(present))
    assert leave_kitbag(root, pyz(new, "# other bytes")) == replaced
    expected = pyz(new, "# other bytes") if replaced else pyz(present)
    assert Path(root.own, PYZ).read_bytes() == expected


def test_a_damaged_kitbag_is_replaced(root):
    whole = pyz("9.9.9")
    chance = random.Random(1)
    damaged = [b"", b"PK", whole[:50], whole[:-30], b"not a zip"]
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(4):
            data[chance.randrange(len(data))] = chance.randrange(256)
        damaged.append(bytes(data))
    for data in damaged:
        os.makedirs(root.own, exist_ok=True)
        Path(root.own, PYZ).write_bytes(data)
        leave_kitbag(root, pyz("1.0.0"))
    Path(root.own, PYZ).write_bytes(whole[:-30])
    assert leave_kitbag(root, pyz("1.0.0"))
    shutil.rmtree(root.own)
