"""Channel rows, and the one way from a row to its settings."""

import json
from typing import Any

from sqlalchemy import select

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import ChannelRow, Project
from holdfast.domain.access import Caller
from holdfast.domain.alarms.delivery import FAILING_AFTER
from holdfast.domain.alarms.messages import HEARTBEAT
from holdfast.domain.alarms.rules import Filters, Severity
from holdfast.kit.seal import Sealer, Secret


def context(identifier: str, created: int) -> str:
    """The sealing context of a channel's settings. With `created`, because a deleted channel's id
    may be another one's later."""
    return f"channel {identifier} {created}"


def settings(row: ChannelRow, sealer: Sealer) -> dict[str, Any]:
    """All settings of its kind, secrets among them."""
    opened = sealer.open(row.sealed_settings, context(row.id, row.created))
    return json.loads(opened.reveal())


def seal(row: ChannelRow, values: dict[str, Any], sealer: Sealer) -> None:
    row.sealed_settings = sealer.seal(Secret(json.dumps(values)), context(row.id, row.created))


def get(session: ReadSession, pk: int) -> ChannelRow:
    return session.get_one(ChannelRow, pk)


def living(session: ReadSession) -> list[ChannelRow]:
    rows = select(ChannelRow).where(ChannelRow.deleted.is_(None))
    return list(session.scalars(rows.order_by(ChannelRow.pk)))


def of_alarms(session: ReadSession) -> list[ChannelRow]:
    """The living ones that get alarms, unlike notification integrations and heartbeats."""
    return [row for row in living(session) if row.events is None and row.kind != HEARTBEAT]


def filters(row: ChannelRow) -> Filters:
    return Filters(
        row.pk,
        Severity(row.severity),
        None if row.projects is None else frozenset(row.projects),
        None if row.kinds is None else frozenset(row.kinds),
    )


def is_failing(row: ChannelRow) -> bool:
    return row.failures >= FAILING_AFTER


def is_visible(session: ReadSession, caller: Caller, row: ChannelRow) -> bool:
    """A caller restricted to projects sees channels that get nothing of other projects."""
    if caller.projects is None:
        return True
    if row.projects is None:
        return False
    keys = session.scalars(select(Project.pk).where(Project.id.in_(sorted(caller.projects))))
    return set(row.projects) <= set(keys)


def find(
    session: ReadSession, identifier: str, caller: Caller, *, notification: bool
) -> ChannelRow | None:
    """The living one of that id that the caller sees."""
    row = session.scalar(
        select(ChannelRow).where(ChannelRow.id == identifier, ChannelRow.deleted.is_(None))
    )
    if row is None or (row.events is not None) is not notification:
        return None
    return row if is_visible(session, caller, row) else None


def is_taken(session: ReadSession, identifier: str) -> bool:
    rows = select(ChannelRow.pk).where(ChannelRow.id == identifier, ChannelRow.deleted.is_(None))
    return session.scalar(rows) is not None


def listed(
    session: ReadSession, caller: Caller, page: Page, *, notification: bool
) -> Slice[ChannelRow]:
    visible = [
        row.pk
        for row in living(session)
        if (row.events is not None) is notification and is_visible(session, caller, row)
    ]
    rows = select(ChannelRow).where(ChannelRow.pk.in_(visible))
    return take(session, rows, ChannelRow.pk, page, f"channels {notification}")
