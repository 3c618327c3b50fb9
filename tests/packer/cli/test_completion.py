"""Completion as the shells themselves do it, with the scripts as they are written."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pexpect
import pytest

from kitbag_packer.cli import VERBS
from support.cli import assert_done, assert_refused, call
from support.require import require_command

if TYPE_CHECKING:
    from pathlib import Path

_ASK_BASH = """
source "$1"; shift
function=$(complete -p kitbag); function=${function#*-F }; function=${function%% *}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
"$function"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        ran = call("completion", shell)
        assert_done(ran)
        (folder / shell).write_text(ran.out)
    return folder


def _by_bash(scripts: Path, *words: str) -> set[str]:
    command = [require_command("bash"), "--norc", "-c", _ASK_BASH, "bash", scripts / "bash"]
    done = subprocess.run(
        [*command, "kitbag", *words], capture_output=True, text=True, check=False, timeout=30
    )
    assert not done.stderr
    return {line for line in done.stdout.splitlines() if line}


def _by_fish(scripts: Path, *words: str) -> set[str]:
    line = " ".join(["kitbag", *words])
    asked = f"source {scripts}/fish; complete -C '{line}'"
    done = subprocess.run(
        [require_command("fish"), "--no-config", "-c", asked],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return {line.split("\t")[0] for line in done.stdout.splitlines() if line}


@pytest.mark.parametrize("complete", [_by_bash, _by_fish])
def test_commands_options_choices_and_paths(complete, scripts, tmp_path):
    (tmp_path / "kit.kitbag").touch()
    (tmp_path / "kits").mkdir()
    assert complete(scripts, "in") == {"install", "installed"}
    assert complete(scripts, "") >= set(VERBS)
    assert complete(scripts, "uninstall", "--ro") == {"--root"}
    assert complete(scripts, "completion", "") == {"bash", "zsh", "fish"}
    assert complete(scripts, "cache", "") >= {"dir", "list", "prune", "clean"}
    for verb in ("install", "verify"):
        files = {found.rstrip("/") for found in complete(scripts, verb, f"{tmp_path}/ki")}
        assert files == {f"{tmp_path}/kit.kitbag", f"{tmp_path}/kits"}
    folders = complete(scripts, "uninstall", "--root", f"{tmp_path}/ki")
    assert {found.rstrip("/") for found in folders} == {f"{tmp_path}/kits"}


@pytest.mark.parametrize("complete", [_by_bash, _by_fish])
def test_names_of_environments(complete, scripts, tmp_path, monkeypatch):
    monkeypatch.setenv("KITBAG_ROOT", f"{tmp_path}/my root")
    assert complete(scripts, "run", "") == set()
    for name in ("sensors", "reports"):
        (tmp_path / "my root" / "envs" / name).mkdir(parents=True)
    assert complete(scripts, "run", "") == {"sensors", "reports"}
    assert complete(scripts, "run", "se") == {"sensors"}
    assert complete(scripts, "uninstall", "re") == {"reports"}
    monkeypatch.delenv("KITBAG_ROOT")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    (tmp_path / ".local/share/kitbag/python/envs/home").mkdir(parents=True)
    assert complete(scripts, "doctor", "ho") == {"home"}


def test_zsh_completes_at_the_tab_key(scripts, tmp_path, monkeypatch):
    monkeypatch.setenv("KITBAG_ROOT", str(tmp_path))
    (tmp_path / "envs" / "sensors").mkdir(parents=True)
    functions = tmp_path / "functions"
    functions.mkdir()
    (functions / "_kitbag").write_text((scripts / "zsh").read_text())
    zsh = pexpect.spawn(
        require_command("zsh"), ["-f", "-i"], encoding="utf-8", timeout=30, dimensions=(24, 200)
    )
    try:
        zsh.sendline(f"fpath=({functions} $fpath); autoload -U compinit; compinit -u")
        # What stands on the line after the Tab key goes into a file at Ctrl-X.
        zsh.sendline(f"show() {{ print -r -- $BUFFER > {tmp_path}/line; print rea''dy }}")
        zsh.sendline("zle -N show; bindkey '^X' show; print set''up")
        zsh.expect("setup\r\n")
        zsh.send("kitbag unins\t\x18")
        zsh.expect("ready\r\n")
        assert (tmp_path / "line").read_text().split() == ["kitbag", "uninstall"]
        zsh.send("--\t")
        zsh.expect("--root +-- the directory that holds installed builds")
        zsh.send("\x15kitbag run sen\t\x18")
        zsh.expect("ready\r\n")
        assert (tmp_path / "line").read_text().split() == ["kitbag", "run", "sensors"]
    finally:
        zsh.close(force=True)


def test_another_shell_is_refused():
    assert_refused(call("completion", "cmd"), 2, "SHELL", "bash")
