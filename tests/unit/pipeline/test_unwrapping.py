"""Files as people pack them: every wrapping that stock tools open silently is opened."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator

import pytest
import zstandard

from holdfast.domain.errors import EvidenceMissing
from holdfast.pipeline.decompress import decompress
from holdfast.pipeline.unwrap import unwrap

TEXT = b"CREATE TABLE t (id int);\n" + random.Random(1).randbytes(300_000) + bytes(3_000_000)


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def opened(body: bytes, size: int = 65536) -> tuple[bytes, str, list[str]]:
    said: list[str] = []
    plain, packing = unwrap(pieces(body, size), said.append)
    return b"".join(plain), packing, said


def zip_of(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    room = io.BytesIO()
    with zipfile.ZipFile(room, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return room.getvalue()


def streamed_zip() -> bytes:
    """Written to a pipe: sizes and checksum come after the content."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
            self.written += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # pyright: ignore[reportArgumentType]
        archive.writestr("dump.sql", TEXT)
    return pipe.written


def tar_of(**files: bytes) -> bytes:
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode="w") as tar:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            entry = tarfile.TarInfo(f"folder/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return room.getvalue()


HALF = len(TEXT) // 2
SKIPPED = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
PACKED: dict[str, Callable[[], bytes]] = {
    "gz": lambda: gzip.compress(TEXT),
    "gz of two members": lambda: gzip.compress(TEXT[:HALF]) + gzip.compress(TEXT[HALF:]),
    "zst": lambda: zstandard.compress(TEXT),
    "zst of two frames": lambda: zstandard.compress(TEXT[:HALF]) + zstandard.compress(TEXT[HALF:]),
    "zst as pzstd writes it": lambda: SKIPPED + zstandard.compress(TEXT) + SKIPPED,
    "bz2": lambda: bz2.compress(TEXT[:HALF]) + bz2.compress(TEXT[HALF:]),
    "xz": lambda: lzma.compress(TEXT[:HALF]) + lzma.compress(TEXT[HALF:]),
    "zip": lambda: zip_of(("dumps/", b""), ("dumps/shop.sql", TEXT), ("__MACOSX/._shop.sql", b"x")),
    "zip, stored": lambda: zip_of(("shop.sql", TEXT), method=zipfile.ZIP_STORED),
    "zip, bz2": lambda: zip_of(("shop.sql", TEXT), method=zipfile.ZIP_BZIP2),
    "gz in zip": lambda: zip_of(("README.txt", b"hello"), ("shop.sql.gz", gzip.compress(TEXT))),
    "gz in gz": lambda: gzip.compress(gzip.compress(TEXT)),
    "tar in gz": lambda: gzip.compress(tar_of(dump=TEXT)),
    "nothing": lambda: TEXT,
}


@pytest.mark.parametrize("size", [7, 65536])
@pytest.mark.parametrize("kind", PACKED)
def test_every_packing_is_opened(kind: str, size: int) -> None:
    plain, packing, said = opened(PACKED[kind](), size)
    assert (plain == TEXT, said) == (True, [])
    assert packing.startswith("not" if kind == "nothing" else "compressed as ")


@pytest.mark.parametrize("size", [11, 65536])
def test_a_zip_that_was_written_to_a_pipe_is_opened(size: int) -> None:
    assert opened(streamed_zip(), size)[0] == TEXT


@pytest.mark.parametrize("extra", [bytes(4096), b"more", b"\x1f\x8c"])
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_what_follows_the_end_is_passed_over_and_said(
    pack: Callable[[bytes], bytes], extra: bytes
) -> None:
    """As gunzip has it; what we packed ourselves has nothing there."""
    plain, packing, said = opened(pack(TEXT) + extra)
    assert plain == TEXT
    assert "passed over" in said[0]
    with pytest.raises(EvidenceMissing):
        list(decompress(pieces(pack(TEXT) + extra, 65536), packing.rpartition(" ")[2]))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (gzip.compress(TEXT)[:-4], "stops before its end"),
        (zip_of(("a.sql", TEXT))[:-30], "cut off"),
        (zip_of(("a.sql", TEXT))[:1000], "cut off inside 'a.sql'"),
        (zip_of(("a.sql", TEXT), ("b.sql", TEXT)), "several files, 'a.sql' and 'b.sql'"),
        (zip_of(("a/", b"")), "no file"),
        (zip_of(("a.sql", TEXT), method=zipfile.ZIP_LZMA), "method 14"),
        (zip_of(("a.sql", TEXT)).replace(b"\x14\x00\x00\x00\x08", b"\x14\x00\x01\x00\x08", 1),
         "locked with a password"),
        (tar_of(a=TEXT, b=TEXT), "several files"),
        (tar_of(a=TEXT)[: len(TEXT)], "damaged or cut off"),
        (lzma.compress(TEXT)[:-40], "stops before its end"),
        (bz2.compress(TEXT)[:60_000] + b"xxxx" + bz2.compress(TEXT)[60_004:], "damaged"),
    ],
)  # fmt: skip
def test_what_is_not_whole_or_not_one_file_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(EvidenceMissing, match=words):
        opened(body)


def test_a_damaged_entry_of_a_zip_is_found_out_by_its_checksum() -> None:
    body = bytearray(zip_of(("shop.sql", b"A" * 5000), method=zipfile.ZIP_STORED))
    body[2000] ^= 1
    with pytest.raises(EvidenceMissing, match="checksum differs"):
        opened(bytes(body))


def test_archives_of_pg_dump_stay_as_they_are() -> None:
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode="w") as tar:
        for name in ("dir/toc.dat", "dir/3051.dat.gz"):
            tar.addfile(tarfile.TarInfo(name))
    assert opened(gzip.compress(room.getvalue()))[0] == room.getvalue()


@pytest.mark.parametrize("first", ["dump/prelude.json", "dump/shop/a.bson", "a.metadata.json.gz"])
def test_directories_of_mongodump_stay_as_they_are(first: str) -> None:
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode="w") as tar:
        for name in (first, "dump/shop/b.bson"):
            tar.addfile(tarfile.TarInfo(name))
    assert opened(gzip.compress(room.getvalue()))[0] == room.getvalue()
