"""The words for an addon's protection, with their reasons, and since when they hold."""

from dataclasses import replace

import pytest

from holdfast.domain.archive.archiving import Archiving
from holdfast.domain.protection import (
    HISTORY_DAYS,
    Day,
    Facts,
    Objective,
    State,
    exit_status,
    judge,
    longest_gap,
    problems,
    with_day,
)
from holdfast.domain.schedules.schedule import Interval, Scheduling
from holdfast.domain.units import DAY_MS, HOUR_MS, MINUTE_MS, show_duration

NOW = 1_790_000_000_000
DEFAULTS = Objective()
DAILY = Scheduling(Interval.DAILY, (0,), (3,))
WELL = Facts(
    created=NOW - 90 * DAY_MS,
    planned=NOW - 90 * DAY_MS,
    longest_gap_ms=DAY_MS,
    next_due=NOW + HOUR_MS,
    first_good=NOW - 60 * DAY_MS,
    last_good=NOW - 2 * HOUR_MS,
    places=1,
    proven=NOW - 3 * DAY_MS,
    proof_ms=20 * MINUTE_MS,
)


ARCHIVED = Archiving(
    wanted=True,
    state="streaming",
    since=NOW - 60 * DAY_MS,
    interval_s=10,
    checked=NOW - 8_000,
    window_begin=NOW - 7 * DAY_MS,
    window_end=NOW - 8_000,
)


def said(facts: Facts, objective: Objective = DEFAULTS) -> tuple[State, list[str]]:
    protection = judge(facts, objective, NOW)
    return protection.state, [reason.sentence for reason in protection.reasons]


def test_what_is_well_has_no_reasons() -> None:
    assert said(WELL) == (State.PROTECTED, [])
    assert judge(WELL, Objective(), NOW).since is None


def test_a_good_backup_that_is_too_old_leaves_it_unprotected_since_the_objective_passed() -> None:
    old = replace(WELL, last_good=NOW - 26 * HOUR_MS)
    protection = judge(old, Objective(max_age_ms=24 * HOUR_MS), NOW)
    assert protection.state is State.UNPROTECTED
    assert protection.reasons[0].sentence == "no good backup for 26 h; objective 24 h"
    assert protection.since == NOW - 2 * HOUR_MS


def test_without_an_objective_the_longest_gap_and_a_quarter_of_an_hour_count() -> None:
    edge = DAY_MS + 15 * MINUTE_MS
    assert said(replace(WELL, last_good=NOW - edge))[0] is State.PROTECTED
    assert said(replace(WELL, last_good=NOW - edge - 1))[0] is State.UNPROTECTED


def test_a_new_addon_has_until_its_first_backup_is_overdue() -> None:
    new = Facts(created=NOW, planned=NOW, longest_gap_ms=DAY_MS, next_due=NOW + HOUR_MS)
    assert said(new) == (State.AT_RISK, ["not backed up yet"])
    late = replace(new, planned=NOW - 2 * DAY_MS)
    state, sentences = said(late)
    assert (state, sentences[0]) == (State.UNPROTECTED, "never backed up; objective 24 h")


def test_nothing_scheduled_is_no_plan_whatever_was_backed_up_by_hand() -> None:
    state, sentences = said(replace(WELL, planned=None, longest_gap_ms=None, next_due=None))
    assert state is State.NO_PLAN
    assert sentences == [
        "nothing is scheduled: no backup will be taken",
        "the last good backup is 2 h old",
    ]


def test_a_paused_addon_says_since_when() -> None:
    protection = judge(replace(WELL, paused=NOW - DAY_MS, last_good=None), Objective(), NOW)
    assert (protection.state, protection.since) == (State.PAUSED, NOW - DAY_MS)


@pytest.mark.parametrize(
    ("changes", "objective", "sentence"),
    [
        (
            {"failing": NOW - HOUR_MS, "failure": "no route to host"},
            Objective(),
            "the newest backup failed: no route to host",
        ),
        (
            {"next_due": NOW - 14 * MINUTE_MS},
            Objective(),
            "a backup is due for 14 min and no scheduler fired it",
        ),
        (
            {"lost": 1, "lost_since": NOW - 5},
            Objective(),
            "1 of 2 copies of the newest good backup lost",
        ),
        (
            {},
            Objective(places=2),
            "1 of 2 stores hold a good copy of the newest good backup",
        ),
        (
            {"proven": NOW - 41 * DAY_MS},
            Objective(),
            "last proven restore 41 days ago; objective 30 days",
        ),
        ({"proven": None}, Objective(), "no restore was ever proven; objective 30 days"),
        (
            {"proof_ms": 95 * MINUTE_MS},
            Objective(max_restore_ms=HOUR_MS),
            "the last proven restore took 95 min; objective 60 min",
        ),
    ],
)
def test_each_doubt_is_a_risk_of_its_own(
    changes: dict[str, int], objective: Objective, sentence: str
) -> None:
    assert said(replace(WELL, **changes), objective) == (State.AT_RISK, [sentence])


def test_a_young_backup_needs_no_proof_yet() -> None:
    young = replace(WELL, first_good=NOW - DAY_MS, proven=None, proof_ms=None)
    assert said(young) == (State.PROTECTED, [])


def test_an_objective_takes_from_a_wider_one_what_it_leaves_open() -> None:
    narrow, wide = Objective(max_age_ms=1), Objective(max_age_ms=2, places=3)
    assert narrow.over(wide) == Objective(max_age_ms=1, places=3)


def test_an_objective_that_the_schedules_cannot_meet_names_the_remedy() -> None:
    strict = Objective(max_age_ms=6 * HOUR_MS)
    problem = problems(strict, WELL)["maxAgeMinutes"]
    state, (sentence,) = said(WELL, strict)
    assert (state, sentence) == (State.AT_RISK, f"the objective 6 h {problem}")
    assert "24 h between two backups" in problem
    assert problems(Objective(max_age_ms=DAY_MS), WELL) == {}
    assert problems(Objective(max_age_ms=MINUTE_MS), replace(WELL, archiving=ARCHIVED)) == {}


@pytest.mark.parametrize(
    ("rules", "gap"),
    [
        ((), None),
        ((DAILY,), DAY_MS),
        ((DAILY, Scheduling(Interval.DAILY, (0,), (9,))), 18 * HOUR_MS),
        ((Scheduling(Interval.HOURLY, (0, 30)),), 30 * MINUTE_MS),
        ((Scheduling(Interval.WEEKLY, (0,), (3,), (0,)),), 7 * DAY_MS),
        ((Scheduling(Interval.WEEKLY, (0,), (3,), (0, 5)),), 5 * DAY_MS),
        ((Scheduling(Interval.WEEKLY, (0,), (3,), (2,)), DAILY), DAY_MS),
    ],
)
def test_the_longest_gap_is_that_of_all_schedules_together(
    rules: tuple[Scheduling, ...], gap: int | None
) -> None:
    assert longest_gap(rules) == gap


def test_history_is_kept_for_its_days_and_a_day_counted_anew_replaces_the_old() -> None:
    today = NOW - NOW % DAY_MS
    days = [Day(today - number * DAY_MS, due=1) for number in range(20)]
    kept = with_day(days, [Day(today, due=1, good=1)], NOW)
    assert len(kept) == HISTORY_DAYS
    assert kept[-1] == Day(today, due=1, good=1)


def test_the_exit_status_is_that_of_the_worst() -> None:
    assert exit_status([State.PROTECTED, State.PAUSED]) == 0
    assert exit_status([State.PROTECTED, State.AT_RISK]) == 1
    assert exit_status([State.AT_RISK, State.NO_PLAN]) == 2
    assert exit_status([]) == 0


@pytest.mark.parametrize(
    ("ms", "words"),
    [(93_600_000, "26 h"), (41 * DAY_MS, "41 days"), (90_000, "90 s"), (14 * MINUTE_MS, "14 min")],
)
def test_durations_are_read_at_a_glance(ms: int, words: str) -> None:
    assert show_duration(ms) == words


def test_a_window_of_an_archive_is_a_recovery_point() -> None:
    old = replace(WELL, last_good=NOW - 3 * DAY_MS, archiving=ARCHIVED)
    assert said(old, Objective(max_age_ms=MINUTE_MS)) == (State.PROTECTED, [])
    assert old.first_recoverable == WELL.first_good
    ended = replace(ARCHIVED, window_end=NOW - 4 * DAY_MS)
    assert said(replace(old, archiving=ended))[1] == ["no good backup for 3 days; objective 24 h"]


def test_an_archive_is_a_plan() -> None:
    alone = replace(WELL, planned=None, longest_gap_ms=None, next_due=None, archiving=ARCHIVED)
    assert said(alone) == (State.PROTECTED, [])
    off = replace(ARCHIVED, wanted=False)
    assert said(replace(alone, archiving=off))[0] is State.NO_PLAN
    stale = replace(ARCHIVED, window_end=NOW - HOUR_MS - 1)
    state, _ = said(replace(alone, last_good=NOW - DAY_MS, archiving=stale))
    assert state is State.UNPROTECTED


@pytest.mark.parametrize("paused", [None, NOW - DAY_MS], ids=["scheduled", "schedules paused"])
def test_a_broken_archive_is_a_reason_however_young_the_backups_are(paused: int | None) -> None:
    late = replace(ARCHIVED, checked=NOW - HOUR_MS, reason="the server hung up")
    facts = replace(WELL, plan_paused=paused, plan_paused_by="ann", archiving=late)
    state, sentences = said(facts)
    assert state is (State.PAUSED if paused else State.AT_RISK)
    assert sentences[-1].endswith("UTC: the server hung up")
    assert said(replace(facts, paused=NOW))[1] == ["the addon is paused: no backup is taken"]
