"""Reads logs: a range over HTTP, or a live tail over a WebSocket.

The socket has no authorisation header: the token is the first frame. The server closes the socket,
with any code, when no more lines can come.
"""

import json
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from websockets.asyncio.client import connect as connect_awaited
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import connect

from holdfast.client.models.models import LogLine
from holdfast.client.transport.calls import Steps, get
from holdfast.client.transport.errors import (
    Answer,
    ServerFault,
    Unauthenticated,
    Unreachable,
    error_for,
)
from holdfast.client.transport.parse import parsed, parsed_all
from holdfast.client.transport.transport import Address, user_agent

_MAX_FRAME_BYTES = 16 << 20


@dataclass(frozen=True)
class LogQuery:
    """A choice of lines. `start` and `end` are RFC 3339; `duration` is seconds back from now."""

    start: str | None = None
    end: str | None = None
    duration: int | None = None
    lines: int | None = None
    contains: str | None = None

    def params(self, kind: str) -> dict[str, str | int]:
        fields = {
            "queryType": kind,
            "startTime": self.start,
            "endTime": self.end,
            "duration": self.duration,
            "lineLimit": self.lines,
            "textIncludes": self.contains,
        }
        return {name: value for name, value in fields.items() if value is not None}


def lines_of(path: str, query: LogQuery | None) -> Steps[Sequence[LogLine]]:
    data = yield from get(path, (query or LogQuery()).params("range"))
    if not isinstance(data, list):
        raise ServerFault(Answer(200, "the answer holds no list of log lines"))
    return list(parsed_all(LogLine, cast("list[object]", data)))


def tail(address: Address, path: str, query: LogQuery | None) -> Iterator[LogLine]:
    """Yields lines as they come, until the server has no more. Close it to hang up."""
    try:
        with _opening_errors():
            url = _url(address, path, query)
            socket = connect(url, user_agent_header=user_agent(), max_size=_MAX_FRAME_BYTES)
        with socket:
            socket.send(_greeting(address))
            for frame in socket:
                yield from _lines(frame)
    except ConnectionClosed:
        return


async def follow(address: Address, path: str, query: LogQuery | None) -> AsyncIterator[LogLine]:
    """Like `tail`, on asyncio."""
    try:
        with _opening_errors():
            url = _url(address, path, query)
            socket = await connect_awaited(
                url, user_agent_header=user_agent(), max_size=_MAX_FRAME_BYTES
            )
        async with socket:
            await socket.send(_greeting(address))
            async for frame in socket:
                for line in _lines(frame):
                    yield line
    except ConnectionClosed:
        return


def _url(address: Address, path: str, query: LogQuery | None) -> str:
    return address.tail_url(path, (query or LogQuery()).params("tail"))


@contextmanager
def _opening_errors() -> Generator[None]:
    try:
        yield
    except InvalidStatus as error:
        status = error.response.status_code
        raise error_for(
            Answer(status, f"the server refused the log tail: HTTP {status}")
        ) from error
    except (OSError, InvalidHandshake, InvalidURI) as error:
        raise Unreachable(Answer(0, f"the log tail cannot be opened: {error}")) from error


def _greeting(address: Address) -> str:
    token = address.token.reveal() if address.token else ""
    auth = {"type": "apiToken", "apiToken": token}
    return json.dumps({"type": "init", "data": {"auth": auth}})


def _lines(frame: str | bytes) -> Iterator[LogLine]:
    try:
        document = _object(json.loads(frame))
    except ValueError as error:
        raise ServerFault(Answer(200, "the log tail sent something that is not JSON")) from error
    kind, data = document.get("type"), document.get("data")
    match kind:
        case "init":
            if _object(data).get("auth") != "successful":
                problem = _text(data, "the server did not accept the token")
                raise Unauthenticated(Answer(401, problem))
        case "log-lines":
            items = cast("list[object]", data) if isinstance(data, list) else []
            yield from (parsed(LogLine, item) for item in items)
        case "error":
            raise ServerFault(Answer(200, _text(data, "the log tail failed")))
        case _:
            raise ServerFault(Answer(200, f"the log tail sent an unknown frame {kind!r}"))


def _object(data: object) -> dict[str, object]:
    return cast("dict[str, object]", data) if isinstance(data, dict) else {}


def _text(data: object, otherwise: str) -> str:
    return str(_object(data).get("message") or otherwise)
