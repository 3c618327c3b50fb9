import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from kitbag_bundles.errors import FileSystemError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.bytecode.compiling import Compiled
from kitbag_installer.bytecode.inplace import compile_builds
from kitbag_installer.bytecode.modes import BytecodeOptions
from kitbag_installer.bytecode.sources import source_of
from kitbag_installer.hosts import this_host
from kitbag_installer.receiptlists import read_bytecode
from kitbag_installer.receipts import read_receipt
from kitbag_installer.roots import Root
from kitbag_installer.verification import verify_builds
from support.compilable import ODD, TAG, compilable_bundle, count
from support.crafting import host_key
from support.install import install_tiny

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
KEY = BuildKey.parse(host_key())
UNCHECKED = BytecodeOptions(compile=True, mode="unchecked-hash", insist=True)


class Warned(SilentReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class Place(NamedTuple):
    root: Root

    @property
    def tree(self) -> Path:
        return Path(self.root.install_path(KEY))

    def compile(self, *requests: str, options: BytecodeOptions | None = None, jobs: int = 1):
        reporter = Warned()
        done = compile_builds(
            self.root,
            parse_requests(requests),
            this_host(),
            options or BytecodeOptions(compile=True),
            jobs,
            reporter,
        )
        for each in done:
            if not isinstance(each.result, Compiled):
                raise each.result
        return [each.result for each in done], reporter.warnings

    def recorded(self) -> dict[str, str]:
        return read_bytecode(os.fspath(self.tree), read_receipt(os.fspath(self.tree)))

    def sound(self) -> bool:
        return all(each.sound for each in verify_builds(self.root, (), SilentReporter()))

    def sources(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.tree.rglob("*.py")}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return compilable_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag")


@pytest.fixture
def place(bundle, tmp_path) -> Place:
    return Place(install_tiny(bundle, tmp_path / "root"))


@pytest.mark.parametrize("jobs", [1, 8])
def test_everything_is_compiled_once(place, jobs):
    before = place.sources()
    ((first,), warnings) = place.compile(jobs=jobs)
    assert first.compiled == len(before) == count(place.tree, ".pyc") > len(ODD)
    assert place.sources() == before
    assert (first.fresh, first.failures, warnings) == (0, {}, [])
    assert place.recorded() == first.files
    assert place.sound()
    ((again,), _) = place.compile("3.13", jobs=jobs)
    assert (again.compiled, again.fresh) == (0, len(before))
    assert not os.listdir(place.root.temp)


def test_the_receipt_is_not_written_where_nothing_was_stale(place):
    place.compile()
    receipt = place.tree / ".kitbag" / "receipt.json"
    before = receipt.stat()
    place.compile()
    assert receipt.stat().st_mtime_ns == before.st_mtime_ns
    assert receipt.stat().st_ino == before.st_ino


def test_what_another_program_compiled_is_taken_into_the_receipt(place):
    place.compile()
    full = place.recorded()
    receipt = place.tree / ".kitbag" / "receipt.json"
    receipt.write_text(
        receipt.read_text().replace(read_receipt(str(place.tree)).bytecode_sha256, "")
    )
    assert place.recorded() == {}
    ((again,), _) = place.compile()
    assert again.compiled == 0
    assert place.recorded() == full


def test_a_changed_one_that_looks_fresh_is_not_vouched_for(place):
    place.compile()
    path = place.tree / f"lib/python3.13/__pycache__/abc.{TAG}.pyc"
    path.write_bytes(path.read_bytes() + b"more")
    os.utime(place.tree / "lib/python3.13/os.py", (1, 1))
    ((again,), _) = place.compile()
    assert again.compiled == 1
    (found,) = verify_builds(place.root, (), SilentReporter())
    assert found.changed == (os.fspath(path.relative_to(place.tree)),)


def test_what_is_gone_with_its_source_is_forgotten(place):
    place.compile()
    path = place.tree / "lib/python3.13/site-packages"
    shutil.rmtree(path)
    os.utime(place.tree / "lib/python3.13/os.py", (1, 1))
    place.compile()
    assert place.recorded()
    assert not any("site-packages" in each for each in place.recorded())


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_person_brought_is_compiled_and_not_vouched_for(place, jobs):
    place.compile()
    full = place.recorded()
    brought = place.tree / "lib/python3.13/site-packages/brought.py"
    brought.write_text("x = 1\n")
    ((done,), _) = place.compile(jobs=jobs)
    assert (done.compiled, done.fresh) == (1, len(full))
    (compiled,) = (place.tree / path for path in done.files)
    assert place.recorded() == full
    ((again,), _) = place.compile(jobs=jobs)
    assert (again.compiled, again.fresh) == (0, len(full) + 1)
    assert place.recorded() == full
    compiled.write_bytes(b"made anew by an upgrade of the package")
    assert place.sound()
    brought.unlink()
    compiled.unlink()
    assert place.sound()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_folder_that_cant_be_looked_into_is_an_error_of_its_build(tmp_path, jobs):
    bundle = compilable_bundle(tmp_path / "x.kitbag", "3.12.9", "3.13.5")
    root = install_tiny(bundle, tmp_path / "root")
    too_long = Path(root.install_path(KEY), "lib/python3.13", *["x" * 200] * 10)
    too_long.mkdir(parents=True)
    for level in range(15):
        folder = os.open(too_long, os.O_RDONLY)
        for _ in range(level):
            folder, old = os.open("x" * 200, os.O_RDONLY, dir_fd=folder), folder
            os.close(old)
        os.mkdir("x" * 200, dir_fd=folder)
        os.close(folder)
    options = BytecodeOptions(compile=True)
    done = compile_builds(root, (), this_host(), options, jobs, SilentReporter())
    sound, damaged = (each.result for each in done)
    assert isinstance(sound, Compiled)
    assert sound.compiled
    assert isinstance(damaged, FileSystemError)
    assert str(damaged).endswith("File name too long; choose a shorter path")


def test_what_was_rewritten_is_never_unchecked(place):
    rewritten = read_receipt(os.fspath(place.tree)).changed
    ((done,), _) = place.compile(options=UNCHECKED)
    flags = {source_of(path, TAG): (place.tree / path).read_bytes()[4] for path in done.files}
    checked = {source for source, flag in flags.items() if flag == 3}
    assert checked == {path for path in rewritten if path.endswith(".py")}
    assert len(checked) > 1
    assert set(flags.values()) == {1, 3}


def test_a_build_of_another_tool_is_compiled_and_gets_no_receipt(place):
    shutil.rmtree(place.tree / ".kitbag")
    ((done,), _) = place.compile(options=UNCHECKED)
    assert done.compiled == count(place.tree, ".pyc") == count(place.tree, ".py")
    assert not (place.tree / ".kitbag").exists()
    (data,) = (path for path in done.files if "_sysconfigdata" in path)
    assert (place.tree / data).read_bytes()[4] == 3


def test_what_cant_be_compiled_here_is_told_only_if_it_was_named(place):
    foreign = Path(place.root.path, "cpython-3.13.5-windows-x86_64-none")
    pyodide = Path(place.root.path, "pyodide-3.13.2-emscripten-wasm32-musl")
    for folder in (foreign, pyodide):
        folder.mkdir()
    ((done,), warnings) = place.compile()
    assert done.compiled
    assert not warnings
    done, warnings = place.compile("pyodide", foreign.name)
    assert not done
    assert [line.split(" is not compiled")[0] for line in warnings] == [foreign.name, pyodide.name]
    _, warnings = place.compile("3.13")
    assert not warnings


def test_a_broken_interpreter_is_an_error_of_its_build(place):
    (place.tree / "bin/python3.13").unlink()
    with pytest.raises(Exception, match=r"bin/python3\.13: can't be started"):
        place.compile()
    assert place.recorded() == {}


def test_a_root_that_is_not_there_is_not_made(tmp_path):
    assert Place(Root(str(tmp_path / "none"))).compile() == ([], [])
    assert not (tmp_path / "none").exists()
