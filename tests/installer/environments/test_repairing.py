"""What the end-to-end tests of repairs do not reach."""

import os
import shutil
import zipfile

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_installer.environments.receipts import read_receipt
from kitbag_installer.environments.repairing import mendable, repair_environments
from support.snapshots import snapshot, temporary
from support.tinyapp import QUIET
from support.wheels import make_wheel


def repair(app, bundle, *, dry_run=False):
    with Bundle.open(str(bundle)) as opened:
        (done,) = repair_environments(opened, app.root, ["app"], 1, QUIET, dry_run=dry_run)
    assert not temporary(app.path / "root")
    return done


def test_nothing_is_written_where_nothing_is_damaged(app, app_bundles):
    before = snapshot(app.path)
    assert repair(app, app_bundles.first).action == "sound"
    assert repair(app, app_bundles.first, dry_run=True).action == "sound"
    assert snapshot(app.path) == before


def test_links_modes_and_folders_are_mended(app, app_bundles):
    sound = snapshot(app.home)
    os.unlink(app.home / "bin" / "python3")
    os.chmod(app.home / "bin" / "app", 0o644)
    shutil.rmtree(app.site / "space")
    (app.site / "space").write_text("a file")
    done = repair(app, app_bundles.first, dry_run=True)
    assert done.mended == (
        "bin/app",
        "bin/python3",
        "lib/python3.13/site-packages/space",
        "lib/python3.13/site-packages/space/one.py",
    )
    assert repair(app, app_bundles.first) == done
    assert snapshot(app.home) == sound


def test_folders_nobody_can_look_into_get_their_modes_back(app, app_bundles):
    sound = snapshot(app.home)
    for path in (app.site / "space", app.home / ".kitbag"):
        path.chmod(0)
    done = repair(app, app_bundles.first)
    assert done.action == "repaired"
    assert set(done.mended) == {".kitbag", "lib/python3.13/site-packages/space"}
    assert snapshot(app.home) == sound


def test_the_one_before_stays_what_it_is(app, app_bundles):
    app.install(app_bundles.second)
    before = snapshot(app.previous)
    (app.site / "app.py").unlink()
    assert repair(app, app_bundles.second).action == "repaired"
    assert snapshot(app.previous) == before


def test_a_damaged_receipt_of_another_one_is_not_guessed(app, app_bundles):
    (app.home / ".kitbag" / "receipt.json").write_text("{}")
    done = repair(app, app_bundles.second)
    assert done.action == "failed"
    assert "app-1.0.dist-info in it is not in the bundle" in str(done.error)
    assert (app.home / ".kitbag" / "receipt.json").read_text() == "{}"


def test_what_a_bundle_can_mend(app, app_bundles):
    for bundle, names in (
        (app_bundles.first, ("app",)),
        (app_bundles.second, ()),
        (app_bundles.older, ()),
    ):
        with Bundle.open(str(bundle)) as opened:
            assert mendable(opened, app.root, ["app"]) == names


def test_after_a_move(app, app_bundles, tmp_path):
    app.move(tmp_path / "new")
    done = repair(app, app_bundles.first)
    assert (done.action, done.moved_from) == ("sound", f"{tmp_path}/place/root/envs/app")
    (app.site / "app.py").unlink()
    # Its build's link has to lead there first.
    assert app.kitbag("relocate", "3.13").status == 0
    assert repair(app, app_bundles.first).action == "repaired"
    assert read_receipt(os.fspath(app.home)).home == os.fspath(app.home)
    assert app.kitbag("verify").status == 0


@pytest.mark.parametrize("words", [(), ("app",)])
def test_what_is_told(app, app_bundles, words):
    (app.site / "app.py").unlink()
    done = app.kitbag("repair", app_bundles.first, *words, "--json")
    assert '"action": "repaired"' in done.out
    assert ('"key"' in done.out) == (not words)
    done = app.kitbag("repair", app_bundles.first, *words)
    assert done.out.splitlines()[-1] == "app: sound"


def test_a_damaged_bundle_mends_nothing(app, app_bundles, tmp_path):
    (app.site / "app.py").unlink()
    data = bytearray(app_bundles.first.read_bytes())
    with Bundle.open(str(app_bundles.first)) as bundle:
        wheel = bundle.manifest.wheels[0]
        at = data.index(bundle.open_wheel(wheel).__enter__().read(4000)[:200])
    data[at + 150] ^= 1
    broken = tmp_path / "broken.kitbag"
    broken.write_bytes(data)
    before = snapshot(app.home)
    done = repair(app, broken)
    assert (done.action, done.error.exit_status) == ("failed", 3)
    assert snapshot(app.home) == before


def test_without_its_build_it_is_not_called_sound(app, app_bundles):
    shutil.rmtree(app.root.install_path(read_receipt(os.fspath(app.home)).python))
    done = repair(app, app_bundles.first)
    assert (done.action, done.mended) == ("failed", ())
    assert "app: its interpreter" in str(done.error)


def upgrade(app, folder):
    """As pip does it: what the old version has goes."""
    for each in ("app.py", "app-1.0.dist-info"):
        path = app.site / each
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with zipfile.ZipFile(
        make_wheel(folder, "app", "2.5", files={"app.py": "NEW = 1\n", "more.py": ""})
    ) as archive:
        archive.extractall(app.site)
    (app.site / "mine.py").write_text("")


@pytest.mark.parametrize("lost", ["", "receipt.json"])
def test_another_version_of_a_package_gives_way(app, app_bundles, tmp_path, lost):
    sound = snapshot(app.home)
    upgrade(app, tmp_path)
    if lost:
        (app.home / ".kitbag" / lost).unlink()
    assert app.kitbag("verify", "app").status == 3
    done = app.kitbag("repair", app_bundles.first, "app")
    assert done.status == 0
    assert "app: app-2.5 gave way to what the bundle has" in done.err
    assert (app.site / "mine.py").exists()
    (app.site / "mine.py").unlink()
    assert snapshot(app.home) == sound
