from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from kitbag_packer.cache import PartialFile
from kitbag_packer.downloads.partials import Origin, Partial, boot_id

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = Origin("http://h.example/a", '"tag"', "", 100)


@pytest.fixture
def place(tmp_path: Path) -> PartialFile:
    return PartialFile(tmp_path / "data", tmp_path / "state.json")


def leave(place: PartialFile, *, boot: str, durable: int, size: int) -> None:
    with (
        contextlib.suppress(KeyboardInterrupt),
        Partial(place, trusted=False, boot=boot) as partial,
    ):
        partial.note(ORIGIN)
        partial.append(b"d" * size)
        raise KeyboardInterrupt
    table = json.loads(place.state.read_bytes())
    assert table["durable"] == size
    place.state.write_text(json.dumps(table | {"durable": durable}))


@pytest.mark.parametrize(
    ("boots", "trusted", "left"),
    [
        (("one", "one"), False, 50),
        (("one", "two"), False, 30),
        (("one", "two"), True, 30),
        (("", ""), False, 30),
        (("", ""), True, 50),
    ],
    ids=["same", "rebooted", "rebooted-digest", "unknown", "unknown-digest"],
)
def test_what_a_loss_of_power_may_have_spoilt_is_dropped(
    place: PartialFile, boots: tuple[str, str], trusted: bool, left: int
) -> None:
    leave(place, boot=boots[0], durable=30, size=50)
    with Partial(place, trusted=trusted, boot=boots[1]) as partial:
        assert partial.have == left
        assert partial.origin == ORIGIN
        assert partial.digest == hashlib.sha256(b"d" * left).hexdigest()
        partial.append(b"more")
    assert place.data.read_bytes() == b"d" * left + b"more"


def test_bytes_of_unknown_origin_stay_only_where_a_digest_will_tell(place: PartialFile) -> None:
    place.data.write_bytes(b"x" * 10)
    with Partial(place, trusted=True) as partial:
        assert partial.have == 10
    with Partial(place, trusted=False) as partial:
        assert partial.have == 0
    assert not place.data.exists()


def test_nothing_is_left_of_nothing(place: PartialFile) -> None:
    with Partial(place, trusted=True) as partial:
        partial.note(ORIGIN)
        partial.append(b"data")
        partial.discard()
    assert not place.data.exists()
    assert not place.state.exists()


def test_cut_goes_back_and_on(place: PartialFile) -> None:
    with Partial(place, trusted=True) as partial:
        partial.append(b"0123456789")
        assert partial.read(3, 4) == b"3456"
        partial.cut(4, hashlib.sha256(b"0123"))
        partial.append(b"abc")
        assert partial.digest == hashlib.sha256(b"0123abc").hexdigest()
        assert (partial.have, partial.gained) == (7, 13)
    assert place.data.read_bytes() == b"0123abc"


def test_the_boot_is_told_where_the_system_knows_it() -> None:
    assert boot_id() == boot_id()
