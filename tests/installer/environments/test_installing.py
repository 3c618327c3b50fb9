"""Environments installed, replaced and left alone, with a small build that starts at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.environments.commit import put_in_place, retire, roll_back
from kitbag_installer.environments.places import (
    environment_path,
    installed_environments,
    previous_environments,
    previous_path,
)
from kitbag_installer.environments.receipts import read_contents, read_receipt
from kitbag_installer.environments.smoke import Started
from kitbag_installer.locks import locked
from kitbag_installer.roots import Root
from support import crafting
from support.cli import call, finish, start
from support.environments import environment_for, tiny_base, with_environments
from support.snapshots import dangling, snapshot, temporary
from support.wheels import make_wheel

KEY = crafting.host_key()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base") / "base.kitbag")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    scripts = {"app": "app:main", "app-tool": "app:main"}
    return {
        "app1": make_wheel(folder, "app", "1.0", scripts=scripts),
        "app2": make_wheel(folder, "app", "2.0", scripts={"app": "app:main"}),
        "one": make_wheel(folder, "space-one", files={"space/one.py": "ONE = 1\n"}),
        "two": make_wheel(folder, "space-two", files={"space/two.py": "TWO = 2\n"}),
        "bad": make_wheel(folder, "bad", extra=[("../evil.py", b"")]),
    }


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, base, wheels):
    path = tmp_path_factory.mktemp("bundle") / "app.kitbag"
    listed = {"app": [wheels["app1"], wheels["one"], wheels["two"]], "tool": [wheels["one"]]}
    return with_environments(path, base, listed, expose={"app": ["app", "app-tool"]})


@pytest.fixture(scope="module")
def newer(tmp_path_factory, base, wheels):
    path = tmp_path_factory.mktemp("bundle") / "newer.kitbag"
    listed = {"app": [wheels["app2"], wheels["one"]]}
    return with_environments(path, base, listed, expose={"app": ["app"]}, version="2")


@pytest.fixture
def install(tmp_path):
    def run(bundle, *words):
        return call(
            *("install", bundle, *words, "--root", tmp_path / "r", "--bin-dir", tmp_path / "b")
        )

    return run


@pytest.fixture
def root(tmp_path):
    return Root(str(tmp_path / "r"))


def test_everything_that_fits_includes_environments(install, bundle, root, tmp_path):
    done = install(bundle)
    assert done.status == 0, done
    lines = done.out.splitlines()
    assert lines[0].startswith("Installed 1 build and 2 environments (")
    assert lines[2:] == [" + app (3 packages, app, app-tool)", " + tool (1 package)"]
    assert installed_environments(root) == ("app", "tool")
    assert previous_environments(root) == ()
    assert os.readlink(tmp_path / "b" / "app") == f"{root.path}/envs/app/bin/app"
    assert not temporary(tmp_path / "r")
    assert not dangling(tmp_path)
    receipt = read_receipt(environment_path(root, "app"))
    assert (receipt.name, str(receipt.python), receipt.python_version) == ("app", KEY, "3.13.5")
    assert receipt.home == environment_path(root, "app")
    assert receipt.base == f"{root.path}/{receipt.python.minor_key}"
    assert receipt.programs == receipt.expose == ("app", "app-tool")
    assert receipt.placed == ("bin/app", "bin/app-tool", "pyvenv.cfg")
    assert [wheel.name for wheel in receipt.wheels] == ["app", "space-one", "space-two"]


def test_the_contents_list_is_the_tree(install, bundle, root):
    install(bundle)
    home = environment_path(root, "app")
    entries = read_contents(home, read_receipt(home))
    found = {
        path[len(home) + 1 :]: thing
        for path, thing in snapshot(home).items()
        if path != home and not path.startswith(f"{home}/.kitbag")
    }
    assert {entry.path for entry in entries} == set(found)


def test_again_changes_nothing(install, bundle, tmp_path):
    install(bundle)
    before = snapshot(tmp_path)
    done = install(bundle, "app")
    assert done.status == 0
    assert f"app is already installed in {tmp_path}/r" in done.out.splitlines()
    assert "tool" not in done.out
    after = snapshot(tmp_path)
    assert after == before


def test_a_name_brings_its_build_and_nothing_else(install, bundle, root):
    done = install(bundle, "tool")
    assert done.status == 0
    assert installed_environments(root) == ("tool",)
    assert [str(key) for key in root.builds()] == [KEY]


def test_a_request_brings_no_environment(install, bundle, root):
    assert install(bundle, "3.13").status == 0
    assert installed_environments(root) == ()
    assert not os.path.lexists(f"{root.path}/envs")


def test_an_unknown_name_is_told_with_those_there_are(install, bundle, root):
    done = install(bundle, "ape")
    assert (done.status, os.path.lexists(root.path)) == (4, False)
    assert done.err.endswith("has no environment 'ape'; it has app, tool\n")
    done = install(bundle, "Ape")
    assert done.status == 2


def test_without_environments_an_unknown_word_is_what_it_was(install, base):
    done = install(base, "ape")
    assert (done.status, "names no Python" in done.err) == (2, True)


def test_a_newer_one_takes_its_place_and_the_last_one_is_kept(
    install, bundle, newer, root, tmp_path
):
    install(bundle)
    old = snapshot(environment_path(root, "app"))
    done = install(newer, "app")
    assert done.out.splitlines()[-1] == " ~ app (2 packages, app)"
    assert sorted(os.listdir(tmp_path / "b")) == ["app", "kitbag", "python3.13"]
    place, previous = environment_path(root, "app"), previous_path(root, "app")
    assert {path[len(previous) :] for path in snapshot(previous)} == {
        path[len(place) :] for path in old
    }
    assert previous_environments(root) == ("app",)
    assert installed_environments(root) == ("app", "tool")
    roll_back(root, "app")
    assert read_receipt(place).wheels[0].version == "1.0"
    assert read_receipt(previous).wheels[0].version == "2.0"
    install(newer)
    assert read_receipt(place).wheels[0].version == "2.0"
    assert read_receipt(previous).wheels[0].version == "1.0"


def test_reinstalling_mends_what_was_broken(install, bundle, root):
    install(bundle)
    home = environment_path(root, "app")
    whole = snapshot(home).keys()
    shutil.rmtree(f"{home}/lib/python3.13/site-packages/space")
    Path(home, "mine").touch()
    (build,) = root.builds()
    as_it_was = os.stat(root.install_path(build)).st_ino
    for words in (("--dry-run",), ()):
        done = install(bundle, "app", "--reinstall", *words)
        assert " ~ app (3 packages, " in done.out
        assert f"~ {build}" not in done.out
    assert "app: a file that you added to it went with the old one, such as mine; " in done.err
    assert snapshot(home).keys() == whole
    assert os.stat(root.install_path(build)).st_ino == as_it_was


def test_reinstalling_keeps_what_a_rollback_brings_back(install, bundle, newer, root, tmp_path):
    install(bundle, "app")
    install(newer, "app")
    previous = previous_path(root, "app")
    before = snapshot(previous)
    for _ in range(2):
        assert install(newer, "app", "--reinstall").status == 0
        assert snapshot(previous) == before
    assert read_receipt(environment_path(root, "app")).wheels[0].version == "2.0"
    assert not temporary(tmp_path / "r")


def test_of_two_at_once_the_second_finds_it_there(install, bundle, newer, root, tmp_path):
    install(bundle, "app")
    words = ("install", newer, "app", "--root", root.path, "--no-bin")
    with locked(root, SilentReporter()):
        waiting = [start(*words) for _ in range(2)]
        for each in waiting:
            assert b"waiting for another process" in each.stderr.readline()
    said = sorted(finish(each).out.splitlines()[-1] for each in waiting)
    assert said == [" ~ app (2 packages)", f"app is already installed in {root.path}"]
    assert read_receipt(environment_path(root, "app")).wheels[0].version == "2.0"
    assert read_receipt(previous_path(root, "app")).wheels[0].version == "1.0"
    assert not temporary(tmp_path / "r")


def test_a_signal_ends_all_of_them(install, bundle, root, tmp_path, monkeypatch):
    started = []

    def stop(self, tree, base):
        started.append(tree)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Started, "check", stop)
    done = install(bundle)
    assert done.status == 130
    assert done.err.count("stopped by SIGTERM") == len(started) == 1
    assert installed_environments(root) == ()
    assert not temporary(tmp_path / "r")


def test_a_damaged_receipt_is_a_reason_to_replace(install, bundle, root):
    install(bundle)
    with open(f"{environment_path(root, 'app')}/.kitbag/receipt.json", "w") as file:
        file.write("{}")
    assert install(bundle, "app").out.splitlines()[-1].startswith(" ~ app")
    read_receipt(environment_path(root, "app"))


def test_what_is_not_kitbags_stays(install, bundle, root, tmp_path):
    place = tmp_path / "r" / "envs" / "app"
    place.mkdir(parents=True)
    (place / "mine").touch()
    done = install(bundle)
    assert done.status == 5
    assert "envs/app: something is there that kitbag did not make" in done.err
    assert os.listdir(place) == ["mine"]


def test_other_peoples_names_stay_too(install, bundle, root, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "app").write_text("mine")
    done = install(bundle, "app")
    assert f"not made by kitbag and left alone: {tmp_path}/b/app" in done.err
    assert (tmp_path / "b" / "app").read_text() == "mine"
    assert (tmp_path / "b" / "app-tool").is_symlink()


def test_a_name_of_another_environment_stays(install, base, wheels, tmp_path, root):
    listed = {"one": [wheels["app1"]], "two": [wheels["app2"]]}
    expose = {"one": ["app"], "two": ["app"]}
    bundle = with_environments(tmp_path / "x.kitbag", base, listed, expose=expose)
    done = install(bundle)
    assert done.status == 0
    assert os.readlink(tmp_path / "b" / "app") == f"{root.path}/envs/one/bin/app"
    assert "not made by kitbag" not in done.err
    said = f"left to the build, the other environment or the kitbag that has the name: {tmp_path}/b"
    assert f"{said}/app; pack" in done.err
    again = install(bundle, "--dry-run", "--json")
    assert json.loads(again.out)["refused-names"] == [f"{tmp_path}/b/app"]
    assert said in again.err
    assert install(bundle, "--force").status == 0
    assert os.readlink(tmp_path / "b" / "app") == f"{root.path}/envs/two/bin/app"


def test_a_forecast_tells_of_two_environments_with_one_name(install, base, wheels, tmp_path):
    listed = {"one": [wheels["app1"]], "two": [wheels["app2"]]}
    expose = {"one": ["app"], "two": ["app"]}
    bundle = with_environments(tmp_path / "x.kitbag", base, listed, expose=expose)
    done = install(bundle, "--dry-run", "--json")
    table = json.loads(done.out)
    assert table["refused-names"] == [f"{tmp_path}/b/app"]
    assert table["links"][f"{tmp_path}/b/app"].endswith("/envs/one/bin/app")
    assert json.loads(install(bundle, "--json").out)["refused-names"] == table["refused-names"]


def test_no_environment_takes_the_name_of_kitbag(install, base, tmp_path):
    wheel = make_wheel(tmp_path, "app", scripts={"kitbag": "app:main"})
    listed, expose = {"app": [wheel]}, {"app": ["kitbag"]}
    bundle = with_environments(tmp_path / "x.kitbag", base, listed, expose=expose)
    for words in ((), ("--force",)):
        done = install(bundle, *words)
        assert done.status == 0
        assert f"or the kitbag that has the name: {tmp_path}/b/kitbag;" in done.err
        assert not (tmp_path / "b" / "kitbag").is_symlink()


def test_a_name_that_would_lead_to_nothing_is_refused(install, base, wheels, tmp_path, root):
    listed, expose = {"app": [wheels["app1"]]}, {"app": ["app", "nope"]}
    bundle = with_environments(tmp_path / "x.kitbag", base, listed, expose=expose)
    done = install(bundle)
    assert done.status == 3
    assert "app: no wheel brings the program 'nope', which it exposes; pack" in done.err
    assert installed_environments(root) == ()
    assert not dangling(tmp_path)


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_the_folder_of_environments_has_the_mode_of_builds(install, bundle, root, umask):
    before = os.umask(umask)
    try:
        assert install(bundle, "tool").status == 0
    finally:
        os.umask(before)
    for path in (f"{root.path}/envs", environment_path(root, "tool")):
        assert os.stat(path).st_mode & 0o777 == 0o755


def test_a_wheel_with_two_files_for_one_path_is_broken(install, base, tmp_path, root):
    wheel = make_wheel(tmp_path, "a", files={"a.py": "1"}, data={"purelib/a.py": "2"})
    bundle = with_environments(tmp_path / "x.kitbag", base, {"app": [wheel]})
    done = install(bundle)
    assert done.status == 3
    assert "a-1.0-py3-none-any.whl: has two different files for lib/python3.13/site" in done.err
    assert installed_environments(root) == ()


def test_a_bad_wheel_fails_its_environment_alone(install, base, wheels, tmp_path, root):
    listed = {"good": [wheels["one"]], "worse": [wheels["bad"], wheels["two"]]}
    bundle = with_environments(tmp_path / "x.kitbag", base, listed)
    done = install(bundle)
    assert done.status == 3
    assert "bad-1.0-py3-none-any.whl: has a member that leads out" in done.err
    assert installed_environments(root) == ("good",)
    assert not temporary(tmp_path / "r")
    assert not list(tmp_path.rglob("evil.py"))


def test_a_failure_leaves_the_one_that_was_there(install, bundle, base, wheels, tmp_path, root):
    install(bundle)
    before = snapshot(environment_path(root, "app"))
    bad = with_environments(tmp_path / "x.kitbag", base, {"app": [wheels["bad"]]})
    assert install(bad, "app").status == 3
    assert snapshot(environment_path(root, "app")) == before
    assert previous_environments(root) == ()


def test_damage_is_an_integrity_error(install, bundle, wheels, tmp_path, root):
    data = bytearray(bundle.read_bytes())
    data[data.index(wheels["app1"].read_bytes()) + 60] ^= 1
    path = tmp_path / "damaged.kitbag"
    path.write_bytes(data)
    done = install(path, "app")
    assert done.status == 3
    assert "app-1.0-py3-none-any.whl: its sha256 is not" in done.err
    assert installed_environments(root) == ()


def test_one_for_another_machine_is_passed_over(install, base, wheels, tmp_path, root):
    other = environment_for("far", None, [wheels["one"]], target="macos-aarch64-none")
    here = environment_for("near", next(iter(_keys(base))), [wheels["one"]])
    bundle = with_environments(
        tmp_path / "x.kitbag", base, {"all": [wheels["one"]]}, environments=[other, here]
    )
    assert install(bundle).status == 0
    assert installed_environments(root) == ("near",)
    done = install(bundle, "far")
    assert done.status == 5
    assert "far does not fit this host" in done.err
    assert "wheelhouse" in done.err


def _keys(bundle):
    from kitbag_bundles.bundle import Bundle

    with Bundle.open(bundle) as found:
        return [build.key for build in found.manifest.builds]


def test_a_newer_glibc_than_there_is_is_told(install, base, wheels, tmp_path, root):
    (key,) = _keys(base)
    one = environment_for("app", key, [wheels["one"]], glibc="9.99")
    bundle = with_environments(
        tmp_path / "x.kitbag", base, {"app": [wheels["one"]]}, environments=[one]
    )
    for words in ([], ["app"]):
        done = install(bundle, *words)
        assert done.status == 5
        assert "its packages need glibc 9.99" in done.err
    assert not os.path.lexists(root.path)
    assert install(bundle, "3.13").status == 0


def test_the_report_has_every_digest(install, bundle, tmp_path, wheels):
    done = install(bundle, "app", "--json", "--report", tmp_path / "report.json")
    (said,) = json.loads(done.out)["environments"]
    assert (said["name"], said["action"], said["python"]) == ("app", "installed", KEY)
    report = json.loads((tmp_path / "report.json").read_text())
    (table,) = report["environments"]
    assert "bin/app" in table["checked"]
    for wheel in said["wheels"]:
        assert report["members"][f"wheels/{wheel['filename']}"] == wheel["sha256"]


def test_a_dry_run_writes_nothing_and_tells_the_same(install, bundle, newer, tmp_path):
    done = install(bundle, "app", "--dry-run", "--json")
    assert sorted(os.listdir(tmp_path)) == []
    (planned,) = json.loads(done.out)["environments"]
    real = json.loads(install(bundle, "app", "--json").out)
    (made,) = real["environments"]
    assert planned.pop("action") == "install"
    assert planned.items() <= made.items()
    assert json.loads(done.out)["links"] == real["links"]
    lines = install(newer, "app", "--dry-run").out.splitlines()
    assert " ~ app (2 packages, " in "\n".join(lines)


def test_what_is_needed_is_not_less_than_what_it_takes(install, bundle, tmp_path):
    preflight = json.loads(install(bundle, "--dry-run", "--json").out)["preflight"]
    install(bundle)
    found = list((tmp_path / "r").rglob("*"))
    used = sum(path.lstat().st_blocks * 512 for path in found)
    assert used <= preflight["space"]["needed"] <= used + 800_000
    assert len(found) <= preflight["inodes"]["needed"] <= len(found) + 120


def test_the_longest_path_is_that_of_a_package(bundle):
    from kitbag_bundles.bundle import Bundle
    from kitbag_installer.preflight.demand import longest_in_environment

    with Bundle.open(bundle) as opened:
        for each in opened.manifest.environments:
            wheels = opened.manifest.wheels_of(each)
            site = len("lib/python3.13/site-packages/")
            expected = site + max(wheel.longest_path for wheel in wheels)
            assert longest_in_environment(each, wheels) == expected


def test_foreign_says_that_environments_stay_out(install, base, wheels, tmp_path, root):
    (key,) = _keys(base)
    here = environment_for("app", key, [wheels["one"]])
    other = environment_for("app", None, [wheels["one"]], target="macos-aarch64-none")
    bundle = with_environments(
        tmp_path / "x.kitbag", base, {"app": [wheels["one"]]}, environments=[here, other]
    )
    done = install(bundle, "--foreign")
    assert done.status == 0
    assert "environments for macos-aarch64-none are left out" in done.err


def test_seen_as_another_place(bundle, root):
    done = call("install", bundle, "app", "--root", root.path, "--no-bin", "--seen-as", "/opt/py")
    assert done.status == 0, done
    home = environment_path(root, "app")
    receipt = read_receipt(home)
    assert (receipt.home, receipt.foreign) == ("/opt/py/envs/app", True)
    for folder, _, names in os.walk(home):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                assert not os.readlink(path).startswith(root.path)
            else:
                with open(path, "rb") as file:
                    assert root.path.encode() not in file.read(), path
    again = call("install", bundle, "app", "--root", root.path, "--no-bin", "--seen-as", "/opt/py")
    assert "app is already installed" in again.out


def test_commit_keeps_one_and_removes_the_one_before(tmp_path, root):
    root.prepare()
    for number in range(4):
        tree = root.scratch("stage")
        os.mkdir(tree)
        open(f"{tree}/{number}", "w").close()
        assert put_in_place(root, "app", tree) == (number > 0)
    assert os.listdir(environment_path(root, "app")) == ["3"]
    assert os.listdir(previous_path(root, "app")) == ["2"]
    assert not temporary(tmp_path / "r")
    assert len(retire(root, "app")) == 2
    assert not os.path.lexists(f"{root.path}/envs")
    assert not os.path.lexists(os.path.dirname(previous_path(root, "app")))


def test_commit_works_where_nothing_can_be_exchanged(tmp_path, root, monkeypatch):
    from kitbag_installer import commit

    monkeypatch.setattr(commit, "exchange", lambda *_: False)
    test_commit_keeps_one_and_removes_the_one_before(tmp_path, root)
    for number in range(2):
        tree = root.scratch("stage")
        os.mkdir(tree)
        open(f"{tree}/{number}", "w").close()
        put_in_place(root, "app", tree)
    roll_back(root, "app")
    assert os.listdir(environment_path(root, "app")) == ["0"]
    assert os.listdir(previous_path(root, "app")) == ["1"]
