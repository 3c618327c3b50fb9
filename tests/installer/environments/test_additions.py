"""What a person added: found, told, and brought along."""

import os
import shutil

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import IntegrityError
from kitbag_installer.environments.additions import (
    additions,
    bring_along,
    guessed_extra,
    keep_owner,
)
from kitbag_installer.environments.receipts import read_receipt
from support.require import require
from support.snapshots import snapshot

SITE = "lib/python3.13/site-packages"


def add(app):
    (app.site / "mine" / "__pycache__").mkdir(parents=True)
    (app.site / "mine" / "a.py").write_text("1")
    (app.site / "mine" / "__pycache__" / "a.cpython-313.pyc").write_text("compiled")
    (app.site / "link").symlink_to("mine")
    (app.home / "bin" / "mine").write_text("#!/bin/sh\n")


def environment_of(bundle):
    with Bundle.open(str(bundle)) as opened:
        return opened.manifest.environments[0]


def test_files_and_links_count_and_compiled_ones_do_not(app):
    assert additions(os.fspath(app.home)) == ()
    add(app)
    (app.home / "bin" / "app").write_text("changed, not added")
    found = ("bin/mine", f"{SITE}/link", f"{SITE}/mine/a.py")
    assert additions(os.fspath(app.home)) == found
    (app.home / ".kitbag" / "contents.tsv").write_text("")
    with pytest.raises(IntegrityError):
        additions(os.fspath(app.home))


def test_who_replaces_it_is_told_what_stays_behind(app, app_bundles):
    assert "added" not in app.install(app_bundles.second).err
    add(app)
    before = snapshot(app.home)
    done = app.install(app_bundles.first)
    assert "app: 3 files that you added to it stayed with the one before, such as bin/mine; " in (
        done.err
    )
    assert "kitbag rollback app brings that back" in done.err
    assert app.kitbag("rollback", "app").status == 0
    assert snapshot(app.home) == before
    (app.site / "link").unlink()
    (app.home / "bin" / "mine").unlink()
    assert "app: a file that you added" in app.install(app_bundles.first).err


def test_where_the_receipt_is_lost_what_is_not_in_the_new_one_counts(app, app_bundles, tmp_path):
    add(app)
    tree = tmp_path / "tree"
    shutil.copytree(app.home, tree, symlinks=True)
    for name in ("receipt.json", "contents.tsv"):
        (app.home / ".kitbag" / name).unlink()
    environment = environment_of(app_bundles.first)
    assert guessed_extra(str(app.home), str(tree), environment) == (
        "bin/mine",
        f"{SITE}/link",
        f"{SITE}/mine/a.py",
    )
    shutil.rmtree(tree / SITE / "app-1.0.dist-info")
    with pytest.raises(IntegrityError, match=r"app-1\.0\.dist-info in it is not in the bundle"):
        guessed_extra(str(app.home), str(tree), environment)


def test_it_is_brought_along_with_what_was_compiled(app, tmp_path):
    add(app)
    (app.site / "mine").chmod(0o750)
    tree = tmp_path / "tree"
    (tree / SITE).mkdir(parents=True)
    (tree / "bin").write_text("in the way")
    (tree / SITE / "link").write_text("theirs")
    bring_along(str(app.home), str(tree), additions(os.fspath(app.home)))
    mine = tree / SITE / "mine"
    assert (mine / "a.py").read_text() == "1"
    assert (mine / "__pycache__" / "a.cpython-313.pyc").read_text() == "compiled"
    assert mine.stat().st_mode & 0o777 == 0o750
    assert (tree / SITE / "link").read_text() == "theirs"
    assert (tree / "bin").read_text() == "in the way"


def test_what_root_makes_belongs_to_the_owner(app, tmp_path):
    require(os.geteuid() == 0, "to be root")
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a" / "link").symlink_to("nowhere")
    keep_owner(str(app.home), str(tree))
    assert tree.stat().st_uid == 0
    os.chown(app.home, 1234, 1235)
    keep_owner(str(app.home), str(tree))
    for path in (tree, tree / "a", tree / "a" / "link"):
        assert (os.lstat(path).st_uid, os.lstat(path).st_gid) == (1234, 1235)
    assert read_receipt(os.fspath(app.home)).name == "app"
