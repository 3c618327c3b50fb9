"""``kitbag pack --bytecode``, and every other verb on what it makes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from kitbag_bundles.bundle import Bundle
from support.bundles import with_sums
from support.commands import run_kitbag
from support.crafting import write_raw
from support.handover import COMPILED, KEY, VERSION, compilable
from support.members import below, write_archive
from support.synthetic import make_synthetic_archive
from support.trees import windows_members

if TYPE_CHECKING:
    from pathlib import Path

    from support.commands import Done

MEMBER = f"meta/bytecode/{KEY}.tar.gz"
WINDOWS = f"cpython-{VERSION}-windows-x86_64-none"


class Desk:
    """A folder, an archive in it, and kitbag."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.archive = compilable(folder / "archives").archive
        self.out = folder / "x.kitbag"
        self._capfd = capfd

    def run(self, *words: object) -> Done:
        return run_kitbag(self._capfd, *words)

    def pack(self, *words: object) -> Done:
        source = ("--from", self.archive, "--key", KEY, "-o", self.out)
        return self.run("pack", *source, "--bytecode", *words)

    def bytecode(self, path: Path | None = None) -> Any:
        with Bundle.open(path or self.out) as bundle:
            return bundle.manifest.builds[0].bytecode


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capfd)


def test_it_is_told_packed_shown_and_verified(desk: Desk) -> None:
    done = desk.pack()
    count = len(COMPILED)
    assert f"{KEY}: {count} files compiled by cpython-{VERSION}, " in done.err
    assert f", bytecode of {count} files: " in done.out
    shown = desk.run("show", desk.out)
    assert f"\n  bytecode  {count} files by cpython-{VERSION}, checked-hash (" in shown.out
    table = desk.run("show", desk.out, "--json").json
    (build,) = table["build"]
    assert build["bytecode"]["member"] == MEMBER
    assert table["members"][MEMBER] == build["bytecode"]["size"]
    assert desk.run("verify", desk.out).status == 0
    assert desk.run("verify", desk.out, "--json").json


def test_without_it_there_is_nothing(desk: Desk) -> None:
    assert desk.pack("--no-bytecode").status == 0
    assert desk.bytecode() is None
    assert "bytecode" not in desk.run("show", desk.out).out


@pytest.mark.parametrize(
    ("name", "value", "mode"),
    [
        ("PYC_INVALIDATION_MODE", "UNCHECKED_HASH", "unchecked-hash"),
        ("PYC_INVALIDATION_MODE", "checked-hash", "checked-hash"),
        ("SOURCE_DATE_EPOCH", "0", "checked-hash"),
    ],
)
def test_the_mode_of_the_environment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str, mode: str
) -> None:
    monkeypatch.setenv(name, value)
    assert desk.pack().status == 0
    assert desk.bytecode().mode == mode


@pytest.mark.parametrize("value", ["TIMESTAMP", "sometimes"])
def test_modes_that_make_no_sense(desk: Desk, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PYC_INVALIDATION_MODE", value)
    done = desk.pack()
    assert done.status == 2
    assert "PYC_INVALIDATION_MODE" in done.err
    assert not desk.out.exists()


def test_nothing_that_can_be_compiled(desk: Desk) -> None:
    other = make_synthetic_archive("pyodide", desk.folder / "archives")
    key = "pyodide-3.13.2-emscripten-wasm32-musl"
    done = desk.run("pack", "--from", other, "--key", key, "-o", desk.out, "--bytecode")
    assert done.status == 4
    assert "has no Python files to compile" in done.err
    assert not desk.out.exists()


def test_two_runs_give_the_same_bytes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    desk.pack("-q")
    first = desk.out.read_bytes()
    monkeypatch.chdir(tmp_path / "archives")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    desk.pack("-q", "--jobs", "1")
    assert desk.out.read_bytes() == first


@pytest.mark.parametrize(
    "words", [["--plain"], ["--format", "dir"], ["--format", "7z"], ["--volume-size", "4096"]]
)
def test_every_form_carries_it(desk: Desk, words: list[str]) -> None:
    name = {"dir": "folder", "7z": "x.7z"}.get(words[-1], "y.kitbag")
    out = desk.folder / name
    if words[0] == "--volume-size":
        words = ["--volume-size", "64kiB"]
    assert desk.run(
        "pack", "--from", desk.archive, "--key", KEY, "--bytecode", "-o", out, *words
    ).status == 0  # fmt: skip
    assert desk.run("verify", out).status == 0
    made = desk.bytecode(out)
    assert made.files == len(COMPILED)
    if name != "folder":
        plain = desk.folder / "converted"
        assert desk.run("convert", out, plain, "--format", "dir").status == 0
        assert desk.bytecode(plain) == made


def test_an_export_has_no_use_for_it(desk: Desk) -> None:
    desk.pack()
    mirror = desk.folder / "mirror"
    assert desk.run("export", desk.out, "--to", mirror).status == 0
    assert not [path for path in mirror.rglob("*") if "bytecode" in str(path)]


def test_a_damaged_member_is_found(desk: Desk) -> None:
    desk.pack("--plain")
    with Bundle.open(desk.out) as bundle:
        files = {name: bundle.read(name) for name in bundle.names() if name != "SHA256SUMS"}
    data = files[MEMBER]
    files[MEMBER] = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    wrong = desk.folder / "wrong.kitbag"
    write_raw(wrong, with_sums(files))
    done = desk.run("verify", wrong)
    assert done.status == 3
    assert MEMBER in done.err


def test_a_reader_that_knows_nothing_of_it(desk: Desk) -> None:
    """Without the table the member is one of ``meta/``, which a reader has to accept."""
    desk.pack("--plain")
    with Bundle.open(desk.out) as bundle:
        files = {name: bundle.read(name) for name in bundle.names() if name != "SHA256SUMS"}
    text = files["manifest.toml"].decode()
    before, _, after = text.partition("[build.bytecode]\n")
    files["manifest.toml"] = (before + "".join(after.partition("\n[")[1:])).encode()
    older = desk.folder / "older.kitbag"
    write_raw(older, with_sums(files))
    assert desk.bytecode(older) is None
    assert desk.run("verify", older).status == 0


RECIPE = f"""\
[bundle]
python = ["{VERSION}"]
targets = ["windows-x86_64"]
catalogs = ["archives/"]
output = "x.kitbag"
allow-unverified = true
bootstrap = false
bytecode = true
"""


def test_a_recipe_and_its_lock(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = desk.folder / "kit"
    name = f"cpython-{VERSION}+20260101-x86_64-pc-windows-msvc-install_only_stripped.tar.gz"
    (folder / "archives").mkdir(parents=True)
    members = below("python", windows_members(VERSION, "x86_64"))
    write_archive(members, folder / "archives" / name, ".tar.gz")
    recipe, out = folder / "kitbag.toml", folder / "x.kitbag"
    recipe.write_text(RECIPE)
    monkeypatch.chdir(folder)
    assert desk.run("lock").status == 0
    assert "\nbytecode = true\n" in (folder / "kitbag.lock").read_text()
    assert desk.run("pack", "--locked", "-q").status == 0
    made = desk.bytecode(out)
    assert made.member == f"meta/bytecode/{WINDOWS}.tar.gz"
    first = hashlib.sha256(out.read_bytes()).hexdigest()
    assert desk.run("pack", "--locked", "--bytecode", "-q").status == 0
    assert hashlib.sha256(out.read_bytes()).hexdigest() == first
    assert desk.run("pack", "--locked", "--no-bytecode", "-q").status == 0
    assert desk.bytecode(out) is None
    recipe.write_text(RECIPE.replace("bytecode = true\n", ""))
    done = desk.run("pack", "--locked", "-q")
    assert done.status == 2
    assert "[bundle] bytecode is false" in done.err
    assert desk.run("lock").status == 0
    assert "bytecode" not in (folder / "kitbag.lock").read_text()
