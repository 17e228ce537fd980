"""Dumps that are to be read in whole: which ones, who reads them now, and what came of it.

A row says when its dump was read (`read_at`), whether somebody asked for the next time, and until
when one process has it. Whoever moves `read_try` on by compare-and-set reads it; a process that
dies gives it up when that instant comes.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import CursorResult, Update, func, or_, select, update

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Backup, Copy
from holdfast.domain.backup import BackupType
from holdfast.domain.operation import Status

LEASE_MS = 15 * 60_000
DAY_MS = 86_400_000
_LONGEST_WAIT_MS = 2 * DAY_MS
"""No process asks for more: an instant beyond it was written by a clock that was ahead."""


def places_to_read(session: ReadSession, now: int, before: int | None) -> list[int | None]:
    """Destinations with a dump to read; None is the platform store. `before`: those not read since
    that instant are due; None: only those that somebody asked for."""
    found = dict.fromkeys(session.scalars(_asked(now).with_only_columns(Copy.destination_pk)))
    if before is not None:
        old = _unread(now, before).with_only_columns(Copy.destination_pk)
        found |= dict.fromkeys(session.scalars(old))
    return list(found)


def next_to_read(
    session: ReadSession, place: int | None, now: int, before: int | None
) -> Copy | None:
    """Those that somebody asked for come first, then those that were not read for longest."""
    here = Copy.destination_pk.is_not_distinct_from(place)
    asked = _asked(now).where(here).order_by(Copy.read_asked).limit(1)
    found = session.scalar(asked)
    if found is None and before is not None:
        found = session.scalar(_unread(now, before).where(here).order_by(Copy.read_at).limit(1))
    return found


def _asked(now: int) -> Any:
    return _standing(now).where(Copy.read_asked.is_not(None))


def _unread(now: int, before: int) -> Any:
    """A time of reading that is ahead of the clock says nothing."""
    late = or_(Copy.read_at < before, Copy.read_at > now + _LONGEST_WAIT_MS)
    return _standing(now).where(Copy.read_at.is_not(None), late)


def _standing(now: int) -> Any:
    return (
        select(Copy)
        .join(Backup, Backup.pk == Copy.backup_pk)
        .where(
            Copy.gone.is_(None),
            Copy.status == Status.COMPLETED,
            Backup.deleted.is_(None),
            _may_be_taken(now),
        )
    )


def _may_be_taken(now: int) -> Any:
    ahead = Copy.read_try > now + _LONGEST_WAIT_MS
    return or_(Copy.read_try.is_(None), Copy.read_try <= now, ahead)


def take(session: WriteSession, copy_pk: int, now: int) -> bool:
    """Is it ours to read, for as long as the lease?"""
    mine = update(Copy).where(Copy.pk == copy_pk, _may_be_taken(now))
    return _changed(session, mine.values(read_try=now + LEASE_MS))


def hold_on(session: WriteSession, copy_pk: int, until: int, now: int) -> bool:
    """The lease that ends at `until` goes on. False: another process has it."""
    mine = update(Copy).where(Copy.pk == copy_pk, Copy.read_try == until)
    return _changed(session, mine.values(read_try=now + LEASE_MS))


def was_right(session: WriteSession, copy_pk: int, began: int) -> None:
    """Every byte that was there from `began` on is as it was written."""
    mine = update(Copy).where(Copy.pk == copy_pk)
    _changed(session, mine.values(read_at=began, read_try=None, spoiled=None))
    _changed(session, mine.where(Copy.read_asked <= began).values(read_asked=None))


def was_wrong(session: WriteSession, copy_pk: int, problem: str, now: int) -> None:
    """It is read again every day: a wire or a controller may have been what was broken."""
    mine = update(Copy).where(Copy.pk == copy_pk)
    _changed(session, mine.values(spoiled=problem, read_asked=now, read_try=now + DAY_MS))


def try_later(session: WriteSession, copy_pk: int, until: int) -> None:
    _changed(session, update(Copy).where(Copy.pk == copy_pk).values(read_try=until))


def ask(session: WriteSession, copy_pks: Collection[int], now: int) -> None:
    """They are read as soon as a process has time, however lately they were. Who asks again while
    somebody reads is not answered by what that one read before."""
    mine = update(Copy).where(Copy.pk.in_(copy_pks), Copy.read_asked.is_(None))
    _changed(session, mine.values(read_asked=now))


def ask_for_place(session: WriteSession, place: int | None, now: int) -> None:
    """Every dump that is kept there."""
    dumps = select(Backup.pk).where(Backup.type == BackupType.DUMP)
    mine = update(Copy).where(
        Copy.destination_pk.is_not_distinct_from(place),
        Copy.gone.is_(None),
        Copy.status == Status.COMPLETED,
        Copy.backup_pk.in_(dumps),
    )
    _changed(session, mine.values(read_asked=now, read_try=None))


def bytes_at(session: ReadSession, place: int | None) -> int:
    """Of all dumps that are kept there, as stored."""
    here: Sequence[Any] = (
        Copy.destination_pk.is_not_distinct_from(place),
        Copy.gone.is_(None),
        Copy.read_at.is_not(None),
    )
    return int(session.scalar(select(func.coalesce(func.sum(Copy.size), 0)).where(*here)) or 0)


def _changed(session: WriteSession, statement: Update) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1
