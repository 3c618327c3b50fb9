import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import UsageError
from kitbag_installer.bytecode.modes import MODES, chosen_mode


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("TIMESTAMP", "timestamp"),
        ("CHECKED_HASH", "checked-hash"),
        ("UNCHECKED_HASH", "unchecked-hash"),
        ("Unchecked-Hash", "unchecked-hash"),
    ],
)
def test_a_named_mode_is_insisted_on(text, mode):
    assert chosen_mode({"PYC_INVALIDATION_MODE": text, "SOURCE_DATE_EPOCH": "1"}) == (mode, True)


def test_otherwise_it_is_pythons_own_choice():
    assert chosen_mode({}) == ("timestamp", False)
    assert chosen_mode({"PYC_INVALIDATION_MODE": "", "SOURCE_DATE_EPOCH": ""}) == (
        "timestamp",
        False,
    )
    assert chosen_mode({"SOURCE_DATE_EPOCH": "0"}) == ("checked-hash", False)


@given(st.text(min_size=1))
def test_there_are_no_others(text):
    if text.lower().replace("_", "-") in MODES:
        return
    with pytest.raises(UsageError, match=r"TIMESTAMP, CHECKED_HASH or UNCHECKED_HASH"):
        chosen_mode({"PYC_INVALIDATION_MODE": text})
