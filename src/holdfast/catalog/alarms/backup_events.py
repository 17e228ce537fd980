"""Backup events for the v1 API's notification integrations: written in the transaction that changes
the status of a backup, so that none is lost and none is made up."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import or_, select

from holdfast.catalog.alarms import deliveries
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Addon, Backup, ChannelRow, Project
from holdfast.domain.alarms.integrations import event_of, heartbeat_of, tags_match
from holdfast.domain.alarms.messages import HEARTBEAT
from holdfast.domain.operation import Status
from holdfast.kit.clock import rfc3339


def note(session: WriteSession, operation: str, status: Status, now: int) -> None:
    """Writes the event of an operation's new status, if it makes a backup and any integration
    wants to know, or a heartbeat of one of the backup's schedules."""
    event = event_of(status)
    if event is None:
        return
    wanting = [
        row
        for row in session.scalars(_HEARING)
        if row.kind == HEARTBEAT or f"trigger:{event}" in (row.events or ())
    ]
    if not wanting:
        return
    backup_row = session.execute(_MADE.where(Backup.operation == operation)).one_or_none()
    if backup_row is None:
        return
    body = {"event": event, "data": _data(backup_row, status)}
    schedules = {schedule["id"] for schedule in backup_row.schedules or ()}
    for row in wanting:
        if row.kind == HEARTBEAT:
            if row.form.get("schedule") in schedules:
                deliveries.add(session, row.pk, heartbeat_of(event), body, now)
            continue
        in_project = row.projects is None or backup_row.project_pk in row.projects
        if in_project and tags_match(row.form.get("restrictions", {}), backup_row.tags):
            deliveries.add(session, row.pk, event, body, now)


# Columns, not rows: the status was changed by a statement that rows in memory do not follow.
_MADE: Any = (
    select(
        Backup.id,
        Backup.name,
        Backup.type,
        Backup.source,
        Backup.reason,
        Backup.created,
        Backup.schedules,
        Addon.id.label("addon_id"),
        Addon.name.label("addon_name"),
        Addon.kind,
        Addon.tags,
        Project.pk.label("project_pk"),
        Project.id.label("project_id"),
        Project.name.label("project_name"),
    )
    .join(Addon, Addon.pk == Backup.addon_pk)
    .join(Project, Project.pk == Addon.project_pk)
)


_HEARING = (
    select(ChannelRow)
    .where(
        or_(ChannelRow.events.is_not(None), ChannelRow.kind == HEARTBEAT),
        ChannelRow.deleted.is_(None),
    )
    .order_by(ChannelRow.pk)
)


def _data(backup_row: Any, status: Status) -> Mapping[str, Any]:
    backup: dict[str, Any] = {
        "id": backup_row.id,
        "name": backup_row.name,
        "type": backup_row.type,
        "source": backup_row.source,
        "status": status,
        "createdAt": rfc3339(backup_row.created),
    }
    if backup_row.reason is not None:
        backup["reason"] = backup_row.reason
    return {
        "backup": backup,
        "addon": {
            "id": backup_row.addon_id,
            "name": backup_row.addon_name,
            "type": backup_row.kind,
        },
        "project": {"id": backup_row.project_id, "name": backup_row.project_name},
    }
