"""Reads the documents of a collection as bytes, without decoding any of them."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from struct import Struct
from uuid import UUID

import bson
from bson.binary import UUID_SUBTYPE, Binary
from bson.int64 import Int64
from pymongo.client_session import ClientSession

from holdfast.domain.errors import AddonRefused
from holdfast.engines.mongodb.client.connection import Connection, WireError

_LENGTH = Struct("<i")
_ARRAY, _EMBEDDED, _STRING, _INT64, _BOOLEAN, _TIMESTAMP, _INT32, _DOUBLE = (
    *(0x04, 0x03, 0x02, 0x12, 0x08, 0x11, 0x10, 0x01),
)
_FIXED_BYTES = {_INT64: 8, _TIMESTAMP: 8, _DOUBLE: 8, _INT32: 4, _BOOLEAN: 1}
_EMPTY_ARRAY_BYTES = 5


def elements(document: bytes, start: int = 0) -> Iterator[tuple[bytes, int, int, int]]:
    """Name, type, and offsets of the value of each element of a reply's document.

    Knows the types that replies to cursor commands have.
    """
    position, end = start + 4, start + _LENGTH.unpack_from(document, start)[0] - 1
    while position < end:
        kind, name_end = document[position], document.index(b"\0", position + 1)
        value = name_end + 1
        if kind in (_ARRAY, _EMBEDDED):
            size = _LENGTH.unpack_from(document, value)[0]
        elif kind == _STRING:
            size = 4 + _LENGTH.unpack_from(document, value)[0]
        elif kind in _FIXED_BYTES:
            size = _FIXED_BYTES[kind]
        else:
            raise AddonRefused(f"the server's reply holds an element of the type {kind}")
        yield document[position + 1 : name_end], kind, value, value + size
        position = value + size


def _cursor(reply: bytes) -> tuple[int, str, bytes]:
    """The id of the cursor in a reply, its namespace, and its batch as consecutive documents."""
    start = next((value for name, _, value, _ in elements(reply) if name == b"cursor"), None)
    if start is None:
        raise AddonRefused("the server's reply holds no cursor")
    cursor_id, namespace, documents = 0, "", b""
    for name, _, value, end in elements(reply, start):
        if name == b"id":
            cursor_id = int.from_bytes(reply[value:end], "little", signed=True)
        elif name == b"ns":
            namespace = reply[value + 4 : end - 1].decode()
        elif name in (b"firstBatch", b"nextBatch") and end - value > _EMPTY_ARRAY_BYTES:
            documents = without_keys(reply[value:end])
    return cursor_id, namespace, documents


def without_keys(array: bytes) -> bytes:
    """The documents of an array of BSON one after another."""
    strip = getattr(bson, "_array_of_documents_to_buffer", None)  # in C, but not public
    if strip is not None:
        return strip(array)
    return b"".join(array[start:end] for _, _, start, end in elements(array))


def offsets(documents: bytes) -> list[int]:
    """The offset behind each of consecutive documents."""
    length, position, size, ends = _LENGTH.unpack_from, 0, len(documents), list[int]()
    while position < size:
        position += length(documents, position)[0]
        ends.append(position)
    return ends


def batches(
    connection: Connection,
    session: ClientSession,
    database: str,
    collection: str | UUID,
    read_concern: Mapping[str, object] | None = None,
) -> Iterator[bytes]:
    """All documents of a collection in batches, in natural order; one batch is read ahead.

    With a UUID a collection that was dropped or renamed is an error; by name it reads as empty.
    """
    target = Binary(collection.bytes, UUID_SUBTYPE) if isinstance(collection, UUID) else collection
    command: dict[str, object] = {"find": target, "noCursorTimeout": True}
    if read_concern is not None:
        command["readConcern"] = read_concern
    cursor_id, namespace, documents = _cursor(connection.raw_command(database, command, session))
    name = namespace.partition(".")[2]
    following: Future[bytes] | None = None
    with ThreadPoolExecutor(1, "read") as reader:
        try:
            while True:
                more: dict[str, object] = {"getMore": Int64(cursor_id), "collection": name}
                if cursor_id:
                    following = reader.submit(connection.raw_command, database, more, session)
                if documents:
                    yield documents
                if following is None:
                    return
                answer, following = following, None
                cursor_id, _, documents = _cursor(answer.result())
        finally:
            if cursor_id:
                if following is not None:
                    following.exception()  # a cursor in use cannot be ended
                cursors = [Int64(cursor_id)]
                end: dict[str, object] = {"killCursors": name, "cursors": cursors}
                with suppress(WireError):
                    connection.command(database, end, session)
