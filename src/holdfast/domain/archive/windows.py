"""Archived logs: which instants they reach, which gaps lie between, and how one is reached.

An archive is made of lines. A line is one unbroken history of a server's log: a timeline of
PostgreSQL. It either began a root, which nothing connects with what was archived before, or forked
from a parent. Positions are places in a log, integers that grow along a line; instants are ms since
1970 by the protected server's clock. All of it is pure: no clock, no rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """`parent` None: it began the root. `forked` is the last position it shares with its parent,
    `needs` the position from which its own log is read to go on there. `begins` is the instant from
    which on it was known to serve; None: not yet. `ended` is why it ends; empty: it goes on.
    `until` is when it ended, by our own clock; None: it is archived on."""

    key: int
    root: str
    parent: int | None = None
    forked: int = 0
    needs: int = 0
    begins: int | None = None
    ended: str = ""
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """A snapshot. Replay begins with the log at `needs` and is consistent at `end`; the server's
    clock read `instant` after that. `taken` is when it was ordered, by our own clock."""

    key: int
    line: int
    needs: int
    end: int
    instant: int
    taken: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Stored bytes [start, end) of a line. What was acknowledged before `clock` lies before `end`;
    None: nothing is known."""

    line: int
    start: int
    end: int
    clock: int | None


@dataclass(frozen=True, slots=True)
class Head:
    """What was acknowledged on the line before `clock` lies before `position`."""

    line: int
    position: int
    clock: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes [start, end) of a line without a hole, and until which instant they hold all."""

    line: int
    start: int
    end: int
    clock: int | None


@dataclass(frozen=True, slots=True)
class Window:
    """Any instant from `begin` to `end`, both included, can be restored, on one line."""

    root: str
    line: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Gap:
    """No instant between them can be restored. `reason` is a clause for people."""

    begin: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of a route: the log of `line` from `start` to `end`."""

    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Route:
    """How an instant is reached: the base, and the log to replay. `window` holds the instant."""

    base: Base
    legs: Sequence[Leg]
    window: Window

    @property
    def nearness(self) -> tuple[int, int, int]:
        """Grows with the position of the base among routes to one line, whatever clocks said."""
        return -len(self.legs), self.base.end, self.base.key


@dataclass(frozen=True)
class Archive:
    """All that is stored of one addon's log, and the good snapshots it can be replayed onto.

    `lost` snapshots are not to be found now and may return. Those with a key `in_use` are being
    restored.
    """

    lines: Sequence[Line]
    pieces: Sequence[Piece]
    heads: Sequence[Head]
    bases: Sequence[Base]
    lost: Sequence[Base] = ()
    in_use: frozenset[int] = frozenset()


def stretches(pieces: Iterable[Piece], heads: Iterable[Head] = ()) -> list[Stretch]:
    """The pieces joined where they touch or overlap, in order of line and position."""
    joined: list[Stretch] = []
    for piece in sorted(pieces, key=lambda piece: (piece.line, piece.start, piece.end)):
        last = joined[-1] if joined else None
        if last is None or last.line != piece.line or piece.start > last.end:
            joined.append(Stretch(piece.line, piece.start, piece.end, piece.clock))
        else:
            end = max(last.end, piece.end)
            joined[-1] = Stretch(last.line, last.start, end, _later(last.clock, piece.clock))
    proven: list[Stretch] = []
    for stretch in joined:
        clock = stretch.clock
        for head in heads:
            # A head further back says less than the pieces do, but never something wrong.
            if head.line == stretch.line and stretch.start <= head.position <= stretch.end:
                clock = _later(clock, head.clock)
        proven.append(Stretch(stretch.line, stretch.start, stretch.end, clock))
    return proven


def _later(one: int | None, other: int | None) -> int | None:
    clocks = [clock for clock in (one, other) if clock is not None]
    return max(clocks, default=None)


def routes(archive: Archive) -> list[Route]:
    """For every base a route to each line it leads to, as far as that goes."""
    network = _Network(archive)
    return [
        route
        for base in archive.bases
        if base.line in network.lines
        for route in network.lead(base, network.lines[base.line], base.needs, base.end, ())
    ]


class _Network:
    """The lines of an archive by key, with their stretches and children."""

    def __init__(self, archive: Archive) -> None:
        self.lines = {line.key: line for line in archive.lines}
        self._stretches: dict[int, list[Stretch]] = {}
        for stretch in stretches(archive.pieces, archive.heads):
            self._stretches.setdefault(stretch.line, []).append(stretch)
        self._children: dict[int, list[Line]] = {}
        for line in archive.lines:
            if line.parent is not None:
                self._children.setdefault(line.parent, []).append(line)

    def lead(
        self, base: Base, line: Line, needs: int, least: int, legs: Sequence[Leg]
    ) -> Iterator[Route]:
        """The routes that go on with `line`, whose log must be whole from `needs` to `least`."""
        stretch = _covering(self._stretches.get(line.key, ()), needs, least)
        if stretch is None:
            return
        begins = base.instant if line.key == base.line else line.begins
        if begins is not None and stretch.clock is not None:
            begin = max(begins, base.instant)
            if begin <= stretch.clock:
                window = Window(line.root, line.key, begin, stretch.clock)
                yield Route(base, (*legs, Leg(line.key, needs, stretch.end)), window)
        for child in self._children.get(line.key, ()):
            if least <= child.forked <= stretch.end:
                leg = Leg(line.key, needs, child.forked)
                yield from self.lead(base, child, child.needs, child.forked, (*legs, leg))


def _covering(candidates: Iterable[Stretch], needs: int, least: int) -> Stretch | None:
    """The stretch that holds everything from `needs` to `least`."""
    matching = (s for s in candidates if s.start <= needs and s.end >= least and s.end > needs)
    return next(matching, None)


def windows(reached: Iterable[Route]) -> list[Window]:
    """The instants of routes, in order; overlapping ones of one line are one."""
    merged: list[Window] = []
    order = sorted(
        (route.window for route in reached), key=lambda window: (window.line, window.begin)
    )
    for window in order:
        last = merged[-1] if merged else None
        if last is not None and last.line == window.line and window.begin <= last.end:
            end = max(last.end, window.end)
            merged[-1] = Window(last.root, last.line, last.begin, end)
        else:
            merged.append(window)
    return sorted(merged, key=lambda window: (window.begin, window.end))


REPLACED = "the server went on in another history, and nothing proves what it acknowledged last"
UNREACHED = "no snapshot leads there"


def gaps(merged: Sequence[Window], lines: Mapping[int, Line]) -> list[Gap]:
    """What lies between windows. The reason is that of the line which ended before."""
    between: list[Gap] = []
    until: Window | None = None
    for window in merged:
        if until is not None and window.begin > until.end:
            ended = lines[until.line].ended
            joined = lines[window.line].parent == until.line
            reason = ended or (REPLACED if joined else UNREACHED)
            between.append(Gap(until.end, window.begin, reason))
        if until is None or window.end > until.end:
            until = window
    return between


@dataclass(frozen=True, slots=True)
class OpenGap:
    """Nothing after `begin` can be restored, until a snapshot begins another window."""

    begin: int
    reason: str


def open_gap(archive: Archive, reached: Sequence[Route]) -> OpenGap | None:
    """What the archive lacks now although it is archived on; None: nothing, or all of it."""
    newest = max(archive.lines, key=lambda line: line.key, default=None)
    if newest is None or newest.until is not None or not reached:
        return None
    if leads_to_end(archive, reached):
        return None
    last = max((route.window for route in reached), key=lambda window: window.end)
    ended = next(line.ended for line in archive.lines if line.key == last.line)
    return OpenGap(last.end, ended or UNREACHED)


def leads_to_end(archive: Archive, reached: Sequence[Route]) -> bool:
    """Whether a snapshot leads to the end of all that is stored of the newest line."""
    newest = max((line.key for line in archive.lines), default=None)
    ends = [stretch.end for stretch in stretches(archive.pieces) if stretch.line == newest]
    return any(
        (route.legs[-1].line, route.legs[-1].end) == (newest, max(ends, default=None))
        for route in reached
    )


def route_to(
    reached: Sequence[Route], lines: Mapping[int, Line], instant: int, line: int | None = None
) -> Route | None:
    """The way to an instant, from the nearest base before it; None: no window holds it.

    Of several lines it is the one that served last at that instant, or `line`: "12:10" means what
    people saw at 12:10.
    """
    matching = [
        route
        for route in reached
        if route.window.begin <= instant <= route.window.end
        and (line is None or route.window.line == line)
    ]

    def latest(route: Route) -> tuple[int, int, tuple[int, int, int]]:
        return lines[route.window.line].begins or 0, route.window.line, route.nearness

    return max(matching, key=latest, default=None)


def route_past(reached: Sequence[Route], precedes: Callable[[Base], bool]) -> Route:
    """The way to the end of what is stored, from the nearest of the bases that surely come before
    the target; there is none: from the farthest base."""
    before = [route for route in reached if precedes(route.base)]
    if before:
        return max(before, key=lambda route: route.nearness)
    return min(reached, key=lambda route: route.nearness)


def route_to_position(reached: Sequence[Route], position: int) -> Route | None:
    """The way to a position, from the nearest base before it; of several lines the newest.

    None: no route holds it."""
    holding = [
        route
        for route in reached
        if route.legs[-1].start <= position <= route.legs[-1].end
        and (len(route.legs) > 1 or route.base.end <= position)
    ]
    return max(holding, key=lambda route: (route.window.line, route.nearness), default=None)
