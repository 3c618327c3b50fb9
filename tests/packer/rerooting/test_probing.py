"""Asking interpreters, and finding the one that is meant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kitbag_bundles.errors import KitbagError, UsageError
from kitbag_packer.rerooting import find_interpreter
from kitbag_packer.rerooting.probing import probe
from support.interpreters import running_interpreter
from support.require import require, require_command


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def answering(path: Path, implementation: str, version: tuple[int, ...]) -> Path:
    """A stand-in for an interpreter that this machine may not have."""
    answer = f'{{"implementation": "{implementation}", "version": {[*version, "final", 0]}}}'
    return script(path, f"#!/bin/sh\necho '{answer}'\n".replace("'final'", '"final"'))


def test_the_running_interpreter_answers() -> None:
    known = running_interpreter()
    found = probe(known.path)
    assert str(found.version) == known.full_version
    assert found.prefix == str(known.prefix)
    assert found.executable == known.path
    assert found.standard_library == str(known.stdlib)
    assert found.name == known.executable_name
    assert found.variable("prefix")


@pytest.mark.parametrize("copies", [False, True])
def test_a_virtual_environment_answers_for_its_base(tmp_path: Path, copies: bool) -> None:
    base = running_interpreter().path
    how = ["--copies"] if copies else []
    subprocess.run([base, "-m", "venv", "--without-pip", *how, tmp_path / "v"], check=True)
    assert probe(tmp_path / "v/bin/python") == probe(base)


def test_a_launcher_answers_for_what_it_starts(tmp_path: Path) -> None:
    base = running_interpreter().path
    shim = script(tmp_path / "python3", f'#!/bin/sh\nexec {base} "$@"\n')
    assert probe(shim) == probe(base)


def test_the_environment_takes_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sysconfig.py").write_text("raise SystemExit('caught')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONPLATLIBDIR", "lib65")
    monkeypatch.chdir(tmp_path)
    assert probe(running_interpreter().path).library_folder == "lib"


@pytest.mark.parametrize(
    ("implementation", "version", "message"),
    [
        ("pypy", (3, 11, 1), "is pypy 3.11.1; only an installed CPython"),
        ("cpython", (3, 7, 16), "is Python 3.7.16; the oldest that can be packed is 3.8"),
        ("unknown", (2, 7, 18), "only an installed CPython"),
    ],
)
def test_what_cannot_be_packed_is_told(
    tmp_path: Path, implementation: str, version: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        probe(answering(tmp_path / "python", implementation, version))


@pytest.mark.parametrize(
    "text", ["#!/bin/sh\necho nonsense\n", "#!/bin/sh\nexit 3\n", "#!/no/such/interpreter\n"]
)
def test_what_does_not_answer_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(KitbagError, match=r"/odd"):
        probe(script(tmp_path / "odd", text))


def test_what_is_no_python_at_all_does_not_show_the_question() -> None:
    with pytest.raises(KitbagError, match="does not answer") as caught:
        probe(Path(require_command("ls")))
    assert "import" not in str(caught.value)


def test_other_systems_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UsageError, match="on Linux only"):
        probe(Path(sys.executable))


def test_interpreters_are_found_by_file_folder_and_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = running_interpreter()
    assert find_interpreter(str(real.path)) == real.path
    found = find_interpreter(str(real.prefix))
    assert found is not None
    assert found.resolve() == real.path
    folder = tmp_path / "commands"
    folder.mkdir()
    (folder / "python3.99").symlink_to(real.path)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin")
    assert find_interpreter("python3.99") == folder / "python3.99"
    assert find_interpreter(str(tmp_path / "nothing")) is None
    assert find_interpreter("python3.98") is None
    assert find_interpreter("ls") is None


def test_a_folder_with_only_a_full_name_is_an_installation(tmp_path: Path) -> None:
    real = running_interpreter()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / real.executable_name).symlink_to(real.path)
    (tmp_path / "bin" / f"{real.executable_name}-config").write_text("")
    assert find_interpreter(str(tmp_path)) == tmp_path / "bin" / real.executable_name


def test_archives_and_other_files_are_not_interpreters(tmp_path: Path) -> None:
    archive = tmp_path / "cpython-3.13.5+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz"
    archive.write_bytes(b"\x1f\x8b")
    archive.chmod(0o755)
    assert find_interpreter(str(archive)) is None
    assert find_interpreter(str(tmp_path)) is None


def test_an_existing_folder_wins_over_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = running_interpreter()
    require(real.prefix.is_dir(), "needs an installed CPython")
    (tmp_path / "python").symlink_to(real.prefix)
    monkeypatch.chdir(tmp_path)
    found = find_interpreter("python")
    assert found is not None
    assert found.is_relative_to(tmp_path / "python")
