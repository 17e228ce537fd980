"""Counts the rows in events of MariaDB's and MySQL's binary log.

A rows event has no count: its rows follow one another, each as long as its columns say, whose types
the table's map gives that comes before it.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mysql.physical.binlog import HEADER_BYTES

TABLE_MAP = 19
_WRITES, _UPDATES, _DELETES = {23, 30, 166, 169}, {24, 31, 167, 170}, {25, 32, 168, 171}
ROWS = _WRITES | _UPDATES | _DELETES
_COMPRESSED = {166, 167, 168, 169, 170, 171}
_WITH_EXTRA = {30, 31, 32, 169, 170, 171}
"""Version 2 has a part of any length behind the flags."""

_FIXED = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 7: 4, 8: 8, 9: 3, 10: 3, 11: 3, 12: 8, 13: 1, 14: 3}
"""Bytes of values of one length, by the type's number."""
_FRACTIONS = {17: 4, 18: 5, 19: 3}
"""Timestamps, times with a date and times: bytes without the fraction of a second."""
_DECIMAL, _ENUM, _SET, _STRING, _BIT = 246, 247, 248, 254, 16
_VARIABLE = {15, 141, 253}
_BLOBS = {140, 245, 249, 250, 251, 252, 255}
_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
_META_BYTES = {4: 1, 5: 1, 15: 2, 141: 2, 253: 2, 16: 2, 246: 2, 254: 2, 247: 2, 248: 2,
               17: 1, 18: 1, 19: 1, 140: 1, 245: 1, 249: 1, 250: 1,
               251: 1, 252: 1, 255: 1}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """`sizes`: of each column its bytes; a negative number: so many bytes of length come first."""

    database: str
    name: str
    sizes: Sequence[int]


def table_of(event: bytes) -> tuple[int, Table]:
    """The table that a map without its checksum gives a number to. EvidenceMissing if cut off."""
    try:
        at = HEADER_BYTES + 8
        database, at = _text(event, at)
        name, at = _text(event, at)
        count, at = _packed(event, at)
        types, at = event[at : at + count], at + count
        _, at = _packed(event, at)
        sizes: list[int] = []
        for kind in types:
            width = _META_BYTES.get(kind, 0)
            sizes.append(column_bytes(kind, event[at : at + width]))
            at += width
    except (IndexError, struct.error) as error:
        raise EvidenceMissing("the binary log holds a table's map that is cut off") from error
    return number_of(event), Table(database, name, sizes)


def number_of(event: bytes) -> int:
    return int.from_bytes(event[HEADER_BYTES : HEADER_BYTES + 6], "little")


def rows_of(event: bytes, kind: int, table: Table) -> tuple[int, int, int]:
    """Inserted, updated and deleted rows of an event without its checksum. EvidenceMissing if the
    rows do not fill it."""
    try:
        at = HEADER_BYTES + 8
        if kind in _WITH_EXTRA:
            at += int.from_bytes(event[at : at + 2], "little")
        columns, at = _packed(event, at)
        width = (columns + 7) // 8
        images = [_present(event, at, table.sizes)]
        at += width
        if kind in _UPDATES:
            images.append(_present(event, at, table.sizes))
            at += width
        body = event[at:]
        if kind in _COMPRESSED:
            body = zlib.decompress(body[1 + (body[0] & 7) :])
        count = _count(body, images) // len(images)
    except (IndexError, struct.error, zlib.error) as error:
        raise EvidenceMissing("the binary log holds rows that are cut off") from error
    if kind in _WRITES:
        return count, 0, 0
    return (0, count, 0) if kind in _UPDATES else (0, 0, count)


def _present(event: bytes, at: int, sizes: Sequence[int]) -> list[int]:
    """Sizes of the columns that the images of rows have."""
    return [size for n, size in enumerate(sizes) if event[at + n // 8] >> n % 8 & 1]


def _count(body: bytes, images: Sequence[Sequence[int]]) -> int:
    """Images in a body; of an update each row has two, by turns."""
    at, count, end = 0, 0, len(body)
    while at < end:
        sizes = images[count % len(images)]
        nulls = int.from_bytes(body[at : at + (len(sizes) + 7) // 8], "little")
        at += (len(sizes) + 7) // 8
        for size in sizes:
            if not nulls & 1:
                if size < 0:
                    at += int.from_bytes(body[at : at - size], "little") - size
                else:
                    at += size
            nulls >>= 1
        count += 1
    if at != end:
        raise IndexError(at)
    return count


def column_bytes(kind: int, meta: bytes) -> int:  # noqa: PLR0911 - one line a family of types
    """As in `Table.sizes`. EvidenceMissing for a type that is not known."""
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _FRACTIONS:
        return _FRACTIONS[kind] + (meta[0] + 1) // 2
    if kind in _VARIABLE:
        return -1 if int.from_bytes(meta, "little") < 256 else -2
    if kind in _BLOBS:
        return -meta[0]
    if kind == _BIT:
        return meta[1] + (1 if meta[0] else 0)
    if kind == _DECIMAL:
        whole, fraction = divmod(meta[0] - meta[1], 9), divmod(meta[1], 9)
        parts = 4 * (whole[0] + fraction[0])
        return parts + _DIGIT_BYTES[whole[1]] + _DIGIT_BYTES[fraction[1]]
    if kind in (_STRING, _ENUM, _SET):
        real, length = meta[0], meta[1]
        if real & 0x30 != 0x30:  # two bits of a long CHAR's length are hidden in its type
            real, length = real | 0x30, length | ((real & 0x30) ^ 0x30) << 4
        if real in (_ENUM, _SET):
            return length
        return -1 if length < 256 else -2
    raise EvidenceMissing(f"the binary log holds a column of an unknown type {kind}")


def _text(event: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + event[at]
    return event[at + 1 : end].decode(errors="replace"), end + 1


def _packed(event: bytes, at: int) -> tuple[int, int]:
    """An integer of 1 to 9 bytes, and what follows it."""
    first = event[at]
    if first < 251:
        return first, at + 1
    width = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(event[at + 1 : at + 1 + width], "little"), at + 1 + width
