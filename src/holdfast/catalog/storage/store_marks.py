"""Marks that identify stores on this machine, and whether the platform store is used."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Copy, StoreMark

PLATFORM = "platform"


def get(session: ReadSession, name: str) -> str | None:
    row = session.get(StoreMark, name)
    return None if row is None else row.mark


def keep(session: WriteSession, name: str, mark: str) -> str:
    """Stores a mark unless another process was faster; returns the one that counts."""
    try:
        with session.begin_nested():
            session.add(StoreMark(name=name, mark=mark))
    except IntegrityError:
        session.expire_all()
    return get(session, name) or mark


def is_platform_used(session: ReadSession) -> bool:
    """Whether the catalogue knows of any object in the platform store."""
    conditions = (Copy.destination_pk.is_(None), Copy.gone.is_(None), Copy.objects.is_not(None))
    return session.scalar(select(Copy.pk).where(*conditions).limit(1)) is not None
