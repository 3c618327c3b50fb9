from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import run_kitbag
from support.volumes import BASE, noisy_volumes, parts_of, sums_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    noisy_volumes(tmp_path / "stick")
    return tmp_path / "stick"


@pytest.mark.parametrize("name", ["", f"{BASE}.001", f"{BASE}.003", BASE, f"{BASE}.sha256"])
def test_any_name_will_do(
    capfd: pytest.CaptureFixture[str], stick: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "joined"
    done = run_kitbag(capfd, "join", stick / name, out)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"Wrote {out} (")
    assert out.read_bytes() == b"".join(path.read_bytes() for path in parts_of(stick))
    assert f" {done.out.split()[-1]} " in sums_of(stick).read_text()


def test_json(capfd: pytest.CaptureFixture[str], stick: Path, tmp_path: Path) -> None:
    found = run_kitbag(capfd, "join", stick, tmp_path / "joined", "--json").json
    assert found.pop("volumes") == []
    assert set(found) == {"bundle", "size", "sha256"}


def test_what_makes_no_sense(capfd: pytest.CaptureFixture[str], stick: Path) -> None:
    for words, said in (
        ([stick, stick], "a directory; name a file"),
        ([stick, ""], "name the bundle to write"),
        ([stick / "none", stick / "x"], "there is no bundle at"),
    ):
        done = run_kitbag(capfd, "join", *words)
        assert done.status == 2
        assert said in done.err
