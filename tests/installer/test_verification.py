import dataclasses
import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from kitbag_bundles.errors import NoMatch
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.receiptlists import pack_bytecode
from kitbag_installer.receipts import read_receipt, write_receipt
from kitbag_installer.roots import Root
from kitbag_installer.verification import Verified, additions, verify_builds
from support.bundled import host_key, tiny_bundle
from support.install import install_tiny

KEY = host_key()
PLAIN = "lib/python3.13/os.py"


@pytest.fixture
def root(tmp_path) -> Root:
    return install_tiny(tiny_bundle(tmp_path / "x.kitbag", "3.13.5"), tmp_path / "root")


@pytest.fixture
def place(root) -> Path:
    return Path(root.install_path(KEY))


def verify(root: Root, *requests: str) -> Verified:
    (found,) = verify_builds(root, parse_requests(requests), SilentReporter())
    return found


def test_what_was_just_installed_is_sound(root, place):
    found = verify(root)
    assert found.sound
    assert (found.key, found.path) == (KEY, str(place))
    assert (found.missing, found.changed, found.extra) == ((), (), ())
    files = [
        path
        for path in place.rglob("*")
        if path.is_file() and not path.is_symlink() and ".kitbag" not in path.parts
    ]
    assert found.files == len(files)


@pytest.mark.parametrize(
    "path", ["lib/python3.13/os.py", "lib/pkgconfig/python-3.13.pc", "BUILD", "bin/python3.13"]
)
@pytest.mark.parametrize("how", ["flip", "longer", "empty", "folder", "link", "gone"])
def test_any_change_of_a_file_is_seen(root, place, path, how):
    file = place / path
    data = bytearray(file.read_bytes())
    mode = file.stat().st_mode
    file.unlink()
    if how == "folder":
        file.mkdir()
    elif how == "link":
        (place / "same").write_bytes(data)
        file.symlink_to(place / "same")
    elif how != "gone":
        data[len(data) // 2] ^= how == "flip"
        file.write_bytes(b"" if how == "empty" else data + b"x" * (how == "longer"))
        file.chmod(mode)
    found = verify(root)
    assert not found.sound
    assert (found.missing if how == "gone" else found.changed) == (path,)


def test_modes_count_where_they_make_a_program(root, place):
    (place / "lib/python3.13/os.py").chmod(0o600)
    assert verify(root).sound
    (place / "lib/python3.13/os.py").chmod(0o744)
    (place / "bin/python3.13").chmod(0o644)
    assert verify(root).changed == ("bin/python3.13", "lib/python3.13/os.py")


@pytest.mark.parametrize("how", ["other", "file", "gone"])
def test_any_change_of_a_link_is_seen(root, place, how):
    link = place / "bin/python3"
    link.unlink()
    if how == "other":
        link.symlink_to("python")
    elif how == "file":
        link.write_text("")
    found = verify(root)
    assert (found.missing if how == "gone" else found.changed) == ("bin/python3",)


def test_a_folder_that_became_a_file_is_seen(root, place):
    folder = place / "share/terminfo/P"
    (folder / "P4").unlink()
    folder.rmdir()
    folder.write_text("")
    found = verify(root)
    assert found.changed == ("share/terminfo/P",)
    assert found.missing == ("share/terminfo/P/P4",)


def test_a_persons_own_files_are_no_fault(root, place):
    (place / "lib/python3.13/site-packages/own.py").write_text("")
    (place / "lib/python3.13/__pycache__").mkdir()
    (place / "lib/python3.13/__pycache__/os.cpython-313.pyc").write_bytes(b"")
    (place / "note").symlink_to("nothing")
    found = verify(root)
    assert found.sound
    assert found.extra == ("lib/python3.13/site-packages/own.py", "note")


def test_a_folder_that_nobody_can_look_into_is_an_addition(root, place, monkeypatch):
    (place / "mine").mkdir()
    scan = os.scandir

    def refuse(path):
        if os.path.basename(path) in ("mine", "share"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert verify(root).extra == ("mine",)
    assert additions(str(place)) == ("mine",)


def test_an_added_link_to_a_folder_is_told_too(root, place):
    (place / "more").symlink_to("lib")
    assert verify(root).extra == ("more",)


def test_a_build_of_another_tool_can_not_be_checked(root):
    other = host_key("3.11.7")
    os.makedirs(root.install_path(other))
    found = verify(root, "3.11")
    assert not found.sound
    assert "another tool installed it" in found.problem


def test_nobody_asked_about_a_build_of_another_tool(root):
    other = host_key("3.11.7")
    os.makedirs(root.install_path(other))
    by_key = {found.key: found for found in verify_builds(root, (), SilentReporter())}
    assert by_key[other].foreign
    assert all(found.sound for found in by_key.values())


@pytest.mark.parametrize("name", ["receipt.json", "contents.tsv"])
def test_a_damaged_receipt_is_the_problem_of_its_build_alone(root, place, name):
    (place / ".kitbag" / name).write_text("{}")
    found = verify(root)
    assert not found.sound
    assert name in found.problem


def test_a_receipt_with_a_foreign_key_is_damage(root, place):
    path = place / ".kitbag" / "receipt.json"
    path.write_text(path.read_text().replace(f'"key": "{KEY}"', '"key": "odd"'))
    assert "receipt.json" in verify(root).problem


def test_a_moved_build_is_told_to_be_moved(root, tmp_path):
    moved = Root(str(tmp_path / "moved"))
    os.rename(root.path, moved.path)
    found = verify(moved)
    assert found.problem == (
        f"it was moved here from {root.install_path(KEY)}; run kitbag relocate"
    )
    assert (found.missing, found.changed) == ((), ())


def test_a_request_that_names_nothing(root):
    with pytest.raises(NoMatch):
        verify(root, "3.9")


def test_progress_counts_every_byte(root, place):
    class Counting(SilentReporter):
        def __init__(self) -> None:
            self.total = self.done = 0

        def progress(self, label, total):
            self.total = total
            outer = self

            class Progress:
                def __enter__(self):
                    return self

                def __exit__(self, *exc: object) -> None: ...

                def advance(self, count: int) -> None:
                    outer.done += count

            return Progress()

    reporter = Counting()
    verify_builds(root, (), reporter)
    assert reporter.done > 0
    assert abs(reporter.done - reporter.total) < reporter.total


def with_bytecode(place: Path, *names: str) -> None:
    """As if kitbag had compiled something: the receipt is written anew with it."""
    cache = place / "lib/python3.13/__pycache__"
    cache.mkdir(exist_ok=True)
    digests = {}
    for name in names:
        (cache / name).write_bytes(name.encode())
        path = f"lib/python3.13/__pycache__/{name}"
        digests[path] = hashlib.sha256(name.encode()).hexdigest()
    receipt = read_receipt(str(place))
    folder = place / ".kitbag"
    contents, originals = (
        (folder / each).read_bytes() for each in ("contents.tsv", "originals.json.gz")
    )
    packed = pack_bytecode(digests)
    shutil.rmtree(folder)
    receipt = dataclasses.replace(receipt, bytecode_sha256=hashlib.sha256(packed).hexdigest())
    write_receipt(str(place), receipt, contents, originals, packed)


def test_bytecode_of_kitbags_is_like_any_other_file(root, place):
    before = verify(root).files
    with_bytecode(place, "os.cpython-313.pyc", "other.cpython-313.pyc", "third.cpython-313.pyc")
    found = verify(root)
    assert (found.sound, found.files, found.bytecode) == (True, before, 3)
    cache = place / "lib/python3.13/__pycache__"
    (cache / "os.cpython-313.pyc").write_bytes(b"damaged")
    (cache / "other.cpython-313.pyc").unlink()
    (cache / "own.cpython-313.pyc").write_bytes(b"")
    found = verify(root)
    assert found.changed == ("lib/python3.13/__pycache__/os.cpython-313.pyc",)
    assert found.missing == ("lib/python3.13/__pycache__/other.cpython-313.pyc",)
    assert found.extra == ()


@pytest.mark.parametrize("name", ["bytecode.tsv", "originals.json.gz"])
def test_what_only_some_verbs_need_is_looked_at_too(root, place, name):
    with_bytecode(place, "os.cpython-313.pyc")
    (place / PLAIN).write_text("damaged\n")
    (place / ".kitbag" / name).write_text("damaged\n")
    found = verify(root)
    assert name in found.problem
    assert "kitbag repair" in found.problem
    assert found.changed == (PLAIN,)


def test_a_lost_receipt_is_not_a_build_of_another_tool(root, place):
    (place / ".kitbag/receipt.json").unlink()
    found = verify(root)
    assert (found.sound, found.foreign) == (False, False)
    assert "kitbag repair" in found.problem


def test_a_build_for_another_machine_may_name_another_place(root, place):
    path = place / ".kitbag/receipt.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps({**table, "home": "/opt/elsewhere", "foreign": True}))
    assert verify(root).sound


def test_a_folder_behind_a_link_is_not_the_builds(root, place, tmp_path):
    shutil.move(place / "share", tmp_path / "elsewhere")
    (place / "share").symlink_to(tmp_path / "elsewhere")
    found = verify(root)
    assert found.changed == ("share",)
    assert "share/terminfo/P/P4" in found.missing


def test_what_nobody_may_read_is_told(root, place):
    (place / "share").chmod(0)
    (place / PLAIN).chmod(0o200)
    try:
        assert verify(root).changed == (PLAIN, "share")
    finally:
        (place / "share").chmod(0o755)
