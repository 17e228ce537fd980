"""What is decided about schedules that are due: every instant once, however late it is."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.schedules.firing import Decision, Due, Run, decide
from holdfast.domain.schedules.schedule import (
    Interval,
    Outcome,
    Scheduling,
    latest_due,
    next_due,
    upcoming,
)

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_795_000_000_000
HOURLY = Scheduling(Interval.HOURLY, (0, 30))
DAILY = Scheduling(Interval.DAILY, (0,), (3,))
RULES = st.sampled_from([HOURLY, DAILY, Scheduling(Interval.WEEKLY, (0, 30), (3, 4), (0, 6))])


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Due], int]:
    """Schedules with something due, and the time."""
    now = START + draw(st.integers(0, 30 * DAY))
    dues: list[Due] = []
    for key in range(draw(st.integers(1, 6))):
        rule = draw(RULES)
        first = latest_due(rule, now - draw(st.integers(0, 20 * DAY)))
        wish, waiting = draw(st.sampled_from("abc")), draw(st.none() | st.integers(1, 9))
        dues.append(Due(key, rule, first, wish, waiting))
    return dues, now


def all_of(runs: Sequence[Run], others: Sequence[Decision]) -> list[Decision]:
    return [*others, *(decision for run in runs for decision in run.fired)]


def instants(due: Due, decision: Decision) -> list[int]:
    return upcoming(due.rule, decision.since - 1, decision.count)


@given(situations(), st.integers(0, 10 * DAY))
def test_every_instant_that_is_due_is_decided_once(
    situation: tuple[list[Due], int], window: int
) -> None:
    dues, now = situation
    decisions = all_of(*decide(dues, now, window))
    for due in dues:
        own = [decision for decision in decisions if decision.key == due.key]
        found = Counter(instant for decision in own for instant in instants(due, decision))
        assert set(found.values()) == {1}
        assert min(found) == due.since
        assert max(found) == latest_due(due.rule, now)
        assert len(found) == sum(decision.count for decision in own)
        assert all(instants(due, decision)[-1] == decision.instant for decision in own)
        assert next_due(due.rule, max(found)) > now


@given(situations(), st.integers(0, 10 * DAY))
def test_only_the_newest_runs_and_only_within_the_window(
    situation: tuple[list[Due], int], window: int
) -> None:
    dues, now = situation
    runs, others = decide(dues, now, window)
    latest = {due.key: latest_due(due.rule, now) for due in dues}
    for decision in all_of(runs, others):
        if decision.outcome is not Outcome.MISSED:
            assert (decision.instant, decision.count) == (latest[decision.key], 1)
            assert now - decision.instant <= window
        elif decision.instant == latest[decision.key]:
            assert now - decision.instant > window


@given(situations(), st.integers(0, 10 * DAY))
def test_each_wish_is_one_run_unless_all_who_want_it_wait(
    situation: tuple[list[Due], int], window: int
) -> None:
    dues, now = situation
    runs, others = decide(dues, now, window)
    in_time = [due for due in dues if now - latest_due(due.rule, now) <= window]
    wishes = {due.wish for due in in_time if due.waiting is None}
    by_key = {due.key: due for due in dues}
    assert len(runs) == len(wishes)
    for run in runs:
        (wish,) = {by_key[each.key].wish for each in run.fired}
        assert {each.key for each in run.fired} == {d.key for d in in_time if d.wish == wish}
        assert run.instant == max(each.instant for each in run.fired)
    for decision in others:
        if decision.outcome is Outcome.SKIPPED:
            assert decision.backup == by_key[decision.key].waiting is not None
            assert by_key[decision.key].wish not in wishes


def one(since: int, now: int, window: int = 7 * DAY) -> list[str]:
    due = Due(1, HOURLY, since, "a")
    return [each.reason for each in all_of(*decide([due], now, window))]


def test_reasons_are_sentences_for_people() -> None:
    midnight = START // DAY * DAY
    assert one(midnight, midnight + 700) == ["on time"]
    assert one(midnight, midnight + 20 * MINUTE) == ["20 min late"]
    assert one(midnight - HOUR, midnight + 5 * MINUTE) == [
        "nothing was there to fire it; the one of 2026-11-18 00:00 UTC stands for it",
        "5 min late, also for 2 missed before it",
    ]
    assert one(midnight - 3 * DAY, midnight + 29 * MINUTE, 20 * MINUTE) == [
        "nothing was there to fire it for more than 20 min"
    ]
    daily = Due(1, DAILY, midnight - DAY + 3 * HOUR, "a")
    runs, others = decide([daily], midnight, 7 * DAY)
    assert (runs[0].fired[0].reason, others) == ("21 h late", [])
