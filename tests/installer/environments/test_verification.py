import os
import shutil

from kitbag_installer.environments.receipts import read_receipt
from kitbag_installer.environments.verification import verify_environments
from support.snapshots import snapshot
from support.tinyapp import QUIET

SITE = "lib/python3.13/site-packages"


def verify(app):
    (found,) = verify_environments(app.root, ["app"], QUIET)
    assert (found.name, found.path) == ("app", os.fspath(app.home))
    return found


def test_a_sound_one(app):
    before = snapshot(app.path)
    found = verify(app)
    assert found.sound
    assert (found.missing, found.changed, found.extra, found.problem) == ((), (), (), "")
    assert found.files > 10
    assert found.python == str(read_receipt(os.fspath(app.home)).python)
    assert snapshot(app.path) == before


def test_each_path_is_told_for_what_it_is(app):
    (app.site / "app.py").write_text("x")
    (app.site / "space" / "one.py").unlink()
    (app.home / "bin" / "app").chmod(0o644)
    os.unlink(app.home / "bin" / "python3")
    (app.home / "bin" / "python3").symlink_to("/elsewhere")
    (app.site / "mine.py").write_text("")
    found = verify(app)
    assert not found.sound
    assert found.missing == (f"{SITE}/space/one.py",)
    assert found.changed == ("bin/app", "bin/python3", f"{SITE}/app.py")
    assert found.extra == (f"{SITE}/mine.py",)


def test_a_record_that_was_changed_is_a_change(app):
    record = app.site / "app-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text() + "mine.py,,\n")
    assert verify(app).changed == (f"{SITE}/app-1.0.dist-info/RECORD",)


def test_what_was_added_is_no_fault(app):
    (app.site / "mine.py").write_text("")
    found = verify(app)
    assert found.sound
    assert found.extra == (f"{SITE}/mine.py",)


def test_what_kitbag_compiled_is_checked(app):
    assert app.kitbag("compile", "app").status == 0
    found = verify(app)
    assert (found.sound, found.bytecode) == (True, 2)
    (path,) = app.site.glob("space/__pycache__/*.pyc")
    path.write_bytes(b"")
    assert [os.path.basename(each) for each in verify(app).changed] == [path.name]
    (app.home / ".kitbag" / "bytecode.tsv").write_text("")
    assert "bytecode.tsv: differs from its receipt" in verify(app).problem


def test_receipts_that_tell_nothing(app):
    contents, receipt = (app.home / ".kitbag" / name for name in ("contents.tsv", "receipt.json"))
    contents.write_text("")
    assert "contents.tsv: differs from its receipt; mend it with" in verify(app).problem
    receipt.write_text("[]")
    assert "receipt.json: the receipt can't be read" in verify(app).problem
    receipt.unlink()
    found = verify(app)
    assert "has no receipt any more; mend it with 'kitbag repair BUNDLE'" in found.problem
    assert (found.sound, found.files, found.python) == (False, 0, "")


def test_a_place_and_an_interpreter_that_are_others(app, tmp_path):
    old = app.home
    app.move(tmp_path / "new")
    assert verify(app).problem == f"it was moved here from {old}; run kitbag relocate"
    app.move(tmp_path / "place")
    key = read_receipt(os.fspath(app.home)).python
    shutil.rmtree(app.root.install_path(key))
    found = verify(app)
    assert "is not there; install cpython-3.13.5" in found.problem
    assert (found.missing, found.changed) == ((), ())
