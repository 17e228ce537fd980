"""Binary logs are read exactly, or refused by name."""

import struct
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.contracts.archive import FILE_SPAN, Log, Stop, Target
from holdfast.contracts.snapshots import LOG_POSITION
from holdfast.domain.errors import EvidenceMissing, RestoreDiffers
from holdfast.engines.mysql.physical import binlog, log_replay
from holdfast.engines.mysql.physical.binlog import Kind, LogFile
from holdfast.engines.mysql.physical.dump_stream import Packets

FORMAT = struct.pack("<H50sIB", 4, b"10.11.19-MariaDB-log", 0, 19) + bytes(170) + b"\1"


class Written:
    """A file of a binary log, as a server writes it."""

    def __init__(self) -> None:
        self.data = bytearray(binlog.MAGIC)
        self.add(Kind.FORMAT, FORMAT, 100)

    def add(self, kind: int, body: bytes, when: int) -> int:
        """Returns the offset behind the event."""
        size = 19 + len(body) + 4
        end = len(self.data) + size
        event = struct.pack("<IBIIIH", when, kind, 7, size, end, 0) + body
        self.data += event + zlib.crc32(event).to_bytes(4, "little")
        return end

    def commit(self, number: int, when: int) -> int:
        self.add(Kind.GTID, struct.pack("<QIB6x", number, 0, 0), when)
        self.add(23, b"rows", when)
        return self.add(Kind.XID, bytes(8), when)

    def define(self, number: int, when: int, text: bytes) -> int:
        self.add(Kind.GTID, struct.pack("<QIB6x", number, 0, 1), when)
        body = struct.pack("<IIBHH", 1, 0, 1, 0, 9) + b"\1" + bytes(8) + b"d\0" + text
        return self.add(Kind.QUERY, body, when)


def log_of(directory: Path, *files: Written, clocks: tuple[tuple[int, int], ...] = ()) -> Log:
    for number, file in enumerate(files, 1):
        (directory / f"m.{number:06d}").write_bytes(file.data)
    end = len(files) * FILE_SPAN + len(files[-1].data)
    return Log(directory, [("m", FILE_SPAN, end)], FILE_SPAN, clocks)


@pytest.fixture
def one(tmp_path: Path) -> tuple[Log, list[int]]:
    """Three commits, of the seconds 100, 103 and 102, and where they end."""
    file = Written()
    ends = [FILE_SPAN + file.commit(n, when) for n, when in ((1, 100), (2, 103), (3, 102))]
    return log_of(tmp_path, file), ends


def base(end: int = FILE_SPAN + 4, gtids: str = "") -> dict[str, object]:
    return {LOG_POSITION: {"end": end, "gtids": gtids}}


def last(stop: Stop) -> str | None:
    return stop.last.transaction if stop.last else None


def test_lists_transactions_over_files(tmp_path: Path) -> None:
    first, second = Written(), Written()
    first.commit(1, 100)
    second.define(2, 101, b"CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1")
    listed = list(log_replay.transactions(log_of(tmp_path, first, second)))
    assert [item.gtid for item in listed] == ["0-7-1", "0-7-2"]
    assert listed[0].end == FILE_SPAN + len(first.data)
    assert listed[1].statement is not None
    query = binlog.query_of(listed[1].statement)
    assert (query.database, query.text[:12]) == (b"d", b"CREATE EVENT")


def test_a_compressed_statement_is_read(tmp_path: Path) -> None:
    file, text = Written(), b"CREATE EVENT e DO SELECT 1"
    file.add(Kind.GTID, struct.pack("<QIB6x", 1, 0, 1), 100)
    head = struct.pack("<IIBHH", 1, 0, 1, 0, 0) + b"d\0"
    packed = bytes([0x81, len(text)]) + zlib.compress(text)
    file.add(Kind.QUERY_COMPRESSED, head + packed, 100)
    [transaction] = log_replay.transactions(log_of(tmp_path, file))
    assert transaction.statement is not None
    assert binlog.query_of(transaction.statement).text == text


@pytest.mark.parametrize(
    ("instant", "inclusive", "transaction"),
    [(99_999, True, None), (100_000, True, "0-7-1"), (102_999, True, "0-7-1"),
     (103_000, True, "0-7-3"), (100_000, False, None), (104_000, False, "0-7-3")],
)  # fmt: skip
def test_an_instant_leaves_out_what_began_later_and_all_behind(
    one: tuple[Log, list[int]], instant: int, inclusive: bool, transaction: str | None
) -> None:
    target = Target(instant=instant, inclusive=inclusive)
    assert last(log_replay.settle_stop(one[0], base(), target)) == transaction


def test_a_commit_is_not_earlier_than_a_clock_before_it(tmp_path: Path) -> None:
    """A session may set its clock, and a statement may take long."""
    file = Written()
    first = FILE_SPAN + file.commit(1, 100)
    file.commit(2, 50)
    second = FILE_SPAN + len(file.data)
    file.commit(3, 10**6)
    log = log_of(tmp_path, file, clocks=((first, 105_000), (second, 106_000)))
    assert [c.instant for c in log_replay.commits(log)] == [100_000, 105_000, 10**9]


def test_a_position_that_was_read_long_after_its_clock_dates_nothing_back(tmp_path: Path) -> None:
    file = Written()
    file.commit(1, 100)
    slow = FILE_SPAN + file.commit(2, 104)
    file.commit(3, 105)
    end = FILE_SPAN + len(file.data)
    log = log_of(tmp_path, file, clocks=((slow, 101_000), (end, 105_500)))
    assert [c.instant for c in log_replay.commits(log)] == [100_000, 104_000, 105_000]


def test_a_position_or_a_transaction_is_a_target(one: tuple[Log, list[int]]) -> None:
    log, ends = one
    for position, inclusive, expected in (
        (ends[1], True, "0-7-2"), (ends[1], False, "0-7-1"), (ends[1] - 1, True, "0-7-1"),
    ):  # fmt: skip
        target = Target(position=position, inclusive=inclusive)
        assert last(log_replay.settle_stop(log, base(), target)) == expected
    with_it = log_replay.settle_stop(log, base(), Target(transaction="0-7-3"))
    before = log_replay.settle_stop(log, base(), Target(transaction="0-7-3", inclusive=False))
    assert (last(with_it), last(before)) == ("0-7-3", "0-7-2")
    with pytest.raises(RestoreDiffers, match="0-7-9 did not commit in this log"):
        log_replay.settle_stop(log, base(), Target(transaction="0-7-9"))


def test_a_snapshot_of_another_log_is_refused(one: tuple[Log, list[int]]) -> None:
    log, ends = one
    target = Target(transaction="0-7-3")
    log_replay.settle_stop(log, base(ends[0], "0-7-1"), target)
    for end, gtids in ((ends[0], "0-7-2"), (ends[0] - 1, "0-7-1")):
        with pytest.raises(EvidenceMissing, match="is not that of the snapshot"):
            log_replay.settle_stop(log, base(end, gtids), target)


WRITTEN = Written()
WRITTEN.commit(1, 100)
WRITTEN.define(2, 101, b"CREATE TABLE t (n INT)")
WHOLE = bytes(WRITTEN.data)


@pytest.fixture(scope="module")
def mutant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutants") / "m.000001"


@given(at=st.integers(0, len(WHOLE) - 1), change=st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_no_position(
    mutant: Path, at: int, change: int
) -> None:
    damaged, file = bytearray(WHOLE), mutant
    damaged[at] ^= change
    file.write_bytes(damaged)
    with suppress(EvidenceMissing):
        listed = list(LogFile(file, 1, len(damaged)).transactions(0))
        assert all(FILE_SPAN < item.start < item.end <= FILE_SPAN + len(WHOLE) for item in listed)


@given(st.integers(4, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_event_has_a_wrong_checksum(at: int, change: int) -> None:
    offset = 4
    while at >= offset + binlog.header(WHOLE, offset).size:
        offset += binlog.header(WHOLE, offset).size
    event = bytearray(WHOLE[offset : offset + binlog.header(WHOLE, offset).size])
    binlog.require_sound(bytes(event))
    event[at - offset] ^= change
    with pytest.raises(EvidenceMissing, match="checksum"):
        binlog.require_sound(bytes(event))


@given(st.binary(max_size=200))
def test_garbage_is_no_format_and_no_statement(data: bytes) -> None:
    with pytest.raises(EvidenceMissing):
        binlog.format_of(data)
    with suppress(EvidenceMissing):
        binlog.query_of(data)


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 50))
def test_packets_come_whole_whatever_the_pieces(payloads: list[bytes], size: int) -> None:
    stream = b"".join(len(p).to_bytes(3, "little") + b"\0" + p for p in payloads)
    packets, taken = Packets(), list[bytes]()
    for at in range(0, len(stream), size):
        packets.put(stream[at : at + size])
        while (packet := packets.take()) is not None:
            taken.append(packet)
    assert taken == payloads


def test_a_long_packet_comes_in_several() -> None:
    most = (1 << 24) - 1
    packets = Packets()
    packets.put(b"\xff\xff\xff\0" + b"x" * most)
    assert packets.take() is None
    packets.put(b"\1\0\0\1y")
    assert packets.take() == b"x" * most + b"y"


def test_only_a_file_and_an_offset_are_a_position() -> None:
    assert binlog.parse_position("mariadb-bin.000012:345") == 12 * FILE_SPAN + 345
    assert binlog.parse_position("000012:345") == 12 * FILE_SPAN + 345
    for text in ("12", "12:", ":4", "1:4294967296", "1:2:3"):
        with pytest.raises(ValueError, match=r"mariadb-bin\.000012:4711"):
            binlog.parse_position(text)


def test_a_snapshot_knows_the_transactions_before_it_by_domain() -> None:
    position = {"gtids": "0-1-77,5-2-9"}
    before = [binlog.precedes(position, gtid) for gtid in ("0-1-77", "5-2-8", "5-1-9")]
    behind = [binlog.precedes(position, gtid) for gtid in ("0-9-78", "5-2-10", "3-1-1")]
    assert (before, behind) == ([False] * 3, [True] * 3)
    assert not binlog.precedes({"gtids": ""}, "0-1-1")  # nothing was noted
    with pytest.raises(ValueError, match="must be a GTID"):
        binlog.precedes(position, "77")


@pytest.mark.parametrize(
    "text",
    [b"CREATE EVENT e", b"/* x */ create or replace definer=`a b`@`%` event e",
     b"ALTER DEFINER='x'@'h' EVENT e", b"ALTER EVENT e DISABLE"],
)  # fmt: skip
def test_knows_what_defines_an_event(text: bytes) -> None:
    assert log_replay.defines_event(text)
    assert not log_replay.defines_event(b"CREATE TABLE event (n INT)")
