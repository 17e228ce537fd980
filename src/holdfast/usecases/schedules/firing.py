"""Fires schedules: whatever is due becomes backups, and every instant gets its decision.

Any number of processes do this at the same time. Who cannot have an addon's lock at once leaves it
to whoever has it; everything is read anew under the lock and written in one transaction. So a
process may be killed anywhere: an instant is decided completely or not at all, and never twice.
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
from holdfast.catalog.database.touched import touch_addon
from holdfast.catalog.schema import Addon, Backup, Copy, Document, Occurrence, Schedule
from holdfast.catalog.storage import copies
from holdfast.catalog.storage.copies import Wanted
from holdfast.catalog.work import firing, occurrences, operations, schedules
from holdfast.catalog.work.firing import Mark
from holdfast.catalog.work.operations import Order
from holdfast.contracts.queue import Queue
from holdfast.domain.backup import BackupType, default_name, source_of, taken_by
from holdfast.domain.naming import free_slug, slug
from holdfast.domain.operation import Status
from holdfast.domain.provenance import Provenance
from holdfast.domain.schedules.firing import Due, Run, decide
from holdfast.domain.schedules.schedule import next_due
from holdfast.kit import ids
from holdfast.kit.clock import Clock, rfc3339

BATCH = 250
"""Addons in one transaction: their locks are held as long as it takes, which is below a second."""


@dataclass(frozen=True)
class _Cause:
    """A backup to be made: of which addon, when it was due, the schedules that want it, and the
    operation that will make it.
    """

    addon: Addon
    project: str
    run: Run
    rows: Sequence[Schedule]
    op: str = field(default_factory=ids.hex24)


def due(session: ReadSession, now: int, after: Mark | None) -> list[Mark]:
    """The next addons with something to fire, past `after`; empty: there are no more."""
    return firing.due(session, now, after, BATCH)


def fire(
    session: WriteSession, queue: Queue, addon_pks: Collection[int], now: int, window: int
) -> list[Backup]:
    """Fires what is due of these addons. `window`: how late, in ms, an instant may still run."""
    rows = {row.pk: row for row in firing.due_of(session, try_lock_addons(session, addon_pks), now)}
    if not rows:
        return []
    owners = firing.owners(session, {row.addon_pk for row in rows.values()})
    causes: list[_Cause] = []
    for addon_pk, dues in _dues(session, list(rows.values()), now).items():
        runs, others = decide(dues, now, window)
        session.add_all(occurrences.row(other, now) for other in others)
        for run in runs:
            causing = [rows[decision.key] for decision in run.fired]
            causes.append(_Cause(*owners[addon_pk], run, causing))
    for row in rows.values():
        row.next_due = next_due(schedules.rule(row), now)
    touch_addon(session, *owners)
    return _make(session, queue, causes, now)


def _dues(session: WriteSession, rows: Sequence[Schedule], now: int) -> dict[int, list[Due]]:
    """By addon. What was decided before, although it is due again, is left alone."""
    waiting = firing.waiting(session, {row.addon_pk for row in rows})
    decided = firing.decided(session, [row.pk for row in rows], now)
    found: dict[int, list[Due]] = {}
    for row in rows:
        rule, since = schedules.rule(row), row.next_due
        if row.pk in decided:
            since = next_due(rule, decided[row.pk])
        if since <= now:
            wish = (row.type, row.compression, row.destination_pk)
            due = Due(row.pk, rule, since, wish, waiting.get(row.id))
            found.setdefault(row.addon_pk, []).append(due)
    return found


def _make(session: WriteSession, queue: Queue, causes: Sequence[_Cause], now: int) -> list[Backup]:
    names = [default_name(rfc3339(cause.run.instant)) for cause in causes]
    slugs = _free_slugs(
        session, [(c.addon.pk, slug(n)) for c, n in zip(causes, names, strict=True)]
    )
    made = [
        _backup(cause, name, identifier, now)
        for cause, name, identifier in zip(causes, names, slugs, strict=True)
    ]
    session.add_all(made)
    session.flush()
    orders: list[Order] = []
    placed: list[Copy] = []
    decided: list[Occurrence] = []
    for cause, backup in zip(causes, made, strict=True):
        placed += [copies.row(backup, wanted) for wanted in _wanted(cause.rows)]
        decided += [occurrences.row(each, now, backup.pk) for each in cause.run.fired]
        arguments = {"backup": backup.pk, "project": cause.project}
        order = Order(
            cause.addon.pk,
            taken_by(BackupType(cause.rows[0].type)),
            addons.lane(cause.addon),
            arguments,
            cause.op,
        )
        orders.append(order)
    insert_all(session, placed)
    insert_all(session, decided)
    operations.create_all(session, queue, orders, now)
    return made


def _free_slugs(session: WriteSession, wanted: Sequence[tuple[int, str]]) -> Iterator[str]:
    """One question for all; those that are taken, which are few, ask for themselves."""
    taken = firing.taken(session, wanted)
    for addon_pk, base in wanted:

        def is_taken(candidate: str, addon_pk: int = addon_pk, base: str = base) -> bool:
            return (addon_pk, candidate) in taken or (
                candidate != base and backups.slug_taken(session, addon_pk, candidate)
            )

        found = free_slug(base, is_taken)
        taken.add((addon_pk, found))
        yield found


def _backup(cause: _Cause, name: str, identifier: str, now: int) -> Backup:
    first, addon = cause.rows[0], cause.addon
    return Backup(
        uid=ids.uid(),
        addon_pk=addon.pk,
        id=identifier,
        name=name,
        type=first.type,
        source=source_of(BackupType(first.type)),
        provenance=Provenance.OWN,
        compression=first.compression,
        schedules=[_as_it_was(row) for row in cause.rows],
        status=Status.SCHEDULED,
        size=0,
        version=addon.version,
        retained=False,
        operation=cause.op,
        created=now,
    )


def _as_it_was(row: Schedule) -> Document:
    """A backup remembers what caused it, whatever becomes of the schedule."""
    arrays = {"minute": row.minute, "hour": row.hour, "day": row.day}
    return {
        "id": row.id,
        "interval": row.interval,
        **{name: values for name, values in arrays.items() if values},
        "retentionTime": row.retention,
    }


def _wanted(rows: Sequence[Schedule]) -> Iterator[Wanted]:
    """The first copy and all additional ones anybody wants, each for the longest time asked."""
    yield Wanted(rows[0].destination_pk, max(row.retention for row in rows))
    longest: dict[int, int] = {}
    for row in rows:
        for each in row.additional:
            place, days = each["destination"], each["retention"] or row.retention
            longest[place] = max(days, longest.get(place, 0))
    for place, days in longest.items():
        yield Wanted(place, days, additional=True)


def realign(session: WriteSession, clock: Clock) -> list[str]:
    """Takes back what a clock that was ahead decided too early, of some schedules: their ids.

    The clock is read again under the locks: what somebody decided a moment ago, while we were
    held up, is not early.

    Only schedules that would wait for longer than they ever have to are touched; the others had
    their occurrence decided early, and that stays. Call it until there are none.
    """
    found = firing.ahead(session, clock.now(), BATCH)
    lock_addons(session, {row.addon_pk for row in found})
    now = clock.now()
    done: list[str] = []
    for row in found:
        session.refresh(row)
        if row.deleted is None and row.next_due > now + schedules.rule(row).period:
            firing.realign(session, row, now)
        done.append(row.id)
    return done
