from __future__ import annotations

import fnmatch
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.pyz import build_installer, zip_stored
from kitbag_packer.writing import write_bundle, write_directory
from support.bundles import HEADER, bundle_members, packed_build
from support.interpreters import find_interpreters
from support.require import require, require_command
from support.synthetic import SYNTHETIC

if TYPE_CHECKING:
    from support.interpreters import Interpreter

SILENT = SilentReporter()
FAKE_CLI = b"""
import inspect
import json
import sys
import traceback


def fail():
    raise ValueError("on purpose")


def main(argv=None, *, bundle=None):
    try:
        fail()
    except ValueError:
        shown = traceback.format_exc()
    from kitbag_bundles import keys, toml
    from kitbag_bundles.bundle import Bundle

    names = []
    if bundle is not None:
        with Bundle.open(bundle) as opened:
            names = opened.names()
    print(json.dumps({
        "argv": sys.argv[1:],
        "bundle": bundle,
        "names": names,
        "file": __file__,
        "source": inspect.getsource(fail),
        "traceback": shown,
        "path": sys.path,
        "toml": toml.loads("a = 1"),
        "zipfile": "zipfile" in sys.modules,
    }))
    return 7
"""


def _fake_installer() -> bytes:
    with zipfile.ZipFile(io.BytesIO(build_installer())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    kept = {
        name: data for name, data in files.items() if not name.startswith("kitbag_installer/cli/")
    }
    return zip_stored({**kept, "kitbag_installer/cli.py": FAKE_CLI})


MEMBERS = bundle_members([packed_build()], installer=_fake_installer())
FORMS = ["header", "plain", "folder", "main"]


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forms with space")
    write_bundle(folder / "header", MEMBERS, header=HEADER, reporter=SILENT)
    write_bundle(folder / "plain", MEMBERS, reporter=SILENT)
    write_directory(folder / "folder", MEMBERS, reporter=SILENT)
    return folder


def start(form: str) -> str:
    return "folder/__main__.py" if form == "main" else form


def run(command: list[str], folder: Path, status: int = 7, **env: str) -> dict[str, Any]:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def check(result: dict[str, Any], bundle: Path) -> None:
    assert result["bundle"] == str(bundle)
    assert result["names"] == [member.name for member in MEMBERS]
    assert result["file"] == f"{bundle}/kitbag.pyz/kitbag_installer/cli.py"
    assert result["source"].startswith("def fail():")
    assert f'File "{result["file"]}", line 9, in fail' in result["traceback"]
    assert 'raise ValueError("on purpose")' in result["traceback"]
    assert result["toml"] == {"a": 1}
    assert str(bundle) not in result["path"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [[], ["-I", "-S", "-B"]], ids=["", "isolated"])
@pytest.mark.parametrize("interpreter", find_interpreters((3, 9)), ids=lambda each: each.minor)
def test_a_bundle_runs(
    forms: Path, form: str, options: list[str], interpreter: Interpreter
) -> None:
    bundle = forms / ("folder" if form == "main" else form)
    executable = str(interpreter.path)
    before = sorted(forms.rglob("*"))
    for path in (start(form), str(forms / start(form)), f"../{forms.name}/{start(form)}"):
        result = run([executable, *options, path, "show", "--json"], forms)
        check(result, bundle)
        assert result["argv"] == ["show", "--json"]
        assert not (options and result["zipfile"])
    # Nothing is unpacked and nothing is cached.
    assert sorted(forms.rglob("*")) == before


def test_a_folder_runs_from_within(forms: Path, interpreter: Interpreter) -> None:
    for path in (".", "./", "__main__.py"):
        check(run([str(interpreter.path), path], forms / "folder"), forms / "folder")


def test_what_lies_beside_is_not_imported(
    forms: Path, tmp_path: Path, interpreter: Interpreter
) -> None:
    """Neither files of the bundle's folder nor an installed kitbag take the place of ours."""
    folder = tmp_path / "folder"
    shutil.copytree(forms / "folder", folder)
    site = tmp_path / "site"
    for module in ("struct", "json", "hashlib", "kitbag_installer", "tomli"):
        (folder / f"{module}.py").write_text("raise SystemExit('hijacked')\n")
    for module in ("kitbag_installer", "kitbag_bundles"):
        (site / module).mkdir(parents=True)
        (site / module / "__init__.py").write_text("raise SystemExit('hijacked')\n")
    done = subprocess.run(
        [str(interpreter.path), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    # The bundle's own reader is the one that complains of the foreign files.
    assert "has a member that does not belong there" in done.stderr
    assert "hijacked" not in done.stderr


def test_the_installer_runs_by_itself(forms: Path, interpreter: Interpreter) -> None:
    result = run([str(interpreter.path), "kitbag.pyz", "show"], forms / "folder")
    assert (result["bundle"], result["argv"]) == (None, ["show"])


def _old_pythons() -> list[tuple[str, Path]]:
    """Version and path of the Pythons that are too old, as far back as there are."""
    found = {each.minor: each.path for each in find_interpreters((3, 0)) if each.version < (3, 9)}
    seconds = [*Path(sys.base_prefix).parent.glob("2.7*/bin/python2.7")]
    second = shutil.which("python2.7")
    seconds += [Path(second)] if second and "shims" not in second else []
    found.update([("2.7", each) for each in seconds])
    return sorted(found.items())


@pytest.mark.parametrize("form", ["folder", "main", "pyz", "plain", "header"])
def test_old_pythons_say_what_is_needed(forms: Path, form: str) -> None:
    path = "folder/kitbag.pyz" if form == "pyz" else start(form)
    tried = 0
    for version, executable in _old_pythons():
        if form in ("plain", "header") and version != "3.8":
            # zipimport learnt to read a zip with a comment in 3.8.
            continue
        done = subprocess.run(
            [executable, path], cwd=forms, capture_output=True, text=True, check=False
        )
        assert done.returncode == 5, (executable, done.stderr)
        assert done.stderr == (
            f"kitbag needs Python 3.9 or newer, and this is {version}: start it with a newer one.\n"
        )
        tried += 1
    require(tried, "a Python older than 3.9")


_TOOLS = ("cat", "dd", "ls", "mkdir", "mkfifo", "rm", "rmdir", "sha256sum", "tar", "uname")


def _bin(folder: Path, **commands: str) -> str:
    """A folder for PATH that has the tools of a bare host, and these commands."""
    busybox = require_command("busybox")
    folder.mkdir()
    for name in _TOOLS:
        (folder / name).symlink_to(busybox)
    for name, target in commands.items():
        (folder / name.replace("_", ".")).symlink_to(target)
    return str(folder)


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "busybox"])
@pytest.mark.parametrize("name", ["python3", "python3_9", "python3_13", "python"])
def test_install_sh_finds_a_python(
    forms: Path, tmp_path: Path, interpreter: Interpreter, shell: str, name: str
) -> None:
    command = [require_command(shell), *(["sh"] if shell == "busybox" else [])]
    false = require_command("false")
    others = {"python3": false} if name != "python3" else {}
    path = _bin(tmp_path / "bin", **{name: str(interpreter.path)}, **others)
    script = str(forms / "folder" / "install.sh")
    result = run([*command, script, "--root", "a b"], tmp_path, PATH=path)
    assert result["argv"] == ["--root", "a b"]
    assert result["bundle"] == str(forms / "folder")
    inside = run([*command, "install.sh", "install"], forms / "folder", PATH=path)
    assert inside["argv"] == ["install"]


def test_install_sh_is_executable(forms: Path, tmp_path: Path, interpreter: Interpreter) -> None:
    path = _bin(tmp_path / "bin", python3=str(interpreter.path))
    run([str(forms / "folder" / "install.sh")], tmp_path, PATH=path)


def test_install_cmd_is_for_windows() -> None:
    (source,) = (member for member in MEMBERS if member.name == "install.cmd")
    text = source.open().read().decode("ascii")
    assert text.startswith("@echo off\r\n")
    assert text.count("\r\n") == text.count("\n")
    assert 'set "here=%~dp0"' in text
    assert '"%python%" -I -S -B "%here%__main__.py" install %*' in text
    assert "exit /b 5\r\n" in text
    # Every label that is jumped to is there, and the other way round.
    jumps = set(re.findall(r"(?:goto|call) :(\w+)", text))
    assert jumps == set(re.findall(r"^:(\w+)\r$", text, re.MULTILINE))
    # Names of archives that it looks for are those that upstream gives them.
    (pattern,) = re.findall(r"archives\\(cpython-[^\"]+)\"", text)
    for cpu in ("x86_64", "aarch64", "i686"):
        found = fnmatch.filter(
            [each.filename for each in SYNTHETIC.values()], pattern.replace("%cpu%", cpu)
        )
        assert len(found) == 1, cpu
