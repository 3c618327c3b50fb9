import hashlib
import json
import os
import subprocess
import zlib
from pathlib import Path

import pytest

from kitbag_bundles.errors import DoesNotFit, IntegrityError, NoMatch
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.receipts import read_receipt
from kitbag_installer.relocation import Relocated, relocate_builds
from kitbag_installer.roots import Root
from kitbag_installer.verification import verify_builds
from support.bundled import bundle_archives, host_key, tiny_bundle, tree_of
from support.install import install_tiny
from support.members import Member, below, write_archive
from support.tiny import tiny_members, tiny_name

KEY = host_key()


@pytest.fixture
def bundle(tmp_path) -> Path:
    return tiny_bundle(tmp_path / "x.kitbag", "3.12.9", "3.13.5")


@pytest.fixture
def root(tmp_path, bundle) -> Root:
    return install_tiny(bundle, tmp_path / "root", bin_dir=str(tmp_path / "bin"))


def move(root: Root, name: str) -> Root:
    moved = Root(os.path.join(os.path.dirname(root.path), name))
    os.rename(root.path, moved.path)
    return moved


def relocate(root: Root, *requests: str) -> list[Relocated]:
    done, foreign, _ = relocate_builds(root, parse_requests(requests), SilentReporter())
    assert foreign == []
    return done


def sound(root: Root) -> bool:
    return all(result.sound for result in verify_builds(root, (), SilentReporter()))


def test_a_moved_root_is_as_if_installed_there(root, bundle, tmp_path):
    moved = move(root, "moved to")
    assert not sound(moved)
    done = relocate(moved)
    assert [item.key for item in done] == [host_key("3.12.9"), KEY]
    assert all(item.rewritten > 5 for item in done)
    assert done[1].old_home == root.install_path(KEY)
    assert done[1].home == moved.install_path(KEY)
    assert sound(moved)
    found = tree_of(moved.install_path(KEY))
    os.rename(moved.path, tmp_path / "away")
    install_tiny(bundle, Path(moved.path), bin_dir=str(tmp_path / "bin"))
    assert found == tree_of(moved.install_path(KEY))


def test_any_number_of_moves_and_back_again(root):
    before = tree_of(root.install_path(KEY))
    at = root
    for name in ("one", "two", "install", "caf\xe9 'quoted'", "root"):
        at = move(at, name)
        relocate(at)
        assert sound(at)
    assert tree_of(root.install_path(KEY)) == before


def test_names_and_links_lead_to_the_new_place(root, tmp_path):
    moved = move(root, "moved")
    _, _, turned = relocate_builds(moved, (), SilentReporter())
    program = f"{moved.install_path(KEY)}/bin/python3.13"
    assert os.path.realpath(tmp_path / "bin" / "python3.13") == program
    assert os.readlink(moved.minor_link(KEY)) == moved.install_path(KEY)
    assert len(turned) == 4
    assert moved.path in (tmp_path / "bin" / "kitbag").read_text()


def test_what_is_where_it_was_is_left_alone(root):
    before = {path: os.lstat(f"{root.path}/{path}").st_ino for path in tree_of(root.path)}
    assert [item.rewritten for item in relocate(root)] == [0, 0]
    after = {path: os.lstat(f"{root.path}/{path}").st_ino for path in tree_of(root.path)}
    assert after == before


def test_only_what_is_asked_for(root):
    moved = move(root, "moved")
    assert [item.key for item in relocate(moved, "3.12")] == [host_key("3.12.9")]
    assert read_receipt(moved.install_path(KEY)).home == root.install_path(KEY)
    with pytest.raises(NoMatch):
        relocate(moved, "3.9")


def test_what_a_person_added_comes_along(root):
    place = Path(root.install_path(KEY))
    (place / "lib/python3.13/site-packages/own.py").write_text("own = 1\n")
    (place / "notes").symlink_to("lib")
    (place / "empty").mkdir(mode=0o700)
    script = place / "bin" / "tool"
    script.write_text(f"#!{place}/bin/python3.13\nprint({str(place)!r})\n")
    script.chmod(0o755)
    moved = move(root, "moved")
    relocate(moved)
    new = Path(moved.install_path(KEY))
    assert (new / "lib/python3.13/site-packages/own.py").read_text() == "own = 1\n"
    assert os.readlink(new / "notes") == "lib"
    assert (new / "empty").stat().st_mode & 0o777 == 0o700
    assert (new / "bin/tool").read_text().startswith(f"#!{new}/bin/python3.13\n")
    assert os.access(new / "bin/tool", os.X_OK)


def test_edits_of_rewritten_files_are_not_undone(root):
    place = Path(root.install_path(KEY))
    changed = read_receipt(str(place)).changed
    edited = "bin/pip3.13"
    removed = next(path for path in changed if "_sysconfigdata" in path)
    assert edited in changed
    (place / edited).write_text("mine\n")
    (place / removed).unlink()
    moved = move(root, "moved")
    relocate(moved)
    new = Path(moved.install_path(KEY))
    assert (new / edited).read_text() == "mine\n"
    assert not (new / removed).exists()
    found = next(
        result for result in verify_builds(moved, (), SilentReporter()) if result.key == KEY
    )
    assert (found.changed, found.missing) == ((edited,), (removed,))


def test_originals_packed_by_another_zlib_stay_readable(root):
    """A relocation may run on another Python than the install, with another compressor."""
    folder = Path(root.install_path(KEY), ".kitbag")
    packed = zlib.decompress((folder / "originals.json.gz").read_bytes(), 31)
    encoder = zlib.compressobj(1, zlib.DEFLATED, 31)
    other = encoder.compress(packed) + encoder.flush()
    (folder / "originals.json.gz").write_bytes(other)
    table = json.loads((folder / "receipt.json").read_text())
    table["originals-sha256"] = hashlib.sha256(other).hexdigest()
    (folder / "receipt.json").write_text(json.dumps(table))
    at = root
    for name in ("one", "two"):
        at = move(at, name)
        relocate(at)
        assert sound(at)


def test_hard_links_to_rewritten_files_are_rewritten_too(tmp_path):
    members = [*tiny_members(), Member("bin/pip-too", kind="h", target="bin/pip3.13")]
    names = {member.path for member in members}
    assert "bin/pip3.13" in names
    archive = write_archive(below("python", members), tmp_path / tiny_name(), ".tar.gz")
    bundle = bundle_archives(tmp_path / "y.kitbag", [(archive, KEY)])
    root = install_tiny(bundle, tmp_path / "root")
    for turn in range(3):
        at = move(root, f"moved{turn}") if turn else root
        relocate(at)
        root = at
        place = Path(at.install_path(KEY), "bin")
        assert (place / "pip-too").read_bytes() == (place / "pip3.13").read_bytes()
        assert at.path in (place / "pip-too").read_text()
        assert sound(at)


def test_builds_of_other_tools_are_told_apart(root):
    foreign = host_key("3.11.7")
    os.makedirs(root.install_path(foreign))
    moved = move(root, "moved")
    done, others, _ = relocate_builds(moved, (), SilentReporter())
    assert (len(done), others) == (2, [foreign])


def test_a_damaged_original_is_refused_and_nothing_changes(root):
    path = Path(root.install_path(KEY), ".kitbag", "originals.json.gz")
    path.write_bytes(path.read_bytes()[:-1])
    moved = move(root, "moved")
    before = tree_of(moved.install_path(KEY))
    with pytest.raises(IntegrityError, match="differs from its receipt"):
        relocate(moved, str(KEY))
    assert tree_of(moved.install_path(KEY)) == before
    assert os.listdir(moved.temp) == []


def test_a_place_that_no_file_can_name_is_refused(root):
    moved = move(root, "new\nline")
    with pytest.raises(DoesNotFit):
        relocate(moved)


def test_where_nothing_is_nothing_is_made(tmp_path):
    root = Root(str(tmp_path / "nothing"))
    assert relocate(root) == []
    with pytest.raises(NoMatch):
        relocate(root, "3.13")
    assert not os.path.exists(root.path)


def test_a_hard_linked_copy_elsewhere_is_not_touched(root, tmp_path):
    """New content gets new files: what shares the old ones keeps them as they are."""
    subprocess.run(["cp", "-al", root.path, str(tmp_path / "copy")], check=True)
    before = tree_of(tmp_path / "copy")
    relocate(move(root, "moved"))
    assert tree_of(tmp_path / "copy") == before
