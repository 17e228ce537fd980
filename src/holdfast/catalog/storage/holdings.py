"""The copies of an addon, in the form that the retention rule takes.

Copies that certainly go (their backup is hidden, or their removal has begun) are left out, because
no decision may count on them.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from sqlalchemy import Integer, and_, case, func, or_, select, type_coerce

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Backup, Copy, Deletion, Drill, Project, Restore
from holdfast.catalog.storage import archive_facts, open_downloads
from holdfast.domain.access import Caller
from holdfast.domain.archive.retention import Keeping
from holdfast.domain.backup import IMPORTED
from holdfast.domain.operation import OVER, Status
from holdfast.domain.retention.rules import HeldCopy, State, Verdict, judge

_FAILED = (Status.FAILED, Status.NOT_SUPPORTED)
_ENDS = {Status.FAILED: State.BAD, Status.NOT_SUPPORTED: State.BAD, Status.ABORTED: State.VOID}
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Holding:
    """One copy with details for people. Instants in ms, retention in days."""

    held: HeldCopy
    backup: str
    status: str
    size: int
    taken: int
    retention: int | None
    objects: str | None
    marked: int | None
    review: int | None
    due: int | None  # of a marked copy: when it may be removed


@dataclass(frozen=True, slots=True)
class Leaving:
    """A copy that certainly goes, and its deletion."""

    addon_pk: int
    backup: str
    status: str
    size: int
    taken: int
    deletion: Deletion


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a copy, by ids."""

    project: str
    addon: str
    backup: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """All copies of one addon; `past` are failures whose records are gone; `keeping` is its
    archived log, None: it has none."""

    addon_pk: int
    present: list[Holding]
    past: list[HeldCopy] = field(default_factory=list[HeldCopy])
    keeping: Keeping | None = None

    @property
    def held(self) -> list[HeldCopy]:
        return [holding.held for holding in self.present]

    def judged(self, now: int) -> list[Verdict]:
        """The verdicts in the order of `present`."""
        return judge(self.held, now, self.past, self.bases(now))

    def bases(self, now: int) -> frozenset[int]:
        """The snapshots that windows of the archived log need."""
        return self.keeping.ruling(now).bases if self.keeping else frozenset()


def of_addon(session: ReadSession, addon_pk: int) -> Holdings:
    holdings = next(_stream(session, [addon_pk]), None)
    return holdings or Holdings(addon_pk, [])


def of_addons(session: ReadSession, addon_pks: Collection[int]) -> dict[int, Holdings]:
    return {holdings.addon_pk: holdings for holdings in _stream(session, addon_pks)}


def of_all(session: ReadSession) -> Iterator[Holdings]:
    """All addons one by one, never all at once in memory. For a session that sees one state."""
    return _stream(session, None)


def _stream(session: ReadSession, addon_pks: Collection[int] | None) -> Iterator[Holdings]:
    begun, due = _open_deletions(session, addon_pks)
    in_use = set(open_downloads.backups_read(session))
    in_use.update(session.scalars(select(Restore.backup_pk).where(Restore.status.not_in(OVER))))
    in_use.update(session.scalars(select(Drill.backup_pk).where(Drill.completed.is_(None))))
    past = _past_failures(session, addon_pks)
    archives = {row.addon_pk: row for row in archive_facts.archives_of(session, addon_pks)}
    plain = session.connection()  # rows without the mapper's work: there may be millions
    if addon_pks is None:
        rows: Any = plain.execute(_PRESENT, execution_options={"yield_per": _AT_ONCE})
    else:
        rows = plain.execute(_within(_PRESENT, addon_pks)).all()  # half the work of one by one
    for addon_pk, group in groupby(rows, key=lambda row: row[0]):
        present = [_holding(row, in_use, due) for row in group if row[1] not in begun]
        archive = archives.get(addon_pk)
        keeping = archive_facts.keeping(session, archive) if archive else None
        yield Holdings(addon_pk, present, past.get(addon_pk, []), keeping)


_PRESENT: Any = (
    select(
        Copy.addon_pk,
        Copy.pk,
        Copy.backup_pk,
        Copy.destination_pk,
        Copy.status,
        Copy.expires,
        Copy.lost,
        Copy.objects,
        Copy.size,
        Copy.retention,
        Copy.marked,
        Copy.review,
        Backup.status.label("backup_status"),
        type_coerce(Backup.retained, Integer),
        Backup.source,
        Backup.id,
        Backup.created,
    )
    .join(Backup, Backup.pk == Copy.backup_pk)
    .where(Copy.gone.is_(None), Backup.deleted.is_(None))
    .order_by(Copy.addon_pk, Copy.pk)
)


def _holding(row: Any, in_use: Collection[int], due: Mapping[int, int]) -> Holding:
    (_, key, backup_pk, destination_pk, status, expires, lost, objects, *columns) = row
    (size, retention, marked, review, backup_status, retained, source, backup, created) = columns
    if status == Status.COMPLETED:
        state = State.GOOD if lost is None and objects is not None else State.LOST
    else:  # an additional copy that was never made shares the backup's fate
        state = _ENDS.get(Status(status)) or _ENDS.get(Status(backup_status)) or State.MAKING
    copy = HeldCopy(
        key,
        backup_pk,
        destination_pk,
        state,
        expires,
        bool(retained),
        backup_pk in in_use,
        source in IMPORTED,
    )
    when = due.get(key) if marked is not None else None
    return Holding(copy, backup, status, size, created, retention, objects, marked, review, when)


def _within(rows: Any, addon_pks: Collection[int] | None) -> Any:
    return rows if addon_pks is None else rows.where(Copy.addon_pk.in_(addon_pks))


def _open_deletions(
    session: ReadSession, addon_pks: Collection[int] | None
) -> tuple[set[int], dict[int, int]]:
    """The copies being removed, and the due times of waiting deletions by copy."""
    rows: Any = select(Deletion.copy_pk, Deletion.begun, Deletion.due).where(
        Deletion.done.is_(None), Deletion.copy_pk.is_not(None)
    )
    if addon_pks is not None:
        rows = rows.join(Copy, Copy.pk == Deletion.copy_pk).where(Copy.addon_pk.in_(addon_pks))
    begun, due = set[int](), dict[int, int]()
    result: Any = session.execute(rows)
    for copy_pk, since, at in result:
        if since is not None:
            begun.add(copy_pk)
        else:
            due[copy_pk] = at
    return begun, due


def _past_failures(
    session: ReadSession, addon_pks: Collection[int] | None
) -> dict[int, list[HeldCopy]]:
    """The newest failure at each destination whose copy is gone or hidden, by addon."""
    failed: Any = (
        select(Copy.addon_pk, Copy.destination_pk, func.max(Copy.backup_pk))
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(
            or_(Copy.gone.is_not(None), Backup.deleted.is_not(None)),
            and_(Copy.status.in_(_FAILED), Copy.lost.is_(None)),
            Backup.source.not_in(IMPORTED),
        )
        .group_by(Copy.addon_pk, Copy.destination_pk)
    )
    failures: dict[int, list[HeldCopy]] = {}
    rows: Any = session.execute(_within(failed, addon_pks))
    for addon_pk, destination_pk, backup_pk in rows:
        failures.setdefault(addon_pk, []).append(
            HeldCopy(0, backup_pk, destination_pk, State.BAD, None)
        )
    return failures


def leaving(session: ReadSession, addon_pks: Collection[int] | None) -> list[Leaving]:
    """Copies that certainly go, the newest deletion first."""
    going = or_(Deletion.begun.is_not(None), Backup.deleted.is_not(None))
    rows: Any = (
        select(Copy.addon_pk, Backup.id, Copy.status, Copy.size, Backup.created, Deletion)
        .join(Copy, Copy.pk == Deletion.copy_pk)
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(Deletion.done.is_(None), going)
        .order_by(Deletion.pk.desc())
    )
    if addon_pks is None:
        return [Leaving(*row) for row in session.execute(rows)]
    # Asked for in one statement, SQLite would read every backup of these addons.
    begun, due = _open_deletions(session, addon_pks)
    keys = sorted(begun | due.keys())
    copies = [
        Leaving(*row)
        for first in range(0, len(keys), _AT_ONCE)
        for row in session.execute(rows.where(Deletion.copy_pk.in_(keys[first : first + _AT_ONCE])))
    ]
    return sorted(copies, key=lambda copy: -copy.deletion.pk)


@dataclass(frozen=True, slots=True)
class Tally:
    """Numbers of one addon's copies: all that are there, with their bytes; of those on their way
    out, how many their store refuses to remove, and when the next one is due, in ms; of the others,
    how many are past their time."""

    copies: int
    bytes: int
    overdue: int
    going: int = 0
    stuck: int = 0
    next_due: int | None = None


def tallies(session: ReadSession, addon_pks: Collection[int], now: int) -> dict[int, Tally]:
    """Counted by the database: nothing is judged, so thousands of copies take milliseconds."""
    overdue = and_(Copy.marked.is_(None), Copy.expires <= now)
    counted: Any = (
        select(Copy.addon_pk, func.count(), func.sum(Copy.size), _count_if(overdue))
        .where(Copy.addon_pk.in_(addon_pks), Copy.gone.is_(None))
        .group_by(Copy.addon_pk)
    )
    rows: Any = session.execute(counted)
    by_addon = {
        addon_pk: Tally(copies, int(size or 0), int(past or 0))
        for addon_pk, copies, size, past in rows
    }
    due = func.min(func.coalesce(Deletion.next_try, Deletion.due))
    going: Any = (
        select(Copy.addon_pk, func.count(), _count_if(Deletion.last_error.is_not(None)), due)
        .join(Copy, Copy.pk == Deletion.copy_pk)
        .where(Copy.addon_pk.in_(addon_pks), Deletion.done.is_(None))
        .group_by(Copy.addon_pk)
    )
    rows = session.execute(going)
    for addon_pk, count, stuck, next_due in rows:
        if addon_pk in by_addon:
            tally = by_addon[addon_pk]
            by_addon[addon_pk] = replace(tally, going=count, stuck=stuck, next_due=next_due)
    return by_addon


def _count_if(condition: Any) -> Any:
    return func.sum(case((condition, 1), else_=0))


def addons_holding(
    session: ReadSession, caller: Caller, page: Page, project: str | None, addon: str | None
) -> Slice[Addon]:
    """Addons with a copy at any destination, deleted ones included; of projects the caller sees."""
    copies = select(Copy.pk).where(Copy.addon_pk == Addon.pk, Copy.gone.is_(None))
    rows = select(Addon).join(Project, Project.pk == Addon.project_pk).where(copies.exists())
    if caller.projects is not None:
        rows = rows.where(Project.id.in_(caller.projects))
    if project is not None:
        rows = rows.where(Project.id == project)
    if addon is not None:
        rows = rows.where(Addon.id == addon)
    return take(session, rows, Addon.pk, page, f"plan {project} {addon}")


def owners(session: ReadSession, copy_pks: Collection[int]) -> dict[int, Owner]:
    rows = (
        select(Copy.pk, Project.id, Addon.id, Backup.id)
        .join(Backup, Backup.pk == Copy.backup_pk)
        .join(Addon, Addon.pk == Copy.addon_pk)
        .join(Project, Project.pk == Addon.project_pk)
        .where(Copy.pk.in_(copy_pks))
    )
    return {row[0]: Owner(row[1], row[2], row[3]) for row in session.execute(rows)}
