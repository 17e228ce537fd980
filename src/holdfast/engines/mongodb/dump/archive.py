"""Reads and writes the format of `mongodump --archive`, as the stock `mongorestore` reads it.

    archive := magic  prelude  block*
    prelude := {concurrent_collections, version, server_version, tool_version}  meta*  separator
    meta    := {db, collection, metadata, size, type}
    block   := {db, collection, EOF: false, CRC: 0}  document*  separator
             | {db, collection, EOF: true, CRC}  separator

Everything in braces is BSON. The format has no end mark: an archive is whole if every meta got its
EOF block. The CRC is the CRC-64/XZ of all documents of a collection, as a signed number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct

import bson
from bson.errors import BSONError
from bson.int64 import Int64
from fastcrc.crc64 import xz

from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing
from holdfast.domain.units import show_bytes
from holdfast.engines.mongodb.client.connection import decoded

ACCOUNTS = "mongodump-accounts"
DATABASES = "mongodump-archive"

MAGIC = b"\x6d\xe2\x99\x81"
SEPARATOR = b"\xff\xff\xff\xff"
VERSION = "0.1"
TOOL_VERSION = "holdfast"
MAX_DOCUMENT_BYTES = (16 << 20) + (16 << 10)
"""A server stores documents of 16 MiB, and lets its own commands and oplog add 16 KiB."""
_MIN_DOCUMENT_BYTES = 5
_MAX_METAS = 1_000_000
MAX_DEFINITION_BYTES = 256 << 20
"""All definitions of an archive together: they are held in memory while it is read."""
MALFORMED = (BSONError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
"""What the decoders of BSON and Extended JSON raise for what is neither."""

VIEW, TIME_SERIES, COLLECTION = "view", "timeseries", "collection"
BUCKETS = "system.buckets."
"""A time series `x` is a view of the collection `system.buckets.x`, which has the data."""

_MAX_VERSION_CHARACTERS = 100
_length = Struct("<i").unpack_from

Namespace = tuple[str, str]
"""Database and collection."""


@dataclass(frozen=True)
class Meta:
    """One collection or view as the prelude announces it.

    `metadata` is its options and indexes as text: see `metadata`.
    """

    database: str
    collection: str
    metadata: str
    type: str = COLLECTION

    @classmethod
    def parse(cls, document: Mapping[str, object]) -> "Meta":
        database, collection, metadata = (
            document.get(key) for key in ("db", "collection", "metadata")
        )
        if not (isinstance(database, str) and isinstance(collection, str)):
            raise EvidenceMissing("the prelude announces a collection without a name")
        # Older tools did not write the type; a view was told by its options alone.
        kind = str(document.get("type") or COLLECTION)
        return cls(database, collection, str(metadata or ""), kind)

    @property
    def data(self) -> Namespace:
        """The namespace that its blocks have."""
        prefix = BUCKETS if self.type == TIME_SERIES else ""
        return self.database, f"{prefix}{self.collection}"


@dataclass(frozen=True)
class Run:
    """Consecutive documents of one collection. `ends` are the offsets behind each document."""

    namespace: Namespace
    buffer: bytes
    ends: Sequence[int]

    def documents(self) -> Iterator[bytes]:
        start = 0
        for end in self.ends:
            yield self.buffer[start:end]
            start = end


def write_prelude(server_version: str, metas: Sequence[Meta]) -> bytes:
    header = {
        "concurrent_collections": 1,
        "version": VERSION,
        "server_version": server_version,
        "tool_version": TOOL_VERSION,
    }
    announced = (
        bson.encode(
            {
                "db": meta.database,
                "collection": meta.collection,
                "metadata": meta.metadata,
                "size": 0,
                "type": meta.type,
            }
        )
        for meta in metas
    )
    return b"".join((MAGIC, bson.encode(header), *announced, SEPARATOR))


def write_header(namespace: Namespace) -> bytes:
    """Begins a block of documents; `SEPARATOR` ends it."""
    return _block_header(namespace, 0, is_eof=False)


def write_eof(namespace: Namespace, crc: int) -> bytes:
    """The EOF block of a collection; `crc` is the unsigned CRC-64/XZ of all its documents."""
    signed = crc - (1 << 64) if crc >> 63 else crc
    return _block_header(namespace, signed, is_eof=True) + SEPARATOR


def _block_header(namespace: Namespace, crc: int, *, is_eof: bool) -> bytes:
    database, collection = namespace
    return bson.encode({"db": database, "collection": collection, "EOF": is_eof, "CRC": Int64(crc)})


class Reader:
    """Reads an archive once. The constructor reads the prelude into `metas` and `versions`.

    EvidenceMissing, also from `runs`, if the archive is cut off, damaged or of another format.
    """

    def __init__(self, plain: Iterator[bytes]) -> None:
        self._plain = plain
        self._buffer = b""
        self._position = 0
        if not self._fill(len(MAGIC)) or self._take(len(MAGIC)) != MAGIC:
            raise EvidenceMissing("it does not begin like an archive of mongodump")
        header = self._read_document("the prelude")
        if header.get("version") != VERSION:
            raise EvidenceMissing(f"archives of version {header.get('version')!r} are not known")
        self.server_version = str(header.get("server_version", ""))[:_MAX_VERSION_CHARACTERS]
        self.tool_version = str(header.get("tool_version", ""))[:_MAX_VERSION_CHARACTERS]
        self.metas: list[Meta] = []
        definition_bytes = 0
        while not self._skip_separator("the prelude"):
            self.metas.append(Meta.parse(self._read_document("the prelude")))
            definition_bytes += len(self.metas[-1].metadata)
            require_few(len(self.metas), definition_bytes)
        self._open: dict[Namespace, int] = {meta.data: 0 for meta in self.metas}
        if len(self._open) != len(self.metas):
            raise EvidenceMissing("it announces a collection twice")

    def runs(self) -> Iterator[Run]:
        """Yields all documents, checks the CRC of each collection and that each came to its end."""
        while self._fill(1):
            header = self._read_document("a block")
            namespace = (str(header.get("db")), str(header.get("collection")))
            name = ".".join(namespace)
            if namespace not in self._open:
                raise EvidenceMissing(
                    f"it holds data of {name}, which is unannounced or at its end"
                )
            if not header.get("EOF"):
                yield from self.read_block(namespace)
                continue
            if not self._skip_separator(f"the end of {name}"):
                raise EvidenceMissing(f"documents follow the end of {name}")
            crc = self._open.pop(namespace)
            recorded = header.get("CRC", 0)
            if not isinstance(recorded, int) or crc != recorded % (1 << 64):
                raise EvidenceMissing(f"the documents of {name} are damaged: their CRC differs")
        if self._open:
            names = [".".join(namespace) for namespace in self._open]
            raise EvidenceMissing(
                f"it was cut off: {len(names)} collections did not come to their end, among them"
                f" {', '.join(names[:3])}"
            )

    def read_block(self, namespace: Namespace) -> Iterator[Run]:
        name = ".".join(namespace)
        while True:
            if not self._fill(4):
                raise EvidenceMissing(f"it was cut off in {name}")
            buffer, start, size = self._buffer, self._position, len(self._buffer)
            position, length, ends = start, 0, list[int]()
            while position + 4 <= size:
                length = _length(buffer, position)[0]
                if length < _MIN_DOCUMENT_BYTES or position + length > size:
                    break
                position += length
                ends.append(position - start)
            if ends:
                run = buffer[start:position]
                self._position = position
                self._open[namespace] = xz(run, self._open[namespace])
                yield Run(namespace, run, ends)
            elif length == -1:
                self._position += len(SEPARATOR)
                return
            elif not self._fill(_checked_length(length, name)):
                raise EvidenceMissing(f"it was cut off in {name}")

    def _read_document(self, part: str) -> Mapping[str, object]:
        if not self._fill(4):
            raise EvidenceMissing(f"it was cut off in {part}")
        length = _checked_length(_length(self._buffer, self._position)[0], part)
        if not self._fill(length):
            raise EvidenceMissing(f"it was cut off in {part}")
        try:
            return decoded(self._take(length))
        except MALFORMED as error:
            raise EvidenceMissing(f"{part} is damaged: {error}") from error

    def _skip_separator(self, part: str) -> bool:
        if not self._fill(4):
            raise EvidenceMissing(f"it was cut off in {part}")
        if self._buffer[self._position : self._position + 4] != SEPARATOR:
            return False
        self._position += len(SEPARATOR)
        return True

    def _take(self, size: int) -> bytes:
        data = self._buffer[self._position : self._position + size]
        self._position += size
        return data

    def _fill(self, size: int) -> bool:
        """Makes `size` bytes available at the position; False if the archive ends before."""
        available = len(self._buffer) - self._position
        if available >= size:
            return True
        pieces = [self._buffer[self._position :]]
        while available < size:
            piece = next(self._plain, None)
            if piece is None:
                break
            pieces.append(piece)
            available += len(piece)
        self._buffer, self._position = b"".join(pieces), 0
        return available >= size


def require_few(definitions: int, definition_bytes: int) -> None:
    """EvidenceMissing when definitions of a file would fill the memory."""
    if definitions > _MAX_METAS:
        raise EvidenceMissing(f"it announces more than {_MAX_METAS} collections")
    if definition_bytes > MAX_DEFINITION_BYTES:
        raise EvidenceMissing(
            f"its definitions are longer than {show_bytes(MAX_DEFINITION_BYTES)} altogether"
        )


def _checked_length(length: int, part: str) -> int:
    if not _MIN_DOCUMENT_BYTES <= length <= MAX_DOCUMENT_BYTES:
        raise EvidenceMissing(f"{part} is damaged: it holds a document of {length} bytes")
    return length


def examine(member: Member, plain: Iterator[bytes]) -> Mapping[str, object]:
    """Reads a stored member to its end and counts. EvidenceMissing if it is not whole."""
    if member.format not in (ACCOUNTS, DATABASES):
        raise EvidenceMissing(f"{member.name} has an unknown format {member.format!r}")
    try:
        reader = Reader(plain)
        documents = sum(len(run.ends) for run in reader.runs())
    except EvidenceMissing as error:
        raise EvidenceMissing(f"{member.name}: {error.message}") from error
    databases = {meta.database for meta in reader.metas}
    return {"databases": len(databases), "collections": len(reader.metas), "documents": documents}
