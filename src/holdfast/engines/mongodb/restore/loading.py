"""Inserts documents as they are: no document is decoded, and none is changed by the server."""

import re
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from bson.timestamp import Timestamp

from holdfast.domain.errors import RestoreDiffers
from holdfast.engines.mongodb.client.connection import (
    Connection,
    Document,
    RawDocument,
    RefusedDocuments,
    WireError,
)
from holdfast.engines.mongodb.client.server_errors import error_code, error_text
from holdfast.engines.mongodb.dump import metadata
from holdfast.engines.mongodb.dump.archive import BUCKETS, MALFORMED
from holdfast.engines.mongodb.dump.inventory import SYSTEM_CODE

_MAX_BATCH_BYTES = 8 << 20
_MAX_BATCH_DOCUMENTS = 50_000
_UNKNOWN_FIELD = 40415
_DUPLICATE_KEY = 11000
_WIRE_5_1 = 14
_ZERO_TIMESTAMP = re.compile(rb"\x11[^\0]*\0\0{8}")
_ZERO = Timestamp(0, 0)
_LENIENT: "CodecOptions[RawBSONDocument]" = CodecOptions(
    document_class=RawBSONDocument,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
    unicode_decode_error_handler="replace",
)


class Loader:
    """Loads one collection in batches; a batch is sent while the next one is gathered.

    Leaving the block sends the rest. RestoreDiffers when the server refuses a document.
    `ordered`: documents keep their order, as those of capped collections have to. `name`: what
    errors call the collection. `repeats`, of an unordered one: a document with an `_id` that is
    loaded replaces the one before it, and is counted there under `collection`; without it the
    server refuses it.
    """

    def __init__(
        self,
        connection: Connection,
        database: str,
        collection: str,
        *,
        ordered: bool = False,
        name: str = "",
        repeats: Counter[str] | None = None,
    ) -> None:
        self._connection = connection
        self._namespace = database, collection
        self._ordered = ordered
        self._name = name or collection
        self._repeats = repeats
        self._batch: list[RawDocument] = []
        self._batch_bytes = 0
        self._sender = ThreadPoolExecutor(1, "load")
        self._sent: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._send()
                if self._sent is not None:
                    self._sent.result()
        finally:
            self._sender.shutdown()

    def add(self, documents: Iterable[bytes]) -> None:
        for document in documents:
            full = len(self._batch) >= _MAX_BATCH_DOCUMENTS
            if full or self._batch_bytes + len(document) > _MAX_BATCH_BYTES:
                self._send()
            self._batch.append(RawDocument(document))
            self._batch_bytes += len(document)

    def _send(self) -> None:
        if self._sent is not None:
            self._sent.result()
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            self._sent = self._sender.submit(self.insert, batch)

    def insert(self, batch: list[RawDocument]) -> None:
        command: Document = {
            "insert": self._namespace[1],
            "documents": batch,
            "ordered": self._ordered,
        }
        timed = [item for item in batch if has_zero_timestamp(item.raw)]
        if timed:
            # A server replaces these by its clock unless it is told not to.
            try:
                self._run({**command, "bypassEmptyTsReplacement": True})
                timed = []
            except WireError as error:
                if error_code(error) != _UNKNOWN_FIELD:
                    raise
                self._run(command)
        else:
            self._run(command)
        for item in timed:
            self.replace_document(item)

    def replace_document(self, item: RawDocument) -> None:
        """Puts a document in the place of the inserted one with its `_id`, zero timestamps
        included."""
        _, collection = self._namespace
        try:
            identity = RawBSONDocument(item.raw, _LENIENT)["_id"]
        except MALFORMED as error:
            raise RestoreDiffers(
                f"a document of {self._name} with a timestamp of zero has no _id"
            ) from error
        literal = [{"$replaceRoot": {"newRoot": {"$literal": item}}}]
        update: Document = {"q": {"_id": {"$eq": identity}}, "u": literal}
        reply = self._run({"update": collection, "updates": [update]})
        if reply["n"] != 1:
            raise RestoreDiffers(f"a document of {self._name} is lost")

    def _run(self, command: Document) -> Document:
        """Writes into the collection. RestoreDiffers when the server refuses a document."""
        database, collection = self._namespace
        command["writeConcern"] = {"w": 1}
        # For `system.js` it needs a right that hardly any role has. Servers rely on the form of
        # buckets, and strangers may have made these.
        if collection != SYSTEM_CODE and not collection.startswith(BUCKETS):
            command["bypassDocumentValidation"] = True
        try:
            return self._connection.write(database, command)
        except RefusedDocuments as error:
            repeated = repeated_documents(error, command) if self._repeats is not None else []
            if self._repeats is None or not repeated:
                text = error_text(error).replace(collection, self._name)
                raise RestoreDiffers(
                    f"the server refused documents of {database}.{self._name}: {text}"
                ) from error
            for document in repeated:
                self.replace_document(document)
            self._repeats[collection] += len(repeated)
            return {}


def repeated_documents(error: RefusedDocuments, insertion: Document) -> list[RawDocument]:
    """The documents that were refused because their `_id` is there; none if others were, too."""
    refused: list[Document] = (error.details or {}).get("writeErrors", [])
    if any(
        entry.get("code") != _DUPLICATE_KEY or list(entry.get("keyPattern", ())) != ["_id"]
        for entry in refused
    ):
        return []
    documents: list[RawDocument] = insertion.get("documents", [])
    return [documents[entry["index"]] for entry in refused if documents]


def has_zero_timestamp(document: bytes) -> bool:
    """Whether a field at the top of a document is the timestamp that a server would replace."""
    if _ZERO_TIMESTAMP.search(document) is None:
        return False
    try:
        fields: Any = RawBSONDocument(document, _LENIENT)
        return any(fields[name] == _ZERO for name in fields)
    except MALFORMED:
        return False


def harmless_expiry(connection: Connection) -> int:
    """An expiry that no document reaches; servers before 5.1 allow none that begins before 1970."""
    hello = connection.command("admin", {"hello": 1})
    if hello["maxWireVersion"] >= _WIRE_5_1:
        return metadata.MAX_EXPIRY_SECONDS
    return int(hello["localTime"]) // 1000


def create_indexes(
    connection: Connection, database: str, collection: str, specs: list[Document]
) -> list[tuple[Document, str]]:
    """Creates all indexes at once, which reads the documents once; returns those that are refused,
    each with the server's reason."""
    if not specs:
        return []
    command: Document = {"createIndexes": collection, "indexes": specs}
    try:
        connection.write(database, command)
    except WireError as error:
        if not error_code(error):
            raise
        if len(specs) == 1:
            return [(specs[0], error_text(error))]
        return [
            refusal
            for spec in specs
            for refusal in create_indexes(connection, database, collection, [spec])
        ]
    return []
