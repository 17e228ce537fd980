"""Connections to a server or a replica set; no other module uses pymongo's client.

Commands are sent as they are; their errors are pymongo's, which `server_errors` translates. What
changes data goes through `write`, which is acknowledged by a majority and raises every error that a
reply holds.
Replies are decoded without loss of order, and dates and text that Python cannot hold do not fail;
`raw_command` does not decode them at all.
"""

import contextlib
from collections.abc import Generator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import bson
import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from bson.son import SON
from pymongo import MongoClient, ReadPreference
from pymongo.client_session import ClientSession
from pymongo.driver_info import DriverInfo
from pymongo.errors import (
    AutoReconnect,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WriteError,
)
from pymongo.synchronous.pool import Pool

from holdfast.contracts.engine import Address
from holdfast.engines.mongodb.client.address import (
    CERTIFICATE_OPTIONS,
    SRV,
    endpoints,
    is_direct,
)
from holdfast.engines.mongodb.client.server_errors import translated
from holdfast.kit.fetch import is_local_service_name

WireError = PyMongoError
Refusal = OperationFailure
"""What a server answers to a command that it does not carry out."""
RefusedDocuments = WriteError
"""What it answers to a write that it carried out without some documents."""
DRIVER_VERSION = pymongo.version
Document = dict[str, Any]
Command = MutableMapping[str, Any]

ORDERED: "CodecOptions[SON[str, Any]]" = CodecOptions(
    document_class=SON,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
    unicode_decode_error_handler="surrogateescape",
)
"""Keeps the order of keys, dates beyond year 9999 and text that is no UTF-8."""
_RAW: "CodecOptions[RawBSONDocument]" = CodecOptions(document_class=RawBSONDocument)
_CONNECT_SECONDS = 10
ANSWER_SECONDS = 60
LONG_ANSWER_SECONDS = 3600
"""For commands that read or write whole collections where no guard watches."""
MAJORITY: Document = {"w": "majority", "wtimeout": LONG_ANSWER_SECONDS * 1000}
"""Members of a set may lag behind what was loaded, but not for ever."""
APPLICATION = "holdfast"
"""Name under which connections show in `currentOp`; the attempt's tag may follow."""


@dataclass(slots=True, frozen=True)
class RawDocument:
    """A document that is sent as these bytes, with less work than `RawBSONDocument` takes."""

    raw: bytes
    _type_marker = 101  # how the BSON encoder knows objects with `raw`


def decoded(document: bytes) -> Document:
    """A document of BSON, decoded as replies are."""
    return cast("Any", bson).decode(document, ORDERED)


class Connection:
    """A client of one server or set, which connects at its first command.

    Threads may share it, each with a logical session of its own where a cursor is read. Raises
    `WireError`.
    """

    def __init__(
        self,
        client: "MongoClient[SON[str, Any]]",
        address: Address,
        answer_seconds: float | None = None,
    ) -> None:
        self._client = client
        self._answer_seconds = answer_seconds
        self.address = address

    def command(
        self, database: str, command: Command, session: ClientSession | None = None
    ) -> Document:
        """Sends a command to the primary, or to the one server of a direct connection.

        A server that takes longer than we wait for an answer gives the command up.
        """
        if self._answer_seconds is not None and next(iter(command)) != "getMore":
            command = {**command}
            command.setdefault("maxTimeMS", int(self._answer_seconds * 1000))
        return self._client[database].command(
            command, codec_options=ORDERED, read_preference=ReadPreference.PRIMARY, session=session
        )

    def write(self, database: str, command: Command) -> Document:
        """As `command`, for what changes data or definitions, acknowledged by a majority.

        With a write concern of its own it is acknowledged as that says. Raises `Refusal` also for
        single documents that the server refuses, and when a majority does not acknowledge.
        """
        reply = self.command(database, {**command, "writeConcern": MAJORITY, **command})
        errors: Sequence[Document] = reply.get("writeErrors") or []
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise WriteError(f"{errors[0].get('errmsg')}{more}", errors[0].get("code"), reply)
        concern: Document | None = reply.get("writeConcernError")
        if concern:
            raise WriteConcernError(str(concern.get("errmsg")), concern.get("code"), reply)
        return reply

    def raw_command(
        self, database: str, command: Command, session: ClientSession | None = None
    ) -> bytes:
        """As `command`; returns the whole reply as bytes of BSON."""
        reply: RawBSONDocument = self._client[database].command(
            command, codec_options=_RAW, read_preference=ReadPreference.PRIMARY, session=session
        )
        return bytes(reply.raw)

    def logical_session(self) -> ClientSession:
        """A session for `find` and its `getMore`, without causal consistency: that would add times
        to read concerns. The caller ends it."""
        return self._client.start_session(causal_consistency=False)

    def documents(self, database: str, command: Command) -> Generator[Document]:
        """All documents of a cursor command, such as `find`, `listCollections` or `aggregate`."""
        with self.logical_session() as session:
            cursor = self.command(database, command, session)["cursor"]
            yield from cursor["firstBatch"]
            _, _, name = cursor["ns"].partition(".")
            while cursor["id"]:
                more = {"getMore": cursor["id"], "collection": name}
                cursor = self.command(database, more, session)["cursor"]
                yield from cursor["nextBatch"]

    @property
    def primary(self) -> tuple[str, int] | None:
        """Host and port of the primary, as this client knows it now."""
        return self._client.primary

    def cut(self) -> None:
        """Makes commands of other threads fail within half a second; safe from any thread."""
        client: Any = self._client  # it offers nothing like it
        for server in list(client._topology._servers.values()):
            for context in list(server.pool.active_contexts):
                context.cancel()

    def close(self) -> None:
        with contextlib.suppress(WireError, OSError):
            self._client.close()


def open_connection(
    address: Address, answer_seconds: float | None = ANSWER_SECONDS, name: str = APPLICATION
) -> Connection:
    """A connection that the caller closes. `answer_seconds` None: commands may take any time.

    Raises AddonUnavailable or AddonRefused when the names of the address cannot be used.
    """
    options = address.options
    keywords: dict[str, Any] = {
        **_tls(options),
        "appname": name,
        "authMechanism": options.get("authMechanism"),
        "connectTimeoutMS": _CONNECT_SECONDS * 1000,
        "directConnection": is_direct(address),
        "driver": DriverInfo(APPLICATION),
        "replicaSet": options.get("replicaSet"),
        "retryReads": False,
        "retryWrites": False,
        "serverSelectionTimeoutMS": _CONNECT_SECONDS * 1000,
        "socketTimeoutMS": None if answer_seconds is None else int(answer_seconds * 1000),
        "waitQueueTimeoutMS": _CONNECT_SECONDS * 1000,
    }
    if address.user:
        keywords |= {"username": address.user, "password": address.password.reveal()}
        if SRV not in options or "authSource" in options:
            keywords["authSource"] = options.get("authSource", "admin")
    with translated(address):
        hosts: Sequence[str] = list(endpoints(address))
        if SRV in options:
            hosts = [f"mongodb+srv://{address.host}/{address.database}"]
        elif address.host.startswith("/"):
            hosts = [f"mongodb://{quote(address.host, safe='')}"]
        present = {key: value for key, value in keywords.items() if value is not None}
        client: MongoClient[SON[str, Any]] = MongoClient(
            host=list(hosts), document_class=SON, connect=False, _pool_class=_CheckedPool, **present
        )
    return Connection(client, address, answer_seconds)


class _CheckedPool(Pool):
    """Connects to no address that serves only the machine that asks.

    DNS records of `mongodb+srv` and the configuration of a set name hosts that are in no connection
    string, and strangers may have written them.
    """

    def connect(self, handler: Any = None) -> Any:
        host = self.address[0]
        if not host.startswith("/") and is_local_service_name(host):
            raise AutoReconnect(f"{host} is a link-local address, where no server is")
        return super().connect(handler)


def _tls(options: Mapping[str, str]) -> dict[str, Any]:
    mode = options.get("sslmode")
    if mode is None:
        return {"tls": False} if options.get("tls") == "false" else {}
    return {
        "tls": True,
        "tlsAllowInvalidCertificates": mode == "require",
        "tlsAllowInvalidHostnames": mode != "verify-full",
        **{name: options[name] for name in CERTIFICATE_OPTIONS if name in options},
    }


@contextmanager
def connect(
    address: Address, answer_seconds: float | None = ANSWER_SECONDS, name: str = APPLICATION
) -> Generator[Connection]:
    """Yields a connection and translates errors of all commands on it to our failures."""
    connection = open_connection(address, answer_seconds, name)
    try:
        with translated(address):
            yield connection
    finally:
        connection.close()
