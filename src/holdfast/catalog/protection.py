"""Facts about the protection of each addon: one row, so that no list ever counts backups.

A row is derived again in the transaction that changed something it depends on, just before that
commits: `touch_addon` and `touch_copy` name what changed where a statement changes rows without
loading them, and the session tells of the others. `differences` derives all rows from nothing and
compares: a difference means that a change was not noticed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import event, func, select
from sqlalchemy.orm import UOWTransaction

from holdfast.catalog import drills
from holdfast.catalog.archiving import outlooks
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.database.touched import (
    take_touched,
    touch_addon,
    touch_archive,
    touch_plan,
)
from holdfast.catalog.schema import (
    Addon,
    ArchiveLine,
    ArchiveRow,
    Backup,
    Copy,
    Occurrence,
    Operation,
    ProtectionRow,
    Restore,
    Schedule,
)
from holdfast.catalog.storage import copies
from holdfast.catalog.work import schedules
from holdfast.domain.addon import Desired
from holdfast.domain.backup import IMPORTED
from holdfast.domain.operation import OVER, Status
from holdfast.domain.protection import HISTORY_DAYS, Day, longest_gap, with_day
from holdfast.domain.schedules.schedule import Outcome
from holdfast.domain.units import DAY_MS

_AT_ONCE = 20
_BAD = (Status.FAILED, Status.NOT_SUPPORTED)
_OWN = Backup.source.not_in(sorted(IMPORTED))

Values = dict[str, Any]
"""The columns of a row of facts, by name."""


@event.listens_for(WriteSession, "after_flush")
def _note_changes(session: WriteSession, _: UOWTransaction) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, Copy | Backup):
            if row not in session.new or row.status == Status.COMPLETED:
                touch_addon(session, row.addon_pk)
        elif isinstance(row, Schedule):
            touch_plan(session, row.addon_pk)
        elif isinstance(row, Addon):
            touch_addon(session, row.pk)
        elif isinstance(row, ArchiveLine) and row in session.new:
            touch_archive(session, row.archive_pk)


@event.listens_for(WriteSession, "before_commit")
def _derive(session: WriteSession) -> None:
    session.flush()
    touched = take_touched(session)
    addon_pks = set(touched.addons)
    if touched.copies:
        addon_pks.update(session.scalars(select(Copy.addon_pk).where(Copy.pk.in_(touched.copies))))
    if touched.archives:
        archived = select(ArchiveRow.addon_pk).where(ArchiveRow.pk.in_(touched.archives))
        addon_pks.update(session.scalars(archived))
    if touched.operations:
        own = select(Operation.addon_pk).where(Operation.id.in_(touched.operations))
        restored = select(Backup.addon_pk).join(Restore, Restore.backup_pk == Backup.pk)
        addon_pks.update(session.scalars(own))
        addon_pks.update(session.scalars(restored.where(Restore.operation.in_(touched.operations))))
    if addon_pks:
        refresh(session, addon_pks)
    if plans := touched.plans - addon_pks:
        _refresh_plans(session, plans)
    if addon_pks or plans:
        session.flush()
        take_touched(session)


def refresh(session: WriteSession, addon_pks: Collection[int], *, all_days: bool = False) -> None:
    """Derives the rows of these addons again; of their history the last two days, or `all_days`."""
    rows = _rows_by_addon(session, addon_pks)
    fresh = _derived(session, addon_pks, rows, all_days=all_days)
    for addon_pk in set(addon_pks) - fresh.keys():
        if addon_pk in rows:  # the addon is deleted
            session.delete(rows[addon_pk])
    for addon_pk, values in fresh.items():
        row = rows.get(addon_pk)
        if row is None:
            session.add(ProtectionRow(addon_pk=addon_pk, **values))
            continue
        _assign(row, values)


def _refresh_plans(session: WriteSession, addon_pks: Collection[int]) -> None:
    """Derives what schedules and their occurrences say, of addons that have a row."""
    rows = _rows_by_addon(session, addon_pks)
    plans, days = schedules.of_addons(session, list(rows)), _days(session, rows, rows)
    for addon_pk, row in rows.items():
        history = _history(row, days.get(addon_pk, []))
        _assign(row, {**_plan_values(plans.get(addon_pk, [])), "days": history})
    if missing := set(addon_pks) - rows.keys():
        refresh(session, missing)


def _rows_by_addon(session: ReadSession, addon_pks: Collection[int]) -> dict[int, ProtectionRow]:
    stored = select(ProtectionRow).where(ProtectionRow.addon_pk.in_(addon_pks))
    return {row.addon_pk: row for row in session.scalars(stored)}


def _assign(row: ProtectionRow, values: Values) -> None:
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


def differences(session: ReadSession, addon_pks: Collection[int]) -> dict[int, list[str]]:
    """The columns in which the rows of these addons are not what is derived from nothing."""
    rows = _rows_by_addon(session, addon_pks)
    columns_by_addon: dict[int, list[str]] = {}
    for addon_pk, values in _derived(session, addon_pks, {}, all_days=True).items():
        row = rows.get(addon_pk)
        if row is None:
            columns_by_addon[addon_pk] = [NO_ROW]
            continue
        if row.gaps is None and values["gaps"] is not None:  # archived before there were columns
            columns_by_addon[addon_pk] = [NO_ROW]
            continue
        columns = [
            name
            for name, value in values.items()
            # An old proof is remembered when the rows of its restore are gone.
            if getattr(row, name) != value and not (name in _PROOF and value is None)
        ]
        if columns:
            columns_by_addon[addon_pk] = columns
    return columns_by_addon


_PROOF = ("proven", "proof_ms")
NO_ROW = "no row"
"""What `differences` says of an addon that has none yet."""


def _derived(
    session: ReadSession,
    addon_pks: Collection[int],
    rows: Mapping[int, ProtectionRow],
    *,
    all_days: bool,
) -> dict[int, Values]:
    living = select(Addon).where(Addon.pk.in_(addon_pks), Addon.deleted.is_(None))
    addons = list(session.scalars(living.where(Addon.desired != Desired.DELETED)))
    keys = [addon.pk for addon in addons]
    plans = schedules.of_addons(session, keys)
    good, bytes_by_addon = _good(session, keys), _bytes(session, keys)
    drilled = drills.outcomes(session, keys)
    failures, proofs = _failures(session, keys, good), _proofs(session, keys, drilled)
    remembered: Mapping[int, ProtectionRow] = {} if all_days else rows
    archived = outlooks.columns(session, keys)
    days = _days(session, keys, remembered)
    derived: dict[int, Values] = {}
    for addon in addons:
        row, plan = rows.get(addon.pk), plans.get(addon.pk, [])
        proven, proof_ms = proofs.get(addon.pk, (None, None))
        if row is not None and (proven is None or (row.proven or 0) > proven):
            proven, proof_ms = row.proven, row.proof_ms
        failing, failure = failures.get(addon.pk, (None, None))
        outcome = drilled.get(addon.pk)
        drill_failing, drill_failure = (outcome and outcome.failing) or (None, None)
        derived[addon.pk] = {
            "created": addon.created,
            "paused": addon.updated if addon.desired == Desired.PAUSED else None,
            **_plan_values(plan),
            **good.get(addon.pk, _NOTHING_GOOD),
            "failing": failing,
            "failure": failure,
            "proven": proven,
            "proof_ms": proof_ms,
            "drill_failing": drill_failing,
            "drill_failure": drill_failure,
            "bytes": bytes_by_addon.get(addon.pk, 0),
            **archived.get(addon.pk, outlooks.NONE),
            "days": _history(remembered.get(addon.pk), days.get(addon.pk, [])),
        }
    return derived


def _plan_values(plan: Collection[Schedule]) -> Values:
    """`plan_paused`: since when none of its schedules is fired."""
    active = [schedule for schedule in plan if schedule.paused is None]
    last = max(plan, key=lambda schedule: schedule.paused or 0) if plan and not active else None
    return {
        "planned": min((schedule.created for schedule in active), default=None),
        "longest_gap_ms": longest_gap(tuple(sorted(map(schedules.rule, active), key=repr))),
        "next_due": min((schedule.next_due for schedule in active), default=None),
        "plan_paused": last and last.paused,
        "plan_paused_by": last and last.paused_by,
    }


def _history(row: ProtectionRow | None, fresh: Collection[Day]) -> list[dict[str, int]]:
    """The remembered days with some counted anew; the newest of them says which are too old."""
    remembered = [] if row is None else [Day(**day) for day in row.days]
    newest = max((day.start for day in (*remembered, *fresh)), default=0)
    return [asdict(day) for day in with_day(remembered, fresh, newest)]


_NOTHING_GOOD: Values = {
    "first_good": None,
    "last_good": None,
    "last_good_backup": None,
    "places": 0,
    "lost": 0,
    "lost_since": None,
}


def _good(session: ReadSession, addon_pks: Collection[int]) -> dict[int, Values]:
    bounds = (
        select(Copy.addon_pk, func.min(Backup.pk), func.max(Backup.pk))
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(Copy.addon_pk.in_(addon_pks), copies.GOOD, Backup.deleted.is_(None), _OWN)
        .group_by(Copy.addon_pk)
    )
    rows = [tuple(row) for row in session.execute(bounds)]
    backup_pks = {pk for _, first, last in rows for pk in (first, last)}
    created = dict(
        session.execute(select(Backup.pk, Backup.created).where(Backup.pk.in_(backup_pks))).all()
    )
    places: dict[int, set[int | None]] = defaultdict(set)
    lost: dict[int, list[int]] = defaultdict(list)
    present = select(Copy.backup_pk, Copy.destination_pk, Copy.status, Copy.lost).where(
        Copy.backup_pk.in_({last for _, _, last in rows}), Copy.gone.is_(None)
    )
    for backup_pk, destination_pk, status, lost_since in session.execute(present):
        if lost_since is not None:
            lost[backup_pk].append(lost_since)
        elif status == Status.COMPLETED:
            places[backup_pk].add(destination_pk)
    return {
        addon_pk: {
            "first_good": created[first],
            "last_good": created[last],
            "last_good_backup": last,
            "places": len(places[last]),
            "lost": len(lost[last]),
            "lost_since": min(lost[last], default=None),
        }
        for addon_pk, first, last in rows
    }


def _failures(
    session: ReadSession, addon_pks: Collection[int], good: Mapping[int, Values]
) -> dict[int, tuple[int, str | None]]:
    """Of addons whose newest ended backup is not good: when the first of those was taken, and why
    the newest one is not."""
    first: dict[int, int] = {}
    newest: dict[int, str | None] = {}
    for addon_pk in addon_pks:
        since = good.get(addon_pk, _NOTHING_GOOD)["last_good_backup"] or 0
        ended = (
            select(Backup.created, Backup.status, Backup.reason)
            .where(Backup.addon_pk == addon_pk, Backup.pk > since, _OWN)
            .where(Backup.status.in_((*_BAD, Status.COMPLETED)))
            .order_by(Backup.pk)
        )
        for created, status, reason in session.execute(ended):
            first.setdefault(addon_pk, created)
            lost = status == Status.COMPLETED
            newest[addon_pk] = "its copies are lost or deleted" if lost else reason
    return {addon_pk: (created, newest[addon_pk]) for addon_pk, created in first.items()}


def _proofs(
    session: ReadSession, addon_pks: Collection[int], drilled: Mapping[int, drills.Outcome]
) -> dict[int, tuple[int, int]]:
    """The last restore of a backup of each addon that ended well, or drill that passed, and how
    long that took."""
    ended = (
        select(Backup.addon_pk, Operation.ended, Operation.started)
        .join(Restore, Restore.backup_pk == Backup.pk)
        .join(Operation, Operation.id == Restore.operation)
        .where(
            Backup.addon_pk.in_(addon_pks),
            Restore.status == Status.COMPLETED,
            Restore.undoes.is_(None),
            Operation.ended.is_not(None),
        )
    )
    proofs = {pk: outcome.proven for pk, outcome in drilled.items() if outcome.proven}
    for addon_pk, end, start in session.execute(ended):
        if end is not None and end >= proofs.get(addon_pk, (0, 0))[0]:
            proofs[addon_pk] = end, end - (start or end)
    return proofs


def _bytes(session: ReadSession, addon_pks: Collection[int]) -> dict[int, int]:
    stored = (
        select(Copy.addon_pk, func.sum(Copy.size))
        .where(Copy.addon_pk.in_(addon_pks), copies.GOOD)
        .group_by(Copy.addon_pk)
    )
    return {addon_pk: int(total or 0) for addon_pk, total in session.execute(stored)}


def _days(
    session: ReadSession, addon_pks: Collection[int], rows: Mapping[int, ProtectionRow]
) -> dict[int, list[Day]]:
    """The days whose count may have changed: the last two of an addon with a row, else all that are
    remembered. The time is that of the newest occurrence."""
    latest = (
        select(func.max(Occurrence.instant))
        .where(Occurrence.schedule_pk == Schedule.pk)
        .correlate(Schedule)
        .scalar_subquery()
    )
    newest: dict[int, int] = {}
    instants: Any = session.execute(
        select(Schedule.addon_pk, latest).where(Schedule.addon_pk.in_(addon_pks))
    )
    for addon_pk, instant in instants:  # None for a schedule that never came due
        if instant is not None:
            newest[addon_pk] = max(instant, newest.get(addon_pk, 0))
    since = {
        addon_pk: at - at % DAY_MS - (1 if addon_pk in rows else HISTORY_DAYS - 1) * DAY_MS
        for addon_pk, at in newest.items()
    }
    if not since:
        return {}
    decided = (
        select(
            Schedule.addon_pk,
            Occurrence.instant,
            Occurrence.outcome,
            Occurrence.count,
            Occurrence.backup_pk,
            Backup.status,
        )
        .join(Schedule, Schedule.pk == Occurrence.schedule_pk)
        .outerjoin(Backup, Backup.pk == Occurrence.backup_pk)
        .where(Schedule.addon_pk.in_(since), Occurrence.instant >= min(since.values()))
        .order_by(Schedule.addon_pk, Occurrence.instant)
    )
    return _counted(row for row in session.execute(decided) if row[1] >= since[row[0]])


def _counted(
    decided: Iterable[tuple[int, int, str, int, int | None, str | None]],
) -> dict[int, list[Day]]:
    """One backup that several schedules wanted was due once."""
    counts: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    counted: set[int] = set()
    for addon_pk, instant, outcome, count, backup_pk, status in decided:
        day = counts[addon_pk, instant - instant % DAY_MS]
        if outcome == Outcome.PAUSED:
            continue
        if outcome != Outcome.FIRED:
            day["due"] += count
            day["missed"] += count
            continue
        if backup_pk is None or backup_pk in counted:
            continue
        counted.add(backup_pk)
        day["due"] += 1
        if status == Status.COMPLETED:
            day["good"] += 1
        elif status in OVER:
            day["failed"] += 1
    days: dict[int, list[Day]] = defaultdict(list)
    for (addon_pk, start), numbers in counts.items():
        days[addon_pk].append(Day(start, **numbers))
    return days


def living_after(session: ReadSession, addon_pk: int) -> list[int]:
    """Keys of living addons after one, in their order, some at a time."""
    following = select(Addon.pk).where(Addon.pk > addon_pk, Addon.deleted.is_(None))
    return list(session.scalars(following.order_by(Addon.pk).limit(_AT_ONCE)))
