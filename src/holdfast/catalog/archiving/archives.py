"""Rows of archived logs. A holder proves its lease in the transaction that adds a row."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, delete, func, or_, select, update

from holdfast.catalog.database.session import ReadSession, WriteSession, database_now
from holdfast.catalog.database.touched import touch_archive
from holdfast.catalog.schema import (
    Addon,
    ArchiveLine,
    ArchivePiece,
    ArchiveRow,
    Backup,
    ProtectionRow,
)
from holdfast.catalog.storage import copies
from holdfast.contracts.archive import FILE_SPAN
from holdfast.domain.backup import IMPORTED, BackupType
from holdfast.domain.errors import FencedOff
from holdfast.domain.operation import OVER, Status

IDLE, STREAMING, WAITING, OFF = "starting", "streaming", "waiting", "off"
"""States of an archive."""


def context(addon_uid: str) -> str:
    """The sealing context of an archive's identity."""
    return f"archive of addon {addon_uid}"


def of_addon(session: ReadSession, addon_pk: int) -> ArchiveRow | None:
    return session.scalar(select(ArchiveRow).where(ArchiveRow.addon_pk == addon_pk))


def get(session: ReadSession, pk: int) -> ArchiveRow:
    return session.get_one(ArchiveRow, pk)


def to_serve(session: ReadSession, node: str) -> list[tuple[ArchiveRow, Addon]]:
    """Archives that a worker of this machine may serve: those of managed servers elsewhere are
    left to their own machine. Unwanted ones are among them until their slot is released."""
    rows = (
        select(ArchiveRow, Addon)
        .join(Addon, Addon.pk == ArchiveRow.addon_pk)
        .where(
            or_(ArchiveRow.wanted.is_(True), ArchiveRow.state != OFF),
            or_(Addon.managed.is_(False), Addon.node == node),
        )
        .order_by(ArchiveRow.pk)
    )
    return [(row[0], row[1]) for row in session.execute(rows)]


def take(session: WriteSession, pk: int, holder: str, dead_ms: int) -> int | None:
    """Takes the lease if it is free or over; returns the new fence, None: another has it."""
    free = or_(
        ArchiveRow.holder.is_(None),
        ArchiveRow.beat < database_now() - dead_ms,
        ArchiveRow.beat > database_now() + dead_ms,  # the clock went back since
    )
    statement = (
        update(ArchiveRow)
        .where(ArchiveRow.pk == pk, free)
        .values(holder=holder, fence=ArchiveRow.fence + 1, beat=database_now())
        .returning(ArchiveRow.fence)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(statement)


@dataclass(frozen=True)
class Lease:
    """The right to add to an archive."""

    archive_pk: int
    holder: str
    fence: int

    def prove(self, session: WriteSession, **changes: object) -> None:
        """Beats, and writes changes of the archive's row. FencedOff if another holds the lease."""
        statement = (
            update(ArchiveRow)
            .where(
                ArchiveRow.pk == self.archive_pk,
                ArchiveRow.holder == self.holder,
                ArchiveRow.fence == self.fence,
            )
            .values(beat=database_now(), **changes)
            .returning(ArchiveRow.pk)
            .execution_options(synchronize_session=False)
        )
        if session.scalar(statement) is None:
            raise FencedOff

    def leave(self, session: WriteSession) -> None:
        statement = update(ArchiveRow).where(
            ArchiveRow.pk == self.archive_pk,
            ArchiveRow.holder == self.holder,
            ArchiveRow.fence == self.fence,
        )
        session.execute(statement.values(holder=None, beat=None))


def lines(session: ReadSession, archive_pk: int) -> list[ArchiveLine]:
    rows = select(ArchiveLine).where(ArchiveLine.archive_pk == archive_pk)
    return list(session.scalars(rows.order_by(ArchiveLine.pk)))


def current_line(session: ReadSession, archive_pk: int) -> ArchiveLine | None:
    """The line that is archived on; None: there is none."""
    rows = select(ArchiveLine).where(
        ArchiveLine.archive_pk == archive_pk, ArchiveLine.until.is_(None)
    )
    return session.scalar(rows.order_by(ArchiveLine.pk.desc()).limit(1))


def end_lines(session: WriteSession, archive_pk: int, reason: str, now: int) -> None:
    """Ends what is archived on; a successor begins."""
    open_lines = update(ArchiveLine).where(
        ArchiveLine.archive_pk == archive_pk, ArchiveLine.until.is_(None)
    )
    session.execute(open_lines.values(until=now, ended=reason))
    touch_archive(session, archive_pk)


def end_files(session: WriteSession, addon_pk: int, reason: str, now: int) -> None:
    """Ends a line whose log is made of files: such a log has no forks, so what a restored server
    writes is a line of its own, even where its files go on in the old numbers."""
    archive = of_addon(session, addon_pk)
    line = current_line(session, archive.pk) if archive else None
    if archive is not None and line is not None and line.segment == FILE_SPAN:
        end_lines(session, archive.pk, reason, now)


def move_head(
    session: WriteSession, line_pk: int, position: int, clock: int, begins: int
) -> ArchiveRow:
    """What was acknowledged before `clock` lies before `position`, and is stored. `begins`: when
    the line began to serve, if that is not known yet. Returns the row of its archive.

    A window that goes on follows its head by itself; another one may begin with it.
    """
    line = session.get_one(ArchiveLine, line_pk)
    line.head, line.head_clock = position, clock
    if line.begins is None:
        line.begins = begins
    archive = get(session, line.archive_pk)
    growing = select(ProtectionRow.window_line).where(ProtectionRow.addon_pk == archive.addon_pk)
    if session.scalar(growing) != line_pk:
        touch_archive(session, archive.pk)
    return archive


def stored_end(session: ReadSession, line_pk: int) -> int | None:
    """Where the stored bytes of a line end, removed ones included; None: nothing was stored."""
    stored = select(func.max(ArchivePiece.end)).where(ArchivePiece.line_pk == line_pk)
    removed = session.scalar(select(ArchiveLine.removed).where(ArchiveLine.pk == line_pk))
    return max(session.scalar(stored) or 0, removed or 0) or None


def marks_due(session: ReadSession, archive_pk: int) -> list[int]:
    """When the marked parts of an archive's lines are to be given up."""
    rows = select(ArchiveLine.due).where(
        ArchiveLine.archive_pk == archive_pk, ArchiveLine.due.is_not(None)
    )
    return [due for due in session.scalars(rows) if due is not None]


def lost_since(session: ReadSession, line_pk: int) -> int | None:
    """When a piece of a line was last found to be lost; None: none is."""
    lost = select(func.max(ArchivePiece.lost)).where(ArchivePiece.line_pk == line_pk)
    return session.scalar(lost)


def pieces_from(session: ReadSession, line_pk: int, start: int) -> list[ArchivePiece]:
    """Pieces of a line that reach beyond `start`, in order."""
    rows = select(ArchivePiece).where(ArchivePiece.line_pk == line_pk, ArchivePiece.end > start)
    return list(session.scalars(rows.order_by(ArchivePiece.start, ArchivePiece.end)))


def last_segment(session: ReadSession, line_pk: int, needs: int) -> int:
    """Where the segment with the last stored byte begins, of a line whose segments have no size:
    with its whole piece, or with the first part after the one before; `needs`: nothing is stored.
    """
    wholes = select(ArchivePiece.start, ArchivePiece.end).where(
        ArchivePiece.line_pk == line_pk, ArchivePiece.whole.is_(True)
    )
    whole = session.execute(wholes.order_by(ArchivePiece.end.desc()).limit(1)).first()
    after = needs if whole is None else whole[1]
    parts = select(func.min(ArchivePiece.start)).where(
        ArchivePiece.line_pk == line_pk, ArchivePiece.start >= after
    )
    first = session.scalar(parts)
    if first is not None:
        return first
    return needs if whole is None else whole[0]


def replace_with(session: WriteSession, piece: ArchivePiece) -> None:
    """Adds a piece; a whole segment takes the place of its parts."""
    grown = piece.stored
    if piece.whole:
        parts = delete(ArchivePiece).where(
            ArchivePiece.line_pk == piece.line_pk,
            ArchivePiece.start >= piece.start,
            ArchivePiece.end <= piece.end,
        )
        grown -= sum(session.scalars(parts.returning(ArchivePiece.stored)))
    session.add(piece)
    session.flush()
    mine = select(ArchiveLine.archive_pk).where(ArchiveLine.pk == piece.line_pk)
    session.execute(
        update(ArchiveRow)
        .where(ArchiveRow.pk == mine.scalar_subquery())
        .values(bytes=ArchiveRow.bytes + grown)
        .execution_options(synchronize_session=False)
    )


def is_base_coming(
    session: ReadSession, addon_pk: int, since: int, *, is_good: bool = False
) -> bool:
    """Whether a snapshot that was ordered since then is good, waits, or is being taken; with
    `is_good` only whether one is good."""
    good = and_(Backup.status == Status.COMPLETED, Backup.pk.in_(copies.with_good_one(addon_pk)))
    rows = select(Backup.pk).where(
        Backup.addon_pk == addon_pk,
        Backup.type == BackupType.SNAPSHOT,
        Backup.created >= since,
        Backup.deleted.is_(None),
        Backup.source.not_in(IMPORTED),
        good if is_good else or_(Backup.status.not_in(OVER), good),
    )
    return session.scalar(rows.limit(1)) is not None


def lines_by_pk(session: ReadSession, line_pks: Collection[int]) -> dict[int, ArchiveLine]:
    rows = select(ArchiveLine).where(ArchiveLine.pk.in_(line_pks))
    return {row.pk: row for row in session.scalars(rows)}
