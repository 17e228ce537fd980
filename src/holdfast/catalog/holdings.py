"""What an addon holds, as the judge of retention takes it.

Copies on their way out for certain (their backup is hidden, or their removal has begun) are no
longer held: nobody may count on them.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import and_, func, or_, select

from holdfast.catalog.schema import Backup, Copy, Deletion, Restore
from holdfast.catalog.session import ReadSession
from holdfast.domain.operation import OVER, Status
from holdfast.domain.retention import Held, State, Verdict, judge

_FAILED = (Status.FAILED, Status.NOT_SUPPORTED)
_ENDS = {Status.FAILED: State.BAD, Status.NOT_SUPPORTED: State.BAD, Status.ABORTED: State.VOID}
_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Holding:
    """One copy, with what a person wants to know of it. Instants in ms, retention in days."""

    held: Held
    backup: str
    status: str
    size: int
    taken: int
    retention: int | None
    objects: str | None
    marked: int | None


@dataclass(frozen=True, slots=True)
class Holdings:
    """All copies of one addon; `past` are failures whose records are gone."""

    addon_pk: int
    present: list[Holding]
    past: list[Held] = field(default_factory=list[Held])

    @property
    def held(self) -> list[Held]:
        return [holding.held for holding in self.present]

    def judged(self, now: int) -> list[Verdict]:
        """In the order of `present`."""
        return judge(self.held, now, self.past)


def of_addon(session: ReadSession, addon_pk: int) -> Holdings:
    found = next(_stream(session, [addon_pk]), None)
    return found or Holdings(addon_pk, [])


def of_addons(session: ReadSession, addon_pks: Collection[int]) -> dict[int, Holdings]:
    return {each.addon_pk: each for each in _stream(session, addon_pks)}


def of_all(session: ReadSession) -> Iterator[Holdings]:
    """Addon by addon, never all at once in memory."""
    return _stream(session, None)


def _stream(session: ReadSession, addon_pks: Collection[int] | None) -> Iterator[Holdings]:
    begun, in_use = _begun(session, addon_pks), _being_restored(session)
    past = _past(session, addon_pks)
    rows: Any = session.execute(_within(_PRESENT, addon_pks)).yield_per(_AT_ONCE)
    for addon_pk, group in groupby(rows, key=_addon_of):
        present = [_holding(row, in_use) for row in group if row[1] not in begun]
        yield Holdings(addon_pk, present, past.get(addon_pk, []))


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
        Backup.status.label("whole"),
        Backup.retained,
        Backup.id,
        Backup.created,
    )
    .join(Backup, Backup.pk == Copy.backup_pk)
    .where(Copy.gone.is_(None), Backup.deleted.is_(None))
    .order_by(Copy.addon_pk, Copy.pk)
)


def _addon_of(row: Any) -> int:
    return row[0]


def _holding(row: Any, in_use: Collection[int]) -> Holding:
    (_, key, backup_pk, place, status, expires, lost, objects, *rest) = row
    (size, retention, marked, whole, retained, backup, taken) = rest
    proven = lost is None and objects is not None
    held = Held(
        key,
        backup_pk,
        place,
        _state(status, whole, proven=proven),
        expires,
        retained,
        backup_pk in in_use,
    )
    return Holding(held, backup, status, size, taken, retention, objects, marked)


def _state(status: str, whole: str, *, proven: bool) -> State:
    """An additional copy that nobody came to make shares the fate of the whole backup."""
    if status == Status.COMPLETED:
        return State.GOOD if proven else State.LOST
    return _ENDS.get(Status(status)) or _ENDS.get(Status(whole)) or State.MAKING


def _within(rows: Any, addon_pks: Collection[int] | None) -> Any:
    return rows if addon_pks is None else rows.where(Copy.addon_pk.in_(addon_pks))


def _begun(session: ReadSession, addon_pks: Collection[int] | None) -> set[int]:
    """Copies whose objects are being removed."""
    going = select(Deletion.copy_pk).where(Deletion.done.is_(None), Deletion.begun.is_not(None))
    if addon_pks is not None:
        going = going.join(Copy, Copy.pk == Deletion.copy_pk).where(Copy.addon_pk.in_(addon_pks))
    return {pk for pk in session.scalars(going) if pk is not None}


def _being_restored(session: ReadSession) -> set[int]:
    going = select(Restore.backup_pk).where(Restore.status.not_in(OVER))
    return set(session.scalars(going))


def _past(session: ReadSession, addon_pks: Collection[int] | None) -> dict[int, list[Held]]:
    """The newest failure at each place whose record is gone or hidden."""
    failed: Any = (
        select(Copy.addon_pk, Copy.destination_pk, func.max(Copy.backup_pk))
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(
            or_(Copy.gone.is_not(None), Backup.deleted.is_not(None)),
            and_(Copy.status.in_(_FAILED), Copy.lost.is_(None)),
        )
        .group_by(Copy.addon_pk, Copy.destination_pk)
    )
    found: dict[int, list[Held]] = {}
    rows: Any = session.execute(_within(failed, addon_pks))
    for addon_pk, place, backup_pk in rows:
        found.setdefault(addon_pk, []).append(Held(0, backup_pk, place, State.BAD, None))
    return found
