"""Readings of dumps in whole: which are due, which process has one, and the results.

A copy's row says when its dump was last read (`read_at`), whether a reading was requested
(`read_asked`), and until when one process has it (`read_try`). The process that advances `read_try`
by compare-and-set reads it; if it dies, another one may after that instant.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import CursorResult, Update, func, or_, select, update

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Backup, Copy
from holdfast.domain.backup import BackupType
from holdfast.domain.operation import Status
from holdfast.domain.units import DAY_MS

LEASE_MS = 15 * 60_000
_LONGEST_WAIT_MS = 2 * DAY_MS
"""No process waits longer: an instant beyond it was written by a clock that was ahead."""


def destinations_to_read(session: ReadSession, now: int, before: int | None) -> list[int | None]:
    """Destinations with a dump to read; None is the platform store. `before`: dumps not read since
    that instant are due; None: only requested ones."""
    destination_pks = dict.fromkeys(
        session.scalars(_asked(now).with_only_columns(Copy.destination_pk))
    )
    if before is not None:
        old = _unread(now, before).with_only_columns(Copy.destination_pk)
        destination_pks |= dict.fromkeys(session.scalars(old))
    return list(destination_pks)


def next_to_read(
    session: ReadSession, destination_pk: int | None, now: int, before: int | None
) -> Copy | None:
    """The next dump to read: requested ones first, then those not read for longest."""
    at_destination = Copy.destination_pk.is_not_distinct_from(destination_pk)
    statement = _asked(now).where(at_destination).order_by(Copy.read_asked).limit(1)
    copy = session.scalar(statement)
    if copy is None and before is not None:
        copy = session.scalar(
            _unread(now, before).where(at_destination).order_by(Copy.read_at).limit(1)
        )
    return copy


def _asked(now: int) -> Any:
    return _standing(now).where(Copy.read_asked.is_not(None))


def _unread(now: int, before: int) -> Any:
    """Dumps not read since `before`. A time of reading ahead of the clock proves nothing."""
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
    """Takes a reading for the time of the lease. False: another process has it."""
    mine = update(Copy).where(Copy.pk == copy_pk, _may_be_taken(now))
    return _changed(session, mine.values(read_try=now + LEASE_MS))


def hold_on(session: WriteSession, copy_pk: int, until: int, now: int) -> bool:
    """Renews the lease that ends at `until`. False: another process has the reading."""
    mine = update(Copy).where(Copy.pk == copy_pk, Copy.read_try == until)
    return _changed(session, mine.values(read_try=now + LEASE_MS))


def was_right(session: WriteSession, copy_pk: int, began: int) -> None:
    """Records that a reading that began then found every byte as it was written."""
    mine = update(Copy).where(Copy.pk == copy_pk)
    _changed(session, mine.values(read_at=began, read_try=None, spoiled=None))
    _changed(session, mine.where(Copy.read_asked <= began).values(read_asked=None))


def was_wrong(session: WriteSession, copy_pk: int, problem: str, now: int) -> None:
    """Records wrong bytes. It is read again daily: a wire or a controller may have been broken."""
    mine = update(Copy).where(Copy.pk == copy_pk)
    _changed(session, mine.values(spoiled=problem, read_asked=now, read_try=now + DAY_MS))


def try_later(session: WriteSession, copy_pk: int, until: int) -> None:
    _changed(session, update(Copy).where(Copy.pk == copy_pk).values(read_try=until))


def ask(session: WriteSession, copy_pks: Collection[int], now: int) -> None:
    """Requests readings as soon as possible, however recent the last ones are. A request made
    during a reading is not answered by that reading."""
    mine = update(Copy).where(Copy.pk.in_(copy_pks), Copy.read_asked.is_(None))
    _changed(session, mine.values(read_asked=now))


def ask_for_destination(session: WriteSession, destination_pk: int | None, now: int) -> None:
    """Requests a reading of every dump at the destination."""
    dumps = select(Backup.pk).where(Backup.type == BackupType.DUMP)
    mine = update(Copy).where(
        Copy.destination_pk.is_not_distinct_from(destination_pk),
        Copy.gone.is_(None),
        Copy.status == Status.COMPLETED,
        Copy.backup_pk.in_(dumps),
    )
    _changed(session, mine.values(read_asked=now, read_try=None))


def bytes_at(session: ReadSession, destination_pk: int | None) -> int:
    """Stored bytes of all dumps at the destination."""
    conditions: Sequence[Any] = (
        Copy.destination_pk.is_not_distinct_from(destination_pk),
        Copy.gone.is_(None),
        Copy.read_at.is_not(None),
    )
    return int(
        session.scalar(select(func.coalesce(func.sum(Copy.size), 0)).where(*conditions)) or 0
    )


def _changed(session: WriteSession, statement: Update) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1
