"""Paging parameters and cursors as callers send them, honest or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.catalog.database import page as cursors
from holdfast.catalog.database.page import Page
from holdfast.domain.errors import Invalid
from holdfast.views.page import MAX_PAGE_SIZE, parse_page


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_sizes_above_the_largest_become_it(size: int, number: int) -> None:
    assert parse_page(str(size), str(number), None) == Page(min(size, MAX_PAGE_SIZE), number)


def test_defaults() -> None:
    assert parse_page(None, None, None) == Page(50, 1, None)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "x", " 1", "1\n", "٣", "1" * 30, "0x10"])
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_page(text, text, None)
    assert refused.value.details.keys() == {"per_page", "page"}


@given(st.integers(0, 2**63 - 1), st.text(max_size=20))
def test_a_cursor_opens_for_its_own_list(key: int, scope: str) -> None:
    try:
        scope.encode()
    except UnicodeEncodeError:
        return
    made = cursors.encode_cursor(key, scope)
    assert len(made) == 24
    assert made == made.lower()
    assert cursors.decode_cursor(made, scope) == key
    with pytest.raises(Invalid):
        cursors.decode_cursor(made, f"{scope}x")


@given(st.integers(0, 2**63 - 1), st.integers(0, 23), st.sampled_from("0123456789abcdef"))
def test_a_changed_cursor_is_refused(key: int, at: int, digit: str) -> None:
    made = cursors.encode_cursor(key, "list")
    forged = f"{made[:at]}{digit}{made[at + 1 :]}"
    if forged != made:
        with pytest.raises(Invalid, match="not a cursor of this list"):
            cursors.decode_cursor(forged, "list")


@given(st.text(max_size=40))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        cursors.decode_cursor(text, "list")
    assert refused.value.details.keys() == {"cursor"}


@pytest.mark.parametrize("change", ["{} ", " {}", "{}\n", "{}00"])
def test_a_cursor_with_something_around_it_is_refused(change: str) -> None:
    made = cursors.encode_cursor(7, "list")
    with pytest.raises(Invalid):
        cursors.decode_cursor(change.format(made), "list")


def test_blanks_inside_and_capitals_are_refused() -> None:
    made = cursors.encode_cursor(0xABCDEF, "list")
    for forged in (made.upper(), f"{made[:2]} {made[2:]}"):
        with pytest.raises(Invalid):
            cursors.decode_cursor(forged, "list")


def test_a_key_no_database_holds_is_refused() -> None:
    for key in (2**63, 2**64 - 1):
        with pytest.raises(Invalid):
            cursors.decode_cursor(cursors.encode_cursor(key, "list"), "list")
