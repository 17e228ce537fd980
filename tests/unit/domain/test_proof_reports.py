"""The chain of reports: what is missing, changed or of another chain, and what period may be."""

from dataclasses import replace

import pytest

from holdfast.domain.proof.reports import MAX_DAYS, Claim, Link, beginnings, breaks, problems
from holdfast.domain.units import DAY_MS

NOW = 1_000 * DAY_MS


def chain(*scopes: str | None) -> list[Claim]:
    """Reports about these projects, one after the other, as an installation makes them."""
    claims: list[Claim] = []
    last: dict[str | None, Link] = {}
    previous: Link | None = None
    for number, scope in enumerate(scopes, 1):
        claim = Claim(number, scope, f"sha-{number}", previous, last.get(scope))
        claims.append(claim)
        previous = last[scope] = Link(number, claim.sha256)
    return claims


def test_a_whole_chain_has_no_breaks_in_any_order() -> None:
    whole = chain(None, "shop", None, "shop", "blog")
    assert breaks(whole) == breaks(whole[::-1]) == []
    assert beginnings(whole) == []


def test_one_project_alone_is_a_chain_of_its_own() -> None:
    shop = [claim for claim in chain(None, "shop", None, "shop", None, "shop") if claim.project]
    assert breaks(shop) == []
    (gap,) = breaks([shop[0], shop[2]])
    assert gap.startswith("report 4 (project shop) is missing: report 6 follows it")


def test_a_report_that_is_missing_in_the_middle_is_a_break() -> None:
    whole = chain(None, None, None, None)
    assert breaks(whole[:1] + whole[2:]) == [
        "report 2 (all projects) is missing: report 3 follows it, and the last one here is 1"
    ]


def test_later_reports_alone_hold_and_say_where_they_begin() -> None:
    later = chain(None, None, None)[1:]
    assert breaks(later) == []
    assert beginnings(later) == [
        "the reports about all projects begin with 2 here; before it is report 1, which is not here"
    ]


def test_a_changed_report_breaks_what_follows() -> None:
    whole = chain(None, "shop", None)
    whole[1] = replace(whole[1], sha256="other")
    (sentence,) = breaks(whole)
    assert sentence.startswith("report 3 follows another report 2 than the one here")


def test_the_same_report_twice_is_one_and_two_of_a_number_are_not() -> None:
    whole = chain(None, None)
    assert breaks([*whole, whole[0]]) == []
    assert breaks([*whole, replace(whole[1], sha256="other")]) == [
        "there are two different reports 2"
    ]


def test_a_chain_that_begins_again_is_a_break() -> None:
    first, second = chain(None, None)
    again = replace(second, previous=None, scope_previous=None)
    (sentence,) = breaks([first, again])
    assert sentence.startswith("report 2 (all projects) does not follow report 1")


@pytest.mark.parametrize(
    ("since", "until", "field", "word"),
    [
        (NOW, NOW, "from", "before `to`"),
        (NOW, NOW - 1, "from", "before `to`"),
        (NOW - (MAX_DAYS + 1) * DAY_MS, NOW, "from", "366 days"),
        (NOW - DAY_MS, NOW + 1, "to", "in the future"),
    ],
)
def test_a_bad_period_names_the_field(since: int, until: int, field: str, word: str) -> None:
    by_field = problems(since, until, NOW)
    assert list(by_field) == [field]
    assert word in by_field[field]


def test_a_year_that_ends_now_is_a_good_period() -> None:
    assert problems(NOW - MAX_DAYS * DAY_MS, NOW, NOW) == {}
