"""Rows of the named points of archived logs, so that a name is given once."""

from sqlalchemy import delete, select

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import ArchivePoint


def of_name(session: ReadSession, archive_pk: int, name: str) -> ArchivePoint | None:
    return session.scalar(
        select(ArchivePoint).where(ArchivePoint.archive_pk == archive_pk, ArchivePoint.name == name)
    )


def forget_before(session: WriteSession, archive_pk: int, instant: int) -> None:
    """Removes the points that lie before an instant of the server's clock."""
    session.execute(
        delete(ArchivePoint).where(
            ArchivePoint.archive_pk == archive_pk, ArchivePoint.instant < instant
        )
    )
