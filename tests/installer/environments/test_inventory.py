import os
import shutil

from kitbag_installer.environments.inventory import InstalledEnvironment, list_environments
from kitbag_installer.environments.receipts import read_receipt
from support.cli import assert_done, call
from support.snapshots import snapshot


def look(app):
    (found,) = list_environments(app.root, ["app"])
    return found


def test_at_first_sight(app, app_bundles):
    before = snapshot(app.path)
    home = os.fspath(app.home)
    assert look(app) == InstalledEnvironment("app", home, read_receipt(home), False)
    assert snapshot(app.path) == before
    assert list_environments(app.root, []) == []
    app.install(app_bundles.second)
    assert look(app).has_previous
    (app.previous / ".kitbag" / "receipt.json").unlink()
    assert not look(app).has_previous


def test_what_is_wrong_is_told_in_a_clause(app, tmp_path):
    old = app.home
    app.move(tmp_path / "new")
    assert look(app).problem == f"it was moved here from {old}; run kitbag relocate"
    app.move(tmp_path / "place")
    key = read_receipt(os.fspath(app.home)).python
    shutil.rmtree(app.root.install_path(key))
    assert "its interpreter" in look(app).problem
    (app.home / ".kitbag" / "receipt.json").write_text("")
    found = look(app)
    assert found.receipt is None
    assert "the receipt can't be read" in found.problem


def test_one_for_another_path_says_for_which(app, app_bundles):
    shutil.rmtree(app.path)
    words = ("--root", app.root.path, "--seen-as", "/image", "--no-bin")
    assert_done(call("install", app_bundles.first, *words))
    found = look(app)
    assert (found.elsewhere, found.problem) == ("/image/envs/app", "")
