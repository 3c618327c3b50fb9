import json
import os
from pathlib import Path

import pytest

from kitbag_bundles.errors import FileSystemError
from kitbag_bundles.keys import BuildKey, Version
from kitbag_bundles.layout import executable
from kitbag_installer import links
from kitbag_installer.pins import Pin, read_pins, write_pins
from kitbag_installer.roots import Root

GNU = "linux-x86_64-gnu"


class House:
    """A root and a bin directory, with builds that are no more than their executables."""

    def __init__(self, folder: Path) -> None:
        self.root = Root(str(folder / "root"))
        self.root.prepare()
        self.bin = folder / "bin"

    def add(self, text: str) -> BuildKey:
        key = BuildKey.parse(f"{text}-{GNU}")
        program = Path(self.root.install_path(key), executable(key))
        program.parent.mkdir(parents=True)
        program.write_text(str(key))
        return key

    def remove(self, key: BuildKey) -> None:
        path = Path(self.root.install_path(key))
        for inner in sorted(path.rglob("*"), reverse=True):
            inner.rmdir() if inner.is_dir() else inner.unlink()
        path.rmdir()

    def install(self, *texts: str, default: bool = False, force: bool = False) -> links.BinLinks:
        """What an install does with links."""
        present = set(self.root.builds())
        wanted = [BuildKey.parse(f"{text}-{GNU}") for text in texts]
        for text, key in zip(texts, wanted, strict=True):
            if key not in present:
                self.add(text)
        links.prune_links(self.root)
        links.link_minor_versions(self.root)
        return links.link_commands(self.root, wanted, str(self.bin), default=default, force=force)

    def uninstall(self, *texts: str) -> tuple[str, ...]:
        """What an uninstall does with links."""
        for text in texts:
            self.remove(BuildKey.parse(f"{text}-{GNU}"))
        links.link_minor_versions(self.root)
        return links.prune_links(self.root)

    def minor_links(self) -> dict[str, str]:
        found = {}
        for name in os.listdir(self.root.path):
            path = f"{self.root.path}/{name}"
            if os.path.islink(path):
                target = os.readlink(path).replace(f"{self.root.path}/", "")
                found[name.replace(f"-{GNU}", "")] = target.replace(f"-{GNU}", "")
        return found

    def runs(self) -> dict[str, str]:
        """Which build each name in the bin directory leads to."""
        found = {}
        for path in sorted(self.bin.iterdir()) if self.bin.exists() else ():
            found[path.name] = path.read_text().replace(f"-{GNU}", "") if path.exists() else ""
        return found


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_the_highest_patch_wins_in_whatever_order_they_come(house):
    house.install("cpython-3.13.4")
    assert house.minor_links() == {"cpython-3.13": "cpython-3.13.4"}
    house.install("cpython-3.13.10")
    assert house.minor_links() == {"cpython-3.13": "cpython-3.13.10"}
    house.install("cpython-3.13.9")
    assert house.minor_links() == {"cpython-3.13": "cpython-3.13.10"}
    assert house.runs() == {"python3.13": "cpython-3.13.10"}


def test_a_prerelease_is_less_than_its_release(house):
    house.install("cpython-3.14.0", "cpython-3.14.0rc3")
    assert house.minor_links() == {"cpython-3.14": "cpython-3.14.0"}
    assert house.runs() == {"python3.14": "cpython-3.14.0"}


def test_each_variant_has_links_and_names_of_its_own(house):
    house.install("cpython-3.13.5", "cpython-3.13.5+freethreaded", "cpython-3.13.4+debug")
    assert house.minor_links() == {
        "cpython-3.13": "cpython-3.13.5",
        "cpython-3.13+freethreaded": "cpython-3.13.5+freethreaded",
        "cpython-3.13+debug": "cpython-3.13.4+debug",
    }
    assert house.runs() == {
        "python3.13": "cpython-3.13.5",
        "python3.13d": "cpython-3.13.4+debug",
        "python3.13t": "cpython-3.13.5+freethreaded",
    }


def test_minor_links_are_absolute_and_for_cpython_only(house):
    house.install("cpython-3.13.5", "pypy-3.11.15", "graalpy-3.11.0")
    link = house.root.minor_link(BuildKey.parse(f"cpython-3.13.5-{GNU}"))
    assert os.readlink(link) == f"{house.root.path}/cpython-3.13.5-{GNU}"
    assert set(house.minor_links()) == {"cpython-3.13"}
    assert house.runs() == {
        "graalpy3.11": "graalpy-3.11.0",
        "pypy3.11": "pypy-3.11.15",
        "python3.13": "cpython-3.13.5",
    }


def test_names_lead_through_the_minor_link_so_that_they_follow_patches(house):
    house.install("cpython-3.13.4")
    assert os.readlink(house.bin / "python3.13") == (
        f"{house.root.path}/cpython-3.13-{GNU}/bin/python3.13"
    )


def test_builds_of_other_tools_count(house):
    house.add("cpython-3.13.9")  # what uv put there
    house.install("cpython-3.13.5")
    assert house.minor_links() == {"cpython-3.13": "cpython-3.13.9"}


@pytest.mark.parametrize("target", ["nothing", "/nothing/at/all", f"cpython-3.13.4-{GNU}"])
def test_a_minor_link_that_is_wrong_is_mended(house, target):
    key = house.add("cpython-3.13.5")
    os.symlink(target, house.root.minor_link(key))
    links.link_minor_versions(house.root)
    assert os.readlink(house.root.minor_link(key)) == house.root.install_path(key)


def test_something_else_under_the_name_of_a_minor_link_stays(house):
    key = house.add("cpython-3.13.5")
    os.mkdir(house.root.minor_link(key))
    links.link_minor_versions(house.root)
    assert os.path.isdir(house.root.minor_link(key))
    assert not os.path.islink(house.root.minor_link(key))


def test_default_adds_the_short_names(house):
    house.install("cpython-3.13.5", "pypy-3.11.15", default=True)
    assert house.runs() == {
        "pypy": "pypy-3.11.15",
        "pypy3": "pypy-3.11.15",
        "pypy3.11": "pypy-3.11.15",
        "python": "cpython-3.13.5",
        "python3": "cpython-3.13.5",
        "python3.13": "cpython-3.13.5",
    }


def test_of_several_the_newest_gets_the_short_names(house):
    house.install("cpython-3.13.5", "cpython-3.9.20", "cpython-3.12.1", default=True)
    assert house.runs()["python"] == house.runs()["python3"] == "cpython-3.13.5"


def test_a_lower_patch_does_not_steal_a_name(house):
    house.install("cpython-3.13.5")
    made = house.install("cpython-3.13.4")
    assert made == links.BinLinks({}, ())
    assert house.runs() == {"python3.13": "cpython-3.13.5"}


def test_a_dangling_link_is_replaced(house):
    house.bin.mkdir()
    (house.bin / "python3.13").symlink_to("/nothing/at/all")
    made = house.install("cpython-3.13.5")
    assert made.refused == ()
    assert house.runs() == {"python3.13": "cpython-3.13.5"}


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_other_peoples_files_are_refused_by_name(house, tmp_path, kind):
    house.bin.mkdir()
    place = house.bin / "python3.13"
    (tmp_path / "theirs").write_text("theirs")
    if kind == "file":
        place.write_text("theirs")
    elif kind == "link":
        place.symlink_to(tmp_path / "theirs")
    else:
        place.mkdir()
    made = house.install("cpython-3.13.5", default=True)
    assert made.refused == (str(place),)
    assert place.is_dir() if kind == "folder" else place.read_text() == "theirs"
    assert (house.bin / "python3").read_text() == f"cpython-3.13.5-{GNU}"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_force_replaces_other_peoples_files(house, tmp_path, kind):
    house.bin.mkdir()
    place = house.bin / "python3.13"
    (tmp_path / "theirs").write_text("theirs")
    place.write_text("theirs") if kind == "file" else place.symlink_to(tmp_path / "theirs")
    made = house.install("cpython-3.13.5", force=True)
    assert made.refused == ()
    assert house.runs() == {"python3.13": "cpython-3.13.5"}
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_links_that_uv_made_into_the_root_are_ours(house):
    """uv links a patch request to the patch directory itself."""
    key = house.add("cpython-3.13.4")
    house.bin.mkdir()
    (house.bin / "python3.13").symlink_to(f"{house.root.install_path(key)}/bin/python3.13")
    made = house.install("cpython-3.13.5")
    assert made.refused == ()
    assert house.runs() == {"python3.13": "cpython-3.13.5"}


def test_a_root_whose_name_begins_alike_is_someone_elses(house, tmp_path):
    other = House(tmp_path / "other")
    other.root = Root(house.root.path + "2")
    other.root.prepare()
    key = other.add("cpython-3.13.5")
    house.bin.mkdir()
    (house.bin / "python3.13").symlink_to(f"{other.root.install_path(key)}/bin/python3.13")
    assert house.install("cpython-3.13.9").refused == (str(house.bin / "python3.13"),)


def test_repeating_changes_nothing(house):
    house.install("cpython-3.13.5", default=True)
    before = {path: os.lstat(path).st_ino for path in house.bin.iterdir()}
    made = house.install("cpython-3.13.5", default=True)
    assert {path: os.lstat(path).st_ino for path in house.bin.iterdir()} == before
    assert sorted(made.made) == sorted(map(str, before))


def test_uninstall_turns_the_links_to_the_next_patch(house):
    house.install("cpython-3.13.4", "cpython-3.13.5", default=True)
    assert house.uninstall("cpython-3.13.5") == ()
    assert house.minor_links() == {"cpython-3.13": "cpython-3.13.4"}
    assert set(house.runs().values()) == {"cpython-3.13.4"}


def test_uninstall_of_the_last_one_takes_its_links_along(house):
    house.install("cpython-3.13.5", "cpython-3.12.1", default=True)
    (house.bin / "own").symlink_to("/nothing/of/ours")
    removed = house.uninstall("cpython-3.13.5")
    assert sorted(map(os.path.basename, removed)) == ["python", "python3", "python3.13"]
    assert house.minor_links() == {"cpython-3.12": "cpython-3.12.1"}
    assert house.runs() == {"own": "", "python3.12": "cpython-3.12.1"}


def test_dangling_links_of_others_in_the_root_stay(house):
    house.install("cpython-3.13.5")
    os.symlink("/nothing", f"{house.root.path}/cpython-odd")
    os.symlink(f"{house.root.path}/nothing", f"{house.root.path}/note")
    house.uninstall("cpython-3.13.5")
    assert set(house.minor_links()) == {"cpython-odd", "note"}


def test_no_link_is_ever_made_that_leads_nowhere(house):
    key = BuildKey.parse(f"cpython-3.13.5-{GNU}")
    os.mkdir(house.root.install_path(key))
    links.link_minor_versions(house.root)
    links.link_commands(house.root, [key], str(house.bin), default=True, force=False)
    assert "" not in house.runs().values()


def test_bin_directories_are_remembered(house, tmp_path):
    house.install("cpython-3.13.5")
    links.remember_bin_dir(house.root, "/caf\xe9/\udce9")
    links.remember_bin_dir(house.root, str(house.bin))
    assert links.remembered_bin_dirs(house.root) == sorted([str(house.bin), "/caf\xe9/\udce9"])


@pytest.mark.parametrize("text", ["", "{", "{}", "[1, null]", '"x"', "\xff", "[" * 100_000])
def test_a_damaged_memory_is_no_memory(house, text):
    os.makedirs(house.root.own, exist_ok=True)
    Path(house.root.own, "bin.json").write_text(text, encoding="latin-1")
    assert links.remembered_bin_dirs(house.root) == []
    house.install("cpython-3.13.5")
    assert json.loads(Path(house.root.own, "bin.json").read_text()) == [str(house.bin)]


@pytest.mark.parametrize("path", ["", "bin", "/a\0b", "/\ud800"])
def test_what_is_no_path_is_not_remembered(house, path):
    house.install("cpython-3.13.5")
    Path(house.root.own, "bin.json").write_text(json.dumps([path, str(house.bin)]))
    assert links.remembered_bin_dirs(house.root) == [str(house.bin)]
    assert links.prune_links(house.root) == ()


def test_after_a_move_the_links_follow(house, tmp_path):
    inside = Path(house.root.path, "commands")
    house.install("cpython-3.13.5", default=True)
    house.bin, outside = inside, house.bin
    house.install("cpython-3.13.5")
    old = house.root.path
    new = Root(str(tmp_path / "moved"))
    os.rename(old, new.path)
    moved = links.retarget_links(new, old)
    assert len(moved) == 5
    assert links.remembered_bin_dirs(new) == sorted([str(outside), f"{new.path}/commands"])
    for path in (outside / "python3.13", outside / "python", Path(new.path, "commands/python3.13")):
        assert path.read_text() == f"cpython-3.13.5-{GNU}"
    assert links.retarget_links(new, old) == ()


def test_a_bin_directory_that_can_not_be_is_told_with_the_way_out(house):
    house.bin.write_text("a file")
    with pytest.raises(FileSystemError, match="the builds are installed; name another with --bin"):
        house.install("cpython-3.13.5")


def test_a_pin_holds_a_link_at_its_patch_and_goes_with_its_reason(house):
    house.install("cpython-3.13.4", "cpython-3.13.5")
    line = f"cpython-3.13-{GNU}"
    pin = Pin(Version.parse("3.13.4"), Version.parse("3.13.5"), "")
    write_pins(house.root, {line: pin, f"cpython-3.9-{GNU}": pin})
    links.link_minor_versions(house.root)
    assert house.minor_links() == {"cpython-3.13": "cpython-3.13.4"}
    assert house.runs() == {"python3.13": "cpython-3.13.4"}
    assert read_pins(house.root) == {line: pin}
    coming = BuildKey.parse(f"cpython-3.13.6-{GNU}")
    link = house.root.minor_link(coming)
    assert links.minor_links(house.root, {coming: ""})[link] == house.root.install_path(coming)
    same = BuildKey.parse(f"cpython-3.13.5-{GNU}")
    assert links.minor_links(house.root, {same: "2"})[link] == house.root.install_path(same)
    house.install("cpython-3.13.6")
    assert house.minor_links() == {"cpython-3.13": "cpython-3.13.6"}
    assert read_pins(house.root) == {}


def test_which_links_are_going_to_be_turned(house):
    key = house.add("cpython-3.13.5")
    wanted = links.minor_links(house.root)
    assert links.turned_links(house.root, wanted) == {}
    links.link_minor_versions(house.root)
    assert links.turned_links(house.root, wanted) == {}
    newer = BuildKey.parse(f"cpython-3.13.6-{GNU}")
    assert links.turned_links(house.root, links.minor_links(house.root, {newer: ""})) == {
        house.root.minor_link(key): house.root.install_path(key)
    }


def test_names_into_a_patch_are_turned_to_the_same_in_its_heir(house):
    house.install("cpython-3.13.4", "cpython-3.13.5", "pypy-3.11.13")
    old, new = (BuildKey.parse(f"cpython-3.13.{n}-{GNU}") for n in (4, 5))
    inside = Path(house.root.install_path(old), "bin")
    (house.bin / "python").symlink_to(inside / "python3.13")
    (house.bin / "pip").symlink_to(inside / "pip")
    assert links.turn_names(house.root, old, new) == (str(house.bin / "python"),)
    assert os.readlink(house.bin / "python") == f"{house.root.minor_link(new)}/bin/python3.13"
    assert os.readlink(house.bin / "pip") == str(inside / "pip")
    old, new = BuildKey.parse(f"pypy-3.11.13-{GNU}"), house.add("pypy-3.11.15")
    assert links.turn_names(house.root, old, new) == (str(house.bin / "pypy3.11"),)
    assert house.runs()["pypy3.11"] == "pypy-3.11.15"
