"""Reads MariaDB's binary log: events, and the transactions that they make up.

A position is the number of a file and the offset in it (`contracts.archive.FILE_SPAN`). Every event
says where the next one begins, so a hole shows. What cannot be read is refused, never guessed.
"""

import hashlib
import mmap
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from holdfast.contracts.archive import FILE_SPAN
from holdfast.domain.errors import EvidenceMissing

MAGIC = b"\xfebin"
HEADER_BYTES = 19
_HEADER = struct.Struct("<IBIIIH")
_GTID_BODY = struct.Struct("<QIB")
"""Number, domain, and flags."""
_CHECKSUM_BYTES = 4
_FORMAT_VERSION = 4
_FORMAT_BYTES = 1 << 12
_OFFSET_OF_FLAGS = 17
_IN_USE = 0x1
ARTIFICIAL = 0x20
"""Flag of an event that is in no file."""
_STANDALONE = 0x1
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,39})\.(\d{6,10})")


class Kind(IntEnum):
    """Types of events that mean something here."""

    QUERY = 2
    STOP = 3
    ROTATE = 4
    FORMAT = 15
    XID = 16
    HEARTBEAT = 27
    XA_PREPARE = 38
    HEARTBEAT_LONG = 41
    GTID = 162
    QUERY_COMPRESSED = 165


@dataclass(frozen=True, slots=True)
class Header:
    """`when` is in seconds: when the statement began that wrote the event. `next` is the offset
    behind the event, modulo 2^32."""

    when: int
    kind: int
    server: int
    size: int
    next: int
    flags: int


def header(data: bytes | memoryview | mmap.mmap, offset: int = 0) -> Header:
    """EvidenceMissing if the bytes at `offset` cannot be a header."""
    if len(data) < offset + HEADER_BYTES:
        raise EvidenceMissing("the binary log ends inside an event's header")
    head = Header(*_HEADER.unpack_from(data, offset))
    if head.size < HEADER_BYTES:
        raise EvidenceMissing(f"the binary log holds an event of {head.size} bytes")
    return head


def require_sound(event: bytes) -> None:
    """EvidenceMissing unless the event's checksum is right."""
    stored = int.from_bytes(event[-_CHECKSUM_BYTES:], "little")
    if len(event) < HEADER_BYTES + _CHECKSUM_BYTES or zlib.crc32(event[:-4]) != stored:
        raise EvidenceMissing("an event of the binary log has a wrong checksum")


@dataclass(frozen=True, slots=True)
class Format:
    """The event with which a file begins. `source` identifies the file."""

    has_checksums: bool
    source: str


def format_of(event: bytes) -> Format:
    """EvidenceMissing for a format that is not known. That event has a checksum in any case."""
    if len(event) < HEADER_BYTES + 2 + 50 + 4 + 1 + _CHECKSUM_BYTES + 1:
        raise EvidenceMissing("the binary log has a format that is cut off")
    data = bytearray(event)
    data[_OFFSET_OF_FLAGS] &= ~_IN_USE  # the server's own file has it while it is written
    require_sound(bytes(data))
    version = int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 2], "little")
    header_bytes = data[HEADER_BYTES + 2 + 50 + 4]
    algorithm = data[-_CHECKSUM_BYTES - 1]
    if version != _FORMAT_VERSION or header_bytes != HEADER_BYTES or algorithm > 1:
        raise EvidenceMissing("the binary log has a format that is not known")
    digest = hashlib.sha256(data[:-_CHECKSUM_BYTES]).hexdigest()
    return Format(algorithm == 1, digest[:32])


def source_of(path: Path) -> str:
    """The identity of a server's file. EvidenceMissing if that is no binary log."""
    with path.open("rb") as file:
        return source_in(file.read(len(MAGIC) + _FORMAT_BYTES))


def source_in(data: bytes) -> str:
    """As `source_of`, of the first bytes of a file."""
    head = header(data, len(MAGIC))
    if data[: len(MAGIC)] != MAGIC or head.kind != Kind.FORMAT or head.size > _FORMAT_BYTES:
        raise EvidenceMissing("this is no binary log")
    return format_of(data[len(MAGIC) : len(MAGIC) + head.size]).source


def split_name(name: str) -> tuple[str, int]:
    """Base and number of a file. EvidenceMissing for a name that no key could be made of."""
    match = _NAME.fullmatch(name)
    if match is None or ".." in name:
        raise EvidenceMissing(f"{name!r} is no name of a binary log that can be archived")
    return match[1], int(match[2])


def file_name(base: str, position: int) -> str:
    return f"{base}.{position // FILE_SPAN:06d}"


def offset_of(position: int) -> int:
    return position % FILE_SPAN


def show_position(position: int) -> str:
    """As people write it."""
    return f"{position // FILE_SPAN:06d}:{offset_of(position)}"


_POSITION = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*\.)?(\d{1,10}):(\d{1,10})")


def parse_position(text: str) -> int:
    """ValueError, which gives an example, unless it is a file and an offset."""
    match = _POSITION.fullmatch(text)
    if match is None or int(match[2]) >= FILE_SPAN or int(match[1]) >= 1 << 30:
        raise ValueError("mariadb-bin.000012:4711")
    return int(match[1]) * FILE_SPAN + int(match[2])


_GTID = re.compile(r"(\d{1,10})-(\d{1,10})-(\d{1,20})")


def precedes(position: Mapping[str, Any], transaction: str) -> bool:
    """Whether a snapshot's GTIDs, one a domain, come before a transaction's. ValueError unless that
    is a GTID."""
    match = _GTID.fullmatch(transaction)
    if match is None:
        raise ValueError("must be a GTID, such as 0-1-4711")
    domain, number = match[1], int(match[3])
    gtids = str(position.get("gtids") or "")
    reached = {
        gtid.partition("-")[0]: int(gtid.rpartition("-")[2]) for gtid in gtids.split(",") if gtid
    }
    return bool(reached) and reached.get(domain, 0) < number


@dataclass(frozen=True, slots=True)
class Transaction:
    """Events from `start` to `end`. `when` in seconds: when its last statement began, mostly the
    COMMIT. `statement`: the event of a statement that is a transaction by itself, else None."""

    start: int
    end: int
    when: int
    gtid: str
    statement: bytes | None


@dataclass(frozen=True, slots=True)
class Gtid:
    """What an event says that begins a transaction. `is_alone`: one statement is all of it."""

    text: str
    is_alone: bool


class LogFile:
    """One file, of which the first `length` bytes are there."""

    def __init__(self, path: Path, number: int, length: int) -> None:
        self._path = path
        self.begin = number * FILE_SPAN
        self._length = length
        self.checksum_bytes = 0

    def events(self, start: int) -> Iterator[tuple[int, Header, mmap.mmap]]:
        """Events from offset `start` on, which is where one begins: their own offsets, headers, and
        the bytes of the file."""
        if self._length <= len(MAGIC):
            return
        with self._path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(data) < self._length or data[: len(MAGIC)] != MAGIC:
            raise EvidenceMissing(f"{self._path.name} is not the binary log that was stored")
        first = self._event(data, len(MAGIC))
        has_checksums = format_of(data[len(MAGIC) : len(MAGIC) + first.size]).has_checksums
        self.checksum_bytes = _CHECKSUM_BYTES if has_checksums else 0
        offset = max(start, len(MAGIC))
        while offset < self._length:
            head = self._event(data, offset)
            yield offset, head, data
            offset += head.size

    def transactions(self, start: int) -> Iterator[Transaction]:
        """Those that begin at offset `start` or behind it and are there to their end."""
        begun, gtid = 0, None
        for offset, head, data in self.events(start):
            end = offset + head.size
            if head.kind == Kind.GTID:
                begun, gtid = offset, gtid_of(data, offset, head)
            elif gtid is not None:
                event_end = end - self.checksum_bytes
                if ends_transaction(data, offset, event_end, head, is_alone=gtid.is_alone):
                    statement = data[offset:event_end] if gtid.is_alone else None
                    start_at, end_at = self.begin + begun, self.begin + end
                    yield Transaction(start_at, end_at, head.when, gtid.text, statement)
                    gtid = None

    def _event(self, data: mmap.mmap, offset: int) -> Header:
        head = header(data, offset)
        end = offset + head.size
        if end > self._length or head.next != end % FILE_SPAN:
            raise EvidenceMissing(f"{self._path.name} holds no event at {offset}")
        return head


def gtid_of(data: mmap.mmap, offset: int, head: Header) -> Gtid:
    if head.size < HEADER_BYTES + _GTID_BODY.size:
        raise EvidenceMissing("the binary log holds a GTID that is cut off")
    number, domain, flags = _GTID_BODY.unpack_from(data, offset + HEADER_BYTES)
    return Gtid(f"{domain}-{head.server}-{number}", bool(flags & _STANDALONE))


def ends_transaction(
    data: mmap.mmap, offset: int, end: int, head: Header, *, is_alone: bool
) -> bool:
    """Whether a transaction ends with this event."""
    if head.kind in (Kind.XID, Kind.XA_PREPARE):
        return True
    if head.kind == Kind.QUERY_COMPRESSED:
        return is_alone
    if head.kind != Kind.QUERY:
        return False
    return is_alone or query_of(data[offset:end]).text.upper() in (b"COMMIT", b"ROLLBACK")


@dataclass(frozen=True, slots=True)
class Query:
    """A statement, its database, and `settings` of the session that it needs, by name. `invoker`:
    user and host of an account whose statement it was, where that matters."""

    database: bytes
    text: bytes
    settings: dict[str, int | bytes]
    invoker: tuple[bytes, bytes] | None


_VARIABLE_BYTES = {0: 4, 1: 8, 3: 4, 7: 2, 8: 2, 9: 8, 10: 4, 128: 3, 129: 8, 130: 8}
"""Sizes of the status variables of one length."""
_SQL_MODE, _CHARSETS, _TIME_ZONE, _CATALOG, _INVOKER = 1, 4, 5, 6, 11


def query_of(event: bytes) -> Query:
    """A statement's event, without its checksum."""
    fixed = HEADER_BYTES + 13
    if len(event) < fixed:
        raise EvidenceMissing("the binary log holds a statement that is cut off")
    database_bytes = event[HEADER_BYTES + 8]
    variables_bytes = int.from_bytes(event[HEADER_BYTES + 11 : fixed], "little")
    variables = event[fixed : fixed + variables_bytes]
    begin = fixed + variables_bytes
    if begin + database_bytes + 1 > len(event):
        raise EvidenceMissing("the binary log holds a statement that is cut off")
    database = event[begin : begin + database_bytes]
    text = event[begin + database_bytes + 1 :]
    try:
        settings, invoker = _settings(variables)
        if header(event).kind == Kind.QUERY_COMPRESSED:
            # One byte says how many bytes the length has that follows it.
            text = zlib.decompress(text[1 + (text[0] & 7) :])
    except (struct.error, IndexError, zlib.error) as error:
        raise EvidenceMissing("the binary log holds a statement that is cut off") from error
    return Query(database, text, settings, invoker)


def _settings(variables: bytes) -> tuple[dict[str, int | bytes], tuple[bytes, bytes] | None]:
    settings: dict[str, int | bytes] = {}
    invoker: tuple[bytes, bytes] | None = None
    at = 0
    while at < len(variables):
        code, at = variables[at], at + 1
        if code == _CHARSETS:
            client, connection, server = struct.unpack_from("<HHH", variables, at)
            settings |= {
                "character_set_client": client,
                "collation_connection": connection,
                "collation_server": server,
            }
            at += 6
        elif code in (_TIME_ZONE, _CATALOG):
            size = variables[at]
            if code == _TIME_ZONE:
                settings["time_zone"] = variables[at + 1 : at + 1 + size]
            at += 1 + size
        elif code == _INVOKER:
            host = at + 1 + variables[at]
            end = host + 1 + variables[host]
            invoker, at = (variables[at + 1 : host], variables[host + 1 : end]), end
        elif code in _VARIABLE_BYTES:
            if code == _SQL_MODE:
                settings["sql_mode"] = int.from_bytes(variables[at : at + 8], "little")
            at += _VARIABLE_BYTES[code]
        else:  # those behind it belong to other statements
            break
    if at > len(variables):
        raise IndexError(at)
    return settings, invoker
