from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
import tomli

import kitbag_bundles
import kitbag_installer
from kitbag_bundles.errors import FileSystemError
from kitbag_packer.pyz import build_installer, zip_stored
from support.interpreters import Interpreter, find_interpreters
from support.require import require, require_command

INSTALLER = build_installer()


def files_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_holds_the_sources_and_nothing_else() -> None:
    expected = {"__main__.py", "tomli/LICENSE"}
    for package in (kitbag_bundles, kitbag_installer, tomli):
        folder = Path(str(package.__file__)).parent
        expected |= {str(path.relative_to(folder.parent)) for path in folder.rglob("*.py")}
    files = files_of(INSTALLER)
    assert set(files) == expected
    assert "tomli/_parser.py" in files
    assert (
        files["kitbag_bundles/keys.py"]
        == (Path(kitbag_bundles.__file__).parent / "keys.py").read_bytes()
    )
    assert b"MIT License" in files["tomli/LICENSE"]


def test_it_is_reproducible() -> None:
    assert build_installer() == INSTALLER
    with zipfile.ZipFile(io.BytesIO(INSTALLER)) as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert all(info.compress_type == zipfile.ZIP_STORED for info in infos)
    assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in infos)


def test_leftovers_of_running_do_not_get_in(tmp_path: Path) -> None:
    """The same bytes from a copy with caches, from a zip, and in another process."""
    copy = tmp_path / "site"
    for package in ("kitbag_bundles", "kitbag_installer", "kitbag_packer"):
        folder = Path(str(sys.modules[package].__file__)).parent
        shutil.copytree(folder, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "kitbag_bundles" / "__pycache__").mkdir()
    (copy / "kitbag_bundles" / "__pycache__" / "x.py").write_bytes(b"")
    (copy / "kitbag_bundles" / "notes.txt").write_bytes(b"")
    keys = copy / "kitbag_bundles" / "keys.py"
    keys.write_bytes(keys.read_bytes().replace(b"\n", b"\r\n"))
    zipped = shutil.make_archive(str(tmp_path / "site"), "zip", copy)
    script = (
        "import sys; from kitbag_packer.pyz import build_installer;"
        "sys.stdout.buffer.write(build_installer())"
    )
    for place in (str(copy), zipped):
        done = subprocess.run(
            [sys.executable, "-B", "-c", script],
            env={**os.environ, "PYTHONPATH": place, "PYTHONHASHSEED": "7"},
            capture_output=True,
            check=True,
        )
        assert files_of(done.stdout) == files_of(INSTALLER)
        assert done.stdout == INSTALLER


def test_other_tools_read_it(tmp_path: Path) -> None:
    (tmp_path / "kitbag.pyz").write_bytes(INSTALLER)
    subprocess.run([require_command("unzip"), "-tqq", tmp_path / "kitbag.pyz"], check=True)


@pytest.mark.parametrize("interpreter", find_interpreters((3, 9)), ids=lambda each: each.minor)
def test_it_imports_with_nothing_but_the_standard_library(
    tmp_path: Path, interpreter: Interpreter
) -> None:
    """Every module, on every Python from 3.9, with site-packages out of the way."""
    path = tmp_path / "kitbag.pyz"
    path.write_bytes(INSTALLER)
    modules = sorted(
        name[:-3].replace("/", ".").removesuffix(".__init__")
        for name in files_of(INSTALLER)
        if name.startswith("kitbag_") and name.endswith(".py") and "__main__" not in name
    )
    script = (
        f"import sys; sys.path.insert(0, {str(path)!r}); import importlib\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "from kitbag_bundles import toml; assert toml.loads('a = 1') == {'a': 1}\n"
    )
    executable = str(interpreter.path)
    subprocess.run([executable, "-I", "-S", "-B", "-c", script], check=True, timeout=120)


def test_a_missing_licence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "files", lambda name: [])
    with pytest.raises(FileSystemError, match="tomli has lost its licence file"):
        build_installer()


def test_zip_stored_of_nothing() -> None:
    assert zip_stored({}) == b"PK\x05\x06" + bytes(18)


@pytest.mark.slow
def test_an_installed_wheel_makes_the_same_bytes(tmp_path: Path) -> None:
    require(find_spec("hatchling"), "hatchling")
    root = Path(__file__).parents[2]
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    venv.create(tmp_path / "venv", with_pip=False)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (wheel,) = tmp_path.glob("kitbag-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for path in metadata.files("tomli") or ():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(path.locate()), site / path)
    script = (
        "import sys; from kitbag_packer.pyz import build_installer;"
        "sys.stdout.buffer.write(build_installer())"
    )
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "python", "-I", "-c", script], capture_output=True, check=True
    )
    assert done.stdout == INSTALLER
