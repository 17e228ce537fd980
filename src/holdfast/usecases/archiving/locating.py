"""Finds a named point in the stored log, without a server and without room for all of the log."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import Catalog
from holdfast.contracts.archive import Log, Marking
from holdfast.domain.archive.windows import Leg
from holdfast.kit.processes.guard import Guard
from holdfast.usecases.archiving.fetching import fetch_log
from holdfast.usecases.archiving.layout import Layout

CHUNK_BYTES = 256 << 20
"""Log that lies on this machine at a time."""


def locate_point(
    catalog: Catalog, layout: Layout, engine: Marking, legs: Sequence[Leg], name: str, guard: Guard
) -> int:
    """The position of the one point of that name. RestoreDiffers if there is none, or more."""
    return engine.locate(layout.version, _chunks(catalog, layout, legs, guard), name)


def _chunks(catalog: Catalog, layout: Layout, legs: Sequence[Leg], guard: Guard) -> Iterator[Log]:
    """The log of the legs in parts of whole segments. Each has the first segment of the next one,
    too, because a record may be cut at its end."""
    with catalog.read() as session:
        lines = archives.lines_by_pk(session, [leg.line for leg in legs])
        session.expunge_all()

    def progress(count: int) -> None:
        guard.check()
        guard.moved(count)

    for leg in legs:
        line = lines[leg.line]
        step = max(CHUNK_BYTES, line.segment)
        for start in range(leg.start - leg.start % line.segment, leg.end, step):
            begin, end = max(start, leg.start), min(start + step + line.segment, leg.end)
            part = Leg(leg.line, begin, end)
            with tempfile.TemporaryDirectory(prefix="holdfast-") as directory:
                fetch_log(catalog, layout, [part], Path(directory), progress)
                yield Log(Path(directory), [(line.name, begin, end)], line.segment)
