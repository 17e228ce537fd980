"""Where imported backups come from, and the uploads that some of them are made of."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select, update

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Backup, Import, Upload, UploadPart
from holdfast.domain.operation import OVER

DROPPED = 0
"""Value of `touched` for an upload that only waits for its objects to be removed."""


def context(backup_uid: str) -> str:
    """The sealing context of an import's address."""
    return f"import {backup_uid}"


def of_backup(session: ReadSession, backup_pk: int) -> Import:
    return session.scalars(select(Import).where(Import.backup_pk == backup_pk)).one()


def addresses_over(session: ReadSession) -> list[int]:
    """Imports that have ended and whose address is still stored, although no longer needed."""
    over = (
        select(Import.pk)
        .join(Backup, Backup.pk == Import.backup_pk)
        .where(Import.sealed.is_not(None), Backup.status.in_(OVER))
    )
    return list(session.scalars(over))


def forget_addresses(session: WriteSession, pks: Collection[int]) -> None:
    """Deletes the addresses of ended imports; an ended import never resumes."""
    statement = update(Import).where(Import.pk.in_(pks)).values(sealed=None)
    session.execute(statement.execution_options(synchronize_session=False))


def find_upload(session: ReadSession, addon_pk: int, upload_id: str) -> Upload | None:
    """The upload, unless it was dropped: then it can neither grow nor be imported."""
    statement = select(Upload).where(Upload.addon_pk == addon_pk, Upload.id == upload_id)
    return session.scalar(statement.where(Upload.touched != DROPPED))


def upload(session: ReadSession, pk: int) -> Upload:
    return session.get_one(Upload, pk)


def parts(session: ReadSession, upload_pk: int) -> Sequence[UploadPart]:
    """The parts in the order of the file."""
    statement = select(UploadPart).where(UploadPart.upload_pk == upload_pk)
    return session.scalars(statement.order_by(UploadPart.start)).all()


def part_at(session: ReadSession, upload_pk: int, start: int) -> UploadPart | None:
    return session.scalar(
        select(UploadPart).where(UploadPart.upload_pk == upload_pk, UploadPart.start == start)
    )


def in_use(session: ReadSession, upload_pk: int) -> bool:
    """Whether an import that has not ended reads the upload."""
    reading = (
        select(func.count())
        .select_from(Import)
        .join(Backup, Backup.pk == Import.backup_pk)
        .where(Import.upload_pk == upload_pk, Backup.status.not_in(OVER))
    )
    return bool(session.scalar(reading))


def imported(session: ReadSession, upload_pk: int) -> bool:
    """Whether a completed backup was made of the upload."""
    completed = (
        select(func.count())
        .select_from(Import)
        .join(Backup, Backup.pk == Import.backup_pk)
        .where(Import.upload_pk == upload_pk, Backup.status == "completed")
    )
    return bool(session.scalar(completed))


def untouched_since(session: ReadSession, before: int) -> Sequence[Upload]:
    """Uploads without a new part since `before`."""
    return session.scalars(select(Upload).where(Upload.touched < before)).all()


def all_uploads(session: ReadSession) -> Sequence[Upload]:
    return session.scalars(select(Upload)).all()


def draw_near(session: WriteSession, now: int) -> None:
    """Corrects uploads that a clock that was ahead marked as touched in the future."""
    ahead = update(Upload).where(Upload.touched > now).values(touched=now)
    session.execute(ahead.execution_options(synchronize_session=False))


def forget_upload(session: WriteSession, row: Upload) -> None:
    """Deletes the rows of an upload whose objects are gone."""
    session.execute(update(Import).where(Import.upload_pk == row.pk).values(upload_pk=None))
    session.execute(delete(UploadPart).where(UploadPart.upload_pk == row.pk))
    session.delete(row)
