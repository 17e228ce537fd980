"""Follows the WAL of a server by streaming replication, with a physical slot.

The server keeps what was not acknowledged, so there is no spool here: what is acknowledged is
stored. A position is an LSN as an integer, a line a timeline as eight hexadecimal digits.
"""

import re
import shutil
import struct
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from psycopg.errors import InsufficientPrivilege, ObjectInUse, UndefinedObject
from psycopg.sql import SQL, Literal

from holdfast.contracts.archive import Arrival, Fork, Vitals
from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonUnavailable, EvidenceMissing, LogRemoved
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.physical.replication import Replication, replication
from holdfast.engines.postgresql.physical.snapshot import parse_lsn, setting_bytes
from holdfast.kit.processes.guard import Guard

EPOCH_MS = 946_684_800_000
"""2000-01-01, which the clocks of the replication protocol count from, in ms since 1970."""

_HISTORY_LINE = re.compile(r"\s*(\d+)\s+([0-9A-F]+)/([0-9A-F]+)")
_REMOVED = "has already been removed"
_PAGE_BYTES = 8192
_MAX_HEADER_BYTES = 40
_ANSWER_SECONDS = 10.0
"""A server ends a walsender after wal_sender_timeout, 60 s by default, without a word of ours."""

_MIN_SLOT_BYTES = 1 << 30
_SLOT_SHARE = 10
"""A managed server keeps up to a tenth of its disk for us, at least a GiB."""


def show_lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def lacks(address: Address, *, unbounded: bool) -> list[str]:
    """Reasons why the WAL of this server cannot be archived, each with its cure."""
    with translated(), connect(address) as session:
        row = session.execute(
            "SELECT pg_is_in_recovery(), current_setting('wal_level'),"
            " current_setting('max_replication_slots')::int"
            " - (SELECT count(*) FROM pg_replication_slots),"
            " current_setting('max_wal_senders')::int,"
            " (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),"
            " current_setting('idle_replication_slot_timeout', true),"
            " (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)"
        ).fetchone()
    assert row is not None
    standby, level, free_slots, senders, keep_mb, idle, may = row
    problems: list[str] = []
    if standby:
        problems.append("it is a standby: attach its primary")
    if level == "minimal":
        problems.append("ALTER SYSTEM SET wal_level = 'replica', then restart it")
    if free_slots < 1:
        problems.append("no replication slot is free: raise max_replication_slots, then restart it")
    if senders < 2:
        problems.append("ALTER SYSTEM SET max_wal_senders = 10, then restart it")
    if not may:
        problems.append(f'ALTER ROLE "{address.user}" REPLICATION')
    if keep_mb == -1 and not unbounded and address.owner is None:
        problems.append(
            "nothing limits the WAL it keeps for us, so its disk could fill:"
            " ALTER SYSTEM SET max_slot_wal_keep_size = '10GB', then SELECT pg_reload_conf();"
            " or accept that with `unbounded`"
        )
    if idle not in (None, "0"):
        problems.append("ALTER SYSTEM SET idle_replication_slot_timeout = 0, then reload it")
    return problems


def ancestors(history: str) -> list[tuple[str, int]]:
    """The timelines that a history file names, the oldest first, and where each was left.

    A recovery that stops before its target timeline forked names that fork all the same: of "1 at
    F, 2 at P" with P before F nothing came from timeline 2, and 1 was left at P.
    """
    matches = (_HISTORY_LINE.match(line) for line in history.splitlines())
    named = [(int(match[1]), parse_lsn(f"{match[2]}/{match[3]}")) for match in matches if match]
    lines: list[tuple[str, int]] = []
    for number, (timeline, _) in enumerate(named):
        left_at = min(position for _, position in named[number:])
        if not lines or left_at > lines[-1][1]:
            lines.append((f"{timeline:08X}", left_at))
    return lines


class Following:
    """One walsender session, and an ordinary one beside it for what only SQL answers."""

    def __init__(self, stream: Replication, session: Session, slot: str, oldest: int) -> None:
        self._stream = stream
        self._session = session
        self._slot = slot
        identity = stream.ask("IDENTIFY_SYSTEM")[0]
        self.source = identity["systemid"]
        self.line = f"{int(identity['timeline']):08X}"
        self.segment = setting_bytes(stream.ask("SHOW wal_segment_size")[0]["wal_segment_size"])
        self.oldest = oldest - oldest % self.segment
        self._history: dict[str, bytes] = {}
        if int(self.line, 16) > 1:
            # Its content has the type bytea, but comes as it is in the file.
            answer = stream.ask(f"TIMELINE_HISTORY {int(self.line, 16)}")[0]
            self._history = {answer["filename"]: answer["content"].encode()}
        self._since: int | None = None
        self._expected = self._begun = 0
        self._acknowledged = 0
        self._confirmed = 0
        self._is_streaming = False
        self._sent = 0
        self._answered = time.monotonic()

    def ancestry(self) -> Sequence[tuple[str, int]]:
        return ancestors(b"".join(self._history.values()).decode(errors="replace"))

    def histories(self) -> Mapping[str, bytes]:
        return self._history

    def begin(self, line: str, position: int) -> None:
        command = (
            f"START_REPLICATION SLOT {self._slot} PHYSICAL {show_lsn(position)}"
            f" TIMELINE {int(line, 16)}"
        )
        with _naming_what_is_removed():
            self._stream.begin_both(command)
        self._is_streaming = True
        self._expected = self._begun = position

    def receive(self, seconds: float, *, paused: bool = False) -> Arrival | Fork | None:
        if time.monotonic() - self._answered > _ANSWER_SECONDS:
            self._answer()
        if paused:
            self._stream.rest(seconds)
            return None
        with _naming_what_is_removed():
            message = self._stream.next_message(seconds)
        if message is None:
            return None
        if message == b"":
            return self._fork()
        if message[0:1] == b"k":
            if message[17]:
                self._answer()
            return None
        if message[0:1] != b"w":
            raise EvidenceMissing(f"the walsender sent a message {message[0:1]!r}")
        start, _, sent = struct.unpack_from(">qqq", message, 1)
        self._sent = sent
        if start != self._expected:
            raise EvidenceMissing(
                f"the server sent WAL from {show_lsn(start)} on instead of"
                f" {show_lsn(self._expected)}"
            )
        data = bytes(message[25:])
        self._expected += len(data)
        return Arrival(start, data, EPOCH_MS + sent // 1000)

    def _fork(self) -> Fork:
        """The COPY has ended; the next result tells where the log goes on, or what is wrong."""
        self._is_streaming = False
        with _naming_what_is_removed():
            self._stream.end_both()
            rows = self._stream.rows()
            while self._stream.result() is not None:
                pass
        return Fork(f"{int(rows[0]['next_tli']):08X}", parse_lsn(rows[0]["next_tli_startpos"]))

    def keep(self, position: int) -> None:
        # The last byte of a segment is not acknowledged: to compare, it is read again from its
        # beginning after a restart of ours, so it has to be there.
        self._acknowledged = position - 1 if position % self.segment == 0 else position
        self._answer()

    def _answer(self) -> None:
        """Says what was received, and once what is stored, as flushed.

        A server that shuts down waits until its followers flushed all, or received all if they do
        not flush: so the last word is always that we do not. The slot remembers what was stored.
        """
        if not self._is_streaming:
            return
        news = [self._acknowledged] if self._acknowledged != self._confirmed else []
        for flushed in (*news, 0):
            # Our own clock means nothing to the server, which gets its own back.
            words = self._expected, flushed, flushed, self._sent
            self._stream.put(struct.pack(">cqqqqb", b"r", *words, 0))
        self._confirmed = self._acknowledged
        self._answered = time.monotonic()

    def vitals(self) -> Vitals:
        """The clock is read before the position. What is inserted but not flushed counts, too:
        with synchronous_commit off it was acknowledged."""
        with translated():
            row = self._session.execute(
                "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,"
                " pg_current_wal_insert_lsn() - '0/0'::pg_lsn,"
                " pg_current_wal_flush_lsn() - '0/0'::pg_lsn,"
                " (SELECT safe_wal_size FROM pg_replication_slots WHERE slot_name = %s),"
                " (SELECT nullif(setting::bigint, -1) << 20 FROM pg_settings"
                "  WHERE name = 'max_slot_wal_keep_size')",
                [self._slot],
            ).fetchone()
        assert row is not None
        clock, inserted, flushed, slack = int(row[0]), int(row[1]), int(row[2]), row[3]
        # At the end of a page the next record would begin behind a header that is not there yet.
        if flushed % _PAGE_BYTES == 0 and inserted - flushed <= _MAX_HEADER_BYTES:
            inserted = flushed
        bounded = None if slack is None else int(slack)
        limit = None if row[4] is None else int(row[4])
        behind = max(0, inserted - max(self._acknowledged, self._begun))
        return Vitals(inserted, clock, bounded, self._serves_since(), limit, behind)

    def _serves_since(self) -> int | None:
        """The later of the server's start and its timeline's birth: a restored server was promoted
        before it served, a standby served before it was promoted."""
        if self._since is None and self._history:
            with suppress(InsufficientPrivilege):
                row = self._session.execute(
                    "SELECT ceil(extract(epoch FROM greatest(modification"
                    " + interval '1 second', pg_postmaster_start_time())) * 1000)::bigint"
                    " FROM pg_ls_waldir() WHERE name = %s",  # files have whole seconds here
                    [*self._history],
                ).fetchone()
                self._since = int(row[0]) if row else None
        return self._since


@contextmanager
def _naming_what_is_removed() -> Generator[None]:
    """The server only notices when it opens the file, so any answer may say it."""
    try:
        yield
    except AddonUnavailable as error:
        if _REMOVED in error.message:
            raise LogRemoved("the server removed its log before it was stored") from error
        raise


@contextmanager
def follow(address: Address, slot: str, guard: Guard) -> Generator[Following]:
    with ExitStack() as opened:
        with translated(guard):
            session = opened.enter_context(connect(address, application="holdfast_archive"))
            if address.owner is not None:
                _limit(session)
            oldest = _reserve(session, slot)
        stream = opened.enter_context(replication(address, "holdfast_archive", guard))
        yield Following(stream, session, slot, oldest)


def _limit(session: Session) -> None:
    """Limits what a managed server keeps for us, so that its disk never fills for our sake."""
    row = session.execute(
        "SELECT setting::bigint, current_setting('data_directory') FROM pg_settings"
        " WHERE name = 'max_slot_wal_keep_size'"
    ).fetchone()
    if row is not None and row[0] == -1:
        limit = max(_MIN_SLOT_BYTES, shutil.disk_usage(row[1]).total // _SLOT_SHARE)
        value = Literal(f"{limit >> 20}MB")
        session.execute(SQL("ALTER SYSTEM SET max_slot_wal_keep_size = {}").format(value))
        session.execute("SELECT pg_reload_conf()")


def _reserve(session: Session, slot: str) -> int:
    """The oldest WAL that the slot keeps; the slot is made if there is none, or if it is lost."""
    row = session.execute(
        "SELECT active_pid, wal_status, restart_lsn - '0/0'::pg_lsn FROM pg_replication_slots"
        " WHERE slot_name = %s",
        [slot],
    ).fetchone()
    if row is not None and row[0] is not None:
        # An earlier receiver of this archive, whose lease is over: two would acknowledge for each
        # other.
        session.execute("SELECT pg_terminate_backend(%s, 5000)", [row[0]])
    if row is not None and (row[1] == "lost" or row[2] is None):
        session.execute("SELECT pg_drop_replication_slot(%s)", [slot])
        row = None
    if row is not None:
        return int(row[2])
    session.execute("SELECT pg_create_physical_replication_slot(%s, true)", [slot])
    created = session.execute(
        "SELECT restart_lsn - '0/0'::pg_lsn FROM pg_replication_slots WHERE slot_name = %s", [slot]
    ).fetchone()
    assert created is not None
    return int(created[0])


def create_slot(session: Session, slot: str) -> None:
    """On a restored server, before it serves: it keeps its WAL from its first second on."""
    exists = session.execute(
        "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", [slot]
    ).fetchone()
    if exists is None:
        session.execute("SELECT pg_create_physical_replication_slot(%s, true)", [slot])


def release(address: Address, slot: str) -> None:
    with translated(), connect(address) as session:
        with suppress(ObjectInUse):
            session.execute(
                "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots"
                " WHERE slot_name = %s AND active_pid IS NOT NULL",
                [slot],
            )
        with suppress(UndefinedObject):
            session.execute("SELECT pg_drop_replication_slot(%s)", [slot])
