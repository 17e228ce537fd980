"""Decides where a replay of archived WAL stops, and proves that it stopped there.

Always by position, never by `recovery_target_time`: a time later than the last commit is an error
to the server, a time without a zone is the server's own, and the times of commits run backwards by
some ms. So a time becomes a position first, by reading the commits.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg.errors import InsufficientPrivilege

from holdfast.contracts.archive import Commit, Log, Point, Replay, Stop, Target
from holdfast.contracts.engine import Address
from holdfast.contracts.snapshots import LOG_POSITION
from holdfast.domain.errors import AddonRefused, EvidenceMissing, RestoreDiffers
from holdfast.engines.postgresql.client import tools
from holdfast.engines.postgresql.client.address import connect
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.physical.following import EPOCH_MS, show_lsn
from holdfast.engines.postgresql.physical.snapshot import parse_lsn
from holdfast.kit.processes.process import Command, run

_COMMIT = re.compile(
    r"tx:\s*(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), .*desc: (?:COMMIT|COMMIT_PREPARED|PREPARE)\b.*?"
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d+))? UTC"
)
_POINT = re.compile(r"lsn: ([0-9A-F]+/[0-9A-F]+), .*?desc: RESTORE_POINT (.*)")
_MAX_NAME_BYTES = 63
_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_POSITION = re.compile(r"[0-9A-F]+/[0-9A-F]+")
_FORK = re.compile(r"\s*\d+\s+([0-9A-F]+/[0-9A-F]+)")
_NOT_REACHED = "recovery ended before configured recovery target was reached"
_REDONE = re.compile(r"redo done at ([0-9A-F]+/[0-9A-F]+)")
_LAST_COMMIT = re.compile(r"last completed transaction was at log time (.+)")
_READ_SECONDS = 24 * 3600
_NUMBERS = 1 << 32
"""Transactions are numbered in a circle of so many."""
_PAGE_BYTES, _HEADER_BYTES, _SHORT_HEADER_BYTES = 8192, 40, 24
_SMALLEST_RECORD_BYTES = 24
_POINT_CLOCK = struct.Struct("<26xq")
"""Of a restore point: the record's header, then in µs since 2000 when it was made."""


def commits(tools_dir: Path, version: str, log: Log) -> list[Commit]:
    """Every commit in the log, in the order in which it is replayed."""
    chosen = tools.server(tools_dir, version)
    listed: list[Commit] = []
    reached = 0
    for line, start, end in log.legs:
        # A line's first segment holds the end of its parent's log once more.
        if (begin := max(start, reached)) < end:
            listed += _commits_of(chosen, log, line, begin, end)
        reached = end
    return listed


def _commits_of(chosen: ToolSet, log: Log, line: str, start: int, end: int) -> Iterator[Commit]:
    for text in _records(chosen, log, line, start, end, "Transaction"):
        if match := _COMMIT.search(text):
            yield Commit(parse_lsn(match[2]), instant_of(match[3], match[4]), match[1])


def _records(chosen: ToolSet, log: Log, line: str, start: int, end: int, manager: str) -> list[str]:
    """What `pg_waldump` prints of the records of one resource manager."""
    bounds = ["-s", show_lsn(start), "-e", show_lsn(end), "-t", str(int(line, 16))]
    argv = [chosen.program("pg_waldump"), "-p", str(log.directory), *bounds, "-r", manager]
    environment = {**chosen.environment, "TZ": "UTC", "LC_ALL": "C"}
    finished = run(Command(argv, env=environment, cwd="/"), timeout=_READ_SECONDS)
    if finished.status:
        require_whole(log, line, end, finished.stderr)
    return finished.stdout.decode(errors="replace").splitlines()


def locate(tools_dir: Path, version: str, logs: Iterable[Log], name: str) -> int:
    """The position of the restore point of that name. RestoreDiffers unless there is one."""
    chosen = tools.server(tools_dir, version)
    positions: set[int] = set()
    legs: list[tuple[str, int, int]] = []
    for log in logs:
        legs += log.legs
        for line, start, end in log.legs:
            for text in _records(chosen, log, line, start, end, "XLOG"):
                if (match := _POINT.search(text)) and match[2] == name:
                    positions.add(parse_lsn(match[1]))
    return single_point(sorted(positions), name, legs)


def mark(address: Address, name: str) -> Point:
    if not name.isprintable() or not 0 < len(name.encode()) <= _MAX_NAME_BYTES:
        raise ValueError(f"must be 1 to {_MAX_NAME_BYTES} bytes of printable text")
    with translated(), connect(address) as session:
        try:
            row = session.execute(
                "SELECT left(pg_walfile_name(point), 8), point - '0/0'::pg_lsn,"
                " ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
                " FROM pg_create_restore_point(%s) point",
                [name],
            ).fetchone()
        except InsufficientPrivilege as error:
            raise AddonRefused(
                "the user may not name points:"
                f' GRANT EXECUTE ON FUNCTION pg_create_restore_point TO "{address.user}"',
                reason="rights",
            ) from error
    assert row is not None
    return Point(str(row[0]), int(row[1]), int(row[2]))


def instant_of(seconds: str, fraction: str | None) -> int:
    """Ms of a time as `pg_waldump` prints it. Rounded up: a commit is never before the instant that
    people are shown for it."""
    moment = datetime.fromisoformat(seconds).replace(tzinfo=UTC)
    micro = int((fraction or "0").ljust(6, "0")[:6])
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1) + -(
        -micro // 1000
    )


def require_whole(log: Log, line: str, end: int, words: str) -> None:
    """EvidenceMissing unless all was read up to a record that is not there whole any more."""
    last = words.strip().splitlines()[-1] if words.strip() else "no reason"
    positions = [parse_lsn(text) for text in _POSITION.findall(last)]
    if not positions:
        raise EvidenceMissing(f"the archived WAL cannot be read: {last}")
    reached = max(positions)
    if reached >= end:
        return
    tail = read_log(log, line, reached, end)
    size = struct.unpack("<I", tail[:4].ljust(4, b"\0"))[0]
    room = (len(tail) // _PAGE_BYTES + 2) * _HEADER_BYTES
    is_cut = size >= _SMALLEST_RECORD_BYTES and size + room > len(tail)
    if tail.strip(b"\0") and not is_cut:
        raise EvidenceMissing(f"the archived WAL is damaged at {show_lsn(reached)}: {last}")


def instant_of_point(log: Log, line: str, position: int) -> int:
    """When the restore point at `position` was made, in ms; `pg_waldump` does not print that."""
    data = b""
    while (missing := _POINT_CLOCK.size - len(data)) > 0:
        page_end = position - position % _PAGE_BYTES + _PAGE_BYTES
        data += read_log(log, line, position, min(page_end, position + missing))
        is_first = page_end % log.segment == 0
        position = page_end + (_HEADER_BYTES if is_first else _SHORT_HEADER_BYTES)
    (micro,) = _POINT_CLOCK.unpack(data)
    return EPOCH_MS - (-micro // 1000)


def read_log(log: Log, line: str, start: int, end: int) -> bytes:
    parts: list[bytes] = []
    while start < end:
        offset = start % log.segment
        size = min(end - start, log.segment - offset)
        with (log.directory / file_name(line, start, log.segment)).open("rb") as file:
            file.seek(offset)
            parts.append(file.read(size))
        start += size
    return b"".join(parts)


def file_name(line: str, position: int, segment: int) -> str:
    number, per_id = position // segment, (1 << 32) // segment
    return f"{line}{number // per_id:08X}{number % per_id:08X}"


def parse_position(text: str) -> int:
    """ValueError, which gives an example, unless the text is an LSN."""
    if _LSN.fullmatch(text) is None:
        raise ValueError("16/B374D848")
    return parse_lsn(text)


def precedes(position: Mapping[str, Any], transaction: str) -> bool:
    """Whether the transaction had not begun at the end of a snapshot."""
    if not transaction.isdecimal():
        raise ValueError("must be a number")
    upcoming = position.get("next")
    if upcoming is None:
        return False
    return (int(transaction) - int(upcoming)) % _NUMBERS < _NUMBERS // 2


def settle_stop(
    tools_dir: Path, version: str, log: Log, base: Mapping[str, Any], target: Target
) -> Stop:
    """RestoreDiffers when the log does not hold the target."""
    consistent = int(base[LOG_POSITION]["end"])
    listed = [c for c in commits(tools_dir, version, log) if c.position >= consistent]
    if target.position is not None:
        # A position in the middle of a record would stop behind it, perhaps behind a commit more.
        limit = target.position + 1 if target.inclusive else target.position
        return _stop_after(listed, [c.position < limit for c in listed])
    if target.transaction is not None:
        named = [commit for commit in listed if commit.transaction == target.transaction]
        if not named:
            raise RestoreDiffers(f"transaction {target.transaction} did not commit in this log")
        return _stop_at(listed, named[-1].position, inclusive=target.inclusive)
    assert target.instant is not None
    latest = target.instant if target.inclusive else target.instant - 1
    return _stop_after(listed, [commit.instant <= latest for commit in listed])


def single_point(positions: Sequence[int], name: str, legs: Sequence[tuple[str, int, int]]) -> int:
    """RestoreDiffers unless exactly one point has the name."""
    if not positions:
        first, last = show_lsn(legs[0][1]), show_lsn(legs[-1][2])
        raise RestoreDiffers(f"no point is called {name!r} in the log from {first} to {last}")
    if len(positions) > 1:
        shown = ", ".join(show_lsn(position) for position in positions)
        raise RestoreDiffers(
            f"{len(positions)} points are called {name!r}: restore to the position of the one that"
            f" is meant, {shown}"
        )
    return positions[0]


def _stop_after(listed: Sequence[Commit], is_kept: Sequence[bool]) -> Stop:
    """Right after the last commit that is to be kept, by position."""
    before = [number for number, stays in enumerate(is_kept) if stays]
    if not before:  # not one commit between the base and the target
        return Stop(None, inclusive=True, last=None, next=listed[0] if listed else None)
    number = before[-1]
    following = listed[number + 1] if number + 1 < len(listed) else None
    return Stop(listed[number].position, inclusive=True, last=listed[number], next=following)


def _stop_at(listed: Sequence[Commit], position: int, *, inclusive: bool) -> Stop:
    within = [c for c in listed if c.position < position or (inclusive and c.position == position)]
    beyond = listed[len(within) :]
    last, following = within[-1] if within else None, beyond[0] if beyond else None
    return Stop(position, inclusive, last, following)


def settings(replay: Replay) -> Mapping[str, str]:
    """Of the server that replays. Its timeline is a number: `latest` could be another's."""
    stop = replay.stop
    point = {"recovery_target": "immediate"}
    if stop.position is not None:
        inclusive = "on" if stop.inclusive else "off"
        lsn = show_lsn(stop.position)
        point = {
            "recovery_target": "",
            "recovery_target_lsn": lsn,
            "recovery_target_inclusive": inclusive,
        }
    return {
        **point,
        "restore_command": f'cp "{replay.log.directory}/%f" "%p"',
        "recovery_target_timeline": str(int(replay.log.legs[-1][0], 16)),
    }


def not_reached(words: str, stop: Stop) -> str:
    """How far a replay came that ended before its stop, from the server's log; empty: it did not
    end for that reason."""
    if _NOT_REACHED not in words:
        return ""
    redone, commit = _REDONE.search(words), _LAST_COMMIT.search(words)
    end = redone[1] if redone else "its beginning"
    target = show_lsn(stop.position) if stop.position is not None else "a consistent state"
    last = f"; the last transaction in it was at {commit[1]}" if commit else ""
    return f"the replay ended at {end}, before it reached {target}{last}"


def require_stopped(data: Path, timeline: int, stop: Stop) -> int:
    """The position at which the new timeline begins. RestoreDiffers unless it is where it had to
    be: behind the last commit that is kept, and not behind the first that is left out."""
    text = (data / "pg_wal" / f"{timeline:08X}.history").read_text()
    positions = [parse_lsn(match[1]) for line in text.splitlines() if (match := _FORK.match(line))]
    forked = positions[-1]
    early = stop.last is not None and forked <= stop.last.position
    late = stop.next is not None and forked > stop.next.position
    if early or late:
        raise RestoreDiffers(
            f"the replay stopped at {show_lsn(forked)}, {'too early' if early else 'too late'}"
        )
    return forked
