"""By what a store on this machine is known again, and whether anything is kept there."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Copy, StoreMark

PLATFORM = "platform"


def get(session: ReadSession, name: str) -> str | None:
    row = session.get(StoreMark, name)
    return None if row is None else row.mark


def keep(session: WriteSession, name: str, mark: str) -> str:
    """The mark that counts from now on: this one, or that of who was faster."""
    try:
        with session.begin_nested():
            session.add(StoreMark(name=name, mark=mark))
    except IntegrityError:
        session.expire_all()
    return get(session, name) or mark


def is_platform_used(session: ReadSession) -> bool:
    """Does the catalogue know of anything in the platform's own store?"""
    here = (Copy.destination_pk.is_(None), Copy.gone.is_(None), Copy.objects.is_not(None))
    return session.scalar(select(Copy.pk).where(*here).limit(1)) is not None
