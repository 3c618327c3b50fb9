import dataclasses
import gzip
import hashlib
import importlib.util
import os
from pathlib import Path

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.manifest import Bytecode
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.bytecode.inplace import compile_builds
from kitbag_installer.bytecode.modes import MODES, BytecodeOptions
from kitbag_installer.hosts import this_host
from kitbag_installer.relocation import relocate_builds
from kitbag_installer.repairing import repair_builds
from kitbag_installer.roots import Root
from kitbag_installer.verification import verify_builds
from kitbag_packer.writing import write_bundle
from support.bundles import bundle_members
from support.compilable import LIBRARY, TAG, compilable_bundle, compilable_members
from support.crafting import host_key, inspected, installer
from support.install import install_tiny
from support.members import Member, below, tar_bytes, write_archive
from support.tiny import tiny_name

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
KEY = BuildKey.parse(host_key())
MAGIC = int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")
COMPILED = f"{LIBRARY}/__pycache__/abc.{TAG}.pyc"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return compilable_bundle(tmp_path_factory.mktemp("bundle") / "x.kitbag")


@pytest.fixture
def root(bundle, tmp_path) -> Root:
    return install_tiny(bundle, tmp_path / "root")


def compile_all(root: Root, mode: str) -> None:
    options = BytecodeOptions(compile=True, mode=mode, insist=True)
    (done,) = compile_builds(root, (), this_host(), options, 1, SilentReporter())
    assert not done.result.failures


def repair(root: Root, bundle: Path) -> None:
    with Bundle.open(bundle) as opened:
        (done,) = repair_builds(opened, root, (), SilentReporter())
    assert done.action == "repaired"


@pytest.mark.parametrize("mode", MODES)
def test_an_edit_that_was_compiled_goes_with_the_edit(root, bundle, mode):
    tree = Path(root.install_path(KEY))
    source = tree / LIBRARY / "abc.py"
    pristine = source.read_bytes()
    compile_all(root, mode)
    before = (tree / COMPILED).read_bytes()
    source.write_text("edited = 1\n")
    compile_all(root, mode)
    assert b"edited" in (tree / COMPILED).read_bytes()
    repair(root, bundle)
    assert source.read_bytes() == pristine
    after = (tree / COMPILED).read_bytes()
    assert b"edited" not in after
    if mode != "timestamp":
        assert after[8:16] == before[8:16] == importlib.util.source_hash(pristine)
    assert [each.sound for each in verify_builds(root, (), SilentReporter())] == [True]


@pytest.mark.skipif(os.getuid() != 0, reason="gives files away")
def test_what_root_compiles_anew_belongs_to_who_has_the_tree(root, bundle):
    tree = Path(root.install_path(KEY))
    compile_all(root, "timestamp")
    for folder, folders, names in os.walk(tree):
        for name in (*folders, *names, "."):
            os.chown(os.path.join(folder, name), 65534, 65534, follow_symlinks=False)
    (tree / LIBRARY / "abc.py").write_text("edited = 1\n")
    repair(root, bundle)
    for path in (tree / LIBRARY / "abc.py", tree / COMPILED):
        assert path.stat().st_uid == 65534
    moved = Root(f"{root.path}-moved")
    os.rename(root.path, moved.path)
    relocate_builds(moved, (), SilentReporter())
    owners = {path.stat().st_uid for path in Path(moved.install_path(KEY)).rglob("*.pyc")}
    assert owners == {65534}


@pytest.fixture
def of_another_magic(tmp_path) -> Path:
    """A bundle whose bytecode is for another interpreter than the build has."""
    archive = tmp_path / tiny_name("3.13.5")
    write_archive(below("python", compilable_members()), archive, ".tar.gz")
    packed = inspected(archive, host_key())
    code = (MAGIC - 1).to_bytes(2, "little") + b"\r\n\3\0\0\0" + b"12345678" + b"of another"
    tar = tar_bytes([Member(COMPILED, code)])
    data = gzip.compress(tar, mtime=0)
    bytecode = Bytecode(
        member=packed.build.bytecode_member,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        tar_sha256=hashlib.sha256(tar).hexdigest(),
        files=1,
        unpacked_size=len(code),
        magic=MAGIC - 1,
        tag=TAG,
        mode="checked-hash",
        maker="cpython-3.13.5",
    )
    build = dataclasses.replace(packed.build, bytecode=bytecode)
    members = bundle_members(
        [packed._replace(build=build)],
        installer=installer(),
        extra={bytecode.member: data},
    )
    write_bundle(tmp_path / "other.kitbag", members, reporter=SilentReporter())
    return tmp_path / "other.kitbag"


def test_bytecode_that_the_interpreter_does_not_take_is_not_brought_either(
    of_another_magic, tmp_path
):
    root = install_tiny(of_another_magic, tmp_path / "root")
    compiled = Path(root.install_path(KEY), COMPILED)
    assert not compiled.exists()
    compile_all(root, "timestamp")
    compiled.unlink()
    repair(root, of_another_magic)
    assert compiled.read_bytes()[:4] == importlib.util.MAGIC_NUMBER
