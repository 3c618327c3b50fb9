"""What the end-to-end tests of moves do not reach."""

import json
import os
import re
import shutil

from kitbag_installer.environments.places import environment_path
from kitbag_installer.environments.receipts import keep_bytecode, read_receipt
from kitbag_installer.environments.relocation import relocate_environments
from kitbag_installer.receiptlists import read_bytecode
from support.cli import assert_done, call
from support.snapshots import dangling, snapshot, temporary
from support.tinyapp import QUIET


def test_where_nothing_moved_nothing_changes(app):
    before = snapshot(app.path)
    (done,), links = relocate_environments(app.root, ["app"], QUIET)
    assert (done.rewritten, done.home, links) == (0, os.fspath(app.home), ())
    assert snapshot(app.path) == before


def test_an_environment_alone_by_its_name(app, tmp_path):
    old = app.path
    app.move(tmp_path / "new place")
    done = app.kitbag("relocate", "app", "--json")
    assert done.status == 0
    assert f'"old-home": "{old}/root/envs/app"' in done.out
    assert '"builds": []' in done.out
    assert not dangling(app.path)
    assert os.readlink(app.bin / "app") == f"{app.home}/bin/app"
    receipt = read_receipt(os.fspath(app.home))
    assert (receipt.home, receipt.base) == (
        os.fspath(app.home),
        f"{app.root.path}/{receipt.python.minor_key}",
    )
    assert app.kitbag("verify", "app").status == 0
    assert app.kitbag("verify").status == 3  # the build is not mended by that


def test_without_its_build_it_stays_as_it_is(app, tmp_path):
    receipt = read_receipt(os.fspath(app.home))
    app.move(tmp_path / "new")
    shutil.rmtree(app.root.install_path(receipt.python))
    before = snapshot(app.home)
    (done,), _ = relocate_environments(app.root, ["app"], QUIET)
    assert re.match(r"app: its interpreter .* install cpython-3.13.5", str(done.error))
    assert snapshot(app.home) == before
    assert not temporary(app.path / "root")


def test_one_for_another_place_moves_only_by_its_name(app, tmp_path, app_bundles):
    shutil.rmtree(app.path)
    words = ("--root", app.root.path, "--seen-as", "/image/python", "--no-bin")
    assert_done(call("install", app_bundles.first, *words))
    place = environment_path(app.root, "app")
    assert read_receipt(place).home == "/image/python/envs/app"
    (done,), _ = relocate_environments(app.root, ["app"], QUIET)
    assert done.rewritten == 0
    done = app.kitbag("relocate")
    assert "app is for /image/python/envs/app and was left as it is" in done.out
    assert app.kitbag("relocate", "3.13").status == 0
    (done,), _ = relocate_environments(app.root, ["app"], QUIET, named=True)
    assert done.rewritten
    receipt = read_receipt(place)
    assert (receipt.home, receipt.foreign) == (place, False)
    assert app.kitbag("verify", "app").status == 0


def test_a_damaged_one_does_not_stop_the_others(app, tmp_path, app_bundles):
    shutil.copytree(app.home, app.home.parent / "broken", symlinks=True)
    (app.home.parent / "broken" / ".kitbag" / "receipt.json").write_text("{")
    app.move(tmp_path / "new")
    done = app.kitbag("relocate")
    assert done.status == 3
    assert " ~ app: " in done.out
    assert re.fullmatch(
        r"kitbag: error: .*/broken/.kitbag/receipt.json: the receipt can't be read .*; "
        r"mend it with 'kitbag repair BUNDLE broken'\n",
        done.err,
    )
    assert app.kitbag("verify", "app").status == 0
    done = app.kitbag("relocate", "--json")
    found = {each["name"]: each for each in json.loads(done.out)["environments"]}
    assert "error" not in found["app"]
    assert (found["broken"]["error"]["code"], found["broken"]["old-home"]) == ("integrity", "")


def test_what_was_compiled_stays_known(app, tmp_path):
    digest = "0" * 64
    keep_bytecode(app.root, os.fspath(app.home), {"lib/x.pyc": digest})
    app.move(tmp_path / "new")
    assert app.kitbag("relocate").status == 0
    home = os.fspath(app.home)
    assert read_bytecode(home, read_receipt(home)) == {"lib/x.pyc": digest}
