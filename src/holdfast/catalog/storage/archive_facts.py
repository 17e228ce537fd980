"""Reads the facts that windows and retention of an archive are computed from.

Pieces that touch are joined by the database: an archive of a week has thousands.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import case, func, select

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import (
    ArchiveLine,
    ArchivePiece,
    ArchiveRow,
    Backup,
    Document,
    Drill,
    Restore,
)
from holdfast.catalog.storage import copies
from holdfast.contracts.archive import FILE_SPAN
from holdfast.contracts.snapshots import LOG_POSITION
from holdfast.domain.archive.retention import Keeping
from holdfast.domain.archive.windows import Archive, Base, Head, Line, Piece
from holdfast.domain.backup import IMPORTED, BackupType
from holdfast.domain.operation import OVER, Status
from holdfast.domain.units import DAY_MS


def archives_of(session: ReadSession, addon_pks: Collection[int] | None) -> list[ArchiveRow]:
    """The archives of these addons; None: of all."""
    rows = select(ArchiveRow)
    if addon_pks is not None:
        rows = rows.where(ArchiveRow.addon_pk.in_(addon_pks))
    return list(session.scalars(rows))


def keeping(session: ReadSession, archive: ArchiveRow) -> Keeping:
    return Keeping(of_archive(session, archive), archive.days * DAY_MS, archive.wanted)


def of_archive(session: ReadSession, archive: ArchiveRow) -> Archive:
    """What was given up or is lost is not among the pieces."""
    mine = select(ArchiveLine).where(ArchiveLine.archive_pk == archive.pk)
    rows = list(session.scalars(mine.order_by(ArchiveLine.pk)))
    good, lost = bases_of(session, archive, rows)
    # Into another addon, too.
    restored = (
        select(Restore.backup_pk)
        .join(Backup, Backup.pk == Restore.backup_pk)
        .where(Backup.addon_pk == archive.addon_pk, Restore.status.not_in(OVER))
    )
    drilled = select(Drill.backup_pk).where(
        Drill.addon_pk == archive.addon_pk, Drill.completed.is_(None)
    )
    return Archive(
        [
            Line(
                row.pk,
                row.root,
                row.parent_pk,
                row.forked,
                row.needs,
                row.begins,
                row.ended or "",
                row.until,
            )
            for row in rows
        ],
        [Piece(*row) for row in session.execute(joined_pieces(archive.pk))],
        [
            Head(row.pk, row.head, row.head_clock)
            for row in rows
            if row.head is not None and row.head_clock is not None
        ],
        good,
        lost,
        frozenset((*session.scalars(restored), *session.scalars(drilled))),
    )


def joined_pieces(archive_pk: int) -> Any:
    """Line, start, end and latest clock of every run of pieces without a hole."""
    end_before = func.max(ArchivePiece.end).over(
        partition_by=ArchivePiece.line_pk,
        order_by=(ArchivePiece.start, ArchivePiece.end),
        rows=(None, -1),
    )
    pieces = (
        select(
            ArchivePiece.line_pk,
            ArchivePiece.start,
            ArchivePiece.end,
            ArchivePiece.clock,
            case((ArchivePiece.start <= end_before, 0), else_=1).label("begins"),
        )
        .join(ArchiveLine, ArchiveLine.pk == ArchivePiece.line_pk)
        .where(
            ArchiveLine.archive_pk == archive_pk,
            ArchivePiece.end > ArchiveLine.removed,
            ArchivePiece.lost.is_(None),
        )
        .subquery()
    )
    columns = pieces.c
    number = func.sum(columns.begins).over(
        partition_by=columns.line_pk, order_by=(columns.start, columns.end)
    )
    numbered = select(
        columns.line_pk, columns.start, columns.end, columns.clock, number.label("number")
    ).subquery()
    run = numbered.c
    return select(
        run.line_pk, func.min(run.start), func.max(run.end), func.max(run.clock)
    ).group_by(run.line_pk, run.number)


def bases_of(
    session: ReadSession, archive: ArchiveRow, rows: Sequence[ArchiveLine]
) -> tuple[list[Base], list[Base]]:
    """Good snapshots of the addon that belong to an archived line, and those that may return.

    One that was ordered before its root began may be of a history that nothing connects with it.
    One that is lost may be found, and one that was deleted by hand stays until its objects go.
    """
    snapshots = session.execute(
        select(
            Backup.pk, Backup.evidence["facts"][LOG_POSITION], Backup.created, Backup.deleted
        ).where(
            Backup.addon_pk == archive.addon_pk,
            Backup.type == BackupType.SNAPSHOT,
            Backup.status == Status.COMPLETED,
            Backup.source.not_in(IMPORTED),
            Backup.pk.in_(copies.with_present_one(archive.addon_pk)),
        )
    ).all()
    sound = set(session.scalars(copies.with_good_one(archive.addon_pk)))
    roots = {row.root: row.since for row in reversed(rows)}
    line_pks = [row.pk for row in rows if row.segment == FILE_SPAN]
    files = files_of(session, line_pks) if line_pks else {}
    good: list[Base] = []
    lost: list[Base] = []
    for backup_pk, position, created, deleted in snapshots:
        if position is None:
            continue
        matching = good if deleted is None and backup_pk in sound else lost
        for row in rows:
            end = int(position["end"])
            source = files.get((row.pk, end - end % row.segment), row.source)
            same = (source, row.name) == (position["source"], position["line"])
            if same and created >= roots[row.root]:
                matching.append(
                    Base(
                        backup_pk,
                        row.pk,
                        end - end % row.segment,
                        end,
                        int(position["instant"]),
                        created,
                    )
                )
    return good, lost


def log_positions(session: ReadSession, backup_pks: Collection[int]) -> dict[int, Document]:
    """What snapshots say about the log, `LOG_POSITION`, by their keys."""
    rows = select(Backup.pk, Backup.evidence["facts"][LOG_POSITION])
    positions = session.execute(rows.where(Backup.pk.in_(backup_pks)))
    return {row[0]: row[1] for row in positions}


def files_of(session: ReadSession, line_pks: Collection[int]) -> dict[tuple[int, int], str]:
    """Identities of the files of logs by line and position, for logs that are made of files."""
    columns = ArchivePiece.line_pk, ArchivePiece.start, ArchivePiece.source
    pieces = select(*columns).where(
        ArchivePiece.line_pk.in_(line_pks), ArchivePiece.source.is_not(None)
    )
    return {(line, start): source or "" for line, start, source in session.execute(pieces)}
