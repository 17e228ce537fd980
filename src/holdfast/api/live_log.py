"""Live logs over a WebSocket, in the frames the official clients understand.

They send their token in the first frame, not in a header. Any frame type they do not know ends
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
from holdfast.http.state import Api, of
from holdfast.kit.clock import parse_rfc3339
from holdfast.kit.seal import Secret
from holdfast.views.logs import LogQuery, operation_lines
from holdfast.views.shapes.others import LogLine

_POLL_SECONDS = 0.5
_FIRST_FRAME_SECONDS = 10
_FIRST_LINES = 10
_AT_ONCE = 1000
_SHUT = "logs end here"
_TRY_LATER = 1013


@dataclass(frozen=True)
class Batch:
    """New lines, and whether more can come."""

    lines: list[LogLine]
    over: bool


@dataclass(frozen=True)
class _Listener:
    """Who follows a log, and the token that has to be valid for as long."""

    token: Secret
    caller: Caller


class Feed:
    """Gives what is new since the last call; knows when nothing more will come."""

    def __init__(self, read: Callable[[], Batch]) -> None:
        self.next = read

    @classmethod
    def of_operation(cls, catalog: Catalog, operation: str, query: LogQuery) -> "Feed":
        seen = 0
        first = True

        def read() -> Batch:
            nonlocal seen, first
            with catalog.read() as session:
                row = operations.get(session, operation)
                over = row is None or Status(row.status) in OVER
                limit = query.limit if first and not query.filters else _AT_ONCE
                window = journal.Window(query.start, query.end, seen, limit, newest=first)
                lines = journal.read(session, operation, window)
                wanted = query if first else replace(query, limit=_AT_ONCE)
                over = over and (first or len(lines) < _AT_ONCE)
                first = False
                seen = lines[-1].pk if lines else seen
                return Batch(operation_lines(lines, operation, wanted), over)

        return cls(read)

    @classmethod
    def of_server(cls, lines_of: Callable[[LogQuery], list[LogLine]], query: LogQuery) -> "Feed":
        seen: list[LogLine] | None = None

        def read() -> Batch:
            nonlocal seen
            found = lines_of(query if seen is None else _since(seen, query))
            new = found if seen is None else [line for line in found if line not in seen]
            seen = (found or seen or [])[-_AT_ONCE:]
            return Batch(new, over=False)

        return cls(read)


def _since(seen: list[LogLine], query: LogQuery) -> LogQuery:
    start = parse_rfc3339(seen[-1].ts) if seen else query.start
    return replace(query, start=start, limit=_AT_ONCE)


async def serve_tail(socket: WebSocket, find: Callable[[Caller, LogQuery], Feed]) -> None:
    """Accepts, authenticates by the first frame, then sends lines until either side ends it."""
    try:
        with of(socket).tails.one():
            await socket.accept()
            listener = await _authenticated(socket)
            if listener is not None:
                await _follow(socket, listener, find)
    except Full as error:
        await socket.send_denial_response(envelope(error.status, error.message, error.code))
    except WebSocketDisconnect:
        return


async def _authenticated(socket: WebSocket) -> _Listener | None:
    api = of(socket)
    try:
        async with asyncio.timeout(_FIRST_FRAME_SECONDS):
            frame = await socket.receive()
        token = Secret(_token_of(frame))
        caller = await _holder(api, address_of(socket), token)
        check(caller, Permission.INSTANCE_LOGS)
    except (Refused, TimeoutError) as error:
        message = error.message if isinstance(error, Refused) else "no token was sent in time"
        await _send(socket, {"type": "init", "data": {"auth": "failed", "message": message}})
        await socket.close(1008)
        return None
    await _send(socket, {"type": "init", "data": {"auth": "successful"}})
    return _Listener(token, caller)


async def _holder(api: Api, address: str, token: Secret) -> Caller:
    """Wrong tokens count as they do in a header."""
    api.throttle.check_guesses(address)
    try:
        return await api.callers.of(token)
    except Unauthenticated:
        api.throttle.wrong(digest_of(token.reveal()), address)
        raise


def _token_of(frame: Message) -> str:
    """`{"type":"init","data":{"auth":{"type":"apiToken","apiToken":"..."}}}`."""
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
        await socket.close(_TRY_LATER if isinstance(error, Full) else 1000)


async def _stream(socket: WebSocket, listener: _Listener, feed: Feed) -> None:
    """Refused when the token ends, or its caller may see less than before."""
    hangup = asyncio.create_task(_wait_for_end(socket))
    try:
        while not hangup.done():
            batch = await run_in_threadpool(feed.next)
            await _require_same(of(socket), listener)
            if batch.lines:
                lines = [line.model_dump(by_alias=True) for line in batch.lines]
                await _send(socket, {"type": "log-lines", "data": lines})
            if batch.over:
                await socket.close(1000, _SHUT)
                return
            await asyncio.wait({hangup}, timeout=_POLL_SECONDS)
    finally:
        hangup.cancel()


async def _require_same(api: Api, listener: _Listener) -> None:
    if await api.callers.of(listener.token) != listener.caller:
        raise Forbidden("what this token may see has changed; ask again")


async def _wait_for_end(socket: WebSocket) -> None:
    """What the client sends after its token means nothing; that it goes away does."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _send(socket: WebSocket, frame: dict[str, Any]) -> None:
    await socket.send_text(json.dumps(cast("object", frame)))
