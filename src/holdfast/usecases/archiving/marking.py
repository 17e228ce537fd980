"""Names the present moment in a server's log, each name once.

The log itself may have a name twice, and only reading all of it would tell. So the points that are
named here have rows: a repeated request gets the first one's point, and another is refused.
"""

from dataclasses import dataclass

from holdfast.catalog.archiving import archives, points
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import ArchiveLine, ArchivePoint, ArchiveRow
from holdfast.catalog.work import replays
from holdfast.contracts.archive import Marking, Point
from holdfast.domain.errors import Conflict
from holdfast.kit.clock import rfc3339
from holdfast.usecases.archiving import windows
from holdfast.usecases.context import Context


@dataclass(frozen=True)
class MarkRequest:
    """A request to name a point, by its digest (`http.writing`). `is_keyed`: its client decides
    what is a repetition; else an equal one is, for as long as answers to POSTs are kept."""

    name: str
    digest: str
    is_keyed: bool


def require_marking(engine: object) -> Marking:
    """Conflict for engines whose log has no named points."""
    if not isinstance(engine, Marking):
        raise Conflict(
            "the log of this type has no named points; restore to a position or a transaction,"
            " which `holdfast pitr find` lists"
        )
    return engine


def marked_before(
    session: ReadSession, archive: ArchiveRow, request: MarkRequest, now: int
) -> ArchivePoint | None:
    """The point that this request named when it came before; None: it did not, and the name is free
    or lies before every window. Conflict if another request gave the name."""
    point = points.of_name(session, archive.pk, request.name)
    if point is None or point.instant < _earliest(session, archive):
        return None
    is_repeated = request.is_keyed or now - point.created < replays.WINDOW_MS
    if point.request == request.digest and is_repeated:
        return point
    raise Conflict(
        f"{request.name!r} is the name of {rfc3339(point.instant)} already; a name is given once"
    )


def note(context: Context, archive_pk: int, request: MarkRequest, point: Point) -> ArchivePoint:
    """Adds the row of a point that was written. Of equal requests at the same time the first one's
    point counts."""
    session = context.session
    archive = archives.get(session, archive_pk)
    points.forget_before(session, archive_pk, _earliest(session, archive))
    earlier = marked_before(session, archive, request, context.now)
    if earlier is not None:
        return earlier
    row = ArchivePoint(
        archive_pk=archive_pk,
        name=request.name,
        line=point.line,
        position=point.position,
        instant=point.instant,
        request=request.digest,
        created=context.now,
    )
    session.add(row)
    session.flush()
    return row


def line_of(session: ReadSession, point: ArchivePoint) -> ArchiveLine | None:
    """The archived line that the point is on: of several with the name the last one that had begun;
    one that a promoted server wrote may have a row only since."""
    named = [row for row in archives.lines(session, point.archive_pk) if row.name == point.line]
    begun = [row for row in named if row.since <= point.created]
    return begun[-1] if begun else next(iter(named), None)


def _earliest(session: ReadSession, archive: ArchiveRow) -> int:
    """The first instant that can be restored, by the server's clock; 0: there is none yet."""
    return min((window.begin for window in windows.outlook(session, archive).windows), default=0)
