"""Alarm rows: which are open, and what becomes of them."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select, text

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import AlarmRow, Project
from holdfast.domain.access import Caller
from holdfast.domain.alarms.rules import RULES, Kind, Open, Symptom
from holdfast.kit import ids

BY_ITSELF = "the cause is gone"
"""Who closed an alarm that no person closed."""


def take_turn(session: WriteSession) -> bool:
    """Whether this transaction may compare and write; False: another process is doing it.

    SQLite's write lock lets one at a time write, and the second finds nothing left to do.
    """
    if session.get_bind().dialect.name != "postgresql":
        return True
    return bool(session.execute(text("SELECT pg_try_advisory_xact_lock(7342, 0)")).scalar())


def open_alarms(session: ReadSession) -> list[Open]:
    columns = (
        AlarmRow.pk,
        AlarmRow.cause,
        AlarmRow.kind,
        AlarmRow.reason,
        AlarmRow.updated,
        AlarmRow.snoozed_until,
    )
    rows = session.execute(select(*columns).where(AlarmRow.closed.is_(None)))
    return [
        Open(pk, cause, Kind(kind), reason, updated, snoozed)
        for pk, cause, kind, reason, updated, snoozed in rows
    ]


def add(session: WriteSession, symptoms: Collection[Symptom], now: int) -> list[AlarmRow]:
    rows = [
        AlarmRow(
            id=ids.hex24(),
            cause=symptom.cause,
            kind=symptom.kind,
            source=symptom.source,
            severity=RULES[symptom.kind].severity,
            subject=symptom.subject,
            reason=symptom.reason,
            project_pk=symptom.project_pk,
            addon_pk=symptom.addon_pk,
            since=symptom.since,
            opened=now,
            updated=now,
        )
        for symptom in symptoms
    ]
    session.add_all(rows)
    session.flush()
    return rows


def by_pk(session: ReadSession, pks: Collection[int]) -> list[AlarmRow]:
    """Those that are still open, of many at a time."""
    rows: list[AlarmRow] = []
    ordered = sorted(pks)
    for start in range(0, len(ordered), 500):
        some = AlarmRow.pk.in_(ordered[start : start + 500])
        rows += session.scalars(select(AlarmRow).where(some, AlarmRow.closed.is_(None)))
    return rows


def find(session: ReadSession, identifier: str, caller: Caller) -> AlarmRow | None:
    """One that the caller sees: of its projects, or, seeing all projects, any."""
    row = session.scalar(select(AlarmRow).where(AlarmRow.id == identifier))
    if row is None or caller.projects is None:
        return row
    return row if row.project_pk in _keys_of(session, caller) else None


def _keys_of(session: ReadSession, caller: Caller) -> set[int]:
    names = sorted(caller.projects or ())
    return set(session.scalars(select(Project.pk).where(Project.id.in_(names))))


def listed(
    session: ReadSession,
    caller: Caller,
    page: Page,
    *,
    is_open: bool | None,
    severities: Sequence[str],
    project_pk: int | None,
) -> Slice[AlarmRow]:
    """The newest first; a caller restricted to projects sees those of these projects."""
    rows = select(AlarmRow)
    if is_open is not None:
        rows = rows.where(AlarmRow.closed.is_(None) if is_open else AlarmRow.closed.is_not(None))
    if severities:
        rows = rows.where(AlarmRow.severity.in_(severities))
    if project_pk is not None:
        rows = rows.where(AlarmRow.project_pk == project_pk)
    if caller.projects is not None:
        rows = rows.where(AlarmRow.project_pk.in_(_keys_of(session, caller)))
    return take(session, rows, AlarmRow.pk, page, "alarms")


def worst(session: ReadSession, limit: int) -> list[AlarmRow]:
    """Open ones that were neither acknowledged nor snoozed, critical ones first."""
    rows = select(AlarmRow).where(
        AlarmRow.closed.is_(None),
        AlarmRow.acknowledged.is_(None),
        AlarmRow.snoozed_until.is_(None),
    )
    return list(session.scalars(rows.order_by(AlarmRow.severity, AlarmRow.pk).limit(limit)))


def open_counts(session: ReadSession, caller: Caller) -> dict[str, int]:
    """How many open alarms the caller sees, by severity; snoozed ones do not count."""
    rows = select(AlarmRow.severity, func.count()).where(
        AlarmRow.closed.is_(None), AlarmRow.snoozed_until.is_(None)
    )
    if caller.projects is not None:
        rows = rows.where(AlarmRow.project_pk.in_(_keys_of(session, caller)))
    return dict(session.execute(rows.group_by(AlarmRow.severity)).all())


def mark(session: ReadSession) -> object:
    """What changes when an alarm opens, closes or is dealt with, to compare with another look."""
    row = session.execute(
        select(
            func.max(AlarmRow.pk),
            func.count(),
            func.count(AlarmRow.acknowledged),
            func.max(AlarmRow.acknowledged),
            func.max(AlarmRow.snoozed_until),
            func.max(AlarmRow.updated),
        ).where(AlarmRow.closed.is_(None))
    ).one()
    return tuple(row)


def forget(session: WriteSession, before: int) -> None:
    """Removes alarms closed before that instant."""
    worn = delete(AlarmRow).where(AlarmRow.closed < before)
    session.execute(worn.execution_options(synchronize_session=False))


def open_by_kind(session: ReadSession) -> list[tuple[str, str, int]]:
    """Kind, severity and number of the open alarms."""
    counted = (
        select(AlarmRow.kind, AlarmRow.severity, func.count())
        .where(AlarmRow.closed.is_(None))
        .group_by(AlarmRow.kind, AlarmRow.severity)
        .order_by(AlarmRow.kind, AlarmRow.severity)
    )
    return [(kind, severity, count) for kind, severity, count in session.execute(counted)]
