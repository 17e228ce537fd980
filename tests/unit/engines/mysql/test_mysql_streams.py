"""What arrives as a stream is proven whole: scripts by their end, copies by every checksum."""

import io
import struct
import zlib
from collections.abc import Iterator

import pytest

from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mysql.dump import accounts
from holdfast.engines.mysql.dump.archive import ACCOUNTS, SCRIPT, Scan, examine
from holdfast.engines.mysql.physical.mbstream import MbStream

DUMP = (
    b"-- MySQL dump 10.13\n--\n-- Current Database: `a``b`\n--\n"
    + b"-- Dumping data for table `t`\nINSERT INTO `t` VALUES (1);\n" * 2
    + b"-- Dumping data for table `u v`\n\n-- Dump completed on 2026-01-01\n"
)


@pytest.mark.parametrize("size", [1, 7, 64, 4096])
def test_a_scan_sees_every_table(size: int) -> None:
    scan = Scan()
    for at in range(0, len(DUMP), size):
        scan.feed(DUMP[at : at + size])
    assert scan.problem() is None
    assert scan.tables == {("a`b", "t"), ("a`b", "u v")}
    assert scan.bytes == len(DUMP)


@pytest.mark.parametrize("bad", [b"", b"<html>", DUMP[:-40], DUMP[20:], DUMP + b"more\n"])
def test_what_is_no_whole_dump_is_no_evidence(bad: bytes) -> None:
    with pytest.raises(EvidenceMissing):
        examine(Member("databases.sql", SCRIPT, None), iter([bad]))


def test_accounts_have_an_end_of_their_own() -> None:
    member = Member("accounts.sql", ACCOUNTS, None)
    whole = f"{accounts.HEAD}\nGRANT x;\n{accounts.TRAILER}\n".encode()
    assert examine(member, iter([whole])) == {"statements": 1}
    with pytest.raises(EvidenceMissing):
        examine(member, iter([whole[:-5]]))


def chunk(path: str, data: bytes | None, offset: int = 0) -> bytes:
    name = path.encode()
    head = b"XBSTCK01\0" + (b"E" if data is None else b"P") + struct.pack("<I", len(name)) + name
    if data is None:
        return head
    return head + struct.pack("<QQI", len(data), offset, zlib.crc32(data)) + data


GOOD = (
    chunk("ib_logfile0", b"log-")
    + chunk("./a/t.ibd", b"page")
    + chunk("ib_logfile0", b"more", 4)
    + chunk("./a/t.ibd", b"next", 4)
    + chunk("./a/t.ibd", None)
    + chunk("empty", None)
    + chunk("ib_logfile0", None)
)


def read(data: bytes) -> dict[str, bytes]:
    stream = MbStream(io.BytesIO(data).read)
    return {path: b"".join(parts(chunks)) for path, chunks in stream.files_in()}


def parts(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks


def test_files_come_whole_though_the_log_lies_between_them() -> None:
    assert read(GOOD) == {"a/t.ibd": b"pagenext", "empty": b"", "ib_logfile0": b"log-more"}


@pytest.mark.parametrize(
    "bad",
    [
        GOOD[:-30],
        GOOD[:60],
        GOOD.replace(b"page", b"pagX"),
        GOOD[4:],
        chunk("t", b"x", 5),
        chunk("../../etc/passwd", b"x"),
        chunk("t", b"x"),
    ],
)
def test_a_copy_that_is_damaged_is_refused(bad: bytes) -> None:
    with pytest.raises(EvidenceMissing):
        read(bad)
