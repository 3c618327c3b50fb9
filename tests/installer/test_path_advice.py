from __future__ import annotations

import os
import subprocess

import pytest

from kitbag_installer.path_advice import is_on_path, path_advice, path_command
from support.require import require_command

_ASK = {"fish": "string join : $PATH", "tcsh": "printenv PATH"}


@pytest.mark.parametrize(
    "name", ["bin", "a b", "it's", "$HOME", 'quo"te', "back\\slash", "uml\xe4ut"]
)
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish", "ksh", "mksh", "dash"])
def test_the_command_does_it_in_the_shell_itself(shell, name, tmp_path):
    program = require_command(shell)
    folder = tmp_path / name
    folder.mkdir()
    ask = _ASK.get(shell, 'printf "%s\\n" "$PATH"')
    done = subprocess.run(
        [program, "-c", f"{path_command(str(folder), shell)}\n{ask}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )
    assert done.stdout.rstrip("\n").split(":")[0] == str(folder), done


def test_the_advice_names_the_shells_own_file(tmp_path):
    for shell, file in {
        "/bin/bash": "~/.bashrc",
        "/usr/bin/zsh": "${ZDOTDIR:-~}/.zshrc",
        "/bin/tcsh": "~/.tcshrc",
        "/bin/dash": "~/.profile",
        "/usr/bin/pwsh": "$PROFILE",
        "": "~/.profile",
    }.items():
        assert f" in {file} for good: " in path_advice(str(tmp_path), {"SHELL": shell})
    assert path_advice("/o/bin", {"SHELL": "/usr/bin/fish"}).endswith(": fish_add_path '/o/bin'")
    assert "setenv PATH '/a b':\"$PATH\"" in path_advice("/a b", {"SHELL": "/bin/csh"})
    assert "$env:PATH = 'it''s'" in path_command("it's", "pwsh")


def test_a_folder_is_on_path_by_whatever_name(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "other").symlink_to(folder)
    assert not is_on_path(str(folder), {"PATH": "/nowhere::/usr/bin"})
    assert not is_on_path(str(folder), {})
    assert is_on_path(str(folder), {"PATH": f"/nowhere:{tmp_path}/other"})
