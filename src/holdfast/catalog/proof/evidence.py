"""Reads what a report is made of: the records of addons in a period, some addons at a time.

Rows are plain tuples, because a report may name a million backups. Instants are ms since 1970, and
a period is [`since`, `until`).
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, case, func, or_, select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import (
    Addon,
    AuditEntry,
    Backup,
    Copy,
    Deletion,
    Destination,
    Drill,
    Occurrence,
    Operation,
    Project,
    Repository,
    Restore,
    Schedule,
)
from holdfast.catalog.work import schedules
from holdfast.domain.operation import Status
from holdfast.domain.units import DAY_MS

_ADDONS_AT_ONCE = 20
"""Addons whose records of a month are read together; of a longer period fewer are, because an addon
may have 9,000 backups in a year."""
_MONTH_MS = 31 * DAY_MS
ANSWER_SECONDS = 300.0
"""How long one answer may take: more than for other work, as all of it is read."""
_ENTRIES_AT_ONCE = 1000


@dataclass(frozen=True)
class Scope:
    """A period, and the project that a report is about; None: all of them."""

    since: int
    until: int
    project_pk: int | None = None


@dataclass
class Records:
    """What is known of one addon in a period; rows have the columns of their statements.

    `stored` counts the copies that are there now, whenever they were made. `schedules` are the
    living ones.
    """

    addon: Any
    schedules: Sequence[Schedule] = ()
    backups: list[Any] = field(default_factory=list[Any])
    copies: dict[int, list[Any]] = field(default_factory=dict[int, list[Any]])
    occurrences: list[Any] = field(default_factory=list[Any])
    restores: list[Any] = field(default_factory=list[Any])
    drills: list[Any] = field(default_factory=list[Any])
    deletions: list[Any] = field(default_factory=list[Any])
    stored: list[Any] = field(default_factory=list[Any])


def places(session: ReadSession) -> dict[int | None, str]:
    """The id of every destination, deleted ones too, by key; None: the platform store."""
    named: dict[int | None, str] = {None: "platform store"}
    named.update(session.execute(select(Destination.pk, Destination.id)).all())
    return named


def records(session: ReadSession, scope: Scope) -> Iterator[Records]:
    """Every addon that existed in the period, also one that is deleted, by project and id."""
    living = select(Addon.pk).join(Project, Project.pk == Addon.project_pk)
    living = living.where(
        Addon.created < scope.until, or_(Addon.deleted.is_(None), Addon.deleted >= scope.since)
    )
    if scope.project_pk is not None:
        living = living.where(Addon.project_pk == scope.project_pk)
    addon_pks = list(session.scalars(living.order_by(Project.id, Addon.id, Addon.pk)))
    at_once = max(1, _ADDONS_AT_ONCE * _MONTH_MS // max(_MONTH_MS, scope.until - scope.since))
    for start in range(0, len(addon_pks), at_once):
        yield from _read(session, scope, addon_pks[start : start + at_once])


def changes(session: ReadSession, scope: Scope, project_id: str | None) -> Iterator[AuditEntry]:
    """The audit log's entries of the period, oldest first."""
    rows = select(AuditEntry).where(AuditEntry.at >= scope.since, AuditEntry.at < scope.until)
    if project_id is not None:
        rows = rows.where(AuditEntry.project == project_id)
    last = 0
    while True:
        following = rows.where(AuditEntry.pk > last).order_by(AuditEntry.pk)
        entries = session.scalars(following.limit(_ENTRIES_AT_ONCE)).all()
        if not entries:
            return
        last = entries[-1].pk
        yield from entries
        session.expunge_all()


_ADDONS: Any = select(
    Addon.pk,
    Addon.uid,
    Addon.id,
    Addon.name,
    Addon.kind,
    Addon.version,
    Addon.managed,
    Addon.created,
    Addon.deleted,
    Addon.project_pk,
    Project.id.label("project"),
).join(Project, Project.pk == Addon.project_pk)

_BACKUPS: Any = select(
    Backup.addon_pk,
    Backup.pk,
    Backup.id,
    Backup.uid,
    Backup.name,
    Backup.type,
    Backup.source,
    Backup.schedules,
    Backup.status,
    Backup.reason,
    Backup.size,
    Backup.version,
    Backup.warnings,
    Backup.created,
    Backup.completed,
    Backup.deleted,
)

_COPIES: Any = select(
    Copy.backup_pk,
    Copy.destination_pk,
    Copy.status,
    Copy.reason,
    Copy.size,
    Copy.completed,
    Copy.read_at,
    Copy.expires,
    Copy.lost,
    Copy.spoiled,
    Copy.gone,
).join(Backup, Backup.pk == Copy.backup_pk)

_OCCURRENCES: Any = (
    select(
        Schedule.addon_pk,
        Schedule.id.label("schedule"),
        Occurrence.instant,
        Occurrence.since,
        Occurrence.count,
        Occurrence.outcome,
        Occurrence.reason,
        Occurrence.backup_pk,
        Backup.id.label("backup"),
        Backup.status,
        Backup.reason.label("backup_reason"),
    )
    .join(Schedule, Schedule.pk == Occurrence.schedule_pk)
    .outerjoin(Backup, Backup.pk == Occurrence.backup_pk)
)

_RESTORES: Any = (
    select(
        Backup.addon_pk,
        Restore.id,
        Backup.id.label("backup"),
        Restore.addon_pk.label("target_pk"),
        Restore.status,
        Restore.reason,
        Restore.undoes,
        Restore.created,
        Restore.completed,
        Operation.started,
        Operation.ended,
    )
    .join(Backup, Backup.pk == Restore.backup_pk)
    .outerjoin(Operation, Operation.id == Restore.operation)
)

_DRILLS: Any = select(
    Drill.addon_pk,
    Drill.id,
    Backup.id.label("backup"),
    Drill.instant,
    Drill.cause,
    Drill.status,
    Drill.reason,
    Drill.verdict,
    Drill.findings,
    Drill.times,
    Drill.version,
    Drill.size,
    Drill.opinions,
    Drill.created,
    Drill.completed,
).join(Backup, Backup.pk == Drill.backup_pk)

_DELETIONS: Any = (
    select(
        Copy.addon_pk,
        Backup.id.label("backup"),
        Deletion.destination_pk,
        Deletion.reason,
        Deletion.created,
        Deletion.due,
        Deletion.begun,
        Deletion.done,
        Deletion.called_off,
        Deletion.outcome,
        Deletion.last_error,
    )
    .join(Copy, Copy.pk == Deletion.copy_pk)
    .join(Backup, Backup.pk == Copy.backup_pk)
)


def _count(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))


_GOOD = and_(Copy.status == Status.COMPLETED, Copy.lost.is_(None))
_STORED: Any = (
    select(
        Copy.addon_pk,
        Copy.destination_pk,
        Backup.type,
        _count(_GOOD).label("good"),
        _count(Copy.lost.is_not(None)).label("lost"),
        _count(Copy.spoiled.is_not(None)).label("spoiled"),
        func.sum(case((_GOOD, Copy.size), else_=0)).label("bytes"),
        func.min(case((_GOOD, Backup.created))).label("oldest"),
        func.max(case((_GOOD, Backup.created))).label("newest"),
        _count(and_(_GOOD, or_(Copy.read_at.is_(None), Copy.read_at == 0))).label("unread"),
        func.min(case((and_(_GOOD, Copy.read_at > 0), Copy.read_at))).label("read_first"),
        func.max(case((_GOOD, Copy.read_at))).label("read_last"),
        func.max(Repository.read_at).label("packs_read"),
    )
    .join(Backup, Backup.pk == Copy.backup_pk)
    .outerjoin(
        Repository,
        and_(
            Repository.addon_pk == Copy.addon_pk,
            Repository.destination_pk.is_not_distinct_from(Copy.destination_pk),
        ),
    )
    .where(Copy.gone.is_(None), or_(Copy.status == Status.COMPLETED, Copy.lost.is_not(None)))
    .group_by(Copy.addon_pk, Copy.destination_pk, Backup.type)
    .order_by(Copy.addon_pk, Copy.destination_pk, Backup.type)
)


def _read(session: ReadSession, scope: Scope, addon_pks: Sequence[int]) -> Iterator[Records]:
    def in_period(column: Any) -> Any:
        return and_(column >= scope.since, column < scope.until)

    addons = {row.pk: row for row in session.execute(_ADDONS.where(Addon.pk.in_(addon_pks)))}
    by_addon = {pk: Records(addons[pk]) for pk in addon_pks}
    for addon_pk, plan in schedules.of_addons(session, addon_pks).items():
        by_addon[addon_pk].schedules = plan
    backed_up = and_(Backup.addon_pk.in_(addon_pks), in_period(Backup.created))
    for row in session.execute(_BACKUPS.where(backed_up).order_by(Backup.pk)):
        by_addon[row.addon_pk].backups.append(row)
    copies: dict[int, list[Any]] = defaultdict(list)
    for row in session.execute(_COPIES.where(backed_up).order_by(Copy.pk)):
        copies[row.backup_pk].append(row)
    decided = and_(Schedule.addon_pk.in_(addon_pks), in_period(Occurrence.instant))
    restored = and_(Backup.addon_pk.in_(addon_pks), in_period(Restore.created))
    drilled = and_(Drill.addon_pk.in_(addon_pks), in_period(Drill.created))
    removed = and_(
        Copy.addon_pk.in_(addon_pks),
        or_(in_period(Deletion.created), in_period(Deletion.done)),
    )
    parts: tuple[tuple[Any, Callable[[Records], list[Any]]], ...] = (
        (_OCCURRENCES.where(decided).order_by(Occurrence.instant), lambda r: r.occurrences),
        (_RESTORES.where(restored).order_by(Restore.pk), lambda r: r.restores),
        (_DRILLS.where(drilled).order_by(Drill.pk), lambda r: r.drills),
        (_DELETIONS.where(removed).order_by(Deletion.pk), lambda r: r.deletions),
        (_STORED.where(Copy.addon_pk.in_(addon_pks)), lambda r: r.stored),
    )
    for statement, rows_of in parts:
        for row in session.execute(statement):
            rows_of(by_addon[row.addon_pk]).append(row)
    for addon in by_addon.values():
        addon.copies = {row.pk: copies.get(row.pk, []) for row in addon.backups}
        yield addon


def targets(
    session: ReadSession, addon_pks: Collection[int], project_pk: int | None
) -> dict[int, str]:
    """Addons as `project/addon`, by key: where backups were restored to. Only those of the project,
    unless it is None: who may see one project learns no names of others."""
    rows = select(Addon.pk, Project.id, Addon.id).join(Project, Project.pk == Addon.project_pk)
    rows = rows.where(Addon.pk.in_(addon_pks))
    if project_pk is not None:
        rows = rows.where(Addon.project_pk == project_pk)
    return {pk: f"{project}/{addon}" for pk, project, addon in session.execute(rows)}
