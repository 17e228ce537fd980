"""Reads an RDB while it passes: its checksum, its structure from end to end, its keys per database.

The reader is fed chunks and walks through them in a thread of its own. It steps over keys and
values by their lengths, so its memory is one chunk. It cannot step over an object of an unknown
type: then the snapshot is refused.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Queue
from typing import Final

from crcmod.crcmod import mkCrcFun

from holdfast.domain.errors import EvidenceMissing, Failure, NotSupported
from holdfast.engines.redis.physical.rdb_cursor import Cursor

_CHECKSUM_BYTES = 8
_CHECKSUM_SINCE_VERSION = 5  # the first version whose files end with a checksum
_MAX_QUEUED_CHUNKS = 4  # chunks that may wait for the walker

# Jones' CRC-64, as the servers compute it.
_crc: Callable[[bytes, int], int] = mkCrcFun(0x1AD93D23594C935A9, initCrc=0, rev=True, xorOut=0)

EOF, SELECT, EXPIRE_S, EXPIRE_MS, RESIZE, AUX, FREQ, IDLE = 255, 254, 253, 252, 251, 250, 249, 248
MODULE_AUX, FUNCTION, SLOT_INFO = 247, 245, 244

_SINGLE_STRING: Final = (0, 9, 10, 11, 12, 13, 16, 17, 20)
_PLAIN: Final = bytes(kind in _SINGLE_STRING for kind in range(256))
_STRINGS_PER_ENTRY: Final = {1: 1, 2: 1, 4: 2, 14: 1}
_STREAMS: Final = {15: 1, 19: 2, 21: 3, 26: 4}


_FIRST_SPECIAL_SCORE: Final = 253
_IS_LOG: Final = (
    "the file is an append-only file that begins with an RDB: the commands after it would be lost."
    " Let the server write an RDB (BGSAVE, or redis-cli --rdb FILE) and take that"
)


def _has_checksum(version: str) -> bool:
    return not version.startswith("REDIS") or int(version[-3:]) >= _CHECKSUM_SINCE_VERSION


@dataclass
class Contents:
    """What an RDB holds. `keys` and `expiring` by database number."""

    version: str = ""
    keys: dict[int, int] = field(default_factory=dict[int, int])
    expiring: dict[int, int] = field(default_factory=dict[int, int])
    functions: int = 0
    modules: set[str] = field(default_factory=set[str])
    aux: dict[str, str] = field(default_factory=dict[str, str])
    size: int = 0
    checksum: str = ""

    def facts(self) -> Mapping[str, object]:
        return {
            "rdbVersion": self.version,
            "keys": {str(number): count for number, count in sorted(self.keys.items())},
            "expiring": {str(number): count for number, count in sorted(self.expiring.items())},
            "functions": self.functions,
            "modules": sorted(self.modules),
            "bytes": self.size,
            "checksum": self.checksum,
        }


class RdbReader:
    """Reads an RDB: `feed` every chunk, then `finish`; `close` in any case."""

    def __init__(self) -> None:
        self._chunks: Queue[bytes | None] = Queue(_MAX_QUEUED_CHUNKS)
        self._ended = False
        self._contents = Contents()
        self._failure: Exception | None = None
        self._last_bytes = b""
        self._crc = 0
        self._walker = threading.Thread(target=self._walk, daemon=True)
        self._walker.start()

    def feed(self, chunk: bytes) -> None:
        """Takes a chunk. Raises EvidenceMissing for damage found so far."""
        self._contents.size += len(chunk)
        data = self._last_bytes + chunk
        self._crc = _crc(data[:-_CHECKSUM_BYTES], self._crc)
        self._last_bytes = data[-_CHECKSUM_BYTES:]
        self._chunks.put(chunk)
        if isinstance(self._failure, EvidenceMissing):
            raise self._failure

    def finish(self) -> Contents:
        """The contents, once the checksum is verified.

        An unknown type is reported only then: in a damaged file it may be no type at all.
        """
        self.close()
        if isinstance(self._failure, EvidenceMissing):
            raise self._failure
        stored, computed = int.from_bytes(self._last_bytes, "little"), self._crc
        stored *= _has_checksum(self._contents.version)
        if stored and stored != computed:
            raise EvidenceMissing(
                f"the RDB's checksum is {stored:016x}, its bytes have {computed:016x}"
            )
        if self._failure is not None:
            raise self._failure
        self._contents.checksum = f"{stored:016x}" if stored else ""
        return self._contents

    def close(self) -> None:
        """Ends the walker."""
        if self._walker.is_alive():
            self._chunks.put(None)
            self._walker.join()

    def _walk(self) -> None:
        try:
            _Walker(Cursor(self._next), self._contents).run()
        except Failure as error:
            self._failure = error
        except (ValueError, OverflowError) as error:
            self._failure = EvidenceMissing(f"the RDB cannot be read: {error}")
        while not self._ended:
            self._next()  # `feed` must not block

    def _next(self) -> bytes | None:
        chunk = self._chunks.get()
        self._ended = chunk is None
        return chunk


class _Walker:
    def __init__(self, cursor: Cursor, contents: Contents) -> None:
        self._cursor = cursor
        self._contents = contents

    def run(self) -> None:
        contents, cursor = self._contents, self._cursor
        contents.version = cursor.take(9).decode("ascii", "replace")
        if not (
            contents.version.startswith(("REDIS", "VALKEY")) and contents.version[-3:].isdigit()
        ):
            raise EvidenceMissing(f"what came is no RDB: it begins with {contents.version!r}")
        database = keys = expiring = 0
        while True:
            entries, timed = cursor.skip_small(_PLAIN, EXPIRE_MS)
            keys, expiring = keys + entries, expiring + timed
            kind = cursor.byte()
            if kind == EOF:
                break
            if kind in _SINGLE_STRING:
                cursor.skip_strings(2)
                keys += 1
            elif kind <= 30:
                cursor.skip_strings(1)
                self.value(kind)
                keys += 1
            elif kind in (EXPIRE_MS, EXPIRE_S):
                cursor.skip(8 if kind == EXPIRE_MS else 4)
                expiring += 1
            elif kind == SELECT:
                self.note(database, keys, expiring)
                database, keys, expiring = cursor.length(), 0, 0
            else:
                self.special(kind)
        self.note(database, keys, expiring)
        cursor.skip(_CHECKSUM_BYTES * _has_checksum(contents.version))
        cursor.require_end(_IS_LOG if contents.aux.get("aof-preamble") == "1" else "")

    def note(self, database: int, keys: int, expiring: int) -> None:
        if keys:
            self._contents.keys[database] = self._contents.keys.get(database, 0) + keys
            self._contents.expiring[database] = self._contents.expiring.get(database, 0) + expiring

    def special(self, kind: int) -> None:
        cursor = self._cursor
        if kind == AUX:
            name, value = cursor.string(), cursor.string()
            self._contents.aux[name.decode(errors="replace")] = value.decode(errors="replace")
        elif kind == RESIZE:
            cursor.skip_lengths(2)
        elif kind == SLOT_INFO:
            cursor.skip_lengths(3)
        elif kind == FREQ:
            cursor.skip(1)
        elif kind == IDLE:
            cursor.skip_lengths(1)
        elif kind == FUNCTION:
            cursor.skip_strings(1)
            self._contents.functions += 1
        elif kind == MODULE_AUX:
            self.module()
        else:
            raise NotSupported(
                f"the RDB ({self._contents.version}) has a part of unknown kind {kind}"
            )

    def value(self, kind: int) -> None:
        cursor = self._cursor
        if kind in _STRINGS_PER_ENTRY:
            cursor.skip_strings(cursor.length() * _STRINGS_PER_ENTRY[kind])
        elif kind == 18:  # list of plain or packed nodes
            for _ in range(cursor.length()):
                cursor.skip_lengths(1)
                cursor.skip_strings(1)
        elif kind in (3, 5):
            self.sorted_set(binary=kind == 5)
        elif kind in _STREAMS:
            self.stream(_STREAMS[kind])
        elif kind == 7:
            self.module()
        elif kind in (22, 24, 25):
            self.expiring_hash(kind)
        else:
            raise NotSupported(
                f"the RDB ({self._contents.version}) has a value of unknown type {kind}"
            )

    def sorted_set(self, *, binary: bool) -> None:
        """Scores are doubles, or in the first versions digits after their count.

        Three values of the count mean the infinities and NaN.
        """
        cursor = self._cursor
        for _ in range(cursor.length()):
            cursor.skip_strings(1)
            size = 8 if binary else cursor.byte()
            cursor.skip(size if size < _FIRST_SPECIAL_SCORE else 0)

    def expiring_hash(self, kind: int) -> None:
        """Fields with a time to live: Valkey's (22), Redis' as a table (24) or packed (25)."""
        cursor = self._cursor
        if kind == 22:
            for _ in range(cursor.length()):
                cursor.skip_strings(2)
                cursor.skip(8)
            return
        cursor.skip(8)
        if kind == 25:
            cursor.skip_strings(1)
            return
        for _ in range(cursor.length()):
            cursor.skip_lengths(1)
            cursor.skip_strings(2)

    def stream(self, version: int) -> None:
        cursor = self._cursor
        cursor.skip_strings(2 * cursor.length())
        cursor.skip_lengths(3 if version == 1 else 8)
        for _ in range(cursor.length()):  # consumer groups
            cursor.skip_strings(1)
            cursor.skip_lengths(2 if version == 1 else 3)
            for _ in range(cursor.length()):  # pending entries: id, time, deliveries
                cursor.skip(24)
                cursor.skip_lengths(1)
            for _ in range(cursor.length()):  # consumers
                cursor.skip_strings(1)
                cursor.skip(16 if version >= 3 else 8)
                cursor.skip(16 * cursor.length())
        if version == 4:
            self.idempotent_messages()

    def idempotent_messages(self) -> None:
        """A stream's record of messages that producers may send again (Redis 8.6)."""
        cursor = self._cursor
        cursor.skip_lengths(2)
        for _ in range(cursor.length()):  # producers
            cursor.skip_strings(1)
            for _ in range(cursor.length()):  # their messages
                cursor.skip_strings(1)
                cursor.skip_lengths(2)
        cursor.skip_lengths(2)

    def module(self) -> None:
        """Values of modules give the length of each part."""
        cursor = self._cursor
        bits = cursor.length() >> 10  # nine characters of six bits, above ten bits of version
        name = "".join(_NAME_ALPHABET[bits >> 6 * index & 63] for index in range(8, -1, -1))
        self._contents.modules.add(name)
        while (part := cursor.length()) != 0:
            if part in (1, 2):
                cursor.skip_lengths(1)
            elif part == 3:
                cursor.skip(4)
            elif part == 4:
                cursor.skip(8)
            elif part == 5:
                cursor.skip_strings(1)
            else:
                raise EvidenceMissing(f"a module's value has a part of unknown kind {part}")


_NAME_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
