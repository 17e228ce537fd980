"""Fires schedules: due instants become backups, and every instant gets one decision.

Any number of processes fire at the same time. A process that cannot lock an addon at once leaves it
to the one that holds the lock; everything is read anew under the lock and written in one
transaction. So a process may be killed anywhere: an instant is decided completely or not at all,
and never twice.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from holdfast.catalog import addons, backups
from holdfast.catalog.database.session import (
    ReadSession,
    WriteSession,
    insert_all,
    lock_addons,
    try_lock_addons,
)
from holdfast.catalog.database.touched import touch_plan
from holdfast.catalog.schema import Addon, Backup, Copy, Document, Occurrence, Schedule
from holdfast.catalog.storage import copies
from holdfast.catalog.storage.copies import CopyRequest
from holdfast.catalog.work import firing, occurrences, operations, schedules
from holdfast.catalog.work.firing import Mark
from holdfast.catalog.work.operations import Order
from holdfast.contracts.job_arguments import BackupArguments
from holdfast.contracts.queue import Queue
from holdfast.domain.backup import BackupType, default_name, source_of, taken_by
from holdfast.domain.naming import free_slug, slug
from holdfast.domain.provenance import Provenance
from holdfast.domain.schedules.firing import Due, Run, decide
from holdfast.domain.schedules.schedule import next_due
from holdfast.kit import ids
from holdfast.kit.clock import Clock, rfc3339

BATCH = 250
"""Addons per transaction: it holds their locks, for less than a second."""


@dataclass(frozen=True)
class _Cause:
    """A backup to make: its addon, the run that was due, the schedules that want it, and the id of
    its operation."""

    addon: Addon
    project: str
    run: Run
    rows: Sequence[Schedule]
    op: str = field(default_factory=ids.hex24)


def due(session: ReadSession, now: int, after: Mark | None) -> list[Mark]:
    """The next addons with due schedules, past `after`; empty at the end."""
    return firing.due(session, now, after, BATCH)


def fire(
    session: WriteSession, queue: Queue, addon_pks: Collection[int], now: int, window: int
) -> list[Backup]:
    """Fires the due schedules of these addons. `window`: ms that an instant may be late and run."""
    rows = {row.pk: row for row in firing.due_of(session, try_lock_addons(session, addon_pks), now)}
    if not rows:
        return []
    owners = firing.owners(session, {row.addon_pk for row in rows.values()})
    waiting = firing.waiting(session, set(owners))
    decided = firing.decided(session, list(rows), now)
    by_addon: dict[int, list[Due]] = {}
    for row in rows.values():
        rule, since = schedules.rule(row), row.next_due
        if row.pk in decided:  # before the clock went back
            since = next_due(rule, decided[row.pk])
        if since <= now:
            wish = (row.type, row.compression, row.destination_pk)
            obligation = Due(row.pk, rule, since, wish, waiting.get(row.id))
            by_addon.setdefault(row.addon_pk, []).append(obligation)
    causes: list[_Cause] = []
    for addon_pk, dues in by_addon.items():
        runs, unfired = decide(dues, now, window)
        session.add_all(occurrences.row(decision, now) for decision in unfired)
        for run in runs:
            causing = [rows[decision.key] for decision in run.fired]
            causes.append(_Cause(*owners[addon_pk], run, causing))
    for row in rows.values():
        row.next_due = next_due(schedules.rule(row), now)
    touch_plan(session, *owners)
    return _make_backups(session, queue, causes, now)


def _make_backups(
    session: WriteSession, queue: Queue, causes: Sequence[_Cause], now: int
) -> list[Backup]:
    names = [default_name(rfc3339(cause.run.instant)) for cause in causes]
    slugs = _free_slugs(
        session, [(c.addon.pk, slug(n)) for c, n in zip(causes, names, strict=True)]
    )
    rows: list[Backup] = []
    for cause, name, identifier in zip(causes, names, slugs, strict=True):
        first = cause.rows[0]
        new = backups.NewBackup(
            id=identifier,
            name=name,
            type=BackupType(first.type),
            source=source_of(BackupType(first.type)),
            provenance=Provenance.OWN,
            compression=first.compression,
            operation=cause.op,
            created=now,
        )
        backup = backups.new_row(cause.addon, new)
        backup.schedules = [_recorded(row) for row in cause.rows]
        rows.append(backup)
    session.add_all(rows)
    session.flush()
    orders: list[Order] = []
    placed: list[Copy] = []
    decided: list[Occurrence] = []
    for cause, backup in zip(causes, rows, strict=True):
        placed += [copies.row(backup, request) for request in _copy_requests(cause.rows)]
        decided += [occurrences.row(decision, now, backup.pk) for decision in cause.run.fired]
        arguments = BackupArguments(backup=backup.pk, project=cause.project)
        order = Order(
            cause.addon.pk,
            taken_by(BackupType(cause.rows[0].type)),
            addons.lane(cause.addon),
            arguments.document(),
            cause.op,
        )
        orders.append(order)
    insert_all(session, placed)
    insert_all(session, decided)
    operations.create_all(session, queue, orders, now)
    return rows


def _free_slugs(session: WriteSession, slugs: Sequence[tuple[int, str]]) -> Iterator[str]:
    """One query for all names; the few that are taken need queries of their own."""
    taken_slugs = firing.taken(session, slugs)
    for addon_pk, base in slugs:

        def is_taken(candidate: str, addon_pk: int = addon_pk, base: str = base) -> bool:
            return (addon_pk, candidate) in taken_slugs or (
                candidate != base and backups.slug_taken(session, addon_pk, candidate)
            )

        free = free_slug(base, is_taken)
        taken_slugs.add((addon_pk, free))
        yield free


def _recorded(row: Schedule) -> Document:
    """The schedule as its backups record it, whatever becomes of the schedule."""
    arrays = {"minute": row.minute, "hour": row.hour, "day": row.day}
    return {
        "id": row.id,
        "interval": row.interval,
        **{name: values for name, values in arrays.items() if values},
        "retentionTime": row.retention,
    }


def _copy_requests(rows: Sequence[Schedule]) -> Iterator[CopyRequest]:
    """The first copy and every additional one of the schedules, each for the longest retention."""
    yield CopyRequest(rows[0].destination_pk, max(row.retention for row in rows))
    longest: dict[int, int] = {}
    for row in rows:
        for additional in row.additional:
            destination_pk, days = (
                additional["destination"],
                additional["retention"] or row.retention,
            )
            longest[destination_pk] = max(days, longest.get(destination_pk, 0))
    for destination_pk, days in longest.items():
        yield CopyRequest(destination_pk, days, additional=True)


def realign(session: WriteSession, clock: Clock) -> list[str]:
    """Takes back what a clock that was ahead decided too early; returns the schedules' ids.

    The clock is read again under the locks: decisions that another process made a moment ago, while
    we waited for them, are not early.

    Only schedules that would wait longer than their interval are touched; the others had one
    occurrence decided early, and that stays. Call it until it returns none.
    """
    rows = firing.ahead(session, clock.now(), BATCH)
    lock_addons(session, {row.addon_pk for row in rows})
    now = clock.now()
    realigned: list[str] = []
    for row in rows:
        session.refresh(row)
        if row.deleted is None and row.next_due > now + schedules.rule(row).period:
            firing.realign(session, row, now)
        realigned.append(row.id)
    return realigned
