"""Real builds with the real uv, of projects whose backend is in them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import zipfile

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.environments import building
from kitbag_packer.environments.builders import Builders
from kitbag_packer.environments.building import EPOCH, Building, sources
from kitbag_packer.environments.model import For, Pick
from kitbag_packer.environments.processes import Processes
from kitbag_packer.errors import NoWheel
from kitbag_packer.materials import take
from support.bundled import host_key
from support.packages import pick_of, planned
from support.projects import make_project, make_sdist
from support.require import require

FOREIGN = BuildKey.parse("cpython-3.13.5-windows-x86_64-none")
REASON = "it has a source distribution alone"


@pytest.fixture(scope="session")
def material(slim_archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("taken") / "work"
    return take(str(slim_archive), folder, key=None, with_tests=False, reporter=SilentReporter())


@pytest.fixture
def key(material) -> BuildKey:
    return material.inspection.key


class Shop:
    """A building and what it needs."""

    def __init__(self, folder, environ, materials=(), *, offline=True) -> None:
        keys = [each.inspection.key for each in materials]
        self.builders = Builders(keys, folder / "interpreters")
        for each in materials:
            self.builders.arrived(each)
        self.building = Building(
            self.builders, Processes(), folder / "built", Accounts(), environ, offline=offline
        )

    def make(self, *plans, file=None):
        (source,) = sources(plans)
        assert self.builders.is_there(self.building.waits_for(source))
        return self.building.make(source, file)


@pytest.fixture
def shop(tmp_path, environ, material) -> Shop:
    return Shop(tmp_path / "shop", environ, [material])


def texts(wheel) -> dict[str, str]:
    with zipfile.ZipFile(wheel.path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_source_distribution_is_built_by_the_builds_own_interpreter(tmp_path, shop, key):
    sdist = make_sdist(tmp_path, "app", "1.5", scripts={"app": "app:main"})
    plan = planned(key, pick_of(sdist))
    outcome = shop.make(plan, file=sdist)
    wheel = outcome.wheels[0]
    assert not outcome.failures
    assert wheel.wheel.filename == "app-1.5-py3-none-any.whl"
    assert wheel.wheel.built
    assert wheel.scripts == ("app",)
    version, prefix, epoch = texts(wheel)["app_built_with.txt"].splitlines()
    assert version == str(key.version)
    assert prefix.startswith(str(tmp_path / "shop"))
    assert epoch == str(EPOCH)
    assert str(key) in outcome.notes[0]


def test_a_directory_is_built_in_a_copy(tmp_path, shop, key):
    project = make_project(tmp_path / "project", "app")
    project.chmod(0o555)
    before = {path: path.read_bytes() for path in project.rglob("*")}
    pick = Pick("app", "", "directory", path=str(project), reason="it is a directory")
    wheel = shop.make(planned(key, pick)).wheels[0]
    assert wheel.wheel.version == "1.0"
    assert {path: path.read_bytes() for path in project.rglob("*")} == before
    project.chmod(0o755)


def test_a_project_below_its_source(tmp_path, shop, key):
    make_project(tmp_path / "many" / "packages" / "one", "one")
    pick = Pick("one", "1.0", "directory", path=str(tmp_path / "many"), reason="x")
    found = shop.make(planned(key, _with(pick, subdirectory="packages/one")))
    assert found.wheels[0].wheel.name == "one"
    for wrong in ("packages/two", "..", "packages/../../.."):
        with pytest.raises(UsageError, match="there is no directory"):
            shop.make(planned(key, _with(pick, subdirectory=wrong)))


def test_a_commit_of_a_repository(tmp_path, shop, key):
    project = make_project(tmp_path / "repository", "app", "2.0")
    commit = _commit(project)
    make_project(project, "app", "3.0")
    _commit(project)
    pick = Pick(
        "app", "2.0", "vcs", vcs="git", repository=str(project), commit=commit, reason="git"
    )
    assert shop.make(planned(key, pick)).wheels[0].wheel.version == "2.0"
    with pytest.raises(NoWheel, match="can't be had, git says"):
        shop.make(planned(key, _with(pick, commit="0" * 40)))
    with pytest.raises(NoWheel, match="knows git alone"):
        shop.make(planned(key, _with(pick, vcs="hg")))
    with pytest.raises(UsageError, match="names no commit"):
        shop.make(planned(key, _with(pick, commit="--upload-pack=evil")))


def test_the_same_bytes_each_time(tmp_path, environ, material, key):
    sdist = make_sdist(tmp_path, "app")
    plan = planned(key, pick_of(sdist))
    shops = [Shop(tmp_path / name, environ, [material]) for name in ("one", "other")]
    made = [shop.make(plan, file=sdist) for shop in shops]
    one, two = (texts(each.wheels[0]) for each in made)
    different = {name for name in one if one[name] != two[name]}
    # The backend writes down on purpose where its interpreter is.
    assert different == {"app_built_with.txt", "app-1.0.dist-info/RECORD"}


def test_a_pure_wheel_is_for_every_target(tmp_path, shop, key):
    sdist = make_sdist(tmp_path, "app")
    plans = [planned(FOREIGN, pick_of(sdist)), planned(key, pick_of(sdist))]
    outcome = shop.make(*plans, file=sdist)
    assert outcome.wheels[0] is outcome.wheels[1]
    assert len(outcome.notes) == 1
    other = make_sdist(tmp_path, "other")
    alone = shop.make(planned(FOREIGN, pick_of(other)), file=other)
    assert alone.wheels[0].wheel.filename == "other-1.0-py3-none-any.whl"


def test_native_code_is_for_this_platform_alone(tmp_path, shop, key):
    sdist = make_sdist(tmp_path, "speed", tags="py3-none-HOST")
    plans = [planned(FOREIGN, pick_of(sdist)), planned(key, pick_of(sdist))]
    outcome = shop.make(*plans, file=sdist)
    assert list(outcome.wheels) == [1]
    (failure,) = outcome.failures
    message = str(failure)
    assert isinstance(failure, NoWheel)
    assert failure.exit_status == 4
    assert message.startswith("environment app on windows-x86_64-none: speed 1.0: ")
    assert REASON in message
    assert "speed-1.0-py3-none-" in message
    assert "\n" not in message


def test_a_failing_build_says_why(tmp_path, shop, key, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sdist = make_sdist(tmp_path, "speed", fails="error: no compiler found, password@ told")
    with pytest.raises(NoWheel) as caught:
        shop.make(planned(key, pick_of(sdist)), file=sdist)
    message = str(caught.value)
    (log,) = tmp_path.glob("kitbag-build-speed-*.log")
    assert message == (
        f"environment app on {key.target}: speed 1.0: {REASON}, and building it with {key} failed: "
        f"error: no compiler found, password@ told ({log} has all that was said); "
        "give it what it needs, or take another version"
    )
    assert "Failed to build" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_what_another_interpreter_makes_is_not_enough(tmp_path, environ):
    """A wheelhouse for a Python that nobody has."""
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    sdist = make_sdist(tmp_path, "speed", tags=f"{tag}-{tag}-HOST")
    plan = planned(For("cpython", "3.99", "", host_key().target), pick_of(sdist))
    (failure,) = Shop(tmp_path / "shop", environ).make(plan, file=sdist).failures
    assert f"does not run there (speed-1.0-{tag}" in str(failure)


def test_a_wheelhouse_is_built_by_an_interpreter_of_this_machine(tmp_path, environ):
    sdist = make_sdist(tmp_path, "app")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    plan = planned(For("cpython", version, "", host_key().target), pick_of(sdist))
    outcome = Shop(tmp_path / "shop", environ).make(plan, file=sdist)
    assert texts(outcome.wheels[0])["app_built_with.txt"].startswith(version)


def test_pip_builds_where_there_is_no_uv(tmp_path, environ, monkeypatch):
    require(importlib.util.find_spec("pip"), "needs pip in the Python that runs the tests")
    monkeypatch.setattr(building, "find_uv", _no_uv)
    sdist = make_sdist(tmp_path, "app")
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    plan = planned(For("cpython", version, "", host_key().target), pick_of(sdist))
    outcome = Shop(tmp_path / "shop", environ).make(plan, file=sdist)
    assert outcome.wheels[0].wheel.name == "app"


def test_the_same_thing_is_built_once(tmp_path, key):
    sdist = pick_of(make_sdist(tmp_path, "app"))
    other = pick_of(make_sdist(tmp_path / "b", "app", "2.0"))
    wheel = Pick("x", "1", "wheel", "x-1-py3-none-any.whl", ("file:///x",), "0" * 64)
    plans = [
        planned(key, sdist, wheel),
        planned(FOREIGN, _with(sdist, reason="another", urls=("https://example.org/x",))),
        planned(key, other, name="other"),
    ]
    found = sources(plans)
    assert [(each.what, len(each.users)) for each in found] == [("app 1.0", 2), ("app 2.0", 1)]


def _no_uv(environ):
    raise UsageError("no uv")


def _with(pick, **fields):
    import dataclasses

    return dataclasses.replace(pick, **fields)


def _commit(folder) -> str:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(
            ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True,
            env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1"},
        )  # fmt: skip
        return done.stdout.strip()

    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "x")
    return git("rev-parse", "HEAD")
