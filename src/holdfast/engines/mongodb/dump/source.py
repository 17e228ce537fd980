"""The bytes of an archive as it is written, with what is counted of them on their way."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from struct import Struct

from fastcrc.crc64 import xz

from holdfast.domain.errors import EvidenceMissing, Failure, SourceChanged
from holdfast.engines.mongodb.client.connection import Connection, WireError
from holdfast.engines.mongodb.client.server_errors import (
    NOT_FOUND,
    error_code,
    error_text,
    failure,
)
from holdfast.engines.mongodb.dump.archive import Namespace
from holdfast.engines.mongodb.dump.instant import Instant
from holdfast.engines.mongodb.dump.inventory import count
from holdfast.engines.mongodb.dump.metadata import Definition

CHANGED = (246, NOT_FOUND, 175)
"""Errors of reading a collection that was dropped, renamed or replaced meanwhile."""


class Tally:
    """Documents of each collection, and the sum of their CRC-64, as they pass by."""

    def __init__(self) -> None:
        self.documents: dict[Namespace, int] = {}
        self.sums: dict[Namespace, int] = {}

    def add(self, namespace: Namespace, documents: int, content_sum: int) -> None:
        self.documents[namespace] = self.documents.get(namespace, 0) + documents
        self.sums[namespace] = (self.sums.get(namespace, 0) + content_sum) % (1 << 64)


def content_sum(documents: bytes) -> tuple[int, int]:
    """The number of consecutive documents, and the sum of a CRC-64 of each: the same in whatever
    order they come."""
    length, crc, size = Struct("<i").unpack_from, xz, len(documents)
    total = start = number = 0
    while start < size:
        end = start + length(documents, start)[0]
        total += crc(documents[start:end])
        start = end
        number += 1
    return number, total


class BackgroundCount:
    """Counts collections at an instant in a thread, so that no reading waits for it."""

    def __init__(
        self, connection: Connection, chosen: Sequence[Definition], instant: Instant
    ) -> None:
        self._connection = connection
        self._chosen = chosen
        self._instant = instant
        self._counts: dict[Namespace, int] = {}
        self._failure: Failure | None = None
        self._is_complete = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="count", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._connection.logical_session() as session:
                for item in self._chosen:
                    if self._over.is_set():
                        return
                    concern = self._instant.read_concern
                    self._counts[item.data] = count(self._connection, item.data, concern, session)
            self._is_complete = True
        except (WireError, OSError) as error:
            text = f"collections were replaced while they were counted: {error_text(error)}"
            changed = error_code(error) in CHANGED
            self._failure = (
                SourceChanged(text) if changed else failure(error, self._connection.address)
            )

    def result(self) -> Mapping[Namespace, int]:
        """Raises the reason when not every collection could be counted."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        if not self._is_complete:
            raise EvidenceMissing("the documents were not counted to the end")
        return self._counts

    def stop(self) -> None:
        self._over.set()


class ArchiveSource:
    """An archive as it is written; `judge` compares it with the counts when it came to its end.

    `promises` are the facts that say of which instant it is.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        tally: Tally,
        counter: BackgroundCount,
        judge: Callable[[Mapping[Namespace, int], Tally], None],
        promises: Mapping[str, object],
    ) -> None:
        self._pieces = pieces
        self._unread = memoryview(b"")
        self._counter = counter
        self._judge = judge
        self._promises = promises
        self._bytes = 0
        self._is_read = False
        self.tally = tally
        self.is_finished = False

    def read(self, size: int) -> bytes:
        while not self._unread:
            piece = next(self._pieces, None)
            if piece is None:
                self._is_read = True
                return b""
            self._unread = memoryview(piece)
        data = bytes(self._unread[:size])
        self._unread = self._unread[size:]
        self._bytes += len(data)
        return data

    def finish(self) -> Mapping[str, object]:
        """`processes` is empty: no child takes part."""
        if not self._is_read:
            raise EvidenceMissing("the archive was not read to its end")
        counted = self._counter.result()
        self._judge(counted, self.tally)
        self.is_finished = True
        return {
            "processes": [],
            **self._promises,
            "bytes": self._bytes,
            "documents": sum(self.tally.documents.values()),
            "countedAtInstant": len(counted),
            "contents": {
                ".".join(namespace): {"documents": documents, "sum": f"{total:016x}"}
                for (namespace, documents), total in zip(
                    self.tally.documents.items(), self.tally.sums.values(), strict=True
                )
            },
        }

    def close(self) -> None:
        self._counter.stop()
