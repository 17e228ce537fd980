"""Schedules as the API shows them, when they are due next, and what they did."""

from collections.abc import Mapping, Sequence

from holdfast.catalog import backups, destinations
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Backup, Occurrence, Schedule
from holdfast.catalog.work import schedules as rows
from holdfast.domain.schedules.schedule import Outcome, upcoming
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.views.shapes.schedules import (
    AdditionalDestinationView,
    CausedBackup,
    OccurrenceView,
    ScheduleView,
    SchedulingView,
    Upcoming,
)


def views(session: ReadSession, found: Sequence[Schedule]) -> list[ScheduleView]:
    """One look-up for all of them."""
    pks = {pk for schedule in found for pk in rows.destination_pks(schedule) if pk is not None}
    places = destinations.ids_of(session, pks) if pks else {}
    return [_view(schedule, places) for schedule in found]


def _view(schedule: Schedule, places: Mapping[int, str]) -> ScheduleView:
    more = [
        AdditionalDestinationView(
            destination_id=places[each["destination"]], retention_time=each["retention"]
        )
        for each in schedule.additional
    ]
    return ScheduleView(
        id=schedule.id,
        backup_type=schedule.type,
        backup_compression_type=schedule.compression,
        additional_destinations=more or None,
        custom_destination_id=places.get(schedule.destination_pk or 0),
        scheduling=SchedulingView(
            interval=schedule.interval,
            minute=schedule.minute,
            hour=schedule.hour or None,
            day=schedule.day or None,
        ),
        retention_time=schedule.retention,
        created_at=rfc3339(schedule.created),
        updated_at=rfc3339(schedule.updated),
        next_at=rfc3339(schedule.next_due),
    )


def upcoming_of(schedule: Schedule, now: int, count: int) -> list[Upcoming]:
    return [Upcoming(at=rfc3339(at)) for at in upcoming(rows.rule(schedule), now, count)]


def history(session: ReadSession, found: Sequence[Occurrence]) -> list[OccurrenceView]:
    caused = backups.by_pk(session, {each.backup_pk for each in found if each.backup_pk})
    return [occurrence(each, caused.get(each.backup_pk or 0)) for each in found]


def occurrence(decided: Occurrence, backup: Backup | None) -> OccurrenceView:
    fired = decided.outcome == Outcome.FIRED
    return OccurrenceView(
        at=rfc3339(decided.instant),
        since=rfc3339(decided.since) if decided.count > 1 else None,
        count=decided.count,
        outcome=decided.outcome,
        reason=decided.reason,
        decided_at=rfc3339(decided.decided),
        late_seconds=(decided.decided - decided.instant) / 1000 if fired else None,
        backup=_caused(backup) if backup else None,
    )


def _caused(backup: Backup) -> CausedBackup:
    return CausedBackup(
        id=backup.id,
        status=backup.status,
        reason=backup.reason,
        deleted_at=rfc3339_if(backup.deleted),
    )
