import os
import shutil

import pytest

from kitbag_bundles.errors import KitbagError
from kitbag_installer.bytecode.compiling import Compiled
from kitbag_installer.bytecode.modes import BytecodeOptions
from kitbag_installer.environments.inplace import compile_environments
from kitbag_installer.environments.receipts import read_receipt
from kitbag_installer.hosts import this_host
from kitbag_installer.receiptlists import read_bytecode
from support.compilable import TAG
from support.snapshots import snapshot, temporary
from support.tinyapp import QUIET

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
SITE = "lib/python3.13/site-packages"
ALL = {f"{SITE}/__pycache__/app.{TAG}.pyc", f"{SITE}/space/__pycache__/one.{TAG}.pyc"}


def compile_app(app, mode="timestamp", *, insist=False, jobs=1):
    options = BytecodeOptions(compile=True, mode=mode, insist=insist)
    (done,) = compile_environments(app.root, ["app"], this_host(), options, jobs, QUIET)
    assert not temporary(app.path / "root")
    if not isinstance(done.result, Compiled):
        raise done.result
    return done.result


def recorded(app):
    home = os.fspath(app.home)
    return read_bytecode(home, read_receipt(home))


def verified(app):
    return app.kitbag("verify", "app").status == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_stale_is_compiled_and_known(app, jobs):
    done = compile_app(app, jobs=jobs)
    assert (done.compiled, done.fresh, done.failures) == (2, 0, {})
    assert recorded(app).keys() == ALL
    assert verified(app)
    before = snapshot(app.path)
    done = compile_app(app, jobs=jobs)
    assert (done.compiled, done.fresh) == (0, 2)
    assert snapshot(app.path) == before


def test_what_was_added_is_compiled_too(app):
    compile_app(app)
    (app.site / "mine.py").write_text("x = 1\n")
    done = compile_app(app)
    assert (done.compiled, done.fresh) == (1, 2)
    assert recorded(app).keys() == {*ALL, f"{SITE}/__pycache__/mine.{TAG}.pyc"}
    (app.site / "mine.py").unlink()
    (app.site / "__pycache__" / f"mine.{TAG}.pyc").unlink()
    compile_app(app)
    assert recorded(app).keys() == ALL
    assert verified(app)


def test_another_mode_on_request(app):
    compile_app(app)
    before = recorded(app)
    assert compile_app(app, "unchecked-hash").compiled == 0
    assert compile_app(app, "unchecked-hash", insist=True).compiled == 2
    assert recorded(app) != before
    assert verified(app)


def test_one_that_does_not_compile_is_told(app):
    (app.site / "broken.py").write_text("def (:\n")
    done = compile_app(app)
    assert (done.compiled, list(done.failures)) == (2, [f"{SITE}/broken.py"])
    assert recorded(app).keys() == ALL


def test_a_list_that_is_damaged_is_made_anew(app):
    compile_app(app)
    (app.home / ".kitbag" / "bytecode.tsv").write_text("")
    assert not verified(app)
    assert compile_app(app).fresh == 2
    assert recorded(app).keys() == ALL
    assert verified(app)


def test_what_can_not_be_compiled_stops_no_other(app):
    other = app.home.parent / "other"
    shutil.copytree(app.home, other, symlinks=True)
    (other / ".kitbag" / "receipt.json").write_text("")
    options = BytecodeOptions(compile=True)
    names = ["other", "app"]
    done = compile_environments(app.root, names, this_host(), options, 1, QUIET)
    assert [each.name for each in done] == names
    assert isinstance(done[0].result, KitbagError)
    assert isinstance(done[1].result, Compiled)
    assert compile_environments(app.root, [], this_host(), options, 1, QUIET) == []


def test_after_a_move_it_is_relocated_first(app, tmp_path):
    app.move(tmp_path / "new")
    with pytest.raises(KitbagError, match=r"not compiled: it was moved here from .*relocate$"):
        compile_app(app)
    assert app.kitbag("relocate").status == 0
    assert compile_app(app).compiled == 2


def test_without_its_interpreter_nothing_changes(app):
    compile_app(app)
    shutil.rmtree(app.root.install_path(read_receipt(os.fspath(app.home)).python))
    before = snapshot(app.path)
    with pytest.raises(KitbagError, match=r"app is not compiled: its interpreter .* install"):
        compile_app(app)
    assert snapshot(app.path) == before
