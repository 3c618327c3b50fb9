import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.keys import Version
from kitbag_bundles.reporting import SilentReporter
from kitbag_installer.pins import Pin, read_pins, warn_of_damage, write_pins
from kitbag_installer.roots import Root

LINE = "cpython-3.13-linux-x86_64-gnu"
OTHER = "cpython-3.14+freethreaded-linux-x86_64-gnu"
PIN = Pin(Version.parse("3.13.5"), Version.parse("3.13.7"), "20260101")
versions = st.builds(
    Version, st.just(3), st.just(13), st.integers(0, 6), st.sampled_from(["", "rc1"])
)


class Warnings(SilentReporter):
    def __init__(self) -> None:
        self.told: list[str] = []

    def warn(self, message: str) -> None:
        self.told.append(message)


@pytest.fixture
def root(tmp_path):
    root = Root(str(tmp_path / "root"))
    root.prepare()
    return root


def file_of(root: Root) -> Path:
    return Path(root.own, "pins.json")


def test_what_is_written_is_read(root):
    known = {LINE: PIN, OTHER: Pin(Version.parse("3.14.0rc1"), Version.parse("3.14.0"), "")}
    write_pins(root, known)
    assert read_pins(root) == known
    assert json.loads(file_of(root).read_text())[LINE] == {
        "patch": "3.13.5",
        "newest": "3.13.7",
        "release": "20260101",
    }
    assert os.listdir(root.temp) == []


def test_the_file_goes_with_the_last_pin(root):
    write_pins(root, {})
    assert not file_of(root).exists()
    write_pins(root, {LINE: PIN})
    inode = os.stat(file_of(root)).st_ino
    write_pins(root, {LINE: PIN})
    assert os.stat(file_of(root)).st_ino == inode
    write_pins(root, {})
    assert not file_of(root).exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\xff",
        pytest.param("[" * 100_000, id="deep"),
        f'{{"{LINE}": 1}}',
        f'{{"{LINE}": {{"patch": "3.13", "newest": "3.13.7", "release": ""}}}}',
        f'{{"{LINE}": {{"patch": "3.13.5", "newest": "3.13.7"}}}}',
    ],
)
def test_a_damaged_file_is_ignored_and_told_and_goes(root, text):
    os.makedirs(root.own, exist_ok=True)
    file_of(root).write_text(text, encoding="latin-1")
    assert read_pins(root) == {}
    reporter = Warnings()
    warn_of_damage(root, reporter)
    assert len(reporter.told) == 1
    assert reporter.told[0].startswith(f"{file_of(root)}: damaged; ")
    write_pins(root, {})
    assert not file_of(root).exists()
    warn_of_damage(root, reporter)
    assert len(reporter.told) == 1


def test_of_a_file_that_is_damaged_in_part_the_rest_counts(root):
    write_pins(root, {LINE: PIN})
    table = json.loads(file_of(root).read_text())
    file_of(root).write_text(json.dumps({**table, OTHER: {}}))
    assert read_pins(root) == {LINE: PIN}
    reporter = Warnings()
    warn_of_damage(root, reporter)
    assert len(reporter.told) == 1


@given(st.sets(versions), versions, versions, st.sampled_from(["20260101", "20260202", ""]))
def test_a_pin_holds_a_line_back_and_never_forward(patches, patch, newest, release):
    pin = Pin(patch, newest, "20260101")
    if not pin.holds(patches, release):
        return
    highest = max(patches)
    assert patch in patches
    assert patch < highest <= newest
    assert highest < newest or release != "20260202"
    assert not pin.holds(patches - {patch}, release)
    assert not pin.holds(patches | {Version(3, 13, 7)}, release)


def test_what_was_there_when_it_was_made_does_not_end_a_pin():
    patches = [Version.parse(f"3.13.{patch}") for patch in (4, 5, 6, 7)]
    assert PIN.holds(patches, "20260101")
    assert PIN.holds(patches, "")
    assert PIN.holds(patches[:3], "20260303")
    assert not PIN.holds(patches, "20260202")
    assert not PIN.holds(patches[:2], "20260101")
