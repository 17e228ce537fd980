"""What can be restored of an addon's archive now, and refusals that name the window's edges."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import ArchiveRow
from holdfast.catalog.storage import archive_facts
from holdfast.domain.archive import windows as rules
from holdfast.domain.archive.windows import Gap, Leg, Line, Route, Window
from holdfast.domain.errors import Conflict
from holdfast.kit.clock import rfc3339


@dataclass(frozen=True)
class Outlook:
    """The windows of an archive in order, what lies between, and the ways there."""

    windows: list[Window]
    gaps: list[Gap]
    routes: list[Route]
    lines: dict[int, Line]

    @property
    def latest(self) -> Window | None:
        """The window that ends last."""
        return max(self.windows, key=lambda window: window.end, default=None)

    def on(self, line_pks: Collection[int]) -> "Outlook":
        """Of some lines only."""
        merged = [window for window in self.windows if window.line in line_pks]
        routes = [route for route in self.routes if route.window.line in line_pks]
        return Outlook(merged, rules.gaps(merged, self.lines), routes, self.lines)

    def route_to(self, instant: int) -> Route:
        """Conflict, which names the window or the gap, when the instant cannot be restored."""
        route = rules.route_to(self.routes, self.lines, instant)
        if route is not None:
            return route
        shown = rfc3339(instant)
        latest = self.latest
        if latest is None:
            raise Conflict("nothing can be restored yet: the first snapshot is not there")
        for gap in self.gaps:
            if gap.begin < instant < gap.end:
                between = f"{rfc3339(gap.begin)} to {rfc3339(gap.end)}"
                raise Conflict(f"{shown} lies in a gap from {between}: {gap.reason}")
        if instant < self.windows[0].begin:
            begin = rfc3339(self.windows[0].begin)
            raise Conflict(f"{shown} is before the window, which begins at {begin}")
        raise Conflict(f"{shown} is not stored yet: the window ends at {rfc3339(latest.end)}")


def planned(session: ReadSession, archive: ArchiveRow, backup_pk: int, line_pk: int) -> Route:
    """The route of a recovery that was ordered. Conflict if its log is not there any more."""
    for route in outlook(session, archive).routes:
        if (route.base.key, route.window.line) == (backup_pk, line_pk):
            return route
    raise Conflict("what this recovery needs is not stored any more")


def up_to(session: ReadSession, legs: Sequence[Leg], instant: int) -> list[Leg]:
    """The legs without what follows the instant: all that was acknowledged by then is in them."""
    last = legs[-1]
    ends = [
        piece.end
        for piece in archives.pieces_from(session, last.line, last.start)
        if piece.clock is not None and piece.clock >= instant and piece.end <= last.end
    ]
    return [*legs[:-1], Leg(last.line, last.start, min([*ends, last.end]))]


def outlook(session: ReadSession, archive: ArchiveRow) -> Outlook:
    stored = archive_facts.of_archive(session, archive)
    routes = rules.routes(stored)
    merged = rules.windows(routes)
    lines = {line.key: line for line in stored.lines}
    return Outlook(merged, rules.gaps(merged, lines), routes, lines)
