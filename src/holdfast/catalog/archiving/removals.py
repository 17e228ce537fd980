"""Rows of what is removed of archived logs: marked, given up, swept.

A line's `removed` is the decision, and it only grows: nothing counts on pieces that end at or
before it, and no receiver stores anything there again. So their objects may go at any later time.
"""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, or_, select, update

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.database.touched import touch_archive
from holdfast.catalog.schema import Addon, ArchiveLine, ArchivePiece, ArchiveRow


def to_review(session: ReadSession, now: int, longest: int) -> list[tuple[ArchiveRow, Addon]]:
    """Archives whose log is due to be judged or looked at. One that a clock that was ahead put off
    beyond `longest` is due."""
    rows = (
        select(ArchiveRow, Addon)
        .join(Addon, Addon.pk == ArchiveRow.addon_pk)
        .where(
            or_(
                ArchiveRow.review.is_(None),
                ArchiveRow.review <= now,
                ArchiveRow.review > now + longest,
            )
        )
        .order_by(ArchiveRow.pk)
    )
    return [(row[0], row[1]) for row in session.execute(rows)]


def to_sweep(session: ReadSession) -> list[tuple[ArchiveRow, Addon]]:
    """Archives with objects that were given up."""
    rows = (
        select(ArchiveRow, Addon)
        .join(Addon, Addon.pk == ArchiveRow.addon_pk)
        .where(ArchiveRow.sweeping.is_(True))
        .order_by(ArchiveRow.pk)
    )
    return [(row[0], row[1]) for row in session.execute(rows)]


def given_up(
    session: ReadSession, archive_pk: int, limit: int
) -> list[tuple[ArchiveLine, ArchivePiece]]:
    rows = (
        select(ArchiveLine, ArchivePiece)
        .join(ArchivePiece, ArchivePiece.line_pk == ArchiveLine.pk)
        .where(ArchiveLine.archive_pk == archive_pk, ArchivePiece.end <= ArchiveLine.removed)
        .order_by(ArchiveLine.pk, ArchivePiece.start, ArchivePiece.end)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in session.execute(rows)]


def forget(session: WriteSession, pieces: Sequence[ArchivePiece]) -> None:
    """Removes rows of pieces of one archive whose objects are confirmed to be gone."""
    if not pieces:
        return
    archive_pk = session.get_one(ArchiveLine, pieces[0].line_pk).archive_pk
    removed = delete(ArchivePiece).where(ArchivePiece.pk.in_([piece.pk for piece in pieces]))
    freed = sum(session.scalars(removed.returning(ArchivePiece.stored)))
    session.execute(
        update(ArchiveRow)
        .where(ArchiveRow.pk == archive_pk)
        .values(bytes=ArchiveRow.bytes - freed)
        .execution_options(synchronize_session=False)
    )


def present(session: ReadSession, archive_pk: int) -> list[tuple[ArchiveLine, ArchivePiece]]:
    """Every piece that was not given up, lost ones included."""
    rows = (
        select(ArchiveLine, ArchivePiece)
        .join(ArchivePiece, ArchivePiece.line_pk == ArchiveLine.pk)
        .where(ArchiveLine.archive_pk == archive_pk, ArchivePiece.end > ArchiveLine.removed)
    )
    return [(row[0], row[1]) for row in session.execute(rows)]


def lose(session: WriteSession, piece_pks: Collection[int], now: int | None) -> None:
    """Marks pieces as lost since `now`; None: they were found again."""
    if not piece_pks:
        return
    changing = ArchivePiece.lost.is_(None) if now is not None else ArchivePiece.lost.is_not(None)
    session.execute(
        update(ArchivePiece)
        .where(ArchivePiece.pk.in_(piece_pks), changing)
        .values(lost=now)
        .execution_options(synchronize_session=False)
    )
    _touch_archives(session, piece_pks)


def change(session: WriteSession, piece_pk: int, changes: Mapping[str, object]) -> None:
    """Writes what a reading of a piece's object said; nothing if its row is gone."""
    session.execute(
        update(ArchivePiece)
        .where(ArchivePiece.pk == piece_pk)
        .values(**changes)
        .execution_options(synchronize_session=False)
    )
    if "lost" in changes:
        _touch_archives(session, [piece_pk])


def _touch_archives(session: WriteSession, piece_pks: Collection[int]) -> None:
    """Of pieces that were lost or found: other instants can be recovered now."""
    lines = select(ArchivePiece.line_pk).where(ArchivePiece.pk.in_(piece_pks))
    for archive_pk in session.scalars(
        select(ArchiveLine.archive_pk).where(ArchiveLine.pk.in_(lines)).distinct()
    ):
        touch_archive(session, archive_pk)
