"""Receives the log of one server and has it stored: cut, pack, seal, put, row, acknowledge.

Every interval what is new of the current segment becomes one object, and a full segment one that
takes the place of its pieces. A position is acknowledged when its bytes are stored and have a row.
What cannot be continued ends the line with a reason and begins a new root, so that no window ever
joins histories that nothing proves to be one.
"""

import hashlib
import json
import logging
import mmap
from collections.abc import Callable
from contextlib import suppress
from dataclasses import InitVar, dataclass, field

import fastcrc

from holdfast.catalog.archiving import archives
from holdfast.catalog.archiving.archives import Lease
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Addon, ArchiveLine, ArchivePiece, ArchiveRow
from holdfast.contracts.archive import FILE_SPAN, OTHER_HISTORY, Arrival, Following, Fork, Vitals
from holdfast.domain.errors import Failure, LogRemoved, OtherHistory
from holdfast.kit import ids
from holdfast.pipeline import age
from holdfast.usecases.archiving.layout import Layout
from holdfast.usecases.archiving.storing import Storer
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

OTHER_SERVER = "another server answers at the addon's address"
_TICK_SECONDS = 0.2


@dataclass
class _Open:
    """The segment that is being received: its line, where it begins, up to where its bytes are
    stored, how many there are, and stored pieces that are still to be compared with it.

    `spare` is a stored segment's memory, to be used again: touching new one costs as much as
    copying."""

    line: ArchiveLine
    start: int
    cut: int
    size: int = 0
    source: str | None = None
    marks: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    first: int = 0
    last: int = 0
    compare: list[ArchivePiece] = field(default_factory=list[ArchivePiece])
    spare: InitVar[memoryview | None] = None

    def __post_init__(self, spare: memoryview | None) -> None:
        self.data: memoryview | bytearray = bytearray()
        if self.line.segment != FILE_SPAN:
            # Anonymous memory takes room only where it was written: most servers are idle.
            self.data = spare or memoryview(mmap.mmap(-1, self.line.segment))

    @property
    def end(self) -> int:
        return self.start + self.size

    def add(self, data: memoryview) -> memoryview:
        """Takes as much as there is room for; returns what is over."""
        room = self.line.segment - self.size
        part = data[:room]
        self.data[self.size : self.size + len(part)] = part
        self.size += len(part)
        return data[room:]


class Receiver:
    """One connection's worth of archiving, under one lease. `ticking` is called all the time."""

    def __init__(
        self,
        tools: Toolbox,
        archive: ArchiveRow,
        addon: Addon,
        layout: Layout,
        lease: Lease,
        ticking: Callable[[], None],
    ) -> None:
        self._tools = tools
        self._archive = archive
        self._addon = addon
        self._layout = layout
        self._lease = lease
        self._ticking = ticking
        self._storer = Storer(tools.clock, addon.id)
        self._vitals: Vitals | None = None
        self._asked = -float(archive.interval_s)
        self._asked_at = 0
        self._acknowledged = 0
        self._spare: list[memoryview] = []

    def run(self, following: Following) -> None:
        """Receives until the guard of `following` stops it, or something fails.

        LogRemoved and OtherHistory end what was archived; the next connection begins a new root.
        """
        try:
            segment = self._settle(following)
            while True:
                self._ticking()
                self._storer.check()
                if self._storer.stored > self._acknowledged:
                    self._acknowledged = self._storer.stored
                    following.keep(self._acknowledged)
                if self._storer.is_full:
                    following.receive(_TICK_SECONDS, paused=True)
                    continue
                arrival = following.receive(_TICK_SECONDS)
                if isinstance(arrival, Fork):
                    segment = self._fork(following, segment, arrival)
                elif arrival is not None:
                    segment = self._append(segment, arrival)
                self._tick(following, segment)
        except (LogRemoved, OtherHistory) as error:
            with suppress(Failure):  # only here is what the server has no more
                self._finish_storing()
            reason, now = error.message, self._tools.clock.now()
            log.warning("the archive begins anew", extra={"addon": self._addon.id, "why": reason})
            self._prove(lambda session: archives.end_lines(session, self._archive.pk, reason, now))
            raise
        finally:
            self._storer.close()

    def _finish_storing(self) -> None:
        while not self._storer.is_idle_within(_TICK_SECONDS):
            self._ticking()
            self._storer.check()
        self._storer.check()

    def _settle(self, following: Following) -> _Open:
        """Decides where to go on, and asks the server for it."""
        with self._tools.catalog.read() as session:
            line = archives.current_line(session, self._archive.pk)
            session.expunge_all()
        if line is not None:
            return self._resume(following, line)
        root, oldest = ids.hex24(), following.oldest
        line = self._new_line(following, root, following.line, needs=oldest)
        following.begin(line.name, oldest)
        self._layout.put_root(root, following)
        self._write_line(line)
        return _Open(line, oldest, oldest)

    def _resume(self, following: Following, line: ArchiveLine) -> _Open:
        if (line.source, line.segment) != (following.source, following.segment):
            raise OtherHistory(OTHER_SERVER)
        if line.name == following.line:
            return self._go_on(following, line)
        left_at = dict(following.ancestry())
        with self._tools.catalog.read() as session:
            lines = archives.lines(session, self._archive.pk)
            session.expunge_all()
            if any((row.root, row.name) == (line.root, following.line) for row in lines):
                # It went back to a line that it left: what is stored of that keeps its objects.
                raise OtherHistory(OTHER_HISTORY)
            named = [row for row in lines if row.source == line.source and row.name in left_at]
            parent = max(named, key=lambda row: left_at[row.name], default=None)
            # Two roots may have a line of one name: then it forked from either, and only its bytes
            # could tell, so it begins a root.
            same = [row for row in named if parent is not None and row.name == parent.name]
            if parent is None or parent.root != line.root or len(same) > 1:
                raise OtherHistory(OTHER_HISTORY)
            end = archives.stored_end(session, parent.pk) or parent.needs
        if end >= left_at[parent.name]:
            return self._begin_child(following, parent, following.line, left_at[parent.name])
        if parent.pk != line.pk:
            raise OtherHistory(OTHER_HISTORY)
        return self._go_on(following, line)

    def _go_on(self, following: Following, line: ArchiveLine) -> _Open:
        """From the beginning of the segment with the last stored byte, to compare what is there."""
        with self._tools.catalog.read() as session:
            end = archives.stored_end(session, line.pk)
            if end is None:
                end = start = line.needs
            elif line.segment == FILE_SPAN:
                start = archives.last_segment(session, line.pk, line.needs)
            else:
                start = (end - 1) - (end - 1) % line.segment
            compare = archives.pieces_from(session, line.pk, start)
            session.expunge_all()
        if line.name == following.line and following.vitals().position < end:
            raise OtherHistory(OTHER_HISTORY)
        following.begin(line.name, start)
        self._prove(lambda _: None, state=archives.STREAMING, reason=None)
        return _Open(line, start, end, compare=compare)

    def _begin_child(
        self, following: Following, parent: ArchiveLine, name: str, forked: int
    ) -> _Open:
        """A child's segment of the fork is whole by itself, so it is read from its beginning.

        What it shares with its parent has to be what is stored of that.
        """
        needs = forked - forked % parent.segment
        with self._tools.catalog.read() as session:
            shared = [
                piece
                for piece in archives.pieces_from(session, parent.pk, needs)
                if needs <= piece.start and piece.end <= forked
            ]
            session.expunge_all()
        line = self._new_line(following, parent.root, name, needs=needs)
        line.parent_pk, line.forked = parent.pk, forked
        following.begin(name, needs)
        self._layout.put_histories(parent.root, following)
        self._write_line(line)
        return _Open(line, needs, needs, compare=shared)

    def _new_line(self, following: Following, root: str, name: str, *, needs: int) -> ArchiveLine:
        return ArchiveLine(
            archive_pk=self._archive.pk,
            root=root,
            name=name,
            forked=0,
            needs=needs,
            source=following.source,
            segment=following.segment,
            since=self._tools.clock.now(),
        )

    def _write_line(self, line: ArchiveLine) -> None:
        def write(session: WriteSession) -> None:
            archives.end_lines(session, self._archive.pk, "", line.since)
            session.add(line)
            session.flush()

        self._prove(write, state=archives.STREAMING, reason=None)

    def _fork(self, following: Following, segment: _Open, fork: Fork) -> _Open:
        if segment.end > segment.cut:
            self._store(segment)
        self._finish_storing()
        if segment.cut < fork.position:
            raise LogRemoved("the server's log ended before its successor's begins")
        return self._begin_child(following, segment.line, fork.line, fork.position)

    def _append(self, segment: _Open, arrival: Arrival) -> _Open:
        if not segment.size or segment.end <= segment.cut:
            segment.first = arrival.clock
        segment.last = arrival.clock
        if segment.line.segment == FILE_SPAN:
            return self._append_to_file(segment, arrival)
        data = memoryview(arrival.data)
        while data:
            data = segment.add(data)
            self._compare(segment)
            if segment.size == segment.line.segment:
                if segment.end > segment.cut:
                    self._store(segment)
                clock = arrival.clock
                spare = self._spare.pop() if self._spare else None
                end = segment.end
                segment = _Open(segment.line, end, end, first=clock, last=clock, spare=spare)
        return segment

    def _append_to_file(self, segment: _Open, arrival: Arrival) -> _Open:
        """Segments of files end where the server says so; what follows begins at its own place."""
        segment.source = segment.source or arrival.source
        segment.marks += arrival.marks
        segment.add(memoryview(arrival.data))
        self._compare(segment)
        beyond = arrival.next
        if beyond is None:
            return segment
        if segment.compare:  # its file was longer when it was stored
            raise OtherHistory(OTHER_HISTORY)
        if beyond > segment.cut:
            self._store(segment, beyond=beyond)
        marks = [mark for mark in segment.marks if mark[0] > beyond]
        clock = arrival.clock
        return _Open(segment.line, beyond, beyond, marks=marks, first=clock, last=clock)

    def _compare(self, segment: _Open) -> None:
        """The server has to send again what is stored."""
        while segment.compare and segment.compare[0].plain_end <= segment.end:
            piece = segment.compare.pop(0)
            data = memoryview(segment.data)
            plain = data[piece.start - segment.start : piece.plain_end - segment.start]
            if fastcrc.crc32.iscsi(plain) != piece.crc:
                raise OtherHistory(OTHER_HISTORY)

    def _tick(self, following: Following, segment: _Open) -> None:
        """Once an interval asks how far the server is; stores what is new when that has come."""
        now = self._tools.clock.monotonic()
        if self._vitals is None and now - self._asked >= self._archive.interval_s:
            self._asked, self._asked_at = now, self._tools.clock.now()
            # Of a line that only an ancestor's end is read from, nothing is acknowledged any more.
            on_line = segment.line.name == following.line
            self._vitals = following.vitals() if on_line else None
            if not on_line and segment.end > segment.cut:
                self._store(segment)
        vitals = self._vitals
        if vitals is None:
            return
        if segment.end >= vitals.position and not segment.compare:
            self._vitals = None
            if segment.end > segment.cut:
                self._store(segment, vitals)
            elif self._storer.is_idle_within(0.0):
                self._prove(self._head_of(segment.line, vitals))
        elif now - self._asked >= 2 * self._archive.interval_s:
            # It is behind: the row says by how much, and how long the server bears that.
            self._asked, latest = now, following.vitals()
            slack = {"slack": latest.slack, "slack_limit": latest.limit}
            self._prove(lambda _: None, behind=latest.behind, **slack)

    def _store(
        self, segment: _Open, vitals: Vitals | None = None, *, beyond: int | None = None
    ) -> None:
        """Has what is new stored, or the whole segment when it is full or a file that ended; what
        follows this file begins at `beyond`."""
        line, end = segment.line, beyond or segment.end
        is_whole = beyond is not None or segment.size == line.segment
        start = segment.start if is_whole else segment.cut
        # Nothing is added to a whole segment any more, so it is not copied.
        part = memoryview(segment.data)[start - segment.start : segment.size]
        plain = part if is_whole else bytes(part)
        marks = [mark for mark in segment.marks if start < mark[0] <= end]
        piece = ArchivePiece(
            line_pk=line.pk,
            start=start,
            end=end,
            whole=is_whole,
            plain=None if len(plain) == end - start else len(plain),
            source=segment.source if start == segment.start else None,
            marks=json.dumps(marks) if marks else None,
            clock=vitals.clock if vitals else None,
            first=segment.first,
            last=segment.last,
        )
        segment.cut, segment.first = end, segment.last
        move_head = self._head_of(line, vitals) if vitals else None
        self._storer.put(len(plain), lambda: self._put(line, piece, plain, move_head))

    def _put(
        self,
        line: ArchiveLine,
        piece: ArchivePiece,
        plain: bytes | memoryview,
        move_head: Callable[[WriteSession], None] | None,
    ) -> int:
        """Object first, then its row; returns up to where all is stored."""
        sealed = age.seal(plain, self._archive.recipient)
        self._layout.put_piece(line, piece, sealed)
        piece.stored, piece.sha256 = len(sealed), hashlib.sha256(sealed).hexdigest()
        piece.crc, piece.created = fastcrc.crc32.iscsi(plain), self._tools.clock.now()
        start, end = piece.start, piece.end

        def write(session: WriteSession) -> None:
            if piece.whole:
                parts = archives.pieces_from(session, line.pk, start)
                clocks = (part.clock or 0 for part in (*parts, piece) if part.end <= end)
                piece.clock = max(clocks, default=0) or None
                every = [mark for p in (*parts, piece) for mark in json.loads(p.marks or "[]")]
                marks = {(position, clock) for position, clock in every}
                piece.marks = json.dumps(sorted(marks)) if marks else None
                firsts = [part.first for part in parts if part.start == start]
                piece.first = min([*firsts, piece.first])
            archives.replace_with(session, piece)
            if move_head is not None:
                move_head(session)

        self._prove(write)
        if piece.whole:
            if isinstance(plain, memoryview) and line.segment != FILE_SPAN:
                self._spare.append(plain)
            self._layout.remove_parts(line, start, end)
        return end

    def _head_of(self, line: ArchiveLine, vitals: Vitals) -> Callable[[WriteSession], None]:
        """Writes that what the server said when it was asked is true of the store."""
        begins = vitals.clock if vitals.since is None else vitals.since
        asked_at = self._asked_at

        def move_head(session: WriteSession) -> None:
            archive = archives.move_head(session, line.pk, vitals.position, vitals.clock, begins)
            archive.behind, archive.slack, archive.slack_limit = 0, vitals.slack, vitals.limit
            archive.checked = asked_at

        return move_head

    def _prove(self, write: Callable[[WriteSession], None], **changes: object) -> None:
        with self._tools.catalog.write() as session:
            self._lease.prove(session, **changes)
            write(session)
