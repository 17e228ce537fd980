"""Sends live logs over a WebSocket, in the frames that the official clients understand.

The clients send their token in the first frame, not in a header. A frame of an unknown type ends
them, so keep-alive is left to WebSocket pings. A backup's tail ends with the backup: close 1000.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from holdfast.api.logging_query import parse_log_query
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.work import journal, operations
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import Forbidden, Refused, Unauthenticated
from holdfast.domain.operation import OVER, Status
from holdfast.http.arrival import address_of
from holdfast.http.auth import check
from holdfast.http.errors import envelope
from holdfast.http.limits.live_logs import Full
from holdfast.http.limits.throttle import digest_of
from holdfast.http.state import of
from holdfast.kit.clock import parse_rfc3339
from holdfast.kit.seal import Secret
from holdfast.views.logs import LogQuery, operation_lines
from holdfast.views.shapes.others import LogLine

_POLL_SECONDS = 0.5
_FIRST_FRAME_SECONDS = 10
_FIRST_LINES = 10
_LINES_AT_ONCE = 1000
_END_REASON = "logs end here"
_CLOSE_TRY_LATER = 1013


@dataclass(frozen=True)
class Batch:
    """New lines; `over` when no more can come."""

    lines: list[LogLine]
    over: bool


@dataclass(frozen=True)
class _Listener:
    """A caller who follows a log, and the token, which must stay valid meanwhile."""

    token: Secret
    caller: Caller


class Feed:
    """Reads lines that are new since the last read, and tells when no more can come."""

    def __init__(self, read: Callable[[], Batch]) -> None:
        self.next = read

    @classmethod
    def of_operation(cls, catalog: Catalog, operation: str, query: LogQuery) -> "Feed":
        last_pk = 0
        first = True

        def read() -> Batch:
            nonlocal last_pk, first
            with catalog.read() as session:
                row = operations.get(session, operation)
                over = row is None or Status(row.status) in OVER
                limit = query.limit if first and not query.filters else _LINES_AT_ONCE
                window = journal.Window(query.start, query.end, last_pk, limit, newest=first)
                lines = journal.read(session, operation, window)
                page = query if first else replace(query, limit=_LINES_AT_ONCE)
                over = over and (first or len(lines) < _LINES_AT_ONCE)
                first = False
                last_pk = lines[-1].pk if lines else last_pk
                return Batch(operation_lines(lines, operation, page), over)

        return cls(read)

    @classmethod
    def of_server(cls, lines_of: Callable[[LogQuery], list[LogLine]], query: LogQuery) -> "Feed":
        last_lines: list[LogLine] | None = None

        def read() -> Batch:
            nonlocal last_lines
            page = query
            if last_lines is not None:
                start = parse_rfc3339(last_lines[-1].ts) if last_lines else query.start
                page = replace(query, start=start, limit=_LINES_AT_ONCE)
            lines = lines_of(page)
            new = (
                lines if last_lines is None else [line for line in lines if line not in last_lines]
            )
            last_lines = (lines or last_lines or [])[-_LINES_AT_ONCE:]
            return Batch(new, over=False)

        return cls(read)


async def serve_tail(socket: WebSocket, find: Callable[[Caller, LogQuery], Feed]) -> None:
    """Accepts, authenticates by the first frame, then sends lines until either side ends it."""
    try:
        with of(socket).tails.one():
            await socket.accept()
            listener = await _authenticate(socket)
            if listener is not None:
                await _follow(socket, listener, find)
    except Full as error:
        await socket.send_denial_response(envelope(error.status, error.message, error.code))
    except WebSocketDisconnect:
        return


async def _authenticate(socket: WebSocket) -> _Listener | None:
    """Wrong tokens count as they do in a header."""
    api, address = of(socket), address_of(socket)
    try:
        async with asyncio.timeout(_FIRST_FRAME_SECONDS):
            frame = await socket.receive()
        token = Secret(_token_of(frame))
        api.throttle.check_guesses(address)
        try:
            caller = await api.callers.of(token)
        except Unauthenticated:
            api.throttle.wrong(digest_of(token.reveal()), address)
            raise
        check(caller, Permission.INSTANCE_LOGS)
    except (Refused, TimeoutError) as error:
        message = error.message if isinstance(error, Refused) else "no token was sent in time"
        await _send(socket, {"type": "init", "data": {"auth": "failed", "message": message}})
        await socket.close(1008)
        return None
    await _send(socket, {"type": "init", "data": {"auth": "successful"}})
    return _Listener(token, caller)


def _token_of(frame: Message) -> str:
    """Reads `{"type":"init","data":{"auth":{"type":"apiToken","apiToken":"..."}}}`."""
    if frame["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(frame["code"])
    try:
        token = json.loads(frame["text"])["data"]["auth"]["apiToken"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unauthenticated("the first frame must carry an API token") from error
    if not (isinstance(token, str) and token.isascii()):
        raise Unauthenticated("the first frame must carry an API token")
    return token


async def _follow(
    socket: WebSocket, listener: _Listener, find: Callable[[Caller, LogQuery], Feed]
) -> None:
    try:
        query = parse_log_query(socket.query_params, of(socket).clock.now(), _FIRST_LINES)
        with of(socket).tails.one_of(listener.caller):
            feed = await run_in_threadpool(find, listener.caller, query)
            await _stream(socket, listener, feed)
    except Refused as error:
        await _send(socket, {"type": "error", "data": {"message": error.message}})
        await socket.close(_CLOSE_TRY_LATER if isinstance(error, Full) else 1000)


async def _stream(socket: WebSocket, listener: _Listener, feed: Feed) -> None:
    """Sends lines. Raises Refused when the token ends, or its caller's rights change."""
    api = of(socket)

    async def wait_for_end() -> None:
        """Waits until the client leaves; what it sends after its token means nothing."""
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass

    hangup = asyncio.create_task(wait_for_end())
    try:
        while not hangup.done():
            batch = await run_in_threadpool(feed.next)
            if await api.callers.of(listener.token) != listener.caller:
                raise Forbidden("what this token may see has changed; ask again")
            if batch.lines:
                lines = [line.model_dump(by_alias=True) for line in batch.lines]
                await _send(socket, {"type": "log-lines", "data": lines})
            if batch.over:
                await socket.close(1000, _END_REASON)
                return
            await asyncio.wait({hangup}, timeout=_POLL_SECONDS)
    finally:
        hangup.cancel()


async def _send(socket: WebSocket, frame: dict[str, Any]) -> None:
    await socket.send_text(json.dumps(cast("object", frame)))
