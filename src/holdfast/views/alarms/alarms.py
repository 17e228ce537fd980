"""Makes the API's views of alarms, channels and deliveries. Secrets are in none of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.catalog import addons, projects
from holdfast.catalog.alarms import alarms, channels, deliveries
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import AlarmRow, AttemptRow, ChannelRow, DeliveryRow
from holdfast.domain.access import Caller
from holdfast.domain.alarms.messages import message_of
from holdfast.domain.alarms.rules import RULES, Kind, Severity
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.views.shapes.alarms import AlarmView, AttemptView, ChannelView, DeliveryView


@dataclass(frozen=True)
class OpenAlarms:
    """How many alarms are open and not snoozed, and the severity of the worst; None: none is."""

    count: int
    worst: Severity | None


def open_of(session: ReadSession, caller: Caller) -> OpenAlarms:
    """The open alarms that a caller sees."""
    counts = alarms.open_counts(session, caller)
    worst = next((severity for severity in Severity if counts.get(severity)), None)
    return OpenAlarms(sum(counts.values()), worst)


def alarm_views(session: ReadSession, rows: Sequence[AlarmRow]) -> list[AlarmView]:
    addon_pks = {row.addon_pk for row in rows if row.addon_pk is not None}
    project_pks = {row.project_pk for row in rows if row.project_pk is not None}
    addon_rows = addons.by_pk(session, addon_pks)
    project_rows = projects.by_pk(session, project_pks)
    return [
        AlarmView(
            id=row.id,
            kind=row.kind,
            severity=row.severity,
            subject=row.subject,
            reason=row.reason,
            remedy=RULES[Kind(row.kind)].remedy,
            project_id=None if row.project_pk is None else project_rows[row.project_pk].id,
            addon_id=None if row.addon_pk is None else addon_rows[row.addon_pk].id,
            since=rfc3339(row.since),
            opened_at=rfc3339(row.opened),
            updated_at=rfc3339(row.updated),
            acknowledged_at=rfc3339_if(row.acknowledged),
            acknowledged_by=row.acknowledged_by,
            snoozed_until=rfc3339_if(row.snoozed_until),
            closed_at=rfc3339_if(row.closed),
            closed_by=row.closed_by,
        )
        for row in rows
    ]


def channel_view(session: ReadSession, row: ChannelRow) -> ChannelView:
    names = projects.by_pk(session, row.projects or ())
    return ChannelView(
        id=row.id,
        name=row.name,
        kind=row.kind,
        receiver=row.shown,
        severity=row.severity,
        projects=None if row.projects is None else [names[pk].id for pk in row.projects],
        kinds=row.kinds,
        resolved=row.resolved,
        digest=row.digest,
        failing=channels.is_failing(row),
        failures=row.failures,
        problem=row.problem,
        failing_since=rfc3339_if(row.failing),
        next_try_at=rfc3339_if(row.next_try),
        delivered_at=rfc3339_if(row.delivered),
        created_at=rfc3339(row.created),
        updated_at=rfc3339(row.updated),
    )


def delivery_views(
    session: ReadSession, rows: Sequence[DeliveryRow], channel_ids: Mapping[int, str]
) -> list[DeliveryView]:
    attempts = deliveries.attempts_of(session, [row.pk for row in rows])
    return [
        DeliveryView(
            id=row.id,
            channel=channel_ids[row.channel_pk],
            event=row.event,
            title=message_of(row.id, row.event, row.body).title,
            status="sent" if row.sent else "given up" if row.given_up else "waiting",
            created_at=rfc3339(row.created),
            sent_at=rfc3339_if(row.sent),
            given_up_at=rfc3339_if(row.given_up),
            attempts=[attempt_view(attempt) for attempt in attempts.get(row.pk, ())],
        )
        for row in rows
    ]


def attempt_view(row: AttemptRow) -> AttemptView:
    return AttemptView(at=rfc3339(row.at), ok=row.ok, milliseconds=row.took_ms, answer=row.answer)
