"""Why an instant of a schedule did or did not run: every answer there is."""

import pytest

from fixtures.timetables import HOUR, MINUTE, Timetable, moment, wish
from holdfast.domain.units import show_span
from holdfast.views.explanations import explain
from holdfast.views.schedules import history
from holdfast.views.shapes.schedules import Explanation


def why(timetable: Timetable, schedule_pk: int, at: str) -> Explanation:
    with timetable.catalog.read() as session:
        schedule = timetable.schedule(schedule_pk)
        return explain(session, schedule, moment(at), timetable.clock.at)


def told(timetable: Timetable, schedule_pk: int, at: str) -> tuple[str, str]:
    found = why(timetable, schedule_pk, at)
    return found.outcome, found.sentence


def test_it_ran(timetable: Timetable, addon: int) -> None:
    daily = timetable.add(addon, wish("daily", hour=[11]))
    (backup,) = timetable.at("2026-11-21 11:00:02")
    outcome, sentence = told(timetable, daily, "2026-11-21 11:00")
    assert outcome == "fired"
    assert sentence == ("It ran 2 s after it was due: backup 2026-11-21-11-00-00 is scheduled.")
    timetable.finish(timetable.begin(backup))
    found = why(timetable, daily, "2026-11-21 11:00")
    assert found.sentence.endswith("is completed.")
    assert found.occurrence is not None
    assert found.occurrence.late_seconds == 2.0
    assert found.occurrence.backup is not None
    assert found.occurrence.backup.id == backup.id
    assert found.merged_with is None


def test_it_ran_and_failed_with_the_reason(timetable: Timetable, addon: int) -> None:
    daily = timetable.add(addon, wish("daily", hour=[11], backupType="snapshot"))
    (backup,) = timetable.at("2026-11-21 11:00")
    timetable.work(backup)
    sentence = told(timetable, daily, "2026-11-21 11:00")[1]
    assert "is failed (no server answers at localhost:1" in sentence


def test_it_ran_together_with_others(timetable: Timetable, addon: int) -> None:
    hourly = timetable.add(addon, wish("hourly"))
    daily = timetable.add(addon, wish("daily", hour=[11]))
    assert len(timetable.at("2026-11-21 11:00")) == 1
    found = why(timetable, daily, "2026-11-21 11:00")
    assert "together with the hourly schedule" in found.sentence
    assert [other.id for other in found.merged_with or ()] == [timetable.schedule(hourly).id]


def test_it_was_skipped(timetable: Timetable, addon: int) -> None:
    hourly = timetable.add(addon, wish("hourly"))
    timetable.at("2026-11-21 11:00")
    timetable.at("2026-11-21 12:00")
    outcome, sentence = told(timetable, hourly, "2026-11-21 12:00")
    assert outcome == "skipped"
    assert "had not begun yet" in sentence


def test_it_was_missed_and_what_stands_for_it(timetable: Timetable, addon: int) -> None:
    hourly = timetable.add(addon, wish("hourly"))
    timetable.at("2026-11-21 15:20")
    for missed in ("11", "12", "14"):
        outcome, sentence = told(timetable, hourly, f"2026-11-21 {missed}:00")
        assert outcome == "missed"
        assert "15:00" in sentence, "the run that stands for it"
    outcome, sentence = told(timetable, hourly, "2026-11-21 15:00")
    assert outcome == "fired"
    assert sentence.startswith("It ran 20 min after it was due")
    assert told(timetable, hourly, "2026-11-21 12:30")[0] == "not-due", "between two missed ones"
    with timetable.catalog.read() as session:
        listed = history(session, timetable.occurrences(hourly))
    assert [(each.outcome, each.count) for each in listed] == [("missed", 4), ("fired", 1)]
    assert listed[0].since is not None
    assert listed[0].late_seconds is None


def test_it_is_not_due_then(timetable: Timetable, addon: int) -> None:
    daily = timetable.add(addon, wish("daily", hour=[3]))
    timetable.clock.at += 48 * HOUR
    found = why(timetable, daily, "2026-11-22 17:30:01")
    assert (found.outcome, found.before, found.after) == (
        "not-due",
        "2026-11-22T03:00:00.000Z",
        "2026-11-23T03:00:00.000Z",
    )
    first = why(timetable, daily, "2026-11-21 10:30")
    assert first.before is None, "the schedule was not there"
    assert first.after == "2026-11-22T03:00:00.000Z"
    timetable.remove(daily)
    last = why(timetable, daily, "2026-11-23 09:30")
    assert (last.outcome, last.before) == ("not-due", "2026-11-23T03:00:00.000Z")
    assert last.after is None, "the schedule was deleted by then"


def test_it_is_not_due_yet_or_nobody_looked(timetable: Timetable, addon: int) -> None:
    daily = timetable.add(addon, wish("daily", hour=[12]))
    assert told(timetable, daily, "2026-11-21 12:00") == ("not-yet", "It is due in 2 h.")
    timetable.clock.at += 2 * HOUR + 5 * MINUTE
    outcome, sentence = told(timetable, daily, "2026-11-21 12:00")
    assert outcome == "waiting"
    assert "5 min" in sentence
    assert "is one running?" in sentence


def test_it_was_before_or_after_its_life(timetable: Timetable, addon: int) -> None:
    daily = timetable.add(addon, wish("daily", hour=[12]))
    for at in ("2026-11-20 12:00", "2026-11-20 12:34"):
        assert told(timetable, daily, at)[0] == "before"
    timetable.remove(daily)
    outcome, sentence = told(timetable, daily, "2026-11-21 12:00")
    assert outcome == "after"
    assert "deleted at 2026-11-21T10:00:00.000Z" in sentence


def test_what_was_decided_outlives_a_change_of_the_rule(timetable: Timetable, addon: int) -> None:
    daily = timetable.add(addon, wish("daily", hour=[11]))
    (backup,) = timetable.at("2026-11-21 11:00")
    timetable.finish(timetable.begin(backup))
    timetable.replace_all(addon, wish("daily", minute=[30], hour=[11]))
    assert told(timetable, daily, "2026-11-21 11:00")[0] == "fired"
    assert told(timetable, daily, "2026-11-21 10:30")[0] == "not-due"
    timetable.at("2026-11-21 12:00")
    assert told(timetable, daily, "2026-11-21 11:30")[0] == "fired"
    timetable.replace_all(addon, wish("daily", minute=[45], hour=[11]))
    outcome, sentence = told(timetable, daily, "2026-11-21 11:45")
    assert outcome == "unknown", "by today's rule it would have been due"
    assert "changed at 2026-11-21T12:00:00.000Z" in sentence


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0 s"),
        (1000, "1 s"),
        (2500, "2.5 s"),
        (28_300, "28 s"),
        (61_000, "1 min 1 s"),
        (2 * HOUR, "2 h"),
        (25 * HOUR + 5 * MINUTE, "1 d 1 h"),
    ],
)
def test_spans(ms: int, words: str) -> None:
    assert show_span(ms) == words
