"""Which builds environments need: for uninstalling and for pruning."""

import os
import re

from kitbag_installer.environments.bases import bereft, bound_builds, stranded
from kitbag_installer.environments.receipts import read_receipt
from support import crafting
from support.environments import tiny_base, with_environments
from support.snapshots import snapshot
from support.wheels import make_wheel

NEW, OLD = crafting.host_key(), crafting.host_key("3.13.4")


def key_of(root, text):
    return next(key for key in root.builds() if str(key) == text)


def test_another_patch_of_the_line_will_do(app, app_bundles):
    root = app.root
    new = key_of(root, str(NEW))
    assert bereft(root, [new]) == {"app": new}
    app.install(app_bundles.older, "3.13.4")
    old = key_of(root, str(OLD))
    assert bereft(root, [new]) == bereft(root, [old]) == {}
    assert bereft(root, [old, new]) == {"app": new}
    assert app.kitbag("uninstall", "3.13.5").status == 0
    assert app.kitbag("verify", "app").status == 0


def test_one_without_the_link_is_bound_to_its_build(app, app_bundles):
    root = app.root
    assert str(NEW) not in {os.path.basename(path) for path in bound_builds(root)}
    app.install(app_bundles.older, "3.13.4")
    path = app.home / ".kitbag" / "receipt.json"
    base = read_receipt(os.fspath(app.home)).base
    path.write_text(path.read_text().replace(base, root.install_path(key_of(root, str(OLD)))))
    assert os.path.join(root.path, str(OLD)) in bound_builds(root)
    done = app.install(app_bundles.first, "--upgrade", "--prune")
    assert str(OLD) not in done.out
    assert str(OLD) in {str(key) for key in root.builds()}


def test_what_is_needed_is_not_uninstalled(app):
    before = snapshot(app.path)
    done = app.kitbag("uninstall", "3.13")
    assert (done.status, done.out) == (1, "")
    assert re.search(rf"^kitbag: error: {re.escape(str(NEW))} is needed by .* app; ", done.err)
    assert snapshot(app.path) == before
    done = app.kitbag("uninstall", "app", "3.13")
    assert (done.status, done.out) == (0, f" - app\n - {NEW}\n")
    assert not app.path.exists()


def test_with_a_damaged_receipt_it_still_needs_what_it_runs_on(app):
    (app.home / ".kitbag" / "receipt.json").write_text("")
    done = app.kitbag("uninstall", "3.13")
    assert (done.status, done.out) == (1, "")
    assert f"{NEW} is needed by " in done.err
    assert app.kitbag("uninstall", "app", "3.13").status == 0
    assert not app.path.exists()


def test_damaged_receipts_are_no_hindrance(app):
    (app.home / ".kitbag" / "receipt.json").write_text("")
    assert app.kitbag("uninstall", "--all").status == 0
    assert not app.path.exists()


def test_what_only_a_rollback_needs_goes_with_a_warning(app, app_bundles, tmp_path):
    other = tiny_base(tmp_path / "base.kitbag", "3.14.1")
    wheel = make_wheel(tmp_path, "app", "3.0", scripts={"app": "app:main"})
    app.install(with_environments(tmp_path / "x.kitbag", other, {"app": [wheel]}))
    new = key_of(app.root, str(NEW))
    assert (bereft(app.root, [new]), stranded(app.root, [new])) == ({}, {"app": new})
    done = app.kitbag("uninstall", "3.13")
    assert (done.status, done.out) == (0, f" - {NEW}\n")
    assert re.search(rf"app: the one before needs {NEW}; kitbag rollback can't bring", done.err)
    done = app.kitbag("rollback", "app")
    assert (done.status, done.out) == (1, "")
    assert re.search(rf"app: the one before can't be brought back: .* install {NEW}", done.err)
    app.install(app_bundles.first, "3.13")
    assert app.kitbag("rollback", "app").status == 0
    assert app.kitbag("uninstall", "--all").err == ""
    assert not app.path.exists()


def test_a_build_that_a_rollback_needs_is_not_pruned(app, app_bundles):
    app.install(app_bundles.older, "3.13.4")
    app.install(app_bundles.second, "app")
    path = app.previous / ".kitbag" / "receipt.json"
    base = read_receipt(os.fspath(app.previous)).base
    old = app.root.install_path(key_of(app.root, str(OLD)))
    path.write_text(path.read_text().replace(base, old))
    assert old in bound_builds(app.root)
    app.install(app_bundles.first, "3.13", "--upgrade", "--prune")
    assert os.path.isdir(old)
