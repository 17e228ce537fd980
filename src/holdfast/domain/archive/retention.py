"""Which part of an archived log may be removed: a pure rule over the same facts as its windows.

An instant is promised while it is younger than a number of days, by every clock that knows it: the
protected server's, and our own. A server whose clock jumps ages nothing, and neither does ours as
long as the server's does not. Beyond that the newest chain stays for ever: the snapshot, and the
log from there, that lead to the end of what is stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.domain.archive.windows import (
    Archive,
    Line,
    Route,
    leads_to_end,
    routes,
    stretches,
)


@dataclass(frozen=True)
class Promise:
    """Instants of the last `span` ms are promised, seen from `now` by our own clock. `wanted`: the
    log is archived on, so days are counted back from its end; else from `now`."""

    span: int
    now: int
    wanted: bool


@dataclass(frozen=True)
class Ruling:
    """`routes` must stay, with their bases; of each line in `cuts` the log before that position may
    go. `obstacle` is why nothing may; empty: it may."""

    routes: Sequence[Route]
    cuts: Mapping[int, int]
    obstacle: str = ""

    @property
    def bases(self) -> frozenset[int]:
        """The keys of the snapshots that must stay."""
        return frozenset(route.base.key for route in self.routes)


NO_CHAIN = "no good snapshot leads to the end of the log"


def rule(archive: Archive, promise: Promise) -> Ruling:
    """Nothing may go while no good snapshot leads to the end of a log that is archived on.

    Snapshots that are lost may return, so what they promise stays, too, and it stays once more
    without them, because they may not.
    """
    lines = {line.key: line for line in archive.lines}
    reached = routes(archive)
    with_lost = routes(replace(archive, bases=[*archive.bases, *archive.lost]))
    required = [
        *_promised(reached, lines, promise),
        *_promised(with_lost, lines, promise),
        *(route for route in with_lost if route.base.key in archive.in_use),
    ]
    unique = list({(route.base.key, route.legs[-1]): route for route in required}.values())
    if promise.wanted and not leads_to_end(archive, reached):
        return Ruling(unique, {}, NO_CHAIN)
    return Ruling(unique, _cuts(archive, lines, unique, promise))


def _promised(
    reached: Sequence[Route], lines: Mapping[int, Line], promise: Promise
) -> Iterator[Route]:
    """The routes to every promised instant, and that of the newest chain."""
    groups: dict[tuple[int, int], list[Route]] = {}
    for route in reached:
        groups.setdefault((route.window.line, route.legs[-1].end), []).append(route)
    if not groups:
        return
    newest = max(groups)
    oldest_clock = promise.now - promise.span
    # A server whose clock is behind ours has not lived through all of these days yet.
    end = groups[newest][0].window.end
    cutoff = min(oldest_clock, end - promise.span) if promise.wanted else oldest_clock
    followed = min(route.base.taken for route in groups[newest])
    for name, group in groups.items():
        until = lines[name[0]].until
        if until is None:  # a part before a hole in it is over since the snapshot after that
            until = followed
        is_over = until <= oldest_clock and group[0].window.end < cutoff
        if is_over and name != newest:
            continue
        old = [
            route
            for route in group
            if max(route.window.begin, route.base.instant) <= cutoff
            and route.base.taken <= oldest_clock
        ]
        if old:
            yield max(old, key=lambda route: route.nearness)
        else:  # both, because clocks may have gone back between them
            yield min(group, key=lambda route: (route.window.begin, route.nearness))
            yield min(group, key=lambda route: route.nearness)


def _cuts(
    archive: Archive, lines: Mapping[int, Line], required: Sequence[Route], promise: Promise
) -> dict[int, int]:
    starts: dict[int, int] = {}
    for route in required:
        for leg in route.legs:
            starts[leg.line] = min(leg.start, starts.get(leg.line, leg.start))
    cuts: dict[int, int] = {}
    for stretch in stretches(archive.pieces):
        line = lines[stretch.line]
        if line.key in starts:
            if stretch.start < starts[line.key]:
                cuts[line.key] = starts[line.key]
        elif line.until is not None and line.until <= promise.now - promise.span:
            cuts[line.key] = stretch.end
    return cuts


@dataclass(frozen=True)
class Keeping:
    """An archive that keeps snapshots from being removed; `span` and `wanted` as of a Promise."""

    archive: Archive
    span: int
    wanted: bool

    def ruling(self, now: int) -> Ruling:
        return rule(self.archive, Promise(self.span, now, self.wanted))
