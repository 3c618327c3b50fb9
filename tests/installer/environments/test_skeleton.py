"""The empty environment is the one that the interpreter's own `venv` makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kitbag_bundles.errors import ArchiveError
from kitbag_bundles.keys import BuildKey
from kitbag_installer.environments.layout import layout_of
from kitbag_installer.environments.skeleton import filled, is_planted, plant
from kitbag_installer.environments.venvs import lay_under, make_by_venv
from kitbag_installer.hosts import this_host
from support.interpreters import packable_interpreters

HOST = this_host()
INTERPRETERS = {each.minor: each for each in reversed(packable_interpreters((3, 9)))}


def key_of(version: str) -> BuildKey:
    return BuildKey.parse(f"cpython-{version}-{HOST.os}-{HOST.arch}-{HOST.libc}")


def contents(tree: Path) -> dict[str, bytes | str]:
    """Files and links by path; what is particular to how it was made is left out."""
    found: dict[str, bytes | str] = {}
    for folder, folders, names in os.walk(tree):
        for name in [*names, *folders]:
            path = Path(folder, name)
            inside = path.relative_to(tree).as_posix()
            if path.is_symlink():
                found[inside] = os.readlink(path)
            elif path.is_file():
                found[inside] = path.read_bytes()
    cfg = found["pyvenv.cfg"]
    assert isinstance(cfg, bytes)
    lines = cfg.decode().splitlines()
    found["pyvenv.cfg"] = "\n".join(
        line for line in lines if not line.startswith(("command", "executable"))
    )
    return found


@pytest.mark.parametrize("minor", sorted(INTERPRETERS))
def test_it_is_what_venv_makes(tmp_path, minor):
    one = INTERPRETERS[minor]
    home = tmp_path / "app"
    program = one.prefix / "bin" / f"python{minor}"
    command = [program, "-I", "-m", "venv", "--without-pip", "--prompt", "app", home]
    subprocess.run(command, check=True)
    (home / ".gitignore").unlink(missing_ok=True)
    expected = contents(home)
    shutil.rmtree(home)
    key = key_of(one.full_version)
    tree = tmp_path / "tree"
    laid = plant(key, str(one.prefix), str(tree), str(home), "app", layout_of(key))
    assert contents(tree) == expected
    assert sorted([*laid.files, *laid.links]) == sorted(expected)
    tree.rename(home)
    for name in ("python", "python3", f"python{minor}"):
        said = subprocess.run(
            [home / "bin" / name, "-I", "-c", "import sys; print(sys.prefix, sys.base_prefix)"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert said.stdout == f"{home} {one.prefix}\n"


@pytest.mark.parametrize("place", ["plain", "ein Örtchen für '$x' 東"])
@pytest.mark.parametrize("minor", sorted(INTERPRETERS)[::2])
def test_activating_it_works_in_any_place(tmp_path, minor, place):
    one = INTERPRETERS[minor]
    home = tmp_path / place / "app"
    key = key_of(one.full_version)
    plant(key, str(one.prefix), str(home), str(home), "app", layout_of(key))
    script = '. "$1/bin/activate" && command -v python && echo "$VIRTUAL_ENV"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", home], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{home}/bin/python", str(home)]


@pytest.mark.parametrize(
    ("template", "script", "expected"),
    [
        ('V="__VENV_DIR__"', "activate", 'V="/a \\"b\\\\\\$"'),
        ("V=__VENV_DIR__", "activate", "V='/a \"b\\$'"),
        ('set p = "("__VENV_PROMPT__") $prompt:q"', "activate.csh", 'set p = "("app") $prompt:q"'),
        ('p = "__VENV_PROMPT__$prompt"', "activate.csh", 'p = "(app) $prompt"'),
        ("$x = __VENV_DIR__", "Activate.ps1", "$x = '/a \"b\\$'"),
        ("no variables", "activate", "no variables"),
    ],
)
def test_old_and_new_templates_are_filled(template, script, expected):
    values = dict.fromkeys(("DIR", "NAME", "BIN_NAME", "PYTHON"), '/a "b\\$')
    assert filled(template, script, {**values, "PROMPT": "app"}) == expected


def test_what_a_wheel_has_put_there_is_not_written_over(tmp_path):
    one = next(iter(INTERPRETERS.values()))
    key = key_of(one.full_version)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_bytes(b"evil")
    with pytest.raises(ArchiveError, match="bin/python: a wheel brings this file"):
        plant(key, str(one.prefix), str(tmp_path), "/app", "app", layout_of(key))
    assert (tmp_path / "bin" / "python").read_bytes() == b"evil"


def test_a_build_without_venv_gets_no_scripts(tmp_path):
    key = key_of("3.13.5")
    base, tree = tmp_path / "base", tmp_path / "tree"
    (base / "bin").mkdir(parents=True)
    (base / "bin" / "python3.13").symlink_to(sys.executable)
    laid = plant(key, str(base), str(tree), "/app", "app", layout_of(key))
    assert laid.files == ["pyvenv.cfg"]
    assert sorted(os.listdir(tree / "bin")) == ["python", "python3", "python3.13"]


def test_others_are_made_by_their_own_venv(tmp_path):
    assert not is_planted(BuildKey.parse("pypy-3.11.13-linux-x86_64-gnu"))
    assert not is_planted(BuildKey.parse("cpython-3.13.5-windows-x86_64-none"))
    one = next(iter(INTERPRETERS.values()))
    key, layout = key_of(one.full_version), layout_of(key_of(one.full_version))
    beside, tree, home = tmp_path / "beside", tmp_path / "tree", tmp_path / "home"
    make_by_venv(key, str(one.prefix), str(beside), str(home), "app")
    (tree / "bin").mkdir(parents=True)
    laid = lay_under(str(beside), str(tree), layout)
    other = tmp_path / "other"
    plant(key, str(one.prefix), str(other), str(home), "app", layout)
    assert contents(tree) == contents(other)
    assert set(laid.placed) >= {"pyvenv.cfg", "bin/activate"}
