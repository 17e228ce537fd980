"""Stages, chains and the pump: every byte arrives, and every fact is about those bytes."""

import gzip
import hashlib
import io

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.errors import EvidenceMissing, Interrupted, StoreUnavailable
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.pipeline.chain import Chain
from holdfast.pipeline.compress import GZ, SUFFIXES, ZSTD, Gzip, Zstd, compressor
from holdfast.pipeline.decompress import decompress
from holdfast.pipeline.digest import Digest
from holdfast.pipeline.meter import Meter
from holdfast.pipeline.pump import pump
from holdfast.stores.memory.driver import MemoryStore
from holdfast.stores.memory.options import Options

TEXT = b"".join(b"row %d of many\n" % number for number in range(200_000))
BOTH = sorted(SUFFIXES)


def packed(plain: bytes, compression: str) -> bytes:
    stage = compressor(compression)
    return bytes(stage.feed(plain)) + bytes(stage.finish())


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[offset : offset + size] for offset in range(0, len(data), size)]


def unpacked(data: bytes, compression: str, size: int = 1 << 20) -> bytes:
    return b"".join(decompress(iter(cut(data, size)), compression))


def store() -> MemoryStore:
    return MemoryStore(Options(max_object_bytes=1 << 30))


def guard() -> Guard:
    return Guard(SystemClock())


def test_a_digest_is_the_sha256_of_what_passed() -> None:
    digest = Digest()
    assert digest.feed(b"abc") == b"abc"
    assert digest.feed(memoryview(b"def")) == b"def"
    assert digest.finish() == b""

    assert digest.fact() == {"sha256": hashlib.sha256(b"abcdef").hexdigest()}


def test_a_meter_counts_and_tells() -> None:
    told: list[int] = []
    meter = Meter(told.append)
    meter.feed(b"abc")
    meter.feed(memoryview(b"de"))

    assert meter.fact() == {"bytes": 5}
    assert told == [3, 2]


def test_stock_readers_open_what_we_compress() -> None:
    assert gzip.decompress(packed(TEXT, GZ)) == TEXT
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed(TEXT, ZSTD)))
    assert reader.read() == TEXT


@given(plain=st.binary(max_size=50_000), size=st.integers(1, 5000), kind=st.sampled_from(BOTH))
def test_what_was_compressed_comes_back(plain: bytes, size: int, kind: str) -> None:
    assert unpacked(packed(plain, kind), kind, size) == plain


@pytest.mark.parametrize("kind", BOTH)
def test_streams_in_a_row_are_one(kind: str) -> None:
    joined = packed(TEXT, kind) + packed(b"", kind) + packed(b"end", kind)

    for size in (1, 4096, 4097, len(joined)):
        if size > 1 or len(joined) < 1 << 20:
            assert unpacked(joined, kind, size) == TEXT + b"end"


@pytest.mark.parametrize("kind", BOTH)
def test_a_truncated_stream_is_no_evidence(kind: str) -> None:
    whole = packed(TEXT, kind)

    for length in (0, 1, 5, len(whole) // 2, len(whole) - 4, len(whole) - 1):
        with pytest.raises(EvidenceMissing, match="stops before its end"):
            unpacked(whole[:length], kind)


@pytest.mark.parametrize("kind", BOTH)
def test_a_damaged_stream_is_no_evidence(kind: str) -> None:
    whole = packed(TEXT, kind)

    for offset in (0, 100, len(whole) // 2, len(whole) - 3):
        bad = bytearray(whole)
        bad[offset] ^= 0x55
        with pytest.raises(EvidenceMissing):
            unpacked(bytes(bad), kind)


@pytest.mark.parametrize("kind", BOTH)
def test_anything_after_the_stream_is_no_evidence(kind: str) -> None:
    with pytest.raises(EvidenceMissing):
        unpacked(packed(TEXT, kind) + b"not part of it", kind)


@pytest.mark.parametrize("kind", BOTH)
def test_a_few_compressed_bytes_do_not_unpack_into_all_memory_at_once(kind: str) -> None:
    zeros = packed(bytes(300 << 20), kind)
    sizes = [len(chunk) for chunk in decompress(iter([zeros]), kind)]

    assert sum(sizes) == 300 << 20
    assert max(sizes) <= 160 << 20


def test_a_chain_passes_the_rest_of_each_stage_through_the_next() -> None:
    plain, stored, size = Digest(), Digest(), Meter()
    chain = Chain([plain, Zstd(), stored, size])
    out = b"".join(bytes(chain.feed(piece)) for piece in cut(TEXT, 70_000)) + chain.finish()

    assert unpacked(out, ZSTD) == TEXT
    assert chain.facts() == [
        {"sha256": hashlib.sha256(TEXT).hexdigest()},
        {"compression": "zstd", "level": 3},
        {"sha256": hashlib.sha256(out).hexdigest()},
        {"bytes": len(out)},
    ]


@pytest.mark.parametrize("plain", [b"", b"x", TEXT])
def test_the_pump_moves_everything_and_leaves_the_commit_to_others(plain: bytes) -> None:
    target, watch = store(), guard()
    upload = target.begin("key")
    pump(io.BytesIO(plain).read, [Meter(watch.moved), Gzip()], upload, watch, chunk=1000)

    assert list(target.list("")) == []
    assert watch.bytes_done == len(plain)
    upload.commit()
    assert gzip.decompress(b"".join(target.get("key"))) == plain


def test_a_stopped_pump_moves_no_further_chunk() -> None:
    watch = guard()
    upload = store().begin("key")
    seen = Meter()

    def read(size: int) -> bytes:
        if seen.count == 3000:
            watch.stop(Interrupted())
        return bytes(size)

    with pytest.raises(Interrupted):
        pump(read, [seen], upload, watch, chunk=1000)
    assert seen.count == 3000


def test_a_pump_stopped_at_the_very_end_does_not_finish() -> None:
    watch = guard()

    def read(size: int) -> bytes:
        watch.stop(Interrupted())
        return b""

    with pytest.raises(Interrupted):
        pump(read, [], store().begin("key"), watch)


def test_a_failing_upload_ends_the_pump() -> None:
    class Broken:
        def write(self, data: bytes | memoryview) -> None:
            raise StoreUnavailable

        commit = abort = None

    with pytest.raises(StoreUnavailable):
        pump(io.BytesIO(b"x").read, [], Broken(), guard())  # type: ignore[arg-type]
