from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles import volumesums
from kitbag_bundles.errors import BundleError, UnsupportedFormat
from kitbag_bundles.volumesums import PartSum, VolumeSums
from support.require import require_command
from support.volumes import BASE, noisy_volumes, sums_of

if TYPE_CHECKING:
    from pathlib import Path

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.text(min_size=1, max_size=20).filter(volumesums.is_suitable)
SUMS = st.lists(st.builds(PartSum, st.integers(0, 10**15), HEX), min_size=1, max_size=30).flatmap(
    lambda parts: st.builds(
        VolumeSums, st.just(sum(part.size for part in parts)), HEX, st.just(tuple(parts))
    )
)


@given(NAMES, SUMS)
def test_what_is_written_is_read(base: str, sums: VolumeSums) -> None:
    data = volumesums.render(base, sums)
    assert volumesums.is_ours(data)
    assert volumesums.parse(data, "x") == sums
    assert volumesums.parse(data.replace(b"\n", b"\r\n"), "x") == sums


@given(SUMS, st.data())
def test_no_flipped_byte_goes_unnoticed(sums: VolumeSums, data: st.DataObject) -> None:
    text = bytearray(volumesums.render("x", sums))
    at = data.draw(st.integers(len("# kitbag volumes 1"), len(text) - 1))
    text[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BundleError, match=r"x\.sha256 is damaged: copy it again, or remove it"):
        volumesums.parse(bytes(text), "x.sha256")


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(BundleError):
        volumesums.parse(b"# kitbag volumes 1\n" + noise, "x")


def test_a_newer_one() -> None:
    with pytest.raises(UnsupportedFormat, match="newer kitbag"):
        volumesums.parse(b"# kitbag volumes 2\n", "x")


@pytest.mark.parametrize("command", ["sha256sum", "shasum -a 256", "busybox sha256sum"])
def test_other_tools_check_the_parts(tmp_path: Path, command: str) -> None:
    words = command.split()
    require_command(words[0])
    noisy_volumes(tmp_path)
    sums = sums_of(tmp_path)
    if words[0] == "busybox":
        # It has no notion of comments.
        lines = sums.read_text().splitlines(keepends=True)
        sums.write_text("".join(line for line in lines if not line.startswith("#")))
    run = [*words, "-c", sums.name]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert done.stdout.count(": OK\n") > 5
    assert not done.stderr
    shutil.copy(tmp_path / f"{BASE}.001", tmp_path / f"{BASE}.002")
    assert subprocess.run(run, cwd=tmp_path, capture_output=True).returncode != 0
