"""The first value of an answer is true or not, alike for every engine."""

from decimal import Decimal

import pytest

from holdfast.contracts.drills import Assertion
from holdfast.engines.drill_answers import answered, listed

ASSERTION = Assertion("mine", "SELECT 1", 1)


@pytest.mark.parametrize("value", [True, 1, -1, 0.5, Decimal("0.1"), "t", "no", "00", b"1", [0]])
def test_these_are_true(value: object) -> None:
    assert answered(ASSERTION, value).passed


@pytest.mark.parametrize(
    "value", [False, 0, 0.0, Decimal("0.00"), "", "0", "f", "F", "False", b"", b"0", None]
)
def test_these_are_not(value: object) -> None:
    assert not answered(ASSERTION, value).passed


def test_what_is_shown_is_short() -> None:
    assert answered(ASSERTION, None).found == "the answer is NULL"
    assert answered(ASSERTION, "").found == "the answer is an empty text"
    assert len(answered(ASSERTION, "x" * 10_000).found) < 250
    assert listed([str(number) for number in range(7)]) == "0; 1; 2; 3; 4 and 2 more"
