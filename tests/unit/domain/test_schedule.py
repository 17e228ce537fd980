"""The arithmetic of schedules, against a model that walks a calendar minute by minute."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.schedules.schedule import (
    Interval,
    Scheduling,
    count_due,
    is_due,
    latest_due,
    most_kept,
    next_due,
    problems,
    upcoming,
)

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def some(below: int) -> st.SearchStrategy[tuple[int, ...]]:
    values = st.lists(st.integers(0, below - 1), min_size=1, max_size=min(below, 5), unique=True)
    return values.map(tuple)


RULES = st.one_of(
    st.builds(Scheduling, st.just(Interval.HOURLY), some(60)),
    st.builds(Scheduling, st.just(Interval.DAILY), some(60), some(24)),
    st.builds(Scheduling, st.just(Interval.WEEKLY), some(60), some(24), some(7)),
)
MOMENTS = st.integers(
    int(datetime(1968, 1, 1, tzinfo=UTC).timestamp() * 1000),
    int(datetime(2101, 1, 1, tzinfo=UTC).timestamp() * 1000),
)
LEAPS = [datetime(year, 2, 26, tzinfo=UTC) for year in (1972, 2000, 2024, 2028, 2100)]


def at(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def model_is_due(rule: Scheduling, moment: datetime) -> bool:
    """What the words say, of a calendar's own fields."""
    if moment.second or moment.microsecond or moment.minute not in rule.minute:
        return False
    if rule.interval is Interval.HOURLY:
        return True
    if moment.hour not in rule.hour:
        return False
    return rule.interval is Interval.DAILY or moment.weekday() in rule.day


def model(rule: Scheduling, after: int, until: int) -> list[int]:
    """All instants in (after, until], each whole minute looked at."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    moment = (epoch + timedelta(milliseconds=after)).replace(second=0, microsecond=0)
    end = epoch + timedelta(milliseconds=until)
    found: list[int] = []
    while moment <= end:
        if at(moment) > after and model_is_due(rule, moment):
            found.append(at(moment))
        moment += timedelta(minutes=1)
    return found


@given(RULES, MOMENTS, st.integers(0, 9 * DAY))
def test_the_instants_of_a_span_are_those_of_the_calendar(
    rule: Scheduling, after: int, span: int
) -> None:
    until = after + span
    expected = model(rule, after, until)
    assert count_due(rule, after, until) == len(expected)
    assert upcoming(rule, after, len(expected)) == expected
    assert next_due(rule, until) > until
    if expected:
        assert next_due(rule, after) == expected[0]
        assert latest_due(rule, until) == expected[-1]
    else:
        assert latest_due(rule, until) <= after


@given(RULES, st.sampled_from(LEAPS))
def test_leap_days_are_days_like_others(rule: Scheduling, start: datetime) -> None:
    after = at(start)
    expected = model(rule, after, after + 9 * DAY)
    assert upcoming(rule, after, len(expected)) == expected


@given(RULES, MOMENTS)
def test_next_and_latest_meet(rule: Scheduling, moment: int) -> None:
    """One after the other, nothing in between, and each knows that it is due."""
    following = next_due(rule, moment)
    assert latest_due(rule, following) == following
    assert latest_due(rule, following - 1) == latest_due(rule, moment) <= moment
    assert next_due(rule, following - 1) == following
    assert is_due(rule, following)
    assert not is_due(rule, following + 1)
    assert is_due(rule, moment) == model_is_due(
        rule, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)
    )


@given(RULES, MOMENTS, st.integers(0, 400 * DAY), st.integers(0, 400 * DAY))
def test_counts_add_up(rule: Scheduling, start: int, first: int, second: int) -> None:
    middle, end = start + first, start + first + second
    assert count_due(rule, start, end) == (
        count_due(rule, start, middle) + count_due(rule, middle, end)
    )
    assert count_due(rule, end, start) == 0


@pytest.mark.parametrize("interval", Interval)
def test_five_years_of_one_rule(interval: Interval) -> None:
    """Whole years at once, leap day 2024-02-29 among them, by stepping from one to the next."""
    needs_hour = interval is not Interval.HOURLY
    rule = Scheduling(
        interval,
        (59, 0),
        (23, 0, 7) if needs_hour else (),
        (6, 0, 3) if interval is Interval.WEEKLY else (),
    )
    start, end = at(datetime(2022, 12, 31, tzinfo=UTC)), at(datetime(2028, 1, 2, tzinfo=UTC))
    walked, instant = list[int](), next_due(rule, start)
    while instant <= end:
        walked.append(instant)
        instant = next_due(rule, instant)
    moments = [datetime.fromtimestamp(each / 1000, UTC) for each in walked]
    assert all(model_is_due(rule, moment) for moment in moments)
    assert all(one < other for one, other in pairwise(walked))
    assert len(walked) == count_due(rule, start, end)
    days = [start + day * DAY for day in range((end - start) // DAY)]
    per_day = {day: count_due(rule, day - 1, day + DAY - 1) for day in days}
    for day, count in per_day.items():
        weekday = datetime.fromtimestamp(day / 1000, UTC).weekday()
        expected = {
            Interval.HOURLY: 48,
            Interval.DAILY: 6,
            Interval.WEEKLY: 6 if weekday in rule.day else 0,
        }
        assert count == expected[interval]


def test_day_zero_is_monday() -> None:
    rule = Scheduling(Interval.WEEKLY, (30,), (4,), (0,))
    saturday = at(datetime(2026, 11, 21, 10, 0, tzinfo=UTC))
    assert next_due(rule, saturday) == at(datetime(2026, 11, 23, 4, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("rule", "days", "most"),
    [
        (Scheduling(Interval.HOURLY, (0, 15, 30)), 7, 3 * 24 * 7),
        (Scheduling(Interval.DAILY, (0, 30), (1, 2, 3)), 60, 2 * 3 * 60),
        (Scheduling(Interval.WEEKLY, (0, 30), (1,), (0, 6)), 120, 69),  # 68.57 rounded up
        (Scheduling(Interval.WEEKLY, (0,), (1,), (0,)), 1, 1),
    ],
)
def test_how_many_a_schedule_can_hold(rule: Scheduling, days: int, most: int) -> None:
    assert most_kept(rule, days) == most


HOURS, MINUTES, DAYS = [0, 23], [0, 59], [0, 6]
REQUIRED = {Interval.HOURLY: 1, Interval.DAILY: 2, Interval.WEEKLY: 3}


@pytest.mark.parametrize("interval", Interval)
@pytest.mark.parametrize("hour", [None, [], HOURS])
@pytest.mark.parametrize("day", [None, [], DAYS])
@pytest.mark.parametrize("minute", [None, [], MINUTES])
def test_each_interval_takes_exactly_its_arrays(
    interval: Interval, minute: list[int] | None, hour: list[int] | None, day: list[int] | None
) -> None:
    sent = {"minute": minute, "hour": hour, "day": day}
    needed = list(sent)[: REQUIRED[interval]]
    wrong = {
        f"scheduling.{name}"
        for name, values in sent.items()
        if (not values if name in needed else values is not None)
    }
    assert set(problems(interval, minute, hour, day)) == wrong


@pytest.mark.parametrize(
    ("arrays", "field"),
    [
        (([60], [0], [0]), "scheduling.minute"),
        (([-1], [0], [0]), "scheduling.minute"),
        (([0], [24], [0]), "scheduling.hour"),
        (([0], [0], [7]), "scheduling.day"),
        (([0, 0], [0], [0]), "scheduling.minute"),
        (([0], [5, 1, 5], [0]), "scheduling.hour"),
        (([0], [0], [1, 1]), "scheduling.day"),
    ],
)
def test_values_are_in_range_and_named_once(
    arrays: tuple[list[int], list[int], list[int]], field: str
) -> None:
    assert list(problems(Interval.WEEKLY, *arrays)) == [field]
