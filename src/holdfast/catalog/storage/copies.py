"""Copy rows: where the bytes of a backup are, and until when."""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Select, Update, and_, bindparam, case, func, or_, select, update
from sqlalchemy.orm import aliased

from holdfast.catalog.database.among import among
from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.plain import Plain
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.database.touched import touch_copy
from holdfast.catalog.schema import Addon, Backup, Copy, Deletion, Project
from holdfast.domain.access import Caller
from holdfast.domain.artifact import MANIFEST
from holdfast.domain.operation import Status
from holdfast.domain.retention.rules import expiry
from holdfast.domain.snapshot import is_snapshot_key
from holdfast.domain.units import MINUTE_MS

log = logging.getLogger(__name__)

GOOD = and_(Copy.status == Status.COMPLETED, Copy.lost.is_(None), Copy.gone.is_(None))
"""Of copies that are there, as far as is known."""

_ALARMING_TRIES = 4
"""Failures in a row that are logged as an error."""
_LONGEST_PAUSE_MS = 24 * 60 * MINUTE_MS


@dataclass(frozen=True)
class CopyRequest:
    """A copy to be made. `retention` in days, None: kept until it is deleted by hand."""

    destination_pk: int | None
    retention: int | None
    additional: bool = False


_BEING_REMOVED = select(Deletion.copy_pk).where(
    Deletion.done.is_(None), Deletion.begun.is_not(None)
)


def row(backup: Backup, request: CopyRequest) -> Copy:
    """A scheduled copy. Its retention counts from the request of the backup, not from its end."""
    expires = expiry(backup.created, request.retention)
    return Copy(
        backup_pk=backup.pk,
        addon_pk=backup.addon_pk,
        destination_pk=request.destination_pk,
        additional=request.additional,
        retention=request.retention,
        status=Status.SCHEDULED,
        size=0,
        created=backup.created,
        expires=expires,
        review=expires,
    )


def first(session: ReadSession, backup_pk: int) -> Copy:
    """The copy that the backup's own status follows."""
    own = select(Copy).where(Copy.backup_pk == backup_pk, Copy.additional.is_(False))
    return session.scalars(own).one()


def of_backups(session: ReadSession, backup_pks: Collection[int]) -> dict[int, list[Copy]]:
    """Copies by backup, the first copy first; gone ones included."""
    statement = select(Copy).where(Copy.backup_pk.in_(backup_pks))
    return _by_backup(session.scalars(statement.order_by(Copy.additional, Copy.pk)))


def shown(session: ReadSession, backup_pks: Collection[int]) -> dict[int, list[Copy]]:
    """The same as `of_backups`, as plain rows."""
    return _by_backup(_PLAIN.read(session, _SHOWN, {"backup_pks": list(backup_pks)}))


def _by_backup(rows: Iterable[Copy]) -> dict[int, list[Copy]]:
    grouped: dict[int, list[Copy]] = {}
    for copy in rows:
        grouped.setdefault(copy.backup_pk, []).append(copy)
    return grouped


_PLAIN = Plain(Copy)
_SHOWN = _PLAIN.rows.where(among(Copy.backup_pk, "backup_pks")).order_by(Copy.additional, Copy.pk)


def readable(candidates: Iterable[Copy]) -> list[Copy]:
    """The copies that can be restored, in the same order."""
    return [
        copy
        for copy in candidates
        if copy.status == Status.COMPLETED and copy.lost is None and copy.gone is None
    ]


def names_at(session: ReadSession, destination_pk: int, limit: int) -> Sequence[str]:
    """The ids of the newest backups kept at a destination."""
    statement = (
        select(Backup.id)
        .join(Copy, Copy.backup_pk == Backup.pk)
        .where(Copy.destination_pk == destination_pk, Copy.gone.is_(None))
    )
    return session.scalars(statement.order_by(Copy.pk.desc()).limit(limit)).all()


def newest_objects(session: ReadSession, destination_pk: int, limit: int) -> list[str]:
    """One key for each of the newest copies: a dump's manifest or the snapshot object. Lost copies
    and those being removed are left out."""
    statement = select(Copy.objects).where(
        Copy.destination_pk == destination_pk,
        Copy.gone.is_(None),
        Copy.lost.is_(None),
        Copy.objects.is_not(None),
        Copy.status == Status.COMPLETED,
        Copy.pk.not_in(_BEING_REMOVED.where(Deletion.copy_pk.is_not(None))),
    )
    prefixes = session.scalars(statement.order_by(Copy.pk.desc()).limit(limit))
    return [
        objects if is_snapshot_key(objects) else f"{objects}{MANIFEST}"
        for objects in prefixes
        if objects is not None
    ]


def at_destination(
    session: ReadSession, caller: Caller, destination_pk: int | None, page: Page
) -> Slice[Copy]:
    """Copies of projects that the caller sees. `destination_pk` None: the platform store."""
    statement = (
        select(Copy)
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(
            Copy.destination_pk.is_not_distinct_from(destination_pk),
            Copy.gone.is_(None),
            Backup.deleted.is_(None),
        )
    )
    if caller.projects is not None:
        visible = select(Addon.pk).join(Project, Project.pk == Addon.project_pk)
        statement = statement.where(
            Copy.addon_pk.in_(visible.where(Project.id.in_(caller.projects)))
        )
    return take(session, statement, Copy.pk, page, f"copies at {destination_pk}")


def get(session: ReadSession, pk: int) -> Copy | None:
    fresh = select(Copy).where(Copy.pk == pk).execution_options(populate_existing=True)
    return session.scalar(fresh)


def to_review(session: ReadSession, now: int, limit: int) -> list[int]:
    """Addons whose retention is due to be judged, the longest waiting first."""
    waiting = select(Copy.addon_pk).where(Copy.gone.is_(None), Copy.review <= now)
    rows = session.scalars(waiting.order_by(Copy.review).limit(4 * limit))
    return list(dict.fromkeys(rows))[:limit]


def is_to_review(session: ReadSession, addon_pk: int, now: int) -> bool:
    mine = (Copy.addon_pk == addon_pk, Copy.gone.is_(None), Copy.review <= now)
    return session.scalar(select(Copy.pk).where(*mine).limit(1)) is not None


def postpone(session: WriteSession, addon_pk: int, until: int) -> None:
    """Postpones the addon's next review to `until`, also of copies that expire before."""
    soon = (Copy.addon_pk == addon_pk, Copy.gone.is_(None), Copy.review <= until)
    _change(session, update(Copy).where(*soon).values(review=until))


def reviews_astray(session: ReadSession, beyond: int) -> list[int]:
    """Addons whose review a clock that was ahead put after `beyond`, although a copy expires
    before."""
    astray = (Copy.gone.is_(None), Copy.review > beyond, Copy.expires < Copy.review)
    rows = session.scalars(select(Copy.addon_pk).where(*astray).order_by(Copy.review).limit(10_000))
    return list(dict.fromkeys(rows))


def review_again(session: WriteSession, addon_pk: int, now: int) -> None:
    """Resets the addon's reviews: marked copies are reviewed now, the others when they expire."""
    mine = update(Copy).where(Copy.addon_pk == addon_pk, Copy.gone.is_(None))
    _change(session, mine.values(review=case((Copy.marked.is_(None), Copy.expires), else_=now)))


def try_later(session: WriteSession, pk: int, now: int) -> None:
    """Schedules another try of a copy that failed, after a pause that grows up to a day."""
    copy = get(session, pk)
    if copy is not None:
        copy.tries += 1
        copy.next_try = now + min(_LONGEST_PAUSE_MS, MINUTE_MS << min(copy.tries, 12))
        if copy.tries >= _ALARMING_TRIES:
            log.error("a copy fails again and again", extra={"copy": pk, "tries": copy.tries})


def draw_near(session: WriteSession, now: int) -> None:
    """Shortens pauses that a clock that was ahead made longer than the longest one."""
    latest = now + _LONGEST_PAUSE_MS
    ahead = update(Copy).where(Copy.gone.is_(None), Copy.next_try > latest)
    _change(session, ahead.values(next_try=latest))


_NOW = bindparam("now", type_=BigInteger)
_REMOVING = _BEING_REMOVED.where(Deletion.copy_pk == Copy.pk)
_OTHER = aliased(Copy)
_ANOTHER_GOOD = select(_OTHER.pk).where(
    _OTHER.backup_pk == Copy.backup_pk,
    _OTHER.status == Status.COMPLETED,
    _OTHER.lost.is_(None),
    _OTHER.gone.is_(None),
)
TO_RETRY = (
    select(Copy)
    .join(Backup, Backup.pk == Copy.backup_pk)
    .where(
        Copy.next_try <= _NOW,
        Copy.status == Status.FAILED,
        Copy.gone.is_(None),
        Backup.status == Status.COMPLETED,
        Backup.deleted.is_(None),
        ~_REMOVING.exists(),
    )
)
TO_REPAIR = (
    select(Copy)
    .join(Backup, Backup.pk == Copy.backup_pk)
    .where(
        Copy.lost.is_not(None),
        Copy.status == Status.COMPLETED,
        Copy.gone.is_(None),
        Copy.marked.is_(None),
        or_(Copy.next_try.is_(None), Copy.next_try <= _NOW),
        Copy.objects.is_not(None),
        Backup.deleted.is_(None),
        _ANOTHER_GOOD.exists(),
    )
)


def to_retry(session: ReadSession, now: int) -> list[Copy]:
    """Failed additional copies of good backups whose pause is over. Copies being removed are left
    out: if made again they would never be removed."""
    return list(session.scalars(TO_RETRY.order_by(Copy.next_try).limit(100), {"now": now}))


def to_repair(session: ReadSession, now: int) -> list[Copy]:
    """Lost copies whose pause is over, of kept backups that have another good copy."""
    return list(session.scalars(TO_REPAIR.order_by(Copy.lost).limit(100), {"now": now}))


def lose(session: WriteSession, pk: int, now: int | None) -> None:
    """Marks the copy as lost since `now`; None: its objects are there again."""
    _change(session, update(Copy).where(Copy.pk == pk).values(lost=now))
    touch_copy(session, pk)


def _change(session: WriteSession, statement: Update) -> None:
    session.execute(statement.execution_options(synchronize_session=False))


def is_good(copy: Copy) -> bool:
    return copy.status == Status.COMPLETED and copy.lost is None and copy.objects is not None


def with_present_one(addon_pk: int) -> Select[int]:
    """Backups of an addon with a completed copy that is not gone, though perhaps lost."""
    return select(Copy.backup_pk).where(
        Copy.addon_pk == addon_pk,
        Copy.status == Status.COMPLETED,
        and_(Copy.gone.is_(None), Copy.objects.is_not(None), ~_REMOVING.exists()),
    )


def with_good_one(addon_pk: int) -> Select[int]:
    return with_present_one(addon_pk).where(Copy.lost.is_(None))


def pks_of(session: ReadSession, backup_pk: int) -> list[int]:
    return list(session.scalars(select(Copy.pk).where(Copy.backup_pk == backup_pk)))


def others_stay(session: ReadSession, copy: Copy) -> bool:
    """Whether the backup has another copy that is neither gone nor being removed."""
    other = select(Copy.pk).where(
        Copy.backup_pk == copy.backup_pk,
        Copy.pk != copy.pk,
        Copy.gone.is_(None),
        ~_REMOVING.exists(),
    )
    return session.scalar(other.limit(1)) is not None


def being_removed(session: ReadSession, copy_pks: Collection[int]) -> set[int]:
    """Those of the copies whose removal has begun, so that nothing calls it off any more."""
    rows = session.scalars(_BEING_REMOVED.where(Deletion.copy_pk.in_(copy_pks)))
    return {pk for pk in rows if pk is not None}


def is_being_removed(session: ReadSession, copy: Copy) -> bool:
    return bool(being_removed(session, [copy.pk]))


@dataclass(frozen=True, slots=True)
class StoredTotals:
    """Good copies of an addon at a destination (None: the platform store), their bytes, and by how
    many bytes these grew since an instant."""

    addon_pk: int
    destination_pk: int | None
    copies: int
    bytes: int
    growth: int


def totals_by_addon_and_store(session: ReadSession, since: int) -> list[StoredTotals]:
    """Growth is from `since` on, in ms since 1970. It reads all copies, so callers remember the
    answer."""
    # A sum keeps SQLite from walking its index, whose rows are all over the table: four times as
    # fast with a million copies.
    owner = (Copy.addon_pk + 0).label("owner")
    there, recent = Copy.gone.is_(None), Copy.completed >= since
    growth = case(
        (and_(there, recent), Copy.size),
        (and_(Copy.gone >= since, Copy.completed < since), -Copy.size),
        else_=0,
    )
    counted = (
        select(
            owner,
            Copy.destination_pk,
            func.sum(case((there, 1), else_=0)),
            func.sum(case((there, Copy.size), else_=0)),
            func.sum(growth),
        )
        .where(Copy.status == Status.COMPLETED, Copy.lost.is_(None), or_(there, Copy.gone >= since))
        .group_by(owner, Copy.destination_pk)
        .order_by(owner, Copy.destination_pk)
    )
    return [
        StoredTotals(addon_pk, destination_pk, int(copies), int(size), int(grown))
        for addon_pk, destination_pk, copies, size, grown in session.execute(counted)
    ]
