import re
from pathlib import Path

import pytest

from kitbag_installer.doctor import findings
from kitbag_installer.doctor.findings import (
    CHECKS,
    OF_A_BUILD,
    OF_AN_ENVIRONMENT,
    OF_THE_ROOT,
    advice,
    fault,
    ok,
)

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "doctor.md"
CODE = Path(findings.__file__).parent


def test_findings_come_in_the_order_of_the_checks():
    one, two = fault("ssl", "b", "c"), advice("ssl", "a", "c")
    found = findings.in_order([ok("zlib", ""), one, ok("receipt", ""), two, ok("noexec", "")])
    assert [each.check for each in found] == ["noexec", "receipt", "ssl", "ssl", "zlib"]
    assert found[2:4] == (one, two)


def test_what_is_wrong_has_a_cure():
    assert fault("ssl", "message", "cure").cure
    assert ok("ssl", "message").cure == ""


def test_codes_are_for_a_root_or_for_a_build_or_for_an_environment():
    kinds = [*OF_THE_ROOT, *OF_A_BUILD, *OF_AN_ENVIRONMENT]
    assert kinds == list(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_made_somewhere(check):
    text = "".join(path.read_text() for path in CODE.glob("*.py") if path.name != "findings.py")
    assert f'"{check}"' in text


def test_the_reference_has_every_check():
    """In order, and it says of each what the code says."""
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE
    )
    assert {code: text for code, text, _, _ in rows} == CHECKS
    assert [code for code, *_ in rows] == list(CHECKS)
    for _, _, otherwise, cure in rows:
        assert otherwise.startswith(("fault", "advice"))
        assert cure
