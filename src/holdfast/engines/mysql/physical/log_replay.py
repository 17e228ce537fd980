"""Replays archived binary logs onto a restored copy, up to a position.

The files are given to a private server as relay logs, and its replication thread applies them: row
by row as they were written, with the sessions' settings, several times as fast as a client.
Statements that define events are run by us instead, because that thread would switch the events
off, as on a replica.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from psutil import virtual_memory

from holdfast.contracts.archive import FILE_SPAN, Commit, Log, Replay, Stop, Target
from holdfast.contracts.snapshots import LOG_POSITION
from holdfast.domain.errors import EvidenceMissing, RestoreDiffers
from holdfast.engines.mysql.client.connection import Session
from holdfast.engines.mysql.client.session_settings import apply_base_settings
from holdfast.engines.mysql.physical import binlog
from holdfast.engines.mysql.physical.binlog import LogFile, Transaction
from holdfast.kit.processes.guard import Guard

_EVENT_DEFINITION = re.compile(
    rb"\A\s*(?:/\*.*?\*/\s*)*(?:CREATE|ALTER)\s+(?:OR\s+REPLACE\s+)?"
    rb"(?:DEFINER\s*=\s*(?:`(?:[^`]|``)*`|'[^']*'|[^\s`'])+\s+)?EVENT\b",
    re.IGNORECASE | re.DOTALL,
)
_WITHOUT_DEFINER = re.compile(
    rb"\A(\s*(?:/\*.*?\*/\s*)*(?:CREATE|ALTER)\s+(?:OR\s+REPLACE\s+)?)EVENT\b",
    re.IGNORECASE | re.DOTALL,
)
_INDEX = "relay.index"
_POLL_SECONDS = 0.05
_BUFFER_BYTES = 512 << 20
_SLOW_CLOCK_MS = 1000
"""Commits are dated in whole seconds, a head in ms."""


def files(log: Log, start: int = 0) -> Iterator[tuple[LogFile, int]]:
    """The files of the log that reach beyond `start`, each with the offset to read it from."""
    for base, leg_start, end in log.legs:
        begin = max(leg_start, start)
        for number in range(begin // FILE_SPAN, -(-end // FILE_SPAN)):
            first = number * FILE_SPAN
            path = log.directory / binlog.file_name(base, first)
            # The last file is there up to the leg's end, others are there to their end.
            length = min(path.stat().st_size, end - first)
            yield LogFile(path, number, length), max(0, begin - first)


def transactions(log: Log, start: int = 0) -> Iterator[Transaction]:
    """Every transaction in the log that begins at `start` or later, in order."""
    for file, offset in files(log, start):
        yield from file.transactions(offset)


class Dating:
    """Dates commits in order, as near as is known.

    The log has seconds, in which the last statement began, and a session may set them. What was
    acknowledged before a clock lies before its position, so nothing behind that is earlier. What
    lies before it was there when the next clock was read, so nothing is later than that; its own
    clock may have been read long before the position, by a server that had much to do.
    """

    def __init__(self, log: Log) -> None:
        self._clocks = sorted(log.clocks)
        self._after = self._index = 0

    def instant(self, start: int, when: int) -> int:
        """Of a commit whose transaction begins at `start`; `when` is what the log says, in s."""
        clocks = self._clocks
        while self._index < len(clocks) and clocks[self._index][0] <= start:
            self._after = max(self._after, clocks[self._index][1])
            self._index += 1
        instant = max(when * 1000, self._after)
        if self._index < len(clocks):
            later = clocks[min(self._index + 1, len(clocks) - 1)][1]
            instant = max(self._after, min(instant, later + _SLOW_CLOCK_MS))
        return instant


def commits(log: Log, start: int = 0) -> list[Commit]:
    """Every commit that ends behind `start`, with its instant as near as is known."""
    dating = Dating(log)
    return [
        Commit(one.end, dating.instant(one.start, one.when), one.gtid)
        for one in transactions(log, start)
    ]


def settle_stop(log: Log, base: Mapping[str, Any], target: Target) -> Stop:
    """RestoreDiffers when the log does not hold the target, EvidenceMissing when it does not belong
    to the snapshot."""
    position = base[LOG_POSITION]
    start = int(position["end"])
    _require_base(log, start, str(position.get("gtids", "")))
    listed = commits(log, start)
    if target.position is not None:
        limit = target.position if target.inclusive else target.position - 1
        return _stop_before(listed, [c.position > limit for c in listed])
    if target.transaction is not None:
        named = [n for n, c in enumerate(listed) if c.transaction == target.transaction]
        if not named:
            raise RestoreDiffers(f"transaction {target.transaction} did not commit in this log")
        count = named[-1] + (1 if target.inclusive else 0)
        return _stop_before(listed, [number >= count for number in range(len(listed))])
    assert target.instant is not None
    # A commit whose statement began later was acknowledged later, and so was all behind it.
    limit = target.instant if target.inclusive else target.instant - 1000
    return _stop_before(listed, [c.instant > limit for c in listed])


def _require_base(log: Log, end: int, gtids: str) -> None:
    """The snapshot's position has to be the end of a transaction, and that the snapshot's last."""
    first = log.legs[0][1]
    last: dict[str, str] = {}
    reached = end // FILE_SPAN * FILE_SPAN
    for transaction in transactions(log, first):
        if transaction.start >= end:
            break
        reached = transaction.end
        last[transaction.gtid.partition("-")[0]] = transaction.gtid
    known = {gtid.partition("-")[0]: gtid for gtid in gtids.split(",") if gtid}
    is_other = bool(known) and any(known.get(domain) != gtid for domain, gtid in last.items())
    if reached > end or is_other:
        raise EvidenceMissing(
            f"the archived log at {binlog.show_position(end)} is not that of the snapshot"
        )


def _stop_before(listed: Sequence[Commit], is_beyond: Sequence[bool]) -> Stop:
    """Right after the last commit before the first that is to be left out."""
    count = is_beyond.index(True) if True in is_beyond else len(listed)
    following = listed[count] if count < len(listed) else None
    if count == 0:
        return Stop(None, inclusive=True, last=None, next=following)
    last = listed[count - 1]
    return Stop(last.position, inclusive=True, last=last, next=following)


def options(replay: Replay, home: Path) -> list[str]:
    """Of the server that replays."""
    directory = replay.log.directory
    return [
        "--server-id=1",
        f"--relay-log={directory / replay.log.legs[0][0]}",
        f"--relay-log-index={directory / _INDEX}",
        f"--slave-load-tmpdir={home}",
        "--relay-log-purge=0",
        "--replicate-same-server-id",
        "--slave-parallel-threads=0",  # else 10.11.19 crashes, always
        "--slave-max-allowed-packet=1G",
        "--max-allowed-packet=1G",
        f"--innodb-buffer-pool-size={min(_BUFFER_BYTES, virtual_memory().total // 4)}",
        "--innodb-flush-log-at-trx-commit=0",  # a server that fails is thrown away
        "--local-infile=0",
        "--event-scheduler=OFF",  # DISABLED refuses statements that define events
    ]


def lay_out(log: Log, stop: Stop) -> None:
    """Writes the index of the files that hold the log up to the stop, as the server wants it."""
    assert stop.position is not None
    (base, begin, _) = log.legs[0]
    numbers = range(begin // FILE_SPAN, (stop.position - 1) // FILE_SPAN + 1)
    paths = [log.directory / binlog.file_name(base, number * FILE_SPAN) for number in numbers]
    (log.directory / _INDEX).write_text("".join(f"{path}\n" for path in paths))


def replay_onto(session: Session, replay: Replay, base: Mapping[str, Any], guard: Guard) -> None:
    """Replays from the snapshot's position to the stop. RestoreDiffers unless it gets there."""
    log, stop = replay.log, replay.stop
    assert stop.position is not None
    position = int(base[LOG_POSITION]["end"])
    for transaction in transactions(log, position):
        if transaction.end > stop.position:
            break
        statement = transaction.statement
        if statement is None or not defines_event(binlog.query_of(statement).text):
            continue
        _apply(session, log, position, transaction.start, guard)
        _run(session, transaction)
        position = transaction.end
    _apply(session, log, position, stop.position, guard)
    session.execute("RESET SLAVE ALL")
    session.execute("SET GLOBAL gtid_slave_pos = ''")


def defines_event(text: bytes) -> bool:
    return _EVENT_DEFINITION.match(text) is not None


def _apply(session: Session, log: Log, start: int, end: int, guard: Guard) -> None:
    """Lets the replication thread work from one position to another."""
    if start == end:
        return
    base = log.legs[0][0]
    session.execute(
        "CHANGE MASTER TO master_host = '-', master_use_gtid = no,"
        f" relay_log_file = '{binlog.file_name(base, start)}',"
        f" relay_log_pos = {max(binlog.offset_of(start), len(binlog.MAGIC))}"
    )
    name, offset = binlog.file_name(base, end), binlog.offset_of(end)
    until = f"relay_log_file = '{name}', relay_log_pos = {offset}"
    session.execute(f"START SLAVE SQL_THREAD UNTIL {until}")
    while True:
        status = session.named_rows("SHOW SLAVE STATUS")[0]
        if status["Slave_SQL_Running"] != "Yes":
            break
        guard.wait(_POLL_SECONDS)
        guard.moved(0)
    reached = f"{status['Relay_Log_File']}:{status['Relay_Log_Pos']}"
    if status["Last_SQL_Errno"] or reached != f"{name}:{offset}":
        why = status["Last_SQL_Error"] or "it stopped there"
        raise RestoreDiffers(f"the replay did not reach {name}:{offset} but {reached}: {why}")
    session.execute("STOP SLAVE")


def _run(session: Session, transaction: Transaction) -> None:
    """Runs a statement as the session did that wrote it."""
    assert transaction.statement is not None
    query = binlog.query_of(transaction.statement)
    settings = [f"timestamp = {transaction.when}"]
    for name, value in query.settings.items():
        literal = session.literal(value.decode()) if isinstance(value, bytes) else str(value)
        settings.append(f"{name} = {literal}")
    if query.database:
        session.run(b"USE `" + query.database.replace(b"`", b"``") + b"`")
    session.execute(f"SET SESSION {', '.join(settings)}")
    text = query.text
    undefined = _WITHOUT_DEFINER.match(text)
    if undefined is not None and query.invoker is not None:
        user, host = (b"`" + name.replace(b"`", b"``") + b"`" for name in query.invoker)
        head = undefined[1]
        text = head + b"DEFINER=" + user + b"@" + host + b" " + text[len(head) :]
    try:
        session.run(text)
    finally:
        session.execute("SET NAMES utf8mb4, SESSION timestamp = DEFAULT")
        apply_base_settings(session)
