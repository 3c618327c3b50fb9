"""The doctor's checks of one environment; each fault is told by its own check."""

import os
import shlex
import shutil

import pytest

from kitbag_installer.doctor.environments import examine_environment
from kitbag_installer.doctor.findings import OF_AN_ENVIRONMENT
from kitbag_installer.environments.receipts import read_receipt
from kitbag_installer.hosts import this_host
from support.cli import assert_done, call
from support.tinyapp import App, make_bundles


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return make_bundles(tmp_path_factory.mktemp("app"))


@pytest.fixture
def app(tmp_path, bundles):
    made = App(tmp_path / "a place")
    made.install(bundles.first)
    return made


def examine(app):
    found = examine_environment(app.root, "app", this_host())
    assert (found.name, found.path) == ("app", os.fspath(app.home))
    return found.findings


def wrong(app):
    return {each.check: each for each in examine(app) if each.cure}


def test_a_healthy_one_passes_every_check(app):
    found = examine(app)
    assert [each.check for each in found] == list(OF_AN_ENVIRONMENT)
    assert {each.severity for each in found} == {"ok"}


def test_a_receipt_that_can_not_be_read(app):
    (app.home / ".kitbag" / "contents.tsv").write_text("")
    (finding,) = examine(app)
    assert finding.check == "environment-receipt"
    assert finding.cure == f"kitbag repair BUNDLE app --root '{app.root.path}'"


def test_a_move_is_the_one_thing_that_is_told(app, tmp_path):
    app.move(tmp_path / "new")
    assert list(wrong(app)) == ["environment-home"]
    assert wrong(app)["environment-home"].cure == f"kitbag relocate --root {app.root.path}"


def test_a_build_that_is_gone(app, bundles):
    shutil.rmtree(app.root.install_path(read_receipt(os.fspath(app.home)).python))
    found = wrong(app)
    assert found["environment-build"].message.endswith("is not there")
    assert found["environment-build"].cure.startswith("kitbag install BUNDLE app")
    # What is wrong with all the rest is that, and is mended with it.
    assert list(found) == ["environment-build"]
    assert app.kitbag("repair", bundles.first, "app").status == 1
    assert_done(app.kitbag("install", bundles.first, "app", "--no-bin"))
    assert not wrong(app)


def test_another_patch_is_told(app, bundles):
    app.install(bundles.older, "3.13.4")
    app.kitbag("uninstall", "3.13.5")
    messages = {each.check: each.message for each in examine(app)}
    assert ", now cpython-3.13.4-" in messages["environment-build"]


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        ("environment-interpreter", lambda app: (app.home / "pyvenv.cfg").write_text("home = /x")),
        ("environment-links", lambda app: (app.site / "x").symlink_to("nowhere")),
        ("environment-records", lambda app: (app.site / "space" / "one.py").unlink()),
        ("environment-scripts", lambda app: (app.home / "bin" / "x").write_text("#!/no/python\n")),
        ("environment-names", lambda app: (app.bin / "app").unlink()),
    ],
)
def test_what_is_wrong_has_its_check(app, check, spoil):
    spoil(app)
    assert list(wrong(app)) == [check]


def typed(cure, bundle, path):
    """Do what a cure says, as it is typed by somebody who has the bundle."""
    program, *words = shlex.split(cure.partition("; or ")[0])
    if program == "rm":
        os.unlink(words[0])
    else:
        done = call(*(os.fspath(bundle) if word == "BUNDLE" else word for word in words))
        assert done.status == 0, done


def lose_receipt(app):
    (app.home / ".kitbag" / "receipt.json").unlink()


def take_name(app):
    (app.bin / "app-old").unlink()
    (app.bin / "app-old").write_text("mine")


@pytest.mark.parametrize(
    "spoil",
    [
        lose_receipt,
        lambda app: (app.home / "pyvenv.cfg").write_text("home = /x"),
        lambda app: (app.site / "x").symlink_to("nowhere"),
        lambda app: os.unlink(app.home / "bin" / "python"),
        lambda app: (app.site / "space" / "one.py").unlink(),
        lambda app: (app.home / "bin" / "app").write_text("#!/no/python\n"),
        lambda app: (app.home / "bin" / "app").unlink(),
        lambda app: (app.bin / "app").unlink(),
        take_name,
        lambda app: app.move(app.path.parent / "new"),
    ],
)
def test_every_cure_cures(app, bundles, spoil):
    spoil(app)
    assert wrong(app)
    for finding in wrong(app).values():
        typed(finding.cure, bundles.first, app.path)
    assert not wrong(app)
    assert app.kitbag("relocate").status == 0
    done = app.kitbag("doctor", "app", "--all-checks")
    assert "dangling-link: none" in done.out
    assert app.kitbag("run", "ape").status == 4


def test_a_link_to_nothing_in_an_environment_is_told_once(app):
    (app.home / "bin" / "app").unlink()
    done = app.kitbag("doctor", "app")
    assert done.out.count("bin/app leads to") == 1
    assert "cure: rm" not in done.out


def test_scripts_by_way_of_a_shell_are_understood(app):
    assert (app.home / "bin" / "app").read_text().startswith("#!/bin/sh\n'''exec' ")
    lines = "#!/bin/sh\n'''exec' '/no where/python' \"$0\" \"$@\"\n' '''\n"
    (app.home / "bin" / "x").write_text(lines)
    assert "starts /no where/python, which" in wrong(app)["environment-scripts"].message
