"""RDB files of the first versions of Redis, as the stock checker takes them, and files that hold an
RDB but are none."""

import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from fixtures.postgres import Log, a_guard
from fixtures.redis_servers import REDIS, running_redis
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.redis.driver import Redis


def text(body: bytes) -> bytes:
    return bytes([len(body)]) + body


def ziplist(*entries: bytes) -> bytes:
    body, before, tail = b"", 0, 10
    for entry in entries:
        tail = 10 + len(body)
        piece = bytes([before, len(entry)]) + entry
        body, before = body + piece, len(piece)
    return struct.pack("<IIH", 11 + len(body), tail, len(entries)) + body + b"\xff"


ZIPMAP = b"\x01" + text(b"f") + b"\x01\x00v" + b"\xff"
INTSET = struct.pack("<IIhh", 2, 2, 5, 7)
OLD = (
    *(b"\x00" + text(b"string") + text(b"v"), b"\x00" + text(b"number") + b"\xc1\x05\x06"),
    b"\x01" + text(b"list") + b"\x02" + text(b"a") + text(b"b"),
    b"\x02" + text(b"set") + b"\x01" + text(b"m"),
    b"\x03" + text(b"scores") + b"\x03" + text(b"m") + text(b"1.5") + text(b"n") + b"\xfe"
    + text(b"o") + text(b"-17"),
    b"\x04" + text(b"hash") + b"\x01" + text(b"f") + text(b"v"),
    b"\x09" + text(b"zipmap") + text(ZIPMAP),
    b"\x0a" + text(b"ziplist") + text(ziplist(b"x", b"y")),
    b"\x0b" + text(b"intset") + text(INTSET),
    b"\x0c" + text(b"packed scores") + text(ziplist(b"m", b"3")),
    b"\x0d" + text(b"packed hash") + text(ziplist(b"f", b"v")),
    b"\xfd" + struct.pack("<I", 2_100_000_000) + b"\x00" + text(b"timed") + text(b"v"),
)  # fmt: skip
HELD = {
    b"string": b"v",
    b"number": b"1541",
    b"list": [b"a", b"b"],
    b"set": {b"m"},
    b"scores": [(b"o", -17.0), (b"m", 1.5), (b"n", float("inf"))],
    b"hash": {b"f": b"v"},
    b"zipmap": {b"f": b"v"},
    b"ziplist": [b"x", b"y"],
    b"intset": {b"5", b"7"},
    b"packed scores": [(b"m", 3.0)],
    b"packed hash": {b"f": b"v"},
    b"timed": b"v",
}


def old(version: int) -> bytes:
    return f"REDIS{version:04}".encode() + b"\xfe\x00" + b"".join(OLD) + b"\xff"


def ingest(engine: Redis, body: bytes) -> dict[str, Any]:
    with engine.ingest(iter([body]), Log().attempt(), a_guard()) as session:
        kept = b"".join(bytes(c) for piece in session.pieces() for c in piece.chunks)
    assert kept == body
    return dict(session.facts)


def of(client: Any, key: bytes) -> object:
    kind = client.type(key)
    reading = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"hash": client.hgetall,
    }
    return reading[kind](key)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_files_without_a_checksum_are_taken_as_the_stock_checker_takes_them(
    redis_engine: Redis, version: int
) -> None:
    body = old(version)
    with tempfile.TemporaryDirectory(prefix="hf-rdb-") as home:
        (Path(home) / "dump.rdb").write_bytes(body)
        checker = Path(home) / "redis-check-rdb"
        checker.symlink_to(REDIS)
        said = subprocess.run([checker, Path(home) / "dump.rdb"], capture_output=True, check=True)
        assert b"RDB looks OK" in said.stdout
    found = ingest(redis_engine, body)
    assert found["keys"] == {"0": len(OLD)}
    assert found["expiring"] == {"0": 1}
    assert "stock checker" in str(found["proven"])
    with pytest.raises(EvidenceMissing):
        ingest(redis_engine, body[:-1])
    with pytest.raises(EvidenceMissing, match="goes on after its end"):
        ingest(redis_engine, body + bytes(8))


def test_a_server_loads_what_was_taken() -> None:
    with running_redis("redis") as server:
        server.stop()
        (server.directory / "dump.rdb").write_bytes(old(3))
        server.start()
        client = server.client()
        assert {key: of(client, key) for key in client.scan_iter()} == HELD


def test_an_append_only_file_is_named(redis_engine: Redis) -> None:
    with running_redis("redis") as server:
        server.client().set("a", 1)
        server.client().save()
        plain = (server.directory / "dump.rdb").read_bytes()
    aux = b"\xfa" + text(b"aof-preamble") + text(b"1")
    preamble = plain[:9] + aux + plain[9:-8] + bytes(8)
    commands = b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n"
    with pytest.raises(EvidenceMissing, match=r"append-only file that begins with an RDB.*BGSAVE"):
        ingest(redis_engine, preamble + commands)
    assert ingest(redis_engine, preamble)["keys"] == {"0": 1}
    for body in (commands, b"#TS:1700000000\r\n" + commands):
        with pytest.raises(EvidenceMissing, match="the file is an append-only file: commands"):
            ingest(redis_engine, body)
    with pytest.raises(EvidenceMissing, match="the manifest of an append-only file"):
        ingest(redis_engine, b"file appendonly.aof.1.base.rdb seq 1 type b\n")
