"""Follows the binary log of a MariaDB server as a replica does.

There is no slot: the server keeps its files as long as it was told to. Ours keep what is not
stored, up to a limit, and files that are stored are removed. A position is the number of a file and
the offset in it, a line the base of the files' names.
"""

import re
import shutil
import time
import zlib
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from holdfast.contracts.archive import FILE_SPAN, OTHER_HISTORY, Arrival, Vitals
from holdfast.contracts.engine import Address
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    EvidenceMissing,
    LogRemoved,
    OtherHistory,
)
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    error_number,
)
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.client.tools import MARIADB
from holdfast.engines.mysql.physical import binlog
from holdfast.engines.mysql.physical.binlog import Format, Header, Kind
from holdfast.engines.mysql.physical.dump_stream import DumpStream, StreamError
from holdfast.kit.processes.guard import Guard

SEGMENT_BYTES = 16 << 20
"""A segment ends behind the event with which it gets so long, or with its file."""
_BATCH_BYTES = 1 << 20
_MARK_SECONDS = 0.25
"""Commits have whole seconds in the log: while there are any, the clock is noted so often."""
_SILENT_SECONDS = 30.0
"""Heartbeats come each second."""

_MIN_LOG_BYTES = 1 << 30
_DISK_SHARE = 10
"""A managed server keeps up to a tenth of its disk for us, at least a GiB."""

_NO_SUCH_FILE = "Could not find first log file"
_FATAL = 1236
_TORN = "truncated in the middle of event"
_NO_LOG = 1381
_BAD_OFFSET = 1220
_REMOVED = "the server removed its log before it was stored"


class Following:
    """One session that streams, and an ordinary one beside it for what only SQL answers;
    `connected` makes another.

    `replica`: our number among the server's replicas. It ends the stream of another with the same.
    """

    segment = FILE_SPAN
    source = MARIADB

    def __init__(
        self,
        session: Session,
        connected: Callable[[], Session],
        replica: int,
        limit: int | None,
        guard: Guard,
    ) -> None:
        self._session = session
        self._connected = connected
        self._replica = replica
        self._limit = limit
        self._guard = guard
        self._stream: DumpStream | None = None
        self._format: Format | None = None
        self._expected = self._acknowledged = 0
        self._segment_start = 0
        self._is_closed = self._has_received = False
        self._removed = 0
        self._heard = time.monotonic()
        position = self._ask()
        self.oldest = position - position % FILE_SPAN

    def ancestry(self) -> Sequence[tuple[str, int]]:
        return []

    def histories(self) -> Mapping[str, bytes]:
        return {}

    def begin(self, line: str, position: int) -> None:
        self.line = line
        self._expected = self._segment_start = self._acknowledged = position
        with translated(self._guard):
            self._request()

    def _request(self) -> None:
        """Asks for what follows, in a session of its own: the server ends that with the stream."""
        offset = max(binlog.offset_of(self._expected), len(binlog.MAGIC))
        self._stream = DumpStream(self._connected(), self._name, offset, self._replica)

    def receive(self, seconds: float, *, paused: bool = False) -> Arrival | None:
        if paused:
            self._guard.wait(seconds)
            return None
        assert self._stream is not None
        begin = self._expected
        parts: list[bytes] = []
        with translated(self._guard):
            source, beyond = self._batch(parts)
            if not parts and beyond is None:
                if self._stream.wait(seconds):
                    self._heard = time.monotonic()
                    source, beyond = self._batch(parts)
                elif time.monotonic() - self._heard > _SILENT_SECONDS:
                    raise AddonUnavailable("the server sends nothing any more", reason="session")
        if not parts and beyond is None:
            return None
        marks: list[tuple[int, int]] = []
        if time.monotonic() - self._asked >= _MARK_SECONDS:
            marks.append((self._ask(), self._clock))
        clock = self._clock + round((time.monotonic() - self._asked) * 1000)
        return Arrival(begin, b"".join(parts), clock, beyond, source, marks)

    def _batch(self, parts: list[bytes]) -> tuple[str | None, int | None]:
        """Takes events that came, up to the end of a segment. Returns the identity of the file that
        begins with them, and where the next segment begins, if one ended."""
        assert self._stream is not None
        source: str | None = None
        size = 0
        while size < _BATCH_BYTES:
            try:
                event = self._stream.event()
            except StreamError as error:
                if self._steps_over(error):
                    return source, self._expected
                raise self._failure(error) from error
            if event is None:
                break
            head = binlog.header(event)
            if head.size != len(event):
                raise EvidenceMissing("the server sent an event of another length than it says")
            if head.flags & binlog.ARTIFICIAL or head.next == 0 or _is_heartbeat(head):
                if self._skip(event, head):
                    return source, self._expected
                continue
            data = self._take(event, head)
            if head.kind == Kind.FORMAT and self._format is not None:
                source = self._format.source
            parts.append(data)
            size += len(data)
            if self._expected - self._segment_start >= SEGMENT_BYTES:
                self._segment_start = self._expected
                return source, self._expected
        return source, None

    def _take(self, event: bytes, head: Header) -> bytes:
        """The bytes that an event has in its file, which must be those behind the last one's."""
        offset, data = binlog.offset_of(self._expected), event
        if offset == 0:
            if head.kind != Kind.FORMAT:
                raise EvidenceMissing("a file of the binary log does not begin with its format")
            offset, data = len(binlog.MAGIC), binlog.MAGIC + event
        if head.next - head.size != offset:
            raise EvidenceMissing(
                f"the server sent its log from {head.next - head.size} on instead of"
                f" {binlog.show_position(self._expected)}"
            )
        if head.kind == Kind.FORMAT:
            self._format = binlog.format_of(event)
        elif self._format is None:
            raise EvidenceMissing("the server did not say which format its binary log has")
        elif self._format.has_checksums:
            binlog.require_sound(event)
        self._expected += len(data)
        self._has_received = True
        self._is_closed = head.kind in (Kind.ROTATE, Kind.STOP)
        return data

    def _skip(self, event: bytes, head: Header) -> bool:
        """Looks at what is in no file. Whether the server goes on with another file."""
        if _is_heartbeat(head):
            # Proves that nothing was left out; for an empty file it may come before the format.
            offset = binlog.offset_of(self._expected) or len(binlog.MAGIC)
            if head.next not in (0, offset):
                raise EvidenceMissing(
                    f"the server is at {head.next} and sent its log only up to"
                    f" {binlog.show_position(self._expected)}"
                )
        elif head.kind == Kind.FORMAT:
            self._format = binlog.format_of(event)
        elif head.kind == Kind.ROTATE:
            name = event[binlog.HEADER_BYTES + 8 :].decode(errors="replace")
            if zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little"):  # it may have one
                name = event[binlog.HEADER_BYTES + 8 : -4].decode(errors="replace")
            if name != self._name:
                self._require_complete(name)
                self._begin_file()
                return True
        return False

    def _begin_file(self) -> None:
        self._expected += FILE_SPAN - binlog.offset_of(self._expected)
        self._segment_start = self._expected
        self._format, self._is_closed = None, False

    def _steps_over(self, error: StreamError) -> bool:
        """Goes on with the next file if the server ended its stream at an event that it had not
        written to its end when it was killed, which was never acknowledged."""
        name, offset = self._name, binlog.offset_of(self._expected)
        successor = binlog.file_name(self.line, self._expected + FILE_SPAN)
        if error.number != _FATAL or _TORN not in error.text or successor not in self._files():
            return False
        if self._has_event(name, offset):
            return False
        self._begin_file()
        self._request()
        return True

    @property
    def _name(self) -> str:
        """The file that is being received."""
        return binlog.file_name(self.line, self._expected)

    def _require_complete(self, successor: str) -> None:
        """A file may begin only when the one before is there to its end. A server that was killed
        ends a file without saying so."""
        base, number = binlog.split_name(successor)
        if (base, number) != (self.line, self._expected // FILE_SPAN + 1):
            raise OtherHistory(OTHER_HISTORY)
        if self._is_closed:
            return
        name, offset = self._name, binlog.offset_of(self._expected)
        length = self._files().get(name)
        if length is None:
            raise LogRemoved(_REMOVED)
        if length < offset:
            raise OtherHistory(OTHER_HISTORY)
        if length > offset and self._has_event(name, offset):
            raise EvidenceMissing(f"the server began {successor} before it sent all of {name}")

    def _has_event(self, name: str, offset: int) -> bool:
        statement = f"SHOW BINLOG EVENTS IN '{name}' FROM {offset} LIMIT 1"
        try:
            return bool(self._session.rows(statement))
        except WireError as error:
            if error_number(error) != _BAD_OFFSET:
                raise
            return False

    def _failure(self, error: StreamError) -> Exception:
        """What the end of a stream means. From an event's end on the server can always go on, so
        if it cannot, its file is another one."""
        if error.number != _FATAL:
            return AddonUnavailable(f"the server ended its stream: {error.text}", reason="session")
        if _NO_SUCH_FILE in error.text:
            return LogRemoved(_REMOVED)
        if re.search("server.?(?:id|uuid)", error.text):
            return AddonUnavailable("another receiver follows the server", reason="session")
        if not self._has_received:
            return OtherHistory(OTHER_HISTORY)
        return EvidenceMissing(f"the server cannot read its own binary log: {error.text}")

    def keep(self, position: int) -> None:
        # The file with the last stored byte stays, to be compared after a restart of ours.
        self._acknowledged = position
        number = (position - 1) // FILE_SPAN
        if self._limit is not None and number > self._removed:
            with translated(self._guard):
                self._purge(number)
            self._removed = number

    def _purge(self, number: int) -> None:
        name = binlog.file_name(self.line, number * FILE_SPAN)
        self._session.execute(f"PURGE BINARY LOGS TO '{name}'")

    def vitals(self) -> Vitals:
        position = self._ask()
        with translated(self._guard):
            sizes = self._files()
            slack = None
            if self._limit is not None:
                slack = self._limit - sum(sizes.values())
                for name, size in list(sizes.items())[:-1]:
                    if slack >= 0:
                        break
                    slack += size
                    self._purge(binlog.split_name(name)[1] + 1)
        number, offset = divmod(self._acknowledged, FILE_SPAN)
        behind = sum(size for name, size in sizes.items() if binlog.split_name(name)[1] >= number)
        return Vitals(position, self._clock, slack, None, self._limit, max(0, behind - offset))

    def _ask(self) -> int:
        """The server's position, behind all that it acknowledged before its clock."""
        with translated(self._guard):
            asked = time.monotonic()
            clock, row_format, sync = self._session.row(
                "SELECT floor(unix_timestamp(now(6)) * 1000),"
                " @@global.binlog_format, @@global.sync_binlog"
            )
            rows = self._session.named_rows("SHOW MASTER STATUS")
        if not rows:
            raise AddonUnavailable(
                "the server keeps no binary log yet: it does from its next start on", reason="log"
            )
        if (row_format, sync) != ("ROW", 1):  # what is logged so cannot be trusted to come back
            raise AddonRefused(
                "the server's settings were changed: SET GLOBAL binlog_format = 'ROW',"
                " GLOBAL sync_binlog = 1",
                reason="log",
            )
        self._asked, self._clock = asked, int(clock)
        base, number = binlog.split_name(str(rows[0]["File"]))
        position = number * FILE_SPAN + int(rows[0]["Position"])
        if not self._expected:
            self.line = base
        elif position < self._expected or base != self.line:
            raise OtherHistory(OTHER_HISTORY)
        return position

    def _files(self) -> dict[str, int]:
        """Bytes of the server's files by name, the oldest first."""
        return {str(row[0]): int(row[1]) for row in self._session.rows("SHOW BINARY LOGS")}


def _is_heartbeat(head: Header) -> bool:
    return head.kind in (Kind.HEARTBEAT, Kind.HEARTBEAT_LONG)


@contextmanager
def follow(address: Address, slot: str, guard: Guard) -> Generator[Following]:
    """`slot` is hashed to our number among the server's replicas."""
    replica = zlib.crc32(slot.encode()) | 1 << 31
    with ExitStack() as opened:
        with translated(guard):
            session = opened.enter_context(connect(address))
            limit = None
            if address.owner is not None:
                directory = str(session.value("SELECT @@datadir"))
                share = shutil.disk_usage(directory).total // _DISK_SHARE
                limit = max(_MIN_LOG_BYTES, share)
        opened.callback(guard.adopt(session.cut))

        def connected() -> Session:
            stream = opened.enter_context(connect(address))
            opened.callback(guard.adopt(stream.cut))
            return stream

        yield Following(session, connected, replica, limit, guard)


def release(address: Address) -> None:
    """A managed server removes what it kept for us; it keeps no log after its next start. One that
    does not run has nothing to let go of."""
    if address.owner is None:
        return
    with suppress(AddonUnavailable), translated(), connect(address) as session:
        rows = session.named_rows("SHOW MASTER STATUS")
        if rows:
            session.execute(f"PURGE BINARY LOGS TO {session.literal(str(rows[0]['File']))}")
