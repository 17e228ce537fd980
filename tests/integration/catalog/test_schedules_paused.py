"""Schedules that are paused: nothing of them is fired, nothing is missed, and it is said."""

import pytest

from fixtures.timetables import Timetable, wish
from holdfast.catalog import protected_rows, protection
from holdfast.catalog.schema import Schedule
from holdfast.domain.errors import Conflict
from holdfast.domain.protection import Objective, Protection, State, judge
from holdfast.usecases.schedules import schedules as verbs
from holdfast.views.explanations import explain


def pause(timetable: Timetable, schedule_pk: int, reason: str | None = None) -> None:
    with timetable.catalog.write() as session:
        schedule = session.get_one(Schedule, schedule_pk)
        verbs.pause(timetable.context(session), schedule, reason)


def resume(timetable: Timetable, schedule_pk: int) -> None:
    with timetable.catalog.write() as session:
        verbs.resume(timetable.context(session), session.get_one(Schedule, schedule_pk))


def state(timetable: Timetable, addon: int) -> Protection:
    with timetable.catalog.read() as session:
        facts = protected_rows.row_of(session, addon).facts
    return judge(facts, Objective(), timetable.clock.at)


def test_nothing_is_taken_until_it_is_resumed(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly"))
    assert len(timetable.at("2026-11-21 11:00")) == 1
    pause(timetable, pk)
    assert timetable.at("2026-11-21 14:10") == []
    resume(timetable, pk)
    assert timetable.at("2026-11-21 14:20") == [], "what was due in the pause is not made up for"
    timetable.at("2026-11-21 15:00")
    (_, paused, following) = timetable.occurrences(pk)
    assert following.outcome == "skipped", "due again: the first backup still waits"
    assert (paused.outcome, paused.count, paused.reason) == (
        "paused", 3, "tester had paused the schedule",
    )  # fmt: skip


def test_what_was_due_before_is_missed(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly"))
    timetable.at("2026-11-21 11:00")
    timetable.clock.at += 90 * 60_000
    pause(timetable, pk)
    assert timetable.outcomes(pk) == ["fired", "missed"]


def test_the_other_schedules_go_on(timetable: Timetable, addon: int) -> None:
    hourly = timetable.add(addon, wish("hourly"))
    timetable.add(addon, wish("daily", hour=[12]))
    pause(timetable, hourly)
    assert timetable.at("2026-11-21 11:10") == []
    assert len(timetable.at("2026-11-21 12:10")) == 1
    assert state(timetable, addon).state is not State.PAUSED


def test_an_addon_with_nothing_else_is_paused(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly"))
    pause(timetable, pk)
    paused = state(timetable, addon)
    assert paused.state is State.PAUSED
    assert paused.reasons[0].sentence == (
        "its schedules are paused by tester: no backup is taken by itself"
    )
    resume(timetable, pk)
    assert state(timetable, addon).state is State.AT_RISK


def test_a_pause_is_no_missed_day(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly"))
    timetable.at("2026-11-21 11:00")
    pause(timetable, pk)
    timetable.clock.at += 5 * 3_600_000
    resume(timetable, pk)
    with timetable.catalog.write() as session:
        protection.refresh(session, [addon], all_days=True)
    with timetable.catalog.read() as session:
        assert [day.missed for day in protected_rows.row_of(session, addon).days] == [0]


def test_an_instant_of_the_pause_is_explained(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly"))
    timetable.at("2026-11-21 11:00")
    pause(timetable, pk, "the server moves")
    timetable.clock.at += 2 * 3_600_000
    with timetable.catalog.read() as session:
        schedule = session.get_one(Schedule, pk)
        explanation = explain(session, schedule, timetable.clock.at, timetable.clock.at)
    assert explanation.outcome == "paused"
    assert explanation.sentence.endswith("11:00:00.000Z: the server moves.")


def test_only_what_is_paused_is_resumed(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly"))
    with pytest.raises(Conflict):
        resume(timetable, pk)
