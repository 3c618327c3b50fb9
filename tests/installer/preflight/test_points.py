import pytest

from kitbag_bundles.errors import DoesNotFit
from kitbag_installer.preflight.points import CODES, Point, in_order, refuse, short, stopping

FACT = Point("noexec", "/r: may not be executed; choose another")
OTHER = Point("space", "/r: is full; free some space")
ADVICE = Point("libraries", "x: needs libz; install it", advice=True)


class Warnings(list):
    def warn(self, message: str) -> None:
        self.append(message)


def refused(*points: Point, force: bool = False) -> tuple[DoesNotFit, list[str]]:
    warnings = Warnings()
    with pytest.raises(DoesNotFit) as caught:
        refuse(points, "/r", force=force, reporter=warnings)
    return caught.value, warnings


def test_nothing_found_says_nothing():
    warnings = Warnings()
    refuse((), "/r", force=False, reporter=warnings)
    assert warnings == []


def test_one_point_is_the_error_itself():
    error, warnings = refused(FACT)
    assert (str(error), error.exit_status, warnings) == (FACT.message, 5, [])
    assert error.table() == {
        "code": "does-not-fit",
        "message": FACT.message,
        "points": [{"code": "noexec", "message": FACT.message, "advice": False}],
    }


def test_several_are_warnings_and_the_error_counts_them():
    error, warnings = refused(ADVICE, FACT, OTHER)
    assert warnings == [ADVICE.message, FACT.message, OTHER.message]
    assert str(error) == (
        "/r: 3 things are in the way, see the warnings above; nothing was written"
    )


def test_advice_says_that_it_can_be_overridden():
    error, _ = refused(ADVICE)
    assert str(error) == f"{ADVICE.message}; --force tries it all the same"


def test_force_overrides_advice_alone():
    warnings = Warnings()
    refuse([ADVICE], "/r", force=True, reporter=warnings)
    assert warnings == [ADVICE.message]
    error, warnings = refused(ADVICE, FACT, force=True)
    assert (str(error), warnings) == (FACT.message, [ADVICE.message])
    assert stopping([ADVICE, FACT], force=True) == (FACT,)


def test_the_order_is_that_of_the_codes():
    points = [Point(code, f"{code} {number}") for code in reversed(CODES) for number in (1, 2)]
    assert [point.message for point in in_order(points)] == [
        f"{code} {number}" for code in CODES for number in (1, 2)
    ]


def test_a_path_that_no_system_takes_is_cut():
    assert short("/usual") == "/usual"
    assert len(short("/long" * 2000)) == 301
