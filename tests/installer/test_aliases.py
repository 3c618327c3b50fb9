import json
import os
from pathlib import Path

import pytest

from kitbag_installer.aliases import as_known
from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag
from support.install import install_tiny

KEY = host_key()


@pytest.fixture
def bundle(tmp_path) -> Path:
    return tiny_bundle(tmp_path / "x.kitbag", "3.13.5")


@pytest.fixture
def root(tmp_path, bundle) -> Root:
    (tmp_path / "disk").mkdir()
    (tmp_path / "opt").symlink_to("disk")
    return install_tiny(bundle, tmp_path / "disk" / "py", bin_dir=str(tmp_path / "bin"))


@pytest.fixture
def other(tmp_path, root) -> Root:
    """The same root by another name."""
    return Root(str(tmp_path / "opt" / "py"))


def receipt_of(root: Root) -> Path:
    return Path(root.install_path(KEY), ".kitbag", "receipt.json")


def test_the_name_in_the_receipts_is_the_one(root, other):
    assert as_known(other) == root
    assert as_known(root) == root


@pytest.mark.parametrize("name", ["", "py", "/a\0b", "/nothing", "/"])
def test_another_directory_is_no_other_name(root, other, name):
    table = json.loads(receipt_of(root).read_text())
    receipt_of(root).write_text(json.dumps({**table, "home": f"{name}/{KEY}"}))
    Path(root.own, "made.json").unlink()
    assert as_known(other) == other


def test_without_a_receipt_the_note_tells(root, other):
    receipt_of(root).write_text("[")
    assert as_known(other) == root
    Path(root.own, "made.json").unlink()
    assert as_known(other) == other


def test_where_nothing_is_and_where_a_file_is(tmp_path):
    for name in ("nothing", "file"):
        (tmp_path / "file").write_text("")
        assert as_known(Root(str(tmp_path / name))).path == str(tmp_path / name)


def test_by_another_name_everything_is_as_by_its_own(capfd, tmp_path, bundle, root, other):
    where = ("--root", other.path)
    assert run_kitbag(capfd, "verify", *where).status == 0
    again = run_kitbag(
        capfd, "install", str(bundle), *where, "--bin-dir", str(tmp_path / "bin"), "--json"
    ).json
    assert (again["root"], again["refused-names"]) == (root.path, [])
    assert os.readlink(root.minor_link(KEY)) == root.install_path(KEY)
    assert run_kitbag(capfd, "uninstall", "--all", *where) == (0, f" - {KEY}\n", "")
    assert sorted(os.listdir(tmp_path)) == ["disk", "opt", "x.kitbag", "x.kitbag.archives"]
    assert os.listdir(tmp_path / "disk") == []


def test_relocate_makes_another_name_the_one(capfd, root, other):
    found = run_kitbag(capfd, "relocate", "--root", other.path, "--json").json
    assert found["builds"][0]["home"] == other.install_path(KEY)
    assert as_known(root) == other
    assert run_kitbag(capfd, "verify", "--root", root.path).status == 0
