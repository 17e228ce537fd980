"""Creating, changing and deleting schedules, on both databases; every rule names its field."""

from typing import Any

import pytest

from fixtures.timetables import Timetable, moment, wish
from holdfast.catalog.database.page import Page
from holdfast.catalog.schema import Addon, Schedule
from holdfast.catalog.work import occurrences, schedules
from holdfast.domain.errors import Conflict, Invalid, NotFound
from holdfast.usecases.schedules import schedules as verbs


def living(timetable: Timetable, addon: int) -> list[Schedule]:
    with timetable.catalog.read() as session:
        found = schedules.of_addon(session, addon)
        session.expunge_all()
        return found


def refused(timetable: Timetable, addon: int, **sent: Any) -> dict[str, Any]:
    """What is said about a form that is refused, by field."""
    interval = sent.pop("interval", "daily")
    arrays = {
        "hourly": {"minute": [0]},
        "daily": {"minute": [0], "hour": [3]},
        "weekly": {"minute": [0], "hour": [3], "day": [0]},
    }[interval]
    with pytest.raises((Invalid, Conflict)) as caught:
        timetable.add(addon, wish(interval, **{**arrays, **sent}))
    return dict(caught.value.details)


@pytest.mark.parametrize(
    ("interval", "most", "arrays"),
    [
        ("hourly", 7, {}),
        ("daily", 60, {"hour": [3]}),
        ("weekly", 120, {"hour": [3], "day": [0]}),
    ],
)
def test_the_longest_retention_depends_on_the_interval(
    timetable: Timetable, addon: int, interval: str, most: int, arrays: dict[str, Any]
) -> None:
    if most < 120:
        details = refused(timetable, addon, interval=interval, retentionTime=most + 1)
        problem = f"is at most {most} days for {interval} schedules"
        assert details == {"retentionTime": problem}
    pk = timetable.add(addon, wish(interval, **arrays, retentionTime=most))
    assert timetable.schedule(pk).retention == most


@pytest.mark.parametrize(
    ("interval", "arrays", "days", "held"),
    [
        ("hourly", {"minute": [0, 20, 40]}, 7, 504),
        ("daily", {"minute": [0], "hour": list(range(24))}, 21, 504),
        ("weekly", {"minute": [0, 30], "hour": [1, 2, 3], "day": list(range(7))}, 84, 504),
    ],
)
def test_a_schedule_may_not_be_able_to_hold_more_than_500(
    timetable: Timetable, addon: int, interval: str, arrays: dict[str, Any], days: int, held: int
) -> None:
    details = refused(timetable, addon, interval=interval, retentionTime=days, **arrays)
    problem = f"would keep {held} backups at a time; a schedule may keep 500"
    assert details == {"retentionTime": problem}
    timetable.add(addon, wish(interval, **arrays, retentionTime=days - 1))


def test_additional_destinations_obey_the_same_limits(timetable: Timetable, addon: int) -> None:
    timetable.destination("near")
    near = {"destinationId": "near"}
    sent: dict[str, Any] = {"interval": "hourly", "backupType": "snapshot"}
    place = "additionalDestinations[0]"
    assert refused(
        timetable, addon, **sent, additionalDestinations=[{**near, "retentionTime": 8}]
    ) == {f"{place}.retentionTime": "is at most 7 days for hourly schedules"}
    assert refused(
        timetable,
        addon,
        **sent,
        minute=[0, 20, 40],
        retentionTime=6,
        additionalDestinations=[{**near, "retentionTime": 7}],
    ) == {
        f"{place}.retentionTime": "would keep 504 backups at a time; a schedule may keep 500",
    }
    assert refused(timetable, addon, **sent, additionalDestinations=[near, near]) == {
        "additionalDestinations[1].destinationId": "is named twice"
    }
    assert refused(
        timetable, addon, **sent, additionalDestinations=[{"destinationId": "gone"}]
    ) == {f"{place}.destinationId": "there is no backup destination 'gone'"}
    assert refused(timetable, addon, customDestinationId="gone") == {
        "customDestinationId": "there is no backup destination 'gone'"
    }


def test_there_is_one_of_a_kind(timetable: Timetable, addon: int) -> None:
    first = timetable.schedule(timetable.add(addon, wish("daily", [0], [3])))
    details = refused(timetable, addon, hour=[4])
    assert details["id"] == first.id
    assert first.id in details["scheduling.interval"]
    timetable.add(addon, wish("daily", [0], [3], backupType="snapshot"))
    timetable.add(addon, wish("weekly", [0], [3], [0]))
    timetable.remove(first.pk)
    timetable.add(addon, wish("daily", [0], [4]))
    assert len(living(timetable, addon)) == 3


def test_a_snapshot_has_no_compression_even_if_it_was_sent(
    timetable: Timetable, addon: int
) -> None:
    snapshot = timetable.add(
        addon, wish("daily", [0], [3], backupType="snapshot", compressionType="gz")
    )
    dump = timetable.add(addon, wish("daily", [0], [3]))
    assert timetable.schedule(snapshot).compression is None
    assert timetable.schedule(dump).compression == "gz"


def test_only_the_retention_can_be_patched(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly", [0, 30]))
    (before,) = timetable.at("2026-11-21 10:30")
    timetable.keep(pk, 5)
    schedule = timetable.schedule(pk)
    assert (schedule.retention, schedule.updated) == (5, moment("2026-11-21 10:30"))
    assert schedule.next_due == moment("2026-11-21 11:00")
    assert before.schedules is not None
    assert before.schedules[0]["retentionTime"] == 3
    with pytest.raises(Invalid, match="at most 7 days"):
        timetable.keep(pk, 8)


def test_replacing_all_leaves_alone_what_is_so_already(timetable: Timetable, addon: int) -> None:
    keep, change = wish("daily", [0, 30], [3]), wish("hourly", [5])
    timetable.replace_all(addon, keep, change, wish("weekly", [0], [3], [0]))
    old = {each.interval: each for each in living(timetable, addon)}
    timetable.clock.at = moment("2026-11-21 12:00")
    timetable.replace_all(
        addon, wish("daily", [30, 0], [3]), wish("hourly", [6]), wish("weekly", [0], [3], [1, 0])
    )
    new = {each.interval: each for each in living(timetable, addon)}
    assert {name: each.id for name, each in new.items()} == {
        name: each.id for name, each in old.items()
    }
    assert new["daily"].updated == old["daily"].updated
    assert new["hourly"].updated == new["weekly"].updated == timetable.clock.at
    assert new["hourly"].next_due == moment("2026-11-21 12:06")
    assert new["weekly"].next_due == old["weekly"].next_due
    timetable.replace_all(addon, change)
    (left,) = living(timetable, addon)
    assert left.id == old["hourly"].id
    timetable.replace_all(addon)
    assert living(timetable, addon) == []


def test_errors_of_many_name_which(timetable: Timetable, addon: int) -> None:
    with pytest.raises(Invalid) as caught:
        timetable.replace_all(addon, wish("daily", [0], [3]), wish("hourly", retentionTime=8))
    assert list(caught.value.details) == ["backupSchedules[1].retentionTime"]
    with pytest.raises(Invalid) as caught:
        timetable.replace_all(addon, wish("hourly"), wish("hourly", [5]))
    assert list(caught.value.details) == ["backupSchedules[1].scheduling.interval"]
    assert living(timetable, addon) == []


@pytest.mark.parametrize("how", ["deleted", "changed"])
def test_what_was_due_and_not_fired_yet_is_on_record(
    timetable: Timetable, addon: int, how: str
) -> None:
    pk = timetable.add(addon, wish("hourly", [0, 30]))
    timetable.clock.at = moment("2026-11-21 11:10")
    timetable.replace_all(addon, *([wish("hourly", [15])] if how == "changed" else []))
    (missed,) = timetable.occurrences(pk)
    assert (missed.outcome, missed.count) == ("missed", 2)
    assert missed.reason == f"the schedule was {how} before it was fired"
    fired = timetable.at("2026-11-21 11:30")
    assert [backup.name for backup in fired] == (
        ["2026-11-21 11:15:00"] if how == "changed" else []
    )


def test_a_change_that_waited_for_a_firing_counts_from_there(
    timetable: Timetable, addon: int
) -> None:
    """It was asked for just before the instant, and got its turn just after that was decided."""
    hourly = timetable.add(addon, wish("hourly", [0]))
    (backup,) = timetable.at("2026-11-21 11:00")
    timetable.finish(timetable.begin(backup))
    timetable.clock.at = moment("2026-11-21 10:59:59")
    timetable.replace_all(addon, wish("hourly", [0, 30]), wish("daily", [0], [11]))
    daily = timetable.add(addon, wish("weekly", [0], [11], [5]))
    assert timetable.schedule(daily).next_due == moment("2026-11-28 11:00")
    assert timetable.at("2026-11-21 11:00:01") == []
    assert timetable.outcomes(hourly) == ["fired"]
    assert len(timetable.at("2026-11-21 11:30")) == 1


def test_what_is_deleted_is_gone_for_everybody(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly"))
    timetable.at("2026-11-21 11:00")
    with timetable.catalog.write() as session:
        verbs.delete_all(timetable.context(session), session.get_one(Addon, addon))
    with pytest.raises(NotFound):
        timetable.remove(pk)
    with timetable.catalog.read() as session:
        schedule = session.get_one(Schedule, pk)
        assert schedules.find(session, addon, schedule.id) is None
        assert schedules.find_ever(session, addon, schedule.id) is schedule
        assert schedules.listed(session, session.get_one(Addon, addon), Page()).items == []
        assert len(occurrences.listed(session, schedule, Page()).items) == 1
    assert timetable.at("2026-11-21 12:00") == []


def test_an_instant_is_found_alone_and_among_missed_ones(timetable: Timetable, addon: int) -> None:
    pk = timetable.add(addon, wish("hourly", [0, 30]))
    timetable.at("2026-11-21 12:40")
    wanted = {"10:30": "missed", "11:30": "missed", "12:00": "missed", "12:30": "fired"}
    with timetable.catalog.read() as session:
        for text, outcome in wanted.items():
            found = occurrences.at(session, pk, moment(f"2026-11-21 {text}"))
            assert found is not None
            assert found.outcome == outcome
        assert occurrences.at(session, pk, moment("2026-11-21 10:00")) is None
        assert occurrences.at(session, pk, moment("2026-11-21 13:00")) is None


def test_who_sends_copies_to_a_destination(timetable: Timetable, addon: int) -> None:
    near, far = timetable.destination("near"), timetable.destination("far")
    dump = timetable.add(addon, wish("hourly", customDestinationId="near"))
    snapshot = timetable.add(
        addon,
        wish(
            "daily",
            [0],
            [3],
            backupType="snapshot",
            additionalDestinations=[{"destinationId": "near"}],
        ),
    )
    with timetable.catalog.read() as session:
        assert [each.pk for each in schedules.using(session, near)] == [dump, snapshot]
        assert schedules.using(session, far) == []
    timetable.remove(dump)
    with timetable.catalog.read() as session:
        assert [each.pk for each in schedules.using(session, near)] == [snapshot]
