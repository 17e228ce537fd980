"""Monitor rows: which pings came, and for how long they have been waited for."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import func, select, update

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import MonitorRow
from holdfast.domain.alarms.monitors import DOWN, Condition
from holdfast.kit.seal import Secret


def digest(key: Secret) -> str:
    return hashlib.sha256(key.reveal().encode()).hexdigest()


def by_key(session: WriteSession, key: Secret) -> MonitorRow | None:
    """The monitor of a key, locked: pings of one monitor take turns."""
    row = select(MonitorRow).where(MonitorRow.digest == digest(key))
    return session.scalar(row.with_for_update())


def find(session: ReadSession, identifier: str) -> MonitorRow | None:
    return session.scalar(select(MonitorRow).where(MonitorRow.id == identifier))


def count(session: ReadSession) -> int:
    return session.scalar(select(func.count()).select_from(MonitorRow)) or 0


def listed(session: ReadSession, page: Page) -> Slice[MonitorRow]:
    return take(session, select(MonitorRow), MonitorRow.pk, page, "monitors")


def down(session: ReadSession) -> list[MonitorRow]:
    """Those with which something is wrong."""
    rows = select(MonitorRow).where(MonitorRow.condition.in_([str(state) for state in DOWN]))
    return list(session.scalars(rows.order_by(MonitorRow.pk)))


def by_condition(session: ReadSession) -> dict[str, int]:
    """How many monitors there are of each condition."""
    counted = select(MonitorRow.condition, func.count()).group_by(MonitorRow.condition)
    counts: dict[str, int] = dict(session.execute(counted).all())
    return {str(condition): counts.get(condition, 0) for condition in Condition}


@dataclass(frozen=True, slots=True)
class Watched:
    """A monitor as far as a watcher needs it. Times in ms; `running`: begun and not ended."""

    pk: int
    every: int
    grace: int
    condition: str
    ends: int
    starts: int
    watched: int
    running: bool


def watched(session: ReadSession) -> list[Watched]:
    columns = (
        MonitorRow.pk,
        MonitorRow.every_ms,
        MonitorRow.grace_ms,
        MonitorRow.condition,
        MonitorRow.ends,
        MonitorRow.starts,
        MonitorRow.watched_ms,
        MonitorRow.started.is_not(None),
    )
    return [Watched(*row) for row in session.execute(select(*columns))]


def note_watched(session: WriteSession, monitor: Watched, watched_ms: int) -> None:
    """Notes how long it has been waited for, unless a ping came meanwhile."""
    session.execute(
        update(MonitorRow)
        .where(
            MonitorRow.pk == monitor.pk,
            MonitorRow.ends == monitor.ends,
            MonitorRow.watched_ms < watched_ms,
        )
        .values(watched_ms=watched_ms)
    )


def note_late(session: WriteSession, monitor: Watched, problem: str, now: int) -> None:
    """Notes what is wrong, unless a ping came meanwhile or another process noted it."""
    session.execute(
        update(MonitorRow)
        .where(
            MonitorRow.pk == monitor.pk,
            MonitorRow.ends == monitor.ends,
            MonitorRow.starts == monitor.starts,
            MonitorRow.condition.in_([Condition.NEW, Condition.UP]),
        )
        .values(condition=Condition.LATE, problem=problem, since=now)
    )
