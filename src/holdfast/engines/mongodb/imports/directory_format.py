"""Reads a directory of mongodump that was packed into a tar, without unpacking it to a disk.

`<database>/<collection>.bson` holds documents one after another, `<collection>.metadata.json` the
options and indexes; either may end with `.gz`. There are no checksums: a file that was cut off
between two documents before it was packed looks whole.
"""

import gzip
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct
from typing import Any, cast
from urllib.parse import unquote

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mongodb.dump.archive import (
    COLLECTION,
    MAX_DOCUMENT_BYTES,
    TIME_SERIES,
    Meta,
    Namespace,
    Run,
    require_few,
)

_FILE = re.compile(
    r"(?:.*/)?(?P<database>[^/]+)/(?P<base>[^/]+?)\.(?P<kind>bson|metadata\.json)(?P<gz>\.gz)?"
)
_OPLOG = re.compile(r"(?:.*/)?oplog\.bson(?:\.gz)?")
_PASSED_OVER = re.compile(r"(?:.*/)?prelude\.json(?:\.gz)?|(?:.*/)?\.[^/]*")
_MAX_HEADER_BYTES = 1 << 20
_MAX_METADATA_BYTES = 16 << 20
_PIECE_BYTES = 1 << 20
_length = Struct("<i").unpack_from


@dataclass(frozen=True)
class File:
    """One file of a directory: documents, or a definition."""

    database: str
    base: str
    is_metadata: bool
    chunks: Iterator[bytes]


def is_directory(head: bytes) -> bool:
    """Whether a tar begins like a directory of mongodump, as far as `head` goes."""
    with (
        suppress(tarfile.TarError, EOFError, OSError, ValueError),
        tarfile.open(fileobj=io.BytesIO(head), mode="r:", tarinfo=_Entry) as tar,
    ):
        for member in tar:
            if (
                member.isfile()
                and not _OPLOG.fullmatch(member.name)
                and _FILE.fullmatch(member.name)
            ):
                return True
            if member.isfile() and not (
                _PASSED_OVER.fullmatch(member.name) or _OPLOG.fullmatch(member.name)
            ):
                return False
    return False


def files(plain: Iterator[bytes]) -> Iterator[File]:
    """The files of a directory in the order of the tar; the chunks of one before the next. The
    dump's own oplog comes as in an archive: a collection `oplog` of no database.

    EvidenceMissing if the tar is damaged, cut off or holds something else.
    """
    stream = _Readable(plain)
    names: set[str] = set()
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Entry) as tar:
            for member in tar:
                names.add(member.name.removesuffix(".gz"))
                require_few(len(names), 0)
                if not member.isfile() or _PASSED_OVER.fullmatch(member.name):
                    continue
                match = _FILE.fullmatch(member.name)
                if _OPLOG.fullmatch(member.name):
                    yield File("", "oplog", is_metadata=False, chunks=iter(()))
                    continue
                if match is None:
                    raise EvidenceMissing(
                        f"the tar archive holds {member.name!r} beside a directory of mongodump"
                    )
                content: Any = tar.extractfile(member)
                chunks = read_chunks(content, member.name, zipped=bool(match["gz"]))
                is_metadata = match["kind"] != "bson"
                yield File(unquote(match["database"]), match["base"], is_metadata, chunks)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise EvidenceMissing(f"the tar archive is damaged or cut off: {error}") from error
    while stream.read(_PIECE_BYTES):
        pass
    if stream.last.strip(b"\0"):
        raise EvidenceMissing("the tar archive is cut off: it does not come to its end mark")
    require_no_collection_oplog(names)


def require_no_collection_oplog(names: Set[str]) -> None:
    """EvidenceMissing when a collection has the name of the dump's own oplog, among file names
    without `.gz`."""
    for name in names:
        folder = name.removesuffix("oplog.metadata.json")
        if folder != name and f"{folder}oplog.bson" in names:
            raise EvidenceMissing(
                f"the collection `oplog` in {folder} has the name of mongodump's own oplog, which"
                " is left out: import an archive (mongodump --archive) instead"
            )


def read_chunks(content: Any, name: str, *, zipped: bool) -> Iterator[bytes]:
    """The plain bytes of a file in a tar. EvidenceMissing if it is cut off or damaged."""
    source = gzip.GzipFile(fileobj=content) if zipped else content
    try:
        while chunk := source.read(_PIECE_BYTES):
            yield chunk
    except (zlib.error, gzip.BadGzipFile, tarfile.TarError, EOFError) as error:
        raise EvidenceMissing(f"{name} is damaged or cut off: {error}") from error


def read_meta(file: File) -> Meta:
    """The definition in a file; its name is the one written in it, for file names are shortened."""
    text = b""
    for chunk in file.chunks:
        text += chunk
        if len(text) > _MAX_METADATA_BYTES:
            raise EvidenceMissing(f"the definition of {file.base} is too long")
    try:
        document: object = json.loads(text or b"{}")
    except (ValueError, RecursionError) as error:  # text that is no UTF-8, too
        raise EvidenceMissing(f"the definition of {file.base} cannot be read: {error}") from error
    fields = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    name = str(fields.get("collectionName") or unquote(file.base))
    kind = str(fields.get("type") or COLLECTION)
    return Meta(file.database, name, text.decode(errors="replace"), kind)


def runs(file: File, namespace: Namespace) -> Iterator[Run]:
    """The documents of a file. EvidenceMissing if it ends within one."""
    unread, name = b"", ".".join(namespace)
    for chunk in file.chunks:
        buffer = unread + chunk if unread else chunk
        position, ends, size = 0, list[int](), len(buffer)
        while position + 4 <= size:
            length = _length(buffer, position)[0]
            if not 5 <= length <= MAX_DOCUMENT_BYTES:
                raise EvidenceMissing(f"{name} is damaged: it holds a document of {length} bytes")
            if position + length > size:
                break
            position += length
            ends.append(position)
        if ends:
            yield Run(namespace, buffer[:position], ends)
        unread = buffer[position:]
    if unread:
        raise EvidenceMissing(f"{name} is cut off")


class Directory:
    """What was learnt of a directory: definitions, and the collections that have documents."""

    def __init__(self) -> None:
        self._metas: dict[tuple[str, str], Meta] = {}
        self._bare: dict[tuple[str, str], Meta] = {}
        self._definition_bytes = 0

    def learn(self, file: File) -> None:
        """Reads a definition; a file of documents only says that there is one."""
        key = (file.database, file.base)
        if file.is_metadata:
            self._metas[key] = read_meta(file)
            self._definition_bytes += len(self._metas[key].metadata)
        else:
            self._bare[key] = Meta(file.database, unquote(file.base), "{}")
        require_few(len(self._metas) + len(self._bare), self._definition_bytes)

    @property
    def metas(self) -> list[Meta]:
        defined = list(self._metas.values())
        buckets = {meta.data for meta in defined if meta.type == TIME_SERIES}
        bare = [
            meta
            for key, meta in self._bare.items()
            if key not in self._metas and (meta.database, meta.collection) not in buckets
        ]
        if len({meta.data for meta in (*defined, *bare)}) < len(defined) + len(bare):
            raise EvidenceMissing("the directory holds a collection twice")
        return [*defined, *bare]

    def namespace(self, database: str, base: str) -> Namespace:
        """The collection whose documents are in a file; of a time series its buckets."""
        meta = self._metas.get((database, base))
        return meta.data if meta is not None else (database, unquote(base))


def contents(first: Iterator[bytes], again: Iterator[bytes]) -> tuple[list[Meta], Iterator[Run]]:
    """Definitions and documents. The tar is read twice: definitions may follow their documents."""
    directory = Directory()
    for file in files(first):
        directory.learn(file)

    def documents() -> Iterator[Run]:
        for file in files(again):
            if not file.is_metadata:
                yield from runs(file, directory.namespace(file.database, file.base))

    return directory.metas, documents()


class _Entry(tarfile.TarInfo):
    """An entry of a tar. Headers that a tar may have of any length are refused when they are long:
    they are read into memory."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if not self.isfile() and self.size > _MAX_HEADER_BYTES:
            raise tarfile.HeaderError(f"a header of {self.size} bytes")
        processed: tarfile.TarInfo = cast("Any", super())._proc_member(tar)
        return processed


class _Readable(io.RawIOBase):
    """Chunks as a file object that is read once. `last`: the block that was read last."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.last = b"?"
        self._chunks = chunks
        self._unread = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = []
        missing = size
        while missing:
            if not self._unread:
                self._unread = memoryview(next(self._chunks, b""))
                if not self._unread:
                    break
            parts.append(bytes(self._unread[:missing] if missing > 0 else self._unread))
            self.last = (self.last + parts[-1][-tarfile.BLOCKSIZE :])[-tarfile.BLOCKSIZE :]
            self._unread = self._unread[len(parts[-1]) :]
            missing -= len(parts[-1]) if missing > 0 else 0
        return b"".join(parts)
