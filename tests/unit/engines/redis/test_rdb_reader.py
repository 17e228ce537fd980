"""The RDB reader: every structure stepped over, whatever the chunks, and nothing torn taken."""

import random
import struct

import pytest
from crcmod.crcmod import mkCrcFun

from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.redis.physical.rdb import Contents, RdbReader

_sum = mkCrcFun(0x1AD93D23594C935A9, initCrc=0, rev=True, xorOut=0)


def text(body: bytes) -> bytes:
    """A string with its length in front, in the form that its length asks for."""
    size = len(body)
    if size < 64:
        return bytes([size]) + body
    if size < 1 << 14:
        return struct.pack(">H", 0x4000 | size) + body
    return b"\x80" + struct.pack(">I", size) + body


K = text(b"key")
STREAM = b"\x02" + (text(b"i" * 16) + text(b"lp" * 40)) * 2
GROUP = text(b"g") + b"\x01\x02"
PENDING = b"\x02" + (b"i" * 16 + b"t" * 8 + b"\x01") * 2
OWNED = b"\x02" + b"i" * 32
VALUES = {
    "string": b"\x00" + K + text(b"v"),
    "8 bits": b"\x00" + K + b"\xc0\x05",
    "16 bits": b"\x00" + K + b"\xc1\x05\x06",
    "32 bits": b"\x00" + K + b"\xc2\x05\x06\x07\x08",
    "compressed": b"\x00" + K + b"\xc3" + b"\x04" + b"\x41\x00" + b"lzf!",
    "64 bit length": b"\x00" + K + b"\x81" + struct.pack(">Q", 3) + b"abc",
    "large": b"\x00" + K + text(b"v" * 70_000),
    "list": b"\x01" + K + b"\x02" + text(b"a") + text(b"b" * 100),
    "set": b"\x02" + K + b"\x01" + text(b"a"),
    "hash": b"\x04" + K + b"\x02" + text(b"f") * 4,
    "zset of old": b"\x03" + K + b"\x03" + text(b"m") + b"\x031.5" + text(b"n") + b"\xfe"
    + text(b"o") + b"\xfd",
    "zset": b"\x05" + K + b"\x02" + (text(b"m") + b"d" * 8) * 2,
    "module": b"\x07" + K + b"\x81" + b"\x00" * 8 + b"\x01\x05\x02\x06\x03ffff\x04dddddddd"
    b"\x05" + text(b"s") + b"\x00",
    "intset": b"\x0b" + K + text(b"packed"),
    "quicklist": b"\x0e" + K + b"\x02" + text(b"n") * 2,
    "quicklist 2": b"\x12" + K + b"\x02" + (b"\x01" + text(b"n")) * 2,
    "stream 1": b"\x0f" + K + STREAM + b"\x01" * 3 + b"\x01" + GROUP + PENDING + b"\x01"
    + text(b"c") + b"t" * 8 + OWNED,
    "stream 2": b"\x13" + K + STREAM + b"\x01" * 8 + b"\x01" + GROUP + b"\x03" + PENDING + b"\x01"
    + text(b"c") + b"t" * 8 + OWNED,
    "stream 3": b"\x15" + K + STREAM + b"\x01" * 8 + b"\x01" + GROUP + b"\x03" + PENDING + b"\x01"
    + text(b"c") + b"t" * 16 + OWNED,
    "stream 4": b"\x1a" + K + STREAM + b"\x01" * 8 + b"\x01" + GROUP + b"\x03" + PENDING + b"\x01"
    + text(b"c") + b"t" * 16 + OWNED + b"@d@d\x02"
    + (text(b"sender") + b"\x02" + (text(b"id") + b"\x81" + b"t" * 8 + b"\x00") * 2) * 2
    + b"\x03\x01",
    "hash with times": b"\x16" + K + b"\x02" + (text(b"f") + text(b"v") + b"t" * 8) * 2,
    "hash with times, table": b"\x18" + K + b"t" * 8 + b"\x01" + b"\x05" + text(b"f") + text(b"v"),
    "hash with times, packed": b"\x19" + K + b"t" * 8 + text(b"packed"),
}  # fmt: skip
PARTS = {
    "aux": b"\xfa" + text(b"name") + b"\xc0\x40",
    "function": b"\xf5" + text(b"code" * 30),
    "size": b"\xfb\x01\x00",
    "slots": b"\xf4\x01\x02\x03",
    "idle": b"\xf8\x05",
    "frequency": b"\xf9\xff",
    "module's own": b"\xf7\x81" + b"\x00" * 8 + b"\x02\x01\x00",
}


def sealed(body: bytes, version: bytes = b"REDIS0012") -> bytes:
    whole = version + body + b"\xff"
    return whole + struct.pack("<Q", _sum(whole))


def read(body: bytes, *sizes: int) -> Contents:
    """Fed in chunks of these sizes, the last one over and over."""
    reader = RdbReader()
    try:
        at, sizes = 0, sizes or (len(body),)
        steps = list(sizes)
        while at < len(body):
            size = steps.pop(0) if len(steps) > 1 else steps[0]
            reader.feed(body[at : at + size])
            at += size
        return reader.finish()
    finally:
        reader.close()


EVERYTHING = sealed(
    b"".join(PARTS.values())
    + b"\xfe\x00"
    + b"".join(VALUES.values())
    + b"\xfe\x40\x45"
    + b"\xfc"
    + b"t" * 8
    + VALUES["string"]
    + b"\xfd"
    + b"t" * 4
    + VALUES["hash"]
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 1 << 20])
def test_everything_is_stepped_over_in_chunks_of_any_size(size: int) -> None:
    found = read(EVERYTHING, size)
    assert found.keys == {0: len(VALUES), 69: 2}
    assert found.expiring == {0: 0, 69: 2}
    assert (found.version, found.functions, found.aux) == ("REDIS0012", 1, {"name": "64"})
    assert found.modules == {"AAAAAAAAA"}
    assert found.size == len(EVERYTHING)
    assert int(found.checksum, 16) == int.from_bytes(EVERYTHING[-8:], "little")


@pytest.mark.parametrize("name", VALUES)
def test_a_value_ends_where_its_reader_thinks(name: str) -> None:
    assert read(sealed(b"\xfe\x00" + VALUES[name] + VALUES["string"])).keys == {0: 2}


def test_an_end_before_the_end_is_noticed_wherever_it_is() -> None:
    small = sealed(b"\xfe\x00" + b"".join(v for n, v in VALUES.items() if n != "large"))
    for cut in range(len(small)):
        with pytest.raises(EvidenceMissing):
            read(small[:cut])


def test_what_follows_the_end_is_noticed() -> None:
    for more in (b"\x00", EVERYTHING):
        with pytest.raises(EvidenceMissing):
            read(EVERYTHING + more)
        with pytest.raises(EvidenceMissing):
            read(EVERYTHING + more, len(EVERYTHING), 1)


def test_a_changed_byte_never_goes_unnoticed() -> None:
    body = sealed(b"\xfe\x00" + b"".join(v for n, v in VALUES.items() if n != "large"))
    chance = random.Random(7)
    for at in range(len(body)):
        changed = bytearray(body)
        changed[at] ^= chance.randint(1, 255)
        with pytest.raises(EvidenceMissing):
            read(bytes(changed))


def test_a_server_that_keeps_no_checksum_says_so() -> None:
    assert read(b"REDIS0010\xff" + bytes(8)).checksum == ""


@pytest.mark.parametrize("body", [b"", b"x", b"<html>not found</html>", b"REDIS00AB" + bytes(20)])
def test_what_is_no_rdb_is_refused(body: bytes) -> None:
    with pytest.raises(EvidenceMissing):
        read(body)


@pytest.mark.parametrize("kind", [6, 8, 23, 27, 30, 31, 100, 243, 246])
def test_an_unknown_kind_is_refused_by_its_number(kind: int) -> None:
    with pytest.raises(NotSupported, match=f" {kind}$"):
        read(sealed(bytes([kind]) + K + text(b"v" * 10)))


def test_small_entries_are_counted_alike_however_they_arrive() -> None:
    """Most keys are stepped over many at once, where a chunk holds them whole."""
    dice = random.Random(7)
    body, keys, timed = [b"\xfe\x00"], 0, 0
    for _ in range(3000):
        if dice.random() < 0.3:
            body.append(b"\xfc" + dice.randbytes(8))
            timed += 1
        kind = dice.choice([0, 0, 0, 9, 20])
        size = dice.choice([0, 3, 63, 64, 300, 9000 if dice.random() < 0.02 else 5])
        number = dice.choice([b"\xc0\xfc", b"\xc1\x00\xfc", b"\xc2\xff\xff\xff\xff", None])
        value = number if number is not None and kind == 0 else text(dice.randbytes(size))
        body.append(bytes([kind]) + text(dice.randbytes(dice.choice([0, 1, 20, 70]))) + value)
        keys += 1
    whole = sealed(b"".join(body))
    for size in (1, 7, 100, 4096, 1 << 18):
        reader = RdbReader()
        for at in range(0, len(whole), size):
            reader.feed(whole[at : at + size])
        found = reader.finish()
        assert (found.keys, found.expiring) == ({0: keys}, {0: timed})
