"""Firing, on SQLite and PostgreSQL: once, together, late, not stacked, whatever the clock does."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import update

from fixtures.holdfast import await_that
from fixtures.timetables import DAY, HOUR, MINUTE, Timetable, moment, wish
from holdfast.bootstrap import SchedulerProcess
from holdfast.catalog.database.clock import DatabaseClock
from holdfast.catalog.database.session import lock_addon
from holdfast.catalog.schema import Addon, Backup, Schedule
from holdfast.catalog.work import firing as queries
from holdfast.kit.clock import Clock, SystemClock
from holdfast.kit.seal import Secret


def test_a_schedule_fires_at_its_minute_and_not_before(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("daily", [30], [14], compressionType="zstd"))
    assert timetable.at("2026-11-21 14:29:59.999") == []
    (backup,) = timetable.at("2026-11-21 14:30:00.700")
    assert timetable.at("2026-11-21 14:30:01.700") == []
    assert timetable.at("2026-11-22 14:29:59") == []
    assert (backup.name, backup.id) == ("2026-11-21 14:30:00", "2026-11-21-14-30-00")
    assert (backup.type, backup.compression, backup.status) == ("dump", "zstd", "scheduled")
    schedule = timetable.schedule(pk)
    assert schedule.next_due == moment("2026-11-22 14:30")
    assert backup.schedules == [
        {"id": schedule.id, "interval": "daily", "minute": [30], "hour": [14], "retentionTime": 3}
    ]
    assert [what.op for what in timetable.queue.dispatched] == [backup.operation]
    (copy,) = timetable.copies(backup)
    assert copy.expires == copy.review == backup.created + 3 * DAY
    (occurrence,) = timetable.occurrences(pk)
    assert (occurrence.outcome, occurrence.reason) == ("fired", "on time")
    assert (occurrence.since, occurrence.instant, occurrence.count) == (
        moment("2026-11-21 14:30"),
        moment("2026-11-21 14:30"),
        1,
    )
    assert occurrence.backup_pk == backup.pk


def test_all_of_a_minute_fire_once_whoever_looks(
    timetable: Timetable, new_addon: Callable[[], int]
) -> None:
    pks = [timetable.add(new_addon(), wish("hourly", [5, 6])) for _ in range(12)]
    schedulers = [timetable.scheduler() for _ in range(3)]
    for text in ("10:05", "10:05:01", "10:06", "10:07", "11:05"):
        timetable.clock.at = moment(f"2026-11-21 {text}")
        for scheduler in schedulers:
            scheduler.round()
        for backup in timetable.backups():
            if backup.status == "scheduled":
                timetable.finish(timetable.begin(backup))
    assert len(timetable.backups()) == 36
    for pk in pks:
        assert timetable.outcomes(pk) == ["fired"] * 3


def test_schedules_that_want_the_same_share_a_backup_kept_for_the_longest(
    timetable: Timetable, addon: int
) -> None:
    hourly = timetable.add(addon, wish("hourly", retentionTime=2))
    weekly = timetable.add(addon, wish("weekly", [0], [12], [5], retentionTime=100))
    (backup,) = timetable.at("2026-11-21 11:00")
    assert backup.schedules is not None
    assert len(backup.schedules) == 1
    timetable.begin(backup)
    (both,) = timetable.at("2026-11-21 12:00")
    assert both.schedules is not None
    assert [each["interval"] for each in both.schedules] == ["hourly", "weekly"]
    assert [each["retentionTime"] for each in both.schedules] == [2, 100]
    assert timetable.copies(both)[0].expires == both.created + 100 * DAY
    (of_weekly,) = timetable.occurrences(weekly)
    assert of_weekly.backup_pk == timetable.occurrences(hourly)[-1].backup_pk == both.pk


@pytest.mark.parametrize(
    "other",
    [{"compressionType": "zstd"}, {"customDestinationId": "offsite"}, {"backupType": "snapshot"}],
)
def test_different_wishes_are_different_backups(
    timetable: Timetable, addon: int, other: dict[str, str]
) -> None:
    timetable.destination("offsite")
    timetable.add(addon, wish("hourly"))
    timetable.add(addon, wish("daily", [0], [11], **other))
    made = timetable.at("2026-11-21 11:00")
    assert [backup.id for backup in made] == ["2026-11-21-11-00-00", "2026-11-21-11-00-00-2"]
    assert [len(backup.schedules or []) for backup in made] == [1, 1]
    assert len(timetable.queue.dispatched) == 1  # the second waits for the first


def test_additional_destinations_are_united_each_for_the_longest_time(
    timetable: Timetable, addon: int
) -> None:
    near, far = timetable.destination("near"), timetable.destination("far")
    timetable.add(
        addon,
        wish(
            "hourly",
            backupType="snapshot",
            retentionTime=2,
            additionalDestinations=[{"destinationId": "near", "retentionTime": 7}],
        ),
    )
    timetable.add(
        addon,
        wish(
            "daily",
            [0],
            [11],
            backupType="snapshot",
            retentionTime=5,
            additionalDestinations=[{"destinationId": "near"}, {"destinationId": "far"}],
        ),
    )
    (backup,) = timetable.at("2026-11-21 11:00")
    found = [(copy.destination_pk, copy.additional) for copy in timetable.copies(backup)]
    assert found == [(None, False), (near, True), (far, True)]
    assert [copy.retention for copy in timetable.copies(backup)] == [5, 7, 5]


def test_a_name_that_is_taken_gets_a_number(timetable: Timetable, addon: int) -> None:
    timetable.add(addon, wish("hourly"))
    with timetable.catalog.write() as session:
        session.add(
            Backup(
                uid="u",
                addon_pk=addon,
                id="2026-11-21-11-00-00",
                name="mine",
                type="dump",
                source="sameAddon",
                status="completed",
                size=0,
                version="15",
                retained=False,
                created=1,
            )
        )
    assert [backup.id for backup in timetable.at("2026-11-21 11:00")] == ["2026-11-21-11-00-00-2"]


def test_after_a_downtime_one_run_stands_for_all(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly", [0, 30]))
    (backup,) = timetable.at("2026-11-21 13:10")
    assert backup.name == "2026-11-21 13:00:00"
    missed, fired = timetable.occurrences(pk)
    assert (missed.outcome, missed.count, missed.backup_pk) == ("missed", 5, None)
    assert (missed.since, missed.instant) == (
        moment("2026-11-21 10:30"),
        moment("2026-11-21 12:30"),
    )
    assert missed.reason == (
        "nothing was there to fire it; the one of 2026-11-21 13:00 UTC stands for it"
    )
    assert (fired.instant, fired.reason) == (
        moment("2026-11-21 13:00"),
        "10 min late, also for 5 missed before it",
    )


def test_what_is_older_than_the_window_is_not_caught_up(timetable: Timetable, addon: int) -> None:
    timetable.window = 3 * HOUR
    pk = timetable.add(addon, wish("daily", [0], [3]))
    assert timetable.at("2026-11-24 06:00:00.001") == []
    (missed,) = timetable.occurrences(pk)
    assert (missed.outcome, missed.count) == ("missed", 3)
    assert missed.reason == "nothing was there to fire it for more than 3 h"
    assert timetable.schedule(pk).next_due == moment("2026-11-25 03:00")
    (backup,) = timetable.at("2026-11-25 06:00")  # just within
    assert backup.name == "2026-11-25 03:00:00"


def test_a_run_that_waits_is_not_stacked_on(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly"))
    (first,) = timetable.at("2026-11-21 11:00")
    assert timetable.at("2026-11-21 12:00") == []
    assert timetable.at("2026-11-21 13:00") == []
    skipped = timetable.occurrences(pk)[1:]
    assert [each.outcome for each in skipped] == ["skipped", "skipped"]
    assert [each.backup_pk for each in skipped] == [first.pk, first.pk]
    timetable.begin(first)
    assert len(timetable.at("2026-11-21 14:00")) == 1


def test_others_that_need_the_run_get_it(timetable: Timetable, addon: int) -> None:
    hourly = timetable.add(addon, wish("hourly"))
    daily = timetable.add(addon, wish("daily", [0], [12]))
    timetable.at("2026-11-21 11:00")
    (both,) = timetable.at("2026-11-21 12:00")
    assert timetable.outcomes(hourly) == ["fired", "fired"]
    assert timetable.outcomes(daily) == ["fired"]
    assert len(both.schedules or []) == 2
    assert timetable.at("2026-11-21 13:00") == []


def test_a_clock_that_goes_back_silences_nobody(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("daily", [0], [11]))
    (early,) = timetable.at("2026-11-21 11:00")
    timetable.begin(early)
    scheduler = timetable.scheduler()
    scheduler.round()
    timetable.clock.at = moment("2026-11-21 10:50")
    scheduler.round()
    assert timetable.occurrences(pk) == []
    assert timetable.schedule(pk).next_due == moment("2026-11-21 11:00")
    (again,) = timetable.at("2026-11-21 11:00")
    assert again.id == f"{early.id}-2"


def test_a_step_back_within_a_period_fires_nothing_twice(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly", [0, 10, 20, 30, 40, 50]))
    (backup,) = timetable.at("2026-11-21 10:10")
    timetable.begin(backup)
    assert timetable.at("2026-11-21 10:05") == []
    assert timetable.at("2026-11-21 10:10") == []
    assert len(timetable.at("2026-11-21 10:20")) == 1
    assert timetable.outcomes(pk) == ["fired", "fired"]


@dataclass
class HeldUp:
    """Reads the clock, and is held up while something happens `meanwhile`; the first time only."""

    clock: Clock
    meanwhile: Callable[[], object] | None

    def now(self) -> int:
        read, meanwhile, self.meanwhile = self.clock.now(), self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return read


def test_a_scheduler_that_is_held_up_as_it_starts_takes_nothing_back(
    timetable: Timetable, addon: int
) -> None:
    """It read the clock just before an instant that somebody else fires before it goes on."""
    pk = timetable.add(addon, wish("hourly"))
    timetable.clock.at = moment("2026-11-21 10:59") + 59_900
    late = timetable.scheduler()
    clock = HeldUp(timetable.clock, lambda: timetable.begin(*timetable.at("2026-11-21 11:00")))
    late._tools = replace(late._tools, clock=clock)
    late.round()
    assert clock.meanwhile is None
    assert timetable.outcomes(pk) == ["fired"]
    assert len(timetable.backups()) == 1


def test_a_clock_that_was_far_ahead_and_comes_back_loses_nothing(
    timetable: Timetable, addon: int
) -> None:
    pk = timetable.add(addon, wish("daily", [0], [3]))
    (backup,) = timetable.at("2027-11-21 10:00")
    timetable.begin(backup)
    assert timetable.occurrences(pk)[0].count == 364
    assert timetable.at("2026-11-23 10:00") == []
    (kept,) = timetable.occurrences(pk)  # of what was called missed, what really was before
    assert (kept.outcome, kept.count) == ("missed", 2)
    assert kept.instant == moment("2026-11-23 03:00")
    assert [b.name for b in timetable.at("2026-11-24 03:00")] == ["2026-11-24 03:00:00"]


def test_an_instant_that_was_decided_is_left_alone(timetable: Timetable, addon: int) -> None:
    """Rows that came from a copy of the catalogue may say that it is due again."""
    pk = timetable.add(addon, wish("hourly"))
    (backup,) = timetable.at("2026-11-21 12:00")
    timetable.begin(backup)
    with timetable.catalog.write() as session:
        session.execute(update(Schedule).values(next_due=moment("2026-11-21 11:00")))
    assert timetable.at("2026-11-21 12:30") == []
    assert timetable.schedule(pk).next_due == moment("2026-11-21 13:00")
    assert timetable.outcomes(pk) == ["missed", "fired"]


def test_whoever_has_an_addon_holds_up_nobody_else(
    timetable: Timetable, new_addon: Callable[[], int]
) -> None:
    """On SQLite there is one lock for all, so nobody has an addon while another one looks."""
    one, other = new_addon(), new_addon()
    for pk in (one, other):
        timetable.add(pk, wish("hourly"))
    if timetable.catalog.is_sqlite:
        assert {b.addon_pk for b in timetable.at("2026-11-21 11:00")} == {one, other}
        return
    with timetable.catalog.write() as session:
        lock_addon(session, one)
        assert [b.addon_pk for b in timetable.at("2026-11-21 11:00")] == [other]
    assert [b.addon_pk for b in timetable.at("2026-11-21 11:00:01")] == [one]


def test_more_than_one_batch_is_due(
    timetable: Timetable, new_addon: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.usecases.schedules.firing.BATCH", 3)
    for _ in range(8):
        addon = new_addon()
        timetable.add(addon, wish("hourly"))
        timetable.add(addon, wish("daily", [0], [11]))
    assert len(timetable.at("2026-11-21 11:00")) == 8
    with timetable.catalog.read() as session:
        assert queries.due(session, timetable.clock.at, None, 10) == []


def test_a_transaction_that_fails_leaves_everything_to_the_next(
    timetable: Timetable, addon: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = timetable.add(addon, wish("hourly"))
    due = timetable.schedule(pk).next_due

    def refuse(*_: object) -> None:
        raise RuntimeError("the queue is gone")

    with monkeypatch.context() as broken:
        broken.setattr(timetable.queue, "dispatch", refuse)
        with pytest.raises(RuntimeError, match="the queue is gone"):
            timetable.at("2026-11-21 11:00")
    assert timetable.backups() == []
    assert timetable.occurrences(pk) == []
    assert timetable.schedule(pk).next_due == due
    assert len(timetable.at("2026-11-21 11:00:01")) == 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"desired": "paused"}, "the addon is paused; resume it first"),
        ({}, "refused"),  # nothing listens on port 1
    ],
)
def test_an_addon_that_cannot_be_backed_up_yields_a_failure_with_its_reason(
    timetable: Timetable, addon: int, values: dict[str, str], reason: str
) -> None:
    sealer = timetable.parts.sealer
    with timetable.catalog.write() as session:
        row = session.get_one(Addon, addon)
        row.sealed_password = sealer.seal(Secret("x"), f"addon {row.uid}")
        for name, value in values.items():
            setattr(row, name, value)
    pk = timetable.add(addon, wish("hourly"))
    (backup,) = timetable.at("2026-11-21 11:00")
    timetable.work(backup)
    (failed,) = timetable.backups()
    assert failed.status == "failed"
    assert reason in (failed.reason or "")
    assert timetable.outcomes(pk) == ["fired"]


def test_the_database_tells_the_time(timetable: Timetable) -> None:
    """A host whose own clock is wrong does not matter."""
    real = SystemClock()
    shared = DatabaseClock(timetable.catalog, timetable.clock)
    assert abs(shared.now() - real.now()) < MINUTE
    assert shared.monotonic() == timetable.clock.monotonic()


def test_a_host_whose_clock_is_wrong_fires_by_the_shared_one(
    timetable: Timetable, addon: int
) -> None:
    real = SystemClock()
    timetable.clock.at = real.now() - HOUR
    pk = timetable.add(addon, wish("hourly"))
    timetable.clock.at = 0  # as far as this host knows, it is 1970
    process = SchedulerProcess(timetable.parts)
    process.start()
    try:
        await_that(lambda: timetable.occurrences(pk), 10)
    finally:
        process.drain()
    last = timetable.occurrences(pk)[-1]
    assert (last.outcome, last.instant) == ("fired", last.decided // HOUR * HOUR)
    assert abs(last.decided - real.now()) < 10_000


@pytest.mark.slow
def test_a_minute_is_met_within_five_seconds(timetable: Timetable, addon: int) -> None:
    """By the real clock, so it may take more than a minute."""
    real = SystemClock()
    timetable.clock.at = real.now()
    following = (timetable.clock.at // MINUTE + 1) % 60
    pk = timetable.add(addon, wish("hourly", [following]))
    process = SchedulerProcess(timetable.parts)
    process.start()
    try:
        (fired,) = await_that(lambda: timetable.occurrences(pk), 75)
    finally:
        process.drain()
    assert fired.reason == "on time"
    assert 0 <= fired.decided - fired.instant < 5000
