"""Compares the pieces of an archive with its store: finds lost ones, reads, removes leftovers.

Rows are read before the store is listed and again after it, because a receiver stores meanwhile.
"""

import hashlib
import logging
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from holdfast.catalog.archiving import archives, removals
from holdfast.catalog.schema import ArchiveLine, ArchivePiece
from holdfast.domain.errors import ObjectMissing
from holdfast.domain.units import DAY_MS
from holdfast.usecases.archiving.layout import Layout
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_BATCH = 500
DAMAGED = 0
"""`read_at` of a piece whose bytes are wrong: being there again does not make it found."""


class Spans:
    """Segments of a log that do not overlap."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self._spans = sorted(spans)

    def hold(self, start: int, end: int) -> bool:
        """Whether one of them has all of [start, end)."""
        index = bisect_right(self._spans, start, key=lambda span: span[0]) - 1
        return index >= 0 and end <= self._spans[index][1]


def compare(tools: Toolbox, layout: Layout, archive_pk: int) -> None:
    """Marks pieces whose object is missing as lost, and those that are there again as found. Reads
    those that have another size. Removes objects that nothing needs for good."""
    with tools.catalog.read() as session:
        lines = archives.lines(session, archive_pk)
        rows = removals.present(session, archive_pk)
        session.expunge_all()
    sizes: dict[str, int] = {}
    for line in lines:
        listed = {stat.key: stat.size for stat in layout.objects(line)}
        segments = Spans(
            (piece.start, piece.end)
            for row, piece in rows
            if row.pk == line.pk
            and piece.whole
            and piece.lost is None
            and layout.key_of(row, piece) in listed
        )
        for key in listed:
            start, end, is_whole = layout.span_of(line, key) or (0, line.removed + 1, True)
            is_replaced = not is_whole and segments.hold(start, end)
            if is_replaced or end <= line.removed:
                # Nothing ever needs it again: rows say so, and both stay true.
                layout.store.delete(key)
        sizes |= listed
    absent = {piece.pk for line, piece in rows if layout.key_of(line, piece) not in sizes}
    strange = [
        (line, piece)
        for line, piece in rows
        if piece.lost is None
        and sizes.get(layout.key_of(line, piece), piece.stored) != piece.stored
    ]
    read_in_whole(tools, layout, strange)
    now = tools.clock.now()
    with tools.catalog.write() as session:
        # A part that its segment replaced meanwhile has no row any more, nor what was given up.
        current = [piece for _, piece in removals.present(session, archive_pk)]
        lost = [piece for piece in current if piece.pk in absent]
        removals.lose(session, [piece.pk for piece in lost], now)
        seen = {piece.pk for _, piece in rows} - absent
        again = [p.pk for p in current if p.pk in seen and p.lost and p.read_at != DAMAGED]
        removals.lose(session, again, None)
        archives.get(session, archive_pk).looked = now
    for piece in lost:
        if piece.lost is None:
            log.error("a piece of a log is lost", extra={"line": piece.line_pk, "at": piece.start})


def read_in_whole(
    tools: Toolbox, layout: Layout, pieces: Sequence[tuple[ArchiveLine, ArchivePiece]]
) -> None:
    """Reads objects from end to end. A piece whose bytes are not those that were received is lost.

    A receiver that was late may have stored the same bytes once more, sealed anew: only the plain
    ones tell.
    """
    for line, piece in pieces:
        changes: dict[str, object] = {"read_at": tools.clock.now()}
        try:
            sealed = b"".join(layout.store.get(layout.key_of(line, piece)))
        except ObjectMissing:
            changes = {"lost": tools.clock.now()}
        else:
            digest = hashlib.sha256(sealed).hexdigest()
            if digest != piece.sha256 and not layout.opens(sealed, piece):
                changes = {"read_at": DAMAGED, "lost": tools.clock.now()}
            elif digest != piece.sha256:
                changes |= {"sha256": digest, "stored": len(sealed)}
        with tools.catalog.write() as session:
            # Its row is gone when its segment replaced it while it was read.
            removals.change(session, piece.pk, changes)
        if "lost" in changes:
            log.error("a piece of a log is damaged", extra={"line": line.pk, "at": piece.start})


def read_due(tools: Toolbox, layout: Layout, archive_pk: int, within_ms: int) -> None:
    """A day's share of reading: pieces are due after half of `within_ms`, the oldest first, and so
    many are read a day that all of them are within the whole time."""
    now = tools.clock.now()
    with tools.catalog.read() as session:
        rows = removals.present(session, archive_pk)
        session.expunge_all()

    def last_seen(row: tuple[ArchiveLine, ArchivePiece]) -> int:
        return row[1].read_at or row[1].created

    due = [row for row in rows if row[1].lost is None and last_seen(row) < now - within_ms // 2]
    share = -(-2 * DAY_MS * len(rows) // within_ms)
    read_in_whole(tools, layout, sorted(due, key=last_seen)[:share])


def sweep(tools: Toolbox, layout: Layout, archive_pk: int) -> bool:
    """Removes some objects that were given up, and their rows when the store confirmed that they
    are gone. False: nothing more goes now."""
    with tools.catalog.read() as session:
        batch = removals.given_up(session, archive_pk, _BATCH)
        session.expunge_all()
    for line, piece in batch:
        layout.store.delete(layout.key_of(line, piece))
    present: set[str] = set()
    for line in {line.pk: line for line, _ in batch}.values():
        present.update(stat.key for stat in layout.objects(line))
    gone = [piece for line, piece in batch if layout.key_of(line, piece) not in present]
    with tools.catalog.write() as session:
        removals.forget(session, gone)
        if not batch:
            # Asked again: more may have been given up since.
            more = bool(removals.given_up(session, archive_pk, 1))
            archives.get(session, archive_pk).sweeping = more
    return bool(gone)
