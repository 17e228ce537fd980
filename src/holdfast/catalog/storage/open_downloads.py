"""Open downloads: readings of copies that are no operations.

A row says until when; the download extends it, so the row of a process that dies expires by itself.
All by the database's clock.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, select, update

from holdfast.catalog.database.session import ReadSession, WriteSession, database_now
from holdfast.catalog.schema import Copy, Reading

LEASE_MS = 5 * 60_000


def begin(session: WriteSession, copy_pks: Collection[int]) -> list[int]:
    """Adds a row per copy and returns their keys. Call it before reading anything of the copies."""
    session.execute(delete(Reading).where(~_going_on()))
    rows = [Reading(copy_pk=pk, until=database_now() + LEASE_MS) for pk in copy_pks]
    session.add_all(rows)
    session.flush()
    return [row.pk for row in rows]


def go_on(session: WriteSession, pks: Collection[int]) -> None:
    mine = update(Reading).where(Reading.pk.in_(pks))
    session.execute(
        mine.values(until=database_now() + LEASE_MS).execution_options(synchronize_session=False)
    )


def end(session: WriteSession, pks: Collection[int]) -> None:
    session.execute(delete(Reading).where(Reading.pk.in_(pks)))


def any_of(session: ReadSession, addon_pk: int) -> bool:
    """Whether a copy of one of this addon's backups is being downloaded."""
    going = select(Reading.pk).join(Copy, Copy.pk == Reading.copy_pk)
    return session.scalar(going.where(Copy.addon_pk == addon_pk, _going_on()).limit(1)) is not None


def backups_read(session: ReadSession) -> set[int]:
    going = select(Copy.backup_pk).join(Reading, Reading.copy_pk == Copy.pk)
    return set(session.scalars(going.where(_going_on())))


def _going_on() -> Any:
    """Condition of open rows. An end further away than any lease was written by a wrong clock."""
    now = database_now()
    return (Reading.until > now) & (Reading.until <= now + 2 * LEASE_MS)
