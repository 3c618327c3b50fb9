import json
import os
import shutil
from pathlib import Path

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.errors import FileSystemError, NoMatch, SmokeTestFailed
from kitbag_bundles.keys import BuildKey
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.hosts import this_host
from kitbag_installer.installation import InstallOptions, install_builds
from kitbag_installer.pins import read_pins
from kitbag_installer.relocation import relocate_builds
from kitbag_installer.removal import uninstall_builds
from kitbag_installer.roots import Root
from kitbag_installer.upgrading import held_back, highest_of, prunable, roll_back
from support.bundled import host_key, tiny_bundle
from support.install import install_tiny
from support.snapshots import dangling, snapshot

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
OLD, MIDDLE, NEW = (host_key(version) for version in ("3.13.4", "3.13.5", "3.13.7"))
LINE = NEW.minor_key
VERSIONS = (
    *("3.12.9", "3.13.4", "3.13.5", "3.13.7", "3.13.9", "3.14.0t", "3.14.1t"),
    *("3.13.5@20260202", "3.13.7@20260202"),
)


class Messages(SilentReporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class Site:
    """A root with a bin directory, and bundles of one build each."""

    def __init__(self, folder: Path, bundles: dict[str, Path]) -> None:
        self.root = Root(str(folder / "root"))
        self.bin = folder / "bin"
        self.bundles = bundles
        self.messages = Messages()

    def install(self, *versions: str, requests: tuple[str, ...] = (), **options: object):
        """Install each; returns what came of the last one."""
        settings = InstallOptions(**{"bin_dir": str(self.bin), **options})
        for version in versions:
            with Bundle.open(self.bundles[version]) as bundle:
                wishes = parse_requests(requests)
                done = install_builds(
                    bundle, self.root, wishes, this_host(), settings, self.messages
                )
        return done

    def upgrade(self, version: str, *requests: str, **options: object):
        done = self.install(version, requests=requests, upgrade=True, **options)
        (result,) = done.builds
        return result.action

    def roll_back(self, *requests: str) -> list[tuple[str, str]]:
        turns = roll_back(self.root, parse_requests(requests), self.messages)
        return [(str(turn.old.version), str(turn.new.version)) for turn in turns]

    def current(self, key: BuildKey = NEW) -> str:
        target = os.readlink(self.root.minor_link(key))
        return str(BuildKey.parse(os.path.basename(target)).version)

    def versions(self) -> list[str]:
        return [str(key.version) for key in sorted(self.root.builds(), key=lambda k: k.order())]

    def pins(self) -> dict[str, str]:
        return {line: str(pin.patch) for line, pin in read_pins(self.root).items()}

    def disown(self, key: BuildKey) -> None:
        """Make it a build that another tool installed."""
        shutil.rmtree(Path(self.root.install_path(key), ".kitbag"))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {name: tiny_bundle(folder / f"{name}.kitbag", name) for name in VERSIONS}


@pytest.fixture
def site(tmp_path, bundles) -> Site:
    return Site(tmp_path, bundles)


class TestUpgrade:
    def test_a_newer_patch_comes_in_beside_and_takes_the_link(self, site):
        site.install("3.13.5")
        done = site.install("3.13.7", upgrade=True)
        assert [result.action for result in done.builds] == ["installed"]
        link = site.root.minor_link(NEW)
        assert done.turned_links == {link: site.root.install_path(MIDDLE)}
        assert done.minor_links == {link: site.root.install_path(NEW)}
        assert (site.versions(), site.current()) == (["3.13.5", "3.13.7"], "3.13.7")
        assert done.pruned == ()

    def test_the_same_version_with_a_newer_release_takes_its_place(self, site):
        site.install("3.13.7")
        done = site.install("3.13.7@20260202", upgrade=True)
        (result,) = done.builds
        assert (result.action, result.old_release) == ("upgraded", "20260101")
        assert Path(result.path, "BUILD").read_text() == "20260202"
        assert site.upgrade("3.13.7@20260202") == "present"
        assert site.upgrade("3.13.7") == "newer-present"
        assert Path(result.path, "BUILD").read_text() == "20260202"

    def test_an_older_bundle_does_nothing(self, site):
        site.install("3.13.7")
        before = snapshot(Path(site.root.path), site.bin)
        done = site.install("3.13.5", upgrade=True)
        assert [result.action for result in done.builds] == ["newer-present"]
        assert done.bin_links == {}
        assert snapshot(Path(site.root.path), site.bin) == before
        assert site.upgrade("3.13.5", "3.13.5") == "installed"
        assert site.current() == "3.13.7"

    def test_a_line_that_is_not_there_is_installed(self, site):
        assert site.upgrade("3.13.5") == "installed"
        assert site.upgrade("3.12.9") == "installed"
        assert site.upgrade("3.14.0t") == "installed"
        assert site.versions() == ["3.12.9", "3.13.5", "3.14.0"]

    def test_a_build_of_another_tool_stays_unless_its_key_is_said(self, site):
        site.install("3.13.7")
        site.disown(NEW)
        assert site.upgrade("3.13.7@20260202", "3.13") == "present"
        assert site.upgrade("3.13.7@20260202", str(NEW)) == "upgraded"

    def test_one_that_fails_leaves_everything_as_it_was(self, site, tmp_path, bundles):
        site.install("3.13.5")
        bad = tiny_bundle(tmp_path / "bad.kitbag", "3.13.8", answers={"3.13.8": "crash"})
        site.bundles = {**bundles, "bad": bad}
        assert site.upgrade("bad", prune=True) == "failed"
        assert (site.versions(), site.current()) == (["3.13.5"], "3.13.5")


class TestPrune:
    def test_older_patches_go_once_the_new_one_is_there(self, site):
        site.install("3.13.4", "3.13.5", "3.12.9", default=True)
        done = site.install("3.13.7", upgrade=True, prune=True)
        assert done.pruned == (OLD, MIDDLE)
        assert (site.versions(), site.current()) == (["3.12.9", "3.13.7"], "3.13.7")
        assert not dangling(Path(site.root.path), site.bin)
        assert os.listdir(site.root.temp) == []

    def test_what_is_up_to_date_is_pruned_too(self, site):
        """As after a run that was cut short before it came to that."""
        site.install("3.13.5", "3.13.7")
        done = site.install("3.13.7", upgrade=True, prune=True)
        assert done.builds[0].action == "present"
        assert done.pruned == (MIDDLE,)

    def test_never_for_a_new_one_that_does_not_run(self, site):
        site.install("3.13.5", "3.13.7")
        program = Path(site.root.install_path(NEW), "bin", "python3.13")
        program.write_text("#!/bin/sh\nexit 3\n")
        assert site.install("3.13.7", upgrade=True, prune=True).pruned == ()
        assert len(site.messages.warnings) == 1
        assert site.messages.warnings[0].endswith(f"{MIDDLE} is kept")

    def test_never_what_has_packages_of_a_person_in_it(self, site):
        site.install("3.13.4", "3.13.5")
        place = site.root.install_path(MIDDLE)
        Path(place, "lib/python3.13/site-packages/mine.py").write_text("mine\n")
        assert site.install("3.13.7", upgrade=True, prune=True).pruned == (OLD,)
        assert site.versions() == ["3.13.5", "3.13.7"]
        (warning,) = site.messages.warnings
        assert warning.startswith(f"{place}: is kept, it has a file that kitbag did not install, ")
        assert "such as lib/python3.13/site-packages/mine.py; " in warning

    def test_never_what_nobody_can_tell_about(self, site):
        site.install("3.13.5")
        Path(site.root.install_path(MIDDLE), ".kitbag/contents.tsv").write_text("")
        assert site.install("3.13.7", upgrade=True, prune=True).pruned == ()
        assert [each.endswith(f"; {MIDDLE} is kept") for each in site.messages.warnings] == [True]

    def test_never_what_another_tool_installed(self, site):
        site.install("3.13.4", "3.13.5")
        site.disown(MIDDLE)
        assert site.install("3.13.7", upgrade=True, prune=True).pruned == (OLD,)
        assert site.versions() == ["3.13.5", "3.13.7"]

    def test_never_of_a_line_that_has_something_newer_or_is_held(self, site):
        site.install("3.13.4", "3.13.9")
        assert site.install("3.13.5", "3.13.7", upgrade=True, prune=True).pruned == ()
        site.install("3.13.7")
        site.roll_back("3.13.4")
        done = site.install("3.13.9", upgrade=True, prune=True)
        assert done.pruned == ()
        assert (site.versions(), site.current()) == (["3.13.4", "3.13.7", "3.13.9"], "3.13.4")
        assert held_back(site.root, [host_key("3.13.9")]) == {host_key("3.13.9"): OLD}

    def test_names_that_lead_straight_to_an_old_patch_follow(self, site):
        """So uv links what a request with a patch asked for."""
        site.install("3.13.5")
        name = site.bin / "python3"
        name.symlink_to(f"{site.root.install_path(MIDDLE)}/bin/python3.13")
        site.install("3.13.7", upgrade=True, prune=True, bin_dir="")
        assert name.resolve() == Path(site.root.install_path(NEW), "bin", "python3.13")

    def test_other_implementations_have_lines_too(self, site):
        older, newer = (BuildKey.parse(f"pypy-3.11.{n}-{NEW.target}") for n in (13, 15))
        for key in (older, newer):
            folder = Path(site.root.install_path(key), ".kitbag")
            folder.mkdir(parents=True)
            (folder / "receipt.json").write_text("")
        assert prunable(site.root, {newer: ""}) == (older,)
        assert prunable(site.root, {older: ""}) == ()


def test_what_is_told_after_the_work_may_have_gone_meanwhile(site, monkeypatch):
    site.install("3.13.4", "3.13.5")
    site.roll_back("3.13")
    assert highest_of(site.root, OLD) == MIDDLE
    monkeypatch.setattr("kitbag_installer.links.minor_links", lambda root: {})
    assert held_back(site.root, [MIDDLE]) == {}
    uninstall_builds(site.root, (), SilentReporter())
    assert highest_of(site.root, OLD) == OLD


class TestRollback:
    @pytest.fixture
    def three(self, site) -> Site:
        site.install("3.13.4", "3.13.5", "3.13.7")
        return site

    def test_step_by_step_and_forward_again(self, three):
        assert three.roll_back("3.13") == [("3.13.7", "3.13.5")]
        assert (three.current(), three.pins()) == ("3.13.5", {LINE: "3.13.5"})
        assert three.roll_back("3.13") == [("3.13.5", "3.13.4")]
        assert (three.current(), three.pins()) == ("3.13.4", {LINE: "3.13.4"})
        with pytest.raises(NoMatch, match=r"nothing older .*'3\.13'; installed: .*3\.13\.4-"):
            three.roll_back("3.13")
        assert three.roll_back("3.13.5") == [("3.13.4", "3.13.5")]
        assert three.roll_back("3.13.5") == [("3.13.5", "3.13.5")]
        assert three.roll_back("3.13.7") == [("3.13.5", "3.13.7")]
        assert (three.current(), three.pins()) == ("3.13.7", {})
        assert three.versions() == ["3.13.4", "3.13.5", "3.13.7"]

    def test_later_runs_leave_it_there(self, three):
        three.roll_back("3.13")
        assert three.upgrade("3.13.7") == "present"
        three.install("3.13.7", reinstall=True)
        three.install("3.12.9")
        assert three.current() == "3.13.5"
        uninstall_builds(three.root, parse_requests(["3.12"]), three.messages)
        assert (three.current(), three.pins()) == ("3.13.5", {LINE: "3.13.5"})

    @pytest.mark.parametrize("newer", ["3.13.9", "3.13.7@20260202"])
    def test_what_is_newer_than_what_was_there_takes_the_link(self, three, newer):
        three.roll_back("3.13")
        assert three.upgrade(newer) in ("installed", "upgraded")
        assert three.current() == newer.partition("@")[0]
        assert three.pins() == {}

    def test_a_newer_release_of_the_one_in_use_does_not_turn_it(self, three):
        three.roll_back("3.13")
        assert three.upgrade("3.13.5@20260202") == "upgraded"
        assert (three.current(), three.pins()) == ("3.13.5", {LINE: "3.13.5"})

    def test_an_uninstall_of_the_one_in_use_ends_it(self, three):
        three.roll_back("3.13")
        uninstall_builds(three.root, parse_requests(["3.13.5"]), three.messages)
        assert (three.current(), three.pins()) == ("3.13.7", {})

    def test_an_uninstall_of_the_newest_ends_it_when_nothing_is_above(self, three):
        three.roll_back("3.13.4")
        uninstall_builds(three.root, parse_requests(["3.13.7"]), three.messages)
        assert (three.current(), three.pins()) == ("3.13.4", {LINE: "3.13.4"})
        uninstall_builds(three.root, parse_requests(["3.13.5"]), three.messages)
        assert (three.current(), three.pins()) == ("3.13.4", {})

    def test_each_line_that_a_request_names(self, three):
        three.install("3.14.0t", "3.14.1t", "3.12.9")
        assert three.roll_back("3.14t", "3.13") == [("3.13.7", "3.13.5"), ("3.14.1", "3.14.0")]
        assert three.current(host_key("3.14.1", "freethreaded")) == "3.14.0"
        with pytest.raises(NoMatch):
            three.roll_back("3.14")
        assert three.roll_back("any") == [("3.13.5", "3.13.4")]
        with pytest.raises(NoMatch, match="install the older patch beside it first"):
            three.roll_back("3.12")

    def test_nothing_is_turned_if_one_of_the_builds_does_not_run(self, three):
        three.install("3.14.0t", "3.14.1t")
        broken = Path(three.root.install_path(host_key("3.14.0", "freethreaded")))
        (broken / "bin" / "python3.14t").write_text("#!/bin/sh\nexit 3\n")
        before = snapshot(Path(three.root.path), three.bin)
        with pytest.raises(SmokeTestFailed):
            three.roll_back("3.13", "3.14t")
        assert snapshot(Path(three.root.path), three.bin) == before

    def test_a_specifier_says_how_far(self, three):
        assert three.roll_back("<3.13.5") == [("3.13.7", "3.13.4")]

    def test_a_build_of_another_tool_is_as_good_as_any(self, three):
        three.disown(MIDDLE)
        assert three.roll_back("3.13") == [("3.13.7", "3.13.5")]

    def test_what_has_no_link_can_not_be_turned(self, site):
        for patch in (13, 15):
            os.makedirs(f"{site.root.path}/pypy-3.11.{patch}-{NEW.target}")
        with pytest.raises(NoMatch, match="only CPython has links"):
            site.roll_back("pypy")

    def test_a_link_that_is_none_is_left_alone(self, three):
        link = three.root.minor_link(NEW)
        os.unlink(link)
        os.mkdir(link)
        with pytest.raises(FileSystemError, match="something is there that is no link"):
            three.roll_back("3.13")

    def test_damaged_pins_are_told_and_forgotten(self, three):
        three.roll_back("3.13")
        path = Path(three.root.own, "pins.json")
        path.write_text("{")
        three.install("3.12.9")
        assert len(three.messages.warnings) == 1
        assert (three.current(), path.exists()) == ("3.13.7", False)
        assert three.roll_back("3.13") == [("3.13.7", "3.13.5")]
        assert len(three.messages.warnings) == 1
        assert json.loads(path.read_text())[LINE]["newest"] == "3.13.7"

    def test_a_root_that_is_not_there(self, tmp_path):
        with pytest.raises(NoMatch, match="installed: nothing"):
            roll_back(Root(str(tmp_path / "no")), parse_requests(["3.13"]), SilentReporter())
        assert not (tmp_path / "no").exists()


def test_a_moved_root_keeps_its_pins(site, tmp_path):
    site.install("3.13.5", "3.13.7")
    site.roll_back("3.13")
    os.rename(site.root.path, tmp_path / "moved")
    site.root = Root(str(tmp_path / "moved"))
    relocate_builds(site.root, (), SilentReporter())
    assert (site.current(), site.pins()) == ("3.13.5", {LINE: "3.13.5"})


def test_several_patches_in_one_bundle_are_one_upgrade(tmp_path):
    first = tiny_bundle(tmp_path / "first.kitbag", "3.13.4", "3.12.9")
    second = tiny_bundle(tmp_path / "second.kitbag", "3.12.8", "3.13.5", "3.13.7", "3.14.0")
    root = install_tiny(first, tmp_path / "root")
    install_tiny(second, tmp_path / "root", upgrade=True)
    assert [str(key.version) for key in root.builds()] == ["3.12.9", "3.13.4", "3.13.7", "3.14.0"]
