"""Limits what one connection to the API may send, how slowly, and how many connections there are.

uvicorn reads requests and runs the application; what it does not limit is limited here, before any
of it is kept: the size and number of headers, the time that headers and body take, how long an
answer may stay unread, and the number of connections. A refused client gets our own envelope.

A body has no time limit as a whole, because large uploads over slow lines are honest work; in each
period some of it must come, unless we stopped reading.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    RequestResponseCycle,
)
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol as Connection,
)
from uvicorn.server import ServerState

from holdfast.http.answers import MEDIA
from holdfast.http.arrival import HEADER, trusts
from holdfast.http.errors import envelope
from holdfast.http.limits.bounds import HEADER_BYTES, HEADERS, Bounds
from holdfast.kit import ids
from holdfast.kit.fetch import Network

_BYTES_A_SECOND = 256
_READ_BYTES = 32 << 10
"""Bytes read at once, and bytes that wait for the application before we stop reading. Times all
connections, this is the memory that callers without a token can claim. asyncio reads eight times
as much."""
_FRAMING = 64 << 10
"""Bytes of a chunked body that may go into its framing, besides 16 for each byte of content."""
_TOO_LARGE = f"the headers are larger than {HEADER_BYTES} bytes"


class _Refused(Exception):
    """Stops the parser from one of its callbacks, which have no other way to do so."""


class LimitedConnection(Connection):
    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
        proxies: tuple[Network, ...],
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._proxies = proxies
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._refused = False
        self._problem = (400, "this is not well-formed HTTP")
        self._in_head = self._in_body = self._paused = False
        self._fed = self._received = self._content = self._headers = self._header_bytes = 0

    # Number of connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if hasattr(transport, "max_size"):
            setattr(transport, "max_size", _READ_BYTES)  # noqa: B010 - not in asyncio's types
        if len(self.connections) > self._bounds.connections:
            self._refuse(503, "there are too many connections; try again later")
        elif self._connections_of_address() > self._bounds.connections_per_address:
            self._refuse(429, "there are too many connections from this address")
        else:
            self._after("head", self._bounds.head_timeout, self._slow_head)

    def _connections_of_address(self) -> int:
        """Counts connections from this address; 0 for a proxy, which stands for many."""
        if self.client is None or trusts(self._proxies, self.client[0]):
            return 0
        mine = self.client[0]
        clients: Iterator[tuple[str, int] | None] = (
            getattr(connection, "client", None) for connection in self.connections
        )
        return sum(1 for client in clients if client and client[0] == mine)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(*list(self._timers))
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._stop(*list(self._timers))
        super().handle_websocket_upgrade()

    # Size of a request

    def data_received(self, data: bytes) -> None:
        if self._refused or self.parser is None:
            return
        self._unset_keepalive_if_required()
        self._fed += len(data)
        self._received += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
        except httptools.HttpParserError:
            self._refuse(*self._problem)
        else:
            self._check_progress()

    def _check_progress(self) -> None:
        """Limits sizes and restarts timers.

        The size of what the parser buffers is unknown, so the bytes fed to it count.
        """
        if self._in_head and self._fed > HEADER_BYTES:
            self._refuse(431, _TOO_LARGE)
        elif self._in_body and self._fed > _FRAMING + 16 * self._content:
            self._refuse(400, "the body is mostly framing")
        elif self._in_head or not (self._in_body or self._is_answering()):
            self._after("head", self._bounds.head_timeout, self._slow_head)
        else:
            self._stop("head")
            if self._in_body:
                self._after("body", self._bounds.body_timeout, self._check_body_speed)

    def _is_answering(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        return cycle is not None and not cycle.response_complete

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._fed = self._content = self._headers = self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._count_header(len(name) + len(value) + 4)
        if self._in_head:  # trailers mean nothing to us
            super().on_header(name, value)

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._headers > HEADERS:
            self._problem = (431, f"there are more than {HEADERS} headers")
            raise _Refused
        if self._header_bytes > HEADER_BYTES:
            self._problem = (431, _TOO_LARGE)
            raise _Refused

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._in_head, self._in_body, self._paused = False, True, False
        self._received = 0

    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        super().on_body(body)
        if len(self.cycle.body) >= _READ_BYTES:
            self.flow.pause_reading()
        self._paused = self._paused or self.flow.read_paused

    def on_message_complete(self) -> None:
        self._in_body = False
        self._stop("body")
        super().on_message_complete()

    # Speed

    def _slow_head(self) -> None:
        self._stop("head")
        if self._in_head:
            self._refuse(408, "the headers did not come in time")
        else:
            self.transport.close()

    def _check_body_speed(self) -> None:
        self._stop("body")
        enough = self._received >= _BYTES_A_SECOND * self._bounds.body_timeout
        if enough or self._paused or self.flow.read_paused:
            self._received, self._paused = 0, False
            self._after("body", self._bounds.body_timeout, self._check_body_speed)
        else:
            self._refuse(408, "the body did not come in time")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._after("reader", self._bounds.reader_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop("reader")

    def _after(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        """Starts a timer, unless it runs already."""
        if name not in self._timers:
            self._timers[name] = self.loop.call_later(seconds, work)

    def _stop(self, *names: str) -> None:
        for name in names:
            timer = self._timers.pop(name, None)
            if timer is not None:
                timer.cancel()

    def _refuse(self, status: int, message: str) -> None:
        """Answers with the reason and closes; a running request sees its caller leave."""
        self._refused = True
        self._stop(*list(self._timers))
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if not self._in_body or self.cycle.response_started:
                self.transport.abort()  # the answer would be taken for another request's
                return
        body = bytes(envelope(status, message, f"http.{status}").body)
        head = (
            f"content-type: {MEDIA}\r\ncontent-length: {len(body)}\r\n"
            f"{HEADER}: {ids.hex24()}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()
