"""Compiling when packing, with a real interpreter behind small archives."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import marshal
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.errors import ArchiveError, DigestMismatch, KitbagError, NoMatch
from kitbag_packer.bytecode.making import compile_builds
from kitbag_packer.bytecode.memory import BytecodeMemory
from support.caches import Messages
from support.handover import COMPILED, FILES, KEY, MINOR, VERSION, compilable, foreign
from support.members import Member, text

if TYPE_CHECKING:
    from kitbag_bundles.keys import BuildKey
    from kitbag_packer.bytecode.overlays import Overlay
    from kitbag_packer.materials import Material

TAG = sys.implementation.cache_tag
MAGIC = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")


class Bench:
    """A place to compile in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = Messages()
        self.cache: Path | None = None
        self._count = 0

    def make(
        self, *materials: Material, mode: str = "checked-hash", jobs: int = 0
    ) -> dict[BuildKey, Overlay]:
        self._count += 1
        self.said = Messages()
        place = self.folder / f"work{self._count}"
        place.mkdir()
        return compile_builds(materials, mode, place, BytecodeMemory(self.cache), self.said, jobs)

    def one(self, material: Material, *others: Material) -> Overlay:
        return self.make(material, *others)[material.inspection.key]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No interpreter but those of the bundle; archives' programs hand over by a full path."""
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


def files_of(overlay: Overlay) -> dict[str, bytes]:
    with tarfile.open(overlay.path) as archive:
        return {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]


def compiled(library: str, *names: str) -> list[str]:
    found = []
    for name in names or COMPILED:
        folder, _, stem = name.rpartition("/")
        found.append("/".join(filter(None, (library, folder, "__pycache__", f"{stem}.{TAG}.pyc"))))
    return sorted(found)


def test_an_overlay_is_what_the_format_says(bench: Bench, tmp_path: Path) -> None:
    overlay = bench.one(compilable(tmp_path))
    made, data = overlay.bytecode, overlay.path.read_bytes()
    library = f"lib/python{MINOR}"
    assert made.member == f"meta/bytecode/{KEY}.tar.gz"
    assert (made.size, made.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    tar = gzip.decompress(data)
    assert data[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    assert made.tar_sha256 == hashlib.sha256(tar).hexdigest()
    assert (made.magic, made.tag, made.mode) == (MAGIC, TAG, "checked-hash")
    assert made.maker == f"cpython-{VERSION}"
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        members = archive.getmembers()
    assert [each.name for each in members] == compiled(library)
    for each in members:
        assert (each.type, each.mode, each.mtime, each.uid, each.gid) == (b"0", 0o644, 0, 0, 0)
    assert (made.files, made.unpacked_size) == (len(members), sum(each.size for each in members))
    for name, content in files_of(overlay).items():
        folder, _, stem = name.replace("__pycache__/", "").rpartition("/")
        source = f"{folder}/{stem.partition('.')[0]}.py"
        text_of = FILES[source.removeprefix(f"{library}/")].encode()
        assert content[:8] == importlib.util.MAGIC_NUMBER + b"\3\0\0\0"
        assert content[8:16] == importlib.util.source_hash(text_of)
        assert marshal.loads(content[16:]).co_filename == source
    assert bench.said.warnings == []
    assert bench.said.infos == [f"{KEY}: 4 files compiled by {made.maker}, {made.size:,} bytes"]


def test_unchecked_hashes(bench: Bench, tmp_path: Path) -> None:
    overlay = bench.make(compilable(tmp_path), mode="unchecked-hash")[KEY]
    assert overlay.bytecode.mode == "unchecked-hash"
    assert {content[4:8] for content in files_of(overlay).values()} == {b"\1\0\0\0"}


@pytest.mark.usefixtures("nothing_else")
def test_a_build_for_another_machine_is_compiled_by_one_for_this(
    bench: Bench, tmp_path: Path
) -> None:
    windows, macos = foreign("windows-x86_64-none"), foreign("macos-aarch64-none")
    materials = [compilable(tmp_path, key, interpreter=sys.executable or _python())
                 for key in (KEY, macos, windows)]  # fmt: skip
    made = bench.make(*materials)
    assert set(made) == {KEY, windows, macos}
    assert {each.bytecode.maker for each in made.values()} == {f"cpython-{VERSION}"}
    assert list(files_of(made[macos])) == compiled(f"lib/python{MINOR}")
    # Windows' trees are never rewritten, so nothing is left out.
    everything = [*COMPILED, "_sysconfigdata__linux_x86_64-linux-gnu"]
    assert list(files_of(made[windows])) == compiled("Lib", *everything)
    name = f"Lib/__pycache__/os.{TAG}.pyc"
    assert marshal.loads(files_of(made[windows])[name][16:]).co_filename == "Lib/os.py"


def _python() -> str:
    return str(Path(sys.prefix, "bin", "python"))


def test_an_interpreter_of_this_machine_helps_where_the_bundle_has_none(
    bench: Bench, tmp_path: Path
) -> None:
    windows = foreign("windows-x86_64-none", f"{MINOR}.99")
    overlay = bench.one(compilable(tmp_path, windows))
    assert overlay.bytecode.maker == f"cpython-{VERSION}"
    # A build that promises to run here and does not is passed over.
    broken = compilable(tmp_path, interpreter="")
    assert bench.one(broken).bytecode.maker == f"cpython-{VERSION}"


def test_what_nothing_can_compile_is_told(bench: Bench, tmp_path: Path) -> None:
    other = foreign("windows-x86_64-none", "3.99.1")
    pyodide = foreign("emscripten-wasm32-musl", "3.13.2", "pyodide")
    made = bench.make(
        compilable(tmp_path), compilable(tmp_path, other), _pyodide(tmp_path, pyodide)
    )
    assert list(made) == [KEY]
    (warning,) = bench.said.warnings
    assert warning.startswith(f"{other}: packed without bytecode, because no interpreter at hand")
    assert "pack 3.99 for linux-" in warning
    assert "put python3.99 on PATH" in warning
    with pytest.raises(NoMatch, match=rf"nothing in the bundle could be compiled: {other}:"):
        bench.make(compilable(tmp_path, other))
    with pytest.raises(NoMatch, match=f"{pyodide} has no Python files to compile"):
        bench.make(_pyodide(tmp_path, pyodide))


def _pyodide(folder: Path, key: BuildKey) -> Material:
    from kitbag_bundles.reporting import SilentReporter
    from kitbag_packer.inspection import inspect_archive
    from kitbag_packer.materials import Material
    from support.synthetic import make_synthetic_archive

    path = make_synthetic_archive("pyodide", folder / "pyodide")
    found = inspect_archive(path, key=key, reporter=SilentReporter())
    return Material(path.name, path, path.name, found)


def test_another_magic_number_in_the_build_is_found_out(bench: Bench, tmp_path: Path) -> None:
    header = text("include/internal/pycore_magic_number.h", "#define PYC_MAGIC_NUMBER 65000\n")
    windows = foreign("windows-x86_64-none", f"{MINOR}.99")
    odd = compilable(tmp_path, windows, extra=(header,))
    assert list(bench.make(compilable(tmp_path), odd)) == [KEY]
    (warning,) = bench.said.warnings
    assert "no interpreter at hand makes it with the magic number 65000" in warning


def test_a_file_that_does_not_compile_fails_and_is_named(bench: Bench, tmp_path: Path) -> None:
    bad = compilable(tmp_path, files={**FILES, "bad.py": "def :\n", "worse.py": "\0"})
    with pytest.raises(KitbagError, match="2 files would not compile, see above") as caught:
        bench.make(bad)
    assert caught.value.exit_status == 1
    first, second = bench.said.warnings
    assert first.startswith(f"{KEY}: lib/python{MINOR}/bad.py does not compile: SyntaxError")
    assert f"lib/python{MINOR}/worse.py" in second


def test_an_archive_that_changed_meanwhile(bench: Bench, tmp_path: Path) -> None:
    material = compilable(tmp_path)
    compilable(tmp_path, files={**FILES, "abc.py": "other\n"})
    with pytest.raises(ArchiveError):
        bench.make(material)
    elsewhere = compilable(tmp_path / "other", foreign("macos-aarch64-none"))
    changed = compilable(tmp_path / "new", elsewhere.inspection.key, files={"abc.py": "x = 1\n"})
    with pytest.raises(DigestMismatch, match="not the archive that was looked through"):
        bench.make(replace(elsewhere, archive=changed.archive))


def test_the_number_of_jobs_makes_no_difference(bench: Bench, tmp_path: Path) -> None:
    keys = (KEY, foreign("windows-x86_64-none"), foreign("macos-aarch64-none"))
    materials = [compilable(tmp_path, key) for key in keys]
    one, four = (bench.make(*materials, jobs=jobs) for jobs in (1, 4))
    assert {key: each.bytecode for key, each in one.items()} == {
        key: each.bytecode for key, each in four.items()
    }


def test_bytecode_of_the_archive_stays_its_own(bench: Bench, tmp_path: Path) -> None:
    shipped = Member(f"lib/python{MINOR}/__pycache__/os.{TAG}.pyc", b"shipped")
    overlay = bench.one(compilable(tmp_path, extra=(shipped,)))
    assert shipped.path not in files_of(overlay)
    assert overlay.bytecode.files == len(COMPILED) - 1


def test_nothing_is_compiled_twice(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.cache = tmp_path / "cache"
    materials = [compilable(tmp_path), compilable(tmp_path, foreign("macos-aarch64-none"))]
    first = bench.make(*materials)
    kept = sorted((tmp_path / "cache" / "inspections").iterdir())
    assert len(kept) == 2
    with monkeypatch.context() as patch:
        patch.setattr("kitbag_installer.bytecode.compiling.compile_files", None)
        again = bench.make(*materials)
    for key, overlay in first.items():
        assert again[key].bytecode == overlay.bytecode
        assert again[key].path.read_bytes() == overlay.path.read_bytes()
    # Another mode is another matter, and so is a memory that was damaged.
    assert bench.make(materials[0], mode="unchecked-hash")[KEY].bytecode != first[KEY].bytecode
    for path in kept:
        path.write_bytes(path.read_bytes()[:-1])
    assert bench.one(materials[0]).bytecode == first[KEY].bytecode
