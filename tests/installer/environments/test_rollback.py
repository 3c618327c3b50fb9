"""What the end-to-end tests of rollbacks do not reach."""

import os
import shutil

import pytest

from kitbag_bundles.errors import KitbagError, NoMatch, SmokeTestFailed
from kitbag_installer.environments.receipts import read_receipt
from kitbag_installer.environments.rollback import Change, roll_back_environments
from support.snapshots import dangling, snapshot
from support.tinyapp import QUIET


def test_it_changes_places_with_its_names(app, app_bundles):
    app.install(app_bundles.second)
    before = snapshot(app.path)
    (done,) = roll_back_environments(app.root, ["app"], QUIET)
    assert done.changes == (Change("app", "2.0", "1.0"), Change("space-one", "", "1.0"))
    assert (app.bin / "app-old").is_symlink()
    roll_back_environments(app.root, ["app"], QUIET)
    after = snapshot(app.path)
    assert after.keys() == before.keys()
    assert not dangling(app.path)


def test_where_it_had_no_names_it_gets_none(app, app_bundles, tmp_path):
    app.install(app_bundles.second)
    (app.bin / "app").unlink()
    roll_back_environments(app.root, ["app"], QUIET)
    assert not (app.bin / "app").is_symlink()


def test_names_of_others_stay(app, app_bundles):
    app.install(app_bundles.second)
    (app.bin / "app-old").write_text("mine")
    (done,) = roll_back_environments(app.root, ["app"], QUIET)
    assert done.refused == (f"{app.bin}/app-old",)
    assert (app.bin / "app-old").read_text() == "mine"


def test_there_must_be_one_before(app):
    with pytest.raises(NoMatch, match="app: no other one was there before"):
        roll_back_environments(app.root, ["app"], QUIET)


def test_one_that_does_not_run_stays_away(app, app_bundles):
    app.install(app_bundles.second)
    before = snapshot(app.home)
    config = app.previous / "pyvenv.cfg"
    config.write_text(config.read_text().replace("home = /", "home = /elsewhere/"))
    with pytest.raises(SmokeTestFailed, match=r"; it stays as it is$"):
        roll_back_environments(app.root, ["app"], QUIET)
    assert snapshot(app.home) == before
    receipt = read_receipt(os.fspath(app.previous))
    shutil.rmtree(app.root.install_path(receipt.python))
    with pytest.raises(KitbagError, match=r"can't be brought back: its interpreter .* install"):
        roll_back_environments(app.root, ["app"], QUIET)


def test_a_patch_of_its_python_rolls_back_beside_it(app, app_bundles):
    app.install(app_bundles.older, "3.13.4")
    done = app.kitbag("rollback", "3.13", "app")
    assert done.status == 4  # no other app was there, so nothing at all is turned
    assert app.kitbag("rollback", "3.13").status == 0
    assert app.kitbag("verify", "app").status == 0
    assert "cpython-3.13.4" in app.kitbag("doctor", "app", "--all-checks").out


def test_a_damaged_one_can_be_left(app, app_bundles):
    app.install(app_bundles.second)
    (app.home / ".kitbag" / "receipt.json").write_text("{")
    (done,) = roll_back_environments(app.root, ["app"], QUIET)
    assert [each.name for each in done.changes] == ["app", "space-one"]
    assert app.kitbag("verify", "app").status == 0
    assert (app.bin / "app-old").is_symlink()
