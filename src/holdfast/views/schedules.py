"""Makes the API's views of schedules, their next instants and their history."""

from collections.abc import Sequence

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


def views(session: ReadSession, schedules: Sequence[Schedule]) -> list[ScheduleView]:
    """Views schedules, with one query for the destinations of all."""
    destination_pks = {
        destination_pk
        for schedule in schedules
        for destination_pk in rows.destination_pks(schedule)
        if destination_pk is not None
    }
    destination_ids = destinations.ids_of(session, destination_pks) if destination_pks else {}
    views: list[ScheduleView] = []
    for schedule in schedules:
        additional = [
            AdditionalDestinationView(
                destination_id=destination_ids[copy["destination"]],
                retention_time=copy["retention"],
            )
            for copy in schedule.additional
        ]
        view = ScheduleView(
            id=schedule.id,
            backup_type=schedule.type,
            backup_compression_type=schedule.compression,
            additional_destinations=additional or None,
            custom_destination_id=destination_ids.get(schedule.destination_pk or 0),
            scheduling=SchedulingView(
                interval=schedule.interval,
                minute=schedule.minute,
                hour=schedule.hour or None,
                day=schedule.day or None,
            ),
            retention_time=schedule.retention,
            created_at=rfc3339(schedule.created),
            updated_at=rfc3339(schedule.updated),
            next_at=rfc3339(schedule.next_due) if schedule.paused is None else None,
            paused_at=rfc3339_if(schedule.paused),
            paused_by=schedule.paused_by,
            pause_reason=schedule.paused_reason,
        )
        views.append(view)
    return views


def upcoming_of(schedule: Schedule, now: int, count: int) -> list[Upcoming]:
    """The next instants; none while it is paused."""
    if schedule.paused is not None:
        return []
    return [Upcoming(at=rfc3339(at)) for at in upcoming(rows.rule(schedule), now, count)]


def history(session: ReadSession, occurrences: Sequence[Occurrence]) -> list[OccurrenceView]:
    caused = backups.by_pk(session, {row.backup_pk for row in occurrences if row.backup_pk})
    return [occurrence(row, caused.get(row.backup_pk or 0)) for row in occurrences]


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
        backup=None
        if backup is None
        else CausedBackup(
            id=backup.id,
            status=backup.status,
            reason=backup.reason,
            deleted_at=rfc3339_if(backup.deleted),
        ),
    )
