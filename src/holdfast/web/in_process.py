"""Calls the API's application inside this process, with the caller of a session.

So a page can do what the API can do and nothing else: permissions, validation, sentences and audit
entries are the API's own. The caller is put into the scope, where no client can put one.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, unquote, urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive

from holdfast.domain.access import Caller
from holdfast.http.arrival import HEADER, id_of
from holdfast.http.limits.rates import CALLER

log = logging.getLogger(__name__)

_CHUNKS_AHEAD = 4
"""Of a file that is passed on: so many wait in memory while the browser takes its time."""

_FILE_PAGES = 200
"""Of 100 rows each: a file that a page makes is held in memory."""

Query = Mapping[str, str | int | bool | Sequence[str] | None]
"""Parameters of a call; those that are None are left out, a sequence is repeated."""


class Trouble(Exception):
    """The API refused a call that a page cannot do without. Shown as a page of its own."""

    def __init__(self, answer: "Answer") -> None:
        super().__init__(answer.message)
        self.answer = answer


@dataclass(frozen=True)
class Answer:
    """What the API answered: its status, and its JSON document."""

    status: int
    document: Any

    @property
    def ok(self) -> bool:
        return self.status == 200

    @property
    def data(self) -> Any:
        """Raises Trouble unless the call succeeded."""
        if not self.ok:
            raise Trouble(self)
        return self.document["data"]

    @property
    def record(self) -> dict[str, Any]:
        """The data of one object; empty when the call was refused."""
        return self.data if self.ok else {}

    def items(self, name: str) -> list[dict[str, Any]]:
        """The data of a list under its name; empty when the call was refused."""
        return self.data[name] if self.ok else []

    @property
    def cursor(self) -> str | None:
        """Where the next page of a list begins; None on its last page."""
        return cast("str | None", self.document.get("pagination", {}).get("cursor"))

    @property
    def message(self) -> str:
        return str(self.document.get("error", {}).get("message", ""))

    @property
    def details(self) -> dict[str, str]:
        """Problems by field, as the API names them; those of headers and paths among them."""
        details: dict[str, Any] = self.document.get("error", {}).get("details") or {}
        return {str(field): str(problem) for field, problem in details.items()}


async def call(
    caller: Caller,
    method: str,
    path: str,
    body: object = None,
    query: Query | None = None,
    *,
    origin: Request,
) -> Answer:
    """Calls one route for a request of a page, under that request's id and address."""
    content = b"" if body is None else json.dumps(body).encode()
    scope = _scope_of(origin, caller, method, path, query or {}, len(content))
    sender = _Sender(content)
    return await _collect(origin, scope, sender.receive, sender)


async def hand_on(caller: Caller, path: str, query: Query, *, origin: Request) -> Answer:
    """Calls a PUT route with the body of a page's request, which streams through."""
    length = int(origin.headers["content-length"])
    scope = _scope_of(origin, caller, "PUT", path, query, length)
    scope["headers"] = [
        (name, b"application/octet-stream" if name == b"content-type" else value)
        for name, value in scope["headers"]
    ]
    return await _collect(origin, scope, origin.receive, _Sender(b""))


async def _collect(
    origin: Request, scope: MutableMapping[str, Any], receive: Receive, sender: "_Sender"
) -> Answer:
    app = cast("ASGIApp", origin.app.state.api_app)
    try:
        await app(scope, receive, sender.send)
    except Exception:
        if not sender.status:  # else it answered 500, and only tells its server so
            raise
    return Answer(sender.status, json.loads(sender.body or b"{}"))


async def relay(caller: Caller, path: str, *, origin: Request) -> Response:
    """Passes a file that the API streams on to the browser, chunk by chunk."""
    chunks: asyncio.Queue[Message] = asyncio.Queue(_CHUNKS_AHEAD)
    scope = _scope_of(origin, caller, "GET", path, {}, 0)
    app = cast("ASGIApp", origin.app.state.api_app)

    async def run() -> None:
        try:
            await app(scope, _Sender(b"").receive_once, chunks.put)
        except Exception:
            log.exception("a file was not sent to its end", extra={"path": path})
            await chunks.put({"type": "http.response.start", "status": 500, "headers": []})
            await chunks.put({"type": "http.response.body", "body": b"{}"})

    task = asyncio.create_task(run())
    start = await chunks.get()
    status = int(start["status"])
    if status != 200:
        first = await chunks.get()
        await task
        raise Trouble(Answer(status, json.loads(first.get("body") or b"{}")))
    passed_on = (b"content-disposition", b"content-length", b"content-type")
    headers = {n.decode(): v.decode() for n, v in start["headers"] if n.lower() in passed_on}

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                message = await chunks.get()
                yield message.get("body", b"")
                if not message.get("more_body", False):
                    return
        finally:
            task.cancel()

    return StreamingResponse(body(), headers=headers)


@dataclass(frozen=True)
class Calls:
    """The API for one request of a page."""

    request: Request
    caller: Caller

    async def get(self, path: str, **query: str | int | bool | Sequence[str] | None) -> Any:
        """Returns the data. Raises Trouble when the API refuses."""
        return (await self.ask("GET", path, query=query)).data

    async def ask(
        self, method: str, path: str, body: object = None, query: Query | None = None
    ) -> Answer:
        return await call(self.caller, method, path, body, query, origin=self.request)

    async def every(self, path: str, name: str, query: Query | None = None) -> list[dict[str, Any]]:
        """The rows of a list, page after page, as a file has them; `name` is empty where
        the data is a bare list. Raises Trouble as `get`."""
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(_FILE_PAGES):
            parameters = {**(query or {}), "cursor": cursor, "per_page": 100}
            answer = await self.ask("GET", path, query=parameters)
            rows += answer.data[name] if name else answer.data
            cursor = answer.cursor
            if cursor is None:
                break
        return rows


def path_of(*segments: str) -> str:
    """`/v1/...` of names that may hold any character."""
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)


class _Sender:
    """The two ends of one call: sends the body, and collects the answer."""

    def __init__(self, content: bytes) -> None:
        self._content: bytes | None = content
        self.status = 0
        self.body = bytearray()

    async def receive(self) -> Message:
        if self._content is None:
            return {"type": "http.disconnect"}
        content, self._content = self._content, None
        return {"type": "http.request", "body": content, "more_body": False}

    async def receive_once(self) -> Message:
        """As `receive`, but the caller stays until it is cancelled."""
        if self._content is None:
            await asyncio.Event().wait()
        return await self.receive()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


def _scope_of(
    origin: Request, caller: Caller, method: str, path: str, query: Query, length: int
) -> MutableMapping[str, Any]:
    parameters = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None
    }
    raw_path, _, _ = path.partition("?")
    headers = [
        (b"host", origin.headers.get("host", "").encode()),
        (b"content-type", b"application/json"),
        (b"content-length", str(length).encode()),
        (HEADER.encode(), id_of(origin).encode()),
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": origin.scope["scheme"],
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": urlencode(parameters, doseq=True).encode(),
        "root_path": "",
        "headers": headers,
        "client": origin.scope.get("client"),
        "server": origin.scope.get("server"),
        "state": {},
        CALLER: caller,
    }
