"""Lays archived log out as the segments that a server asks for."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import ArchiveLine, ArchivePiece
from holdfast.contracts.archive import FILE_SPAN
from holdfast.domain.archive.windows import Leg
from holdfast.domain.errors import EvidenceMissing, ObjectMissing
from holdfast.pipeline import age
from holdfast.usecases.archiving.layout import Layout, segment_name

_THREADS = 4
"""One by one a store 100 ms away takes three times as long as the replay itself."""


def fetch_log(
    catalog: Catalog,
    layout: Layout,
    legs: Sequence[Leg],
    directory: Path,
    progress: Callable[[int], None],
) -> int:
    """Writes the log of `legs` and the history files of its root; returns the number of objects.

    `progress` gets numbers of plain bytes, from several threads. A segment takes the place of its
    parts meanwhile, so where an object is missing the rows are read again. EvidenceMissing when a
    row has no object, or when the rows do not cover the legs.
    """
    with catalog.read() as session:
        lines = archives.lines_by_pk(session, [leg.line for leg in legs])
        session.expunge_all()
    for name, sealed in layout.histories(lines[legs[0].line].root):
        (directory / name).write_bytes(age.unseal_plain(sealed, layout.identity.reveal()))
    fetched: set[int] = set()
    missing: set[int] = set()

    def fetch(line: ArchiveLine, piece: ArchivePiece) -> None:
        try:
            sealed = b"".join(layout.store.get(layout.key_of(line, piece)))
        except ObjectMissing:
            missing.add(piece.pk)
            return
        plain = layout.open_piece(sealed, piece)
        path = directory / segment_name(line.name, piece.start, line.segment)
        path.touch()
        with path.open("r+b") as file:
            if line.segment != FILE_SPAN:
                file.truncate(line.segment)
            file.seek(piece.start % line.segment)
            file.write(plain)
        fetched.add(piece.pk)
        progress(piece.size)

    while True:
        pending = [
            (lines[leg.line], piece)
            for leg in legs
            for piece in _pieces_of(catalog, leg)
            if piece.pk not in fetched
        ]
        if not pending:
            return len(fetched)
        if any(piece.pk in missing for _, piece in pending):
            raise EvidenceMissing("a piece of the log is not in the store")
        with ThreadPoolExecutor(_THREADS) as threads:
            for result in [threads.submit(fetch, *job) for job in pending]:
                result.result()


def clocks_of(catalog: Catalog, leg: Leg) -> list[tuple[int, int]]:
    """Positions of a leg, and times before which all lies before them (`contracts.archive.Log`)."""
    pieces = _pieces_of(catalog, leg)
    ends = [(piece.end, piece.clock) for piece in pieces if piece.clock is not None]
    marks = [mark for piece in pieces for mark in json.loads(piece.marks or "[]")]
    return sorted([*ends, *((position, clock) for position, clock in marks)])


def size_of(catalog: Catalog, legs: Sequence[Leg]) -> int:
    """Plain bytes of the log of legs."""
    return sum(piece.size for leg in legs for piece in _pieces_of(catalog, leg))


def _pieces_of(catalog: Catalog, leg: Leg) -> list[ArchivePiece]:
    """The pieces of a leg as the rows are now. EvidenceMissing if they do not cover it."""
    with catalog.read() as session:
        pieces: list[ArchivePiece] = [
            piece
            for piece in archives.pieces_from(session, leg.line, leg.start)
            if piece.start < leg.end and piece.lost is None
        ]
        session.expunge_all()
    end = leg.start
    for piece in pieces:
        if piece.start > end:
            break
        end = max(end, piece.end)
    if end < leg.end:
        raise EvidenceMissing("a part of the log is not stored any more")
    return pieces
