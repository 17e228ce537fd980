"""Lists what was committed around an instant, from the stored log, so that a person picks one.

A page reads a bounded part of the log into a temporary directory; where the range has more, the
next page goes on at the position that the cursor names. The server itself is not asked.
"""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from pathlib import Path

from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import Catalog, ReadSession
from holdfast.catalog.schema import ArchiveLine, ArchiveRow
from holdfast.contracts.archive import FILE_SPAN, Change, FileNames, Log, Naming, Readable
from holdfast.contracts.engine import Engine
from holdfast.domain.archive import windows as rules
from holdfast.domain.archive.windows import Leg, Window
from holdfast.domain.errors import Conflict, Invalid
from holdfast.kit.clock import parse_rfc3339
from holdfast.kit.processes.guard import Guard
from holdfast.usecases.archiving import fetching, windows
from holdfast.usecases.archiving.layout import Layout
from holdfast.usecases.archiving.names import read_names

NO_TIME = "must be a time with an offset, such as 2026-11-30T01:09:00Z"
PAGE_BYTES = 128 << 20
"""Log that a page reads at most, beside the segment before."""
_LEAST_PIECES = 2
_SECOND_MS = 1000
"""Logs of files date a commit in whole seconds, so up to one too early."""
MAX_CHANGES = 500
"""Commits of a page."""
_CURSOR = re.compile(r"(\d{1,18})-(\d{1,19})")


@dataclass(frozen=True)
class Search:
    """Commits from `begin` to `end`, both included, in ms; with `table` only those that touched it.
    `line_pk` and `after` go on behind a position."""

    begin: int
    end: int
    table: str | None = None
    line_pk: int | None = None
    after: int = 0


@dataclass(frozen=True)
class Reading:
    """What a search reads: the log of `line` from `start` to `end`, of which commits up to `after`
    are not shown. `resume`: where the next page goes on, None: the range ends here. `begin` and
    `until` are the search's instants within the window. `is_newest`: no line came after."""

    line: ArchiveLine
    start: int
    end: int
    after: int
    resume: int | None
    begin: int
    until: int
    is_newest: bool


@dataclass(frozen=True)
class Page:
    """`cursor` None: there is no more."""

    reading: Reading
    changes: Sequence[Change]
    cursor: str | None


def parse_instant(name: str, text: str) -> int:
    """Invalid, which says how times are written, unless it is one with an offset."""
    try:
        if datetime.fromisoformat(text).tzinfo is None:
            raise ValueError(text)
        return parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{name} {NO_TIME}", {name: NO_TIME}) from error


def parse_search(around: str, seconds: int, table: str | None, cursor: str | None) -> Search:
    """Invalid, which names the parameter, for what makes no sense."""
    instant = parse_instant("around", around)
    search = Search(instant - seconds * 1000, instant + seconds * 1000, table)
    if cursor is None:
        return search
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        problem = "is not one that a page of this list gave"
        raise Invalid(f"cursor {problem}", {"cursor": problem})
    return replace(search, line_pk=int(match[1]), after=int(match[2]))


def require_readable(engine: Engine) -> Readable:
    """Conflict for engines whose log cannot be read."""
    if not isinstance(engine, Readable):
        raise Conflict(f"{engine.title} cannot be recovered to a point in time")
    return engine


def show_line(line: ArchiveLine) -> str:
    """As people name a line: two roots may have lines of one name."""
    return f"{line.root}/{line.name}"


def plan(session: ReadSession, archive: ArchiveRow, search: Search) -> Reading:
    """Finds the log to read. Conflict, which names the window's edges, if the range is in none."""
    outlook = windows.outlook(session, archive)
    middle = (search.begin + search.end) // 2
    windows_there = [
        window
        for window in outlook.windows
        if window.begin <= search.end
        and search.begin <= window.end
        and search.line_pk in (None, window.line)
    ]
    if not windows_there:
        outlook.route_to(middle)  # says why not
        raise Conflict("this part of the list is not stored any more; ask for it again")

    def distance(window: Window) -> tuple[int, int]:
        """Of several lines the one that served last counts."""
        return max(window.begin - middle, middle - window.end, 0), -window.begin

    window = min(windows_there, key=distance)
    begin, until = max(search.begin, window.begin), min(search.end, window.end)
    route = rules.route_to(outlook.routes, outlook.lines, begin, window.line)
    assert route is not None
    leg = route.legs[-1]
    line = archives.lines_by_pk(session, [leg.line])[leg.line]
    pieces = [p for p in archives.pieces_from(session, leg.line, leg.start) if p.start < leg.end]
    # Once all that was acknowledged by then is there, no commit of the range lies behind.
    end = min([*(p.end for p in pieces if p.clock is not None and p.clock >= until), leg.end])
    within = [p for p in pieces if p.end > search.after and p.last >= begin and p.start < end]
    resume = None
    for number, size in enumerate(accumulate(piece.size for piece in within)):
        if size > PAGE_BYTES and number >= _LEAST_PIECES:
            # A record may be cut there, so the next page begins with the last piece of this one.
            end, resume = within[number].start, within[number - 1].start
            break
    first = within[0].start if within else end
    # A transaction that commits in the range has begun before, mostly in the segment before.
    lead = max((piece.start for piece in pieces if piece.start < first), default=first)
    if line.segment != FILE_SPAN:
        lead -= lead % line.segment
    newest = max(outlook.lines) == line.pk
    return Reading(
        line, max(leg.start, lead), end, search.after, resume, begin, until, is_newest=newest
    )


def read(
    catalog: Catalog, layout: Layout, engine: Engine, reading: Reading, search: Search, guard: Guard
) -> Page:
    """Reads a page. EvidenceMissing if a part of the log is not in the store."""
    line, readable = reading.line, require_readable(engine)
    leg = Leg(line.pk, reading.start, reading.end)
    parts = [leg]
    if line.segment == FILE_SPAN and leg.start % FILE_SPAN:
        first = leg.start - leg.start % FILE_SPAN  # how a file is to be read it says first
        parts.insert(0, Leg(line.pk, first, first + 1))
    clocks = fetching.clocks_of(catalog, leg)
    names = read_names(layout, line) if isinstance(engine, Naming) else FileNames()
    listed: list[Change] = []
    after = reading.after
    with tempfile.TemporaryDirectory(prefix="holdfast-") as directory:
        fetching.fetch_log(catalog, layout, parts, Path(directory), lambda _: None)
        legs = [(line.name, leg.start, leg.end)]
        log = Log(Path(directory), legs, line.segment, clocks)
        for change in readable.changes(layout.version, log, names, guard):
            if change.commit.position <= after:
                continue
            after = change.commit.position
            if _is_wanted(change, reading, search):
                listed.append(change)
            if len(listed) == MAX_CHANGES:
                return Page(reading, listed, f"{line.pk}-{after}")
    if reading.resume is None:
        return Page(reading, listed, None)
    return Page(reading, listed, f"{line.pk}-{max(after, reading.resume)}")


def _is_wanted(change: Change, reading: Reading, search: Search) -> bool:
    blur = _SECOND_MS if reading.line.segment == FILE_SPAN else 0
    if not reading.begin - blur <= change.commit.instant <= reading.until:
        return False
    if search.table is None:
        return True
    return any(
        search.table in (table.table, table.table.rpartition(".")[2])
        or search.table == f"{table.database}.{table.table}"
        or (table.table == "*" and search.table.startswith(f"{table.database}."))
        for table in change.tables
    )
