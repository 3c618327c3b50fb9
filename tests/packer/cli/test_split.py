from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.writing import write_bundle
from support.commands import run_kitbag
from support.volumes import BASE, noisy_members, parts_of, sums_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / BASE
    write_bundle(path, noisy_members(archive=50_000), reporter=SilentReporter())
    return path


def test_volumes_come_beside_the_bundle(capfd: pytest.CaptureFixture[str], bundle: Path) -> None:
    done = run_kitbag(capfd, "split", bundle, "--volume-size", "64KiB")
    assert (done.status, done.err) == (0, "")
    first, last = parts_of(bundle.parent)[0], parts_of(bundle.parent)[-1]
    line, digest = done.out.splitlines()
    assert line.startswith(f"Wrote {first} to {last.suffix[1:]} (")
    assert digest.startswith("sha256 ")
    assert sums_of(bundle.parent).exists()
    assert bundle.exists()


def test_json_and_a_name_of_its_own(capfd: pytest.CaptureFixture[str], bundle: Path) -> None:
    place = bundle.parent / "kit"
    done = run_kitbag(capfd, "split", bundle, "-o", place, "--json")
    assert done.json["volumes"] == ["kit.001"]
    assert done.json["bundle"] == str(place)
    assert done.json["size"] == bundle.stat().st_size
    whole = run_kitbag(capfd, "verify", bundle, "--json").json
    assert json.dumps(whole["sha256"]) in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--volume-size", "1k"], "too small for a volume"),
        (["--volume-size", "some"], "is no volume size"),
        (["-o", ""], "--output is empty"),
        (["-o", "."], "a directory; name the volumes"),
        (["-o", "x.001"], "name the volumes without a number"),
    ],
)
def test_what_makes_no_sense(
    capfd: pytest.CaptureFixture[str], bundle: Path, words: list[str], said: str
) -> None:
    done = run_kitbag(capfd, "split", bundle, *words)
    assert done.status == 2
    assert said in done.err


def test_volumes_are_not_cut_into_themselves(
    capfd: pytest.CaptureFixture[str], bundle: Path
) -> None:
    run_kitbag(capfd, "split", bundle, "--volume-size", "64KiB")
    done = run_kitbag(capfd, "split", f"{bundle}.001")
    assert done.status == 2
    assert "name the volumes without a number, with -o NAME" in done.err
