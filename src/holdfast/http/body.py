"""Requests before the framework sees them: size, content type, form, and empty bodies made `{}`.

The official clients send `Content-Type: application/json` with an empty body or `null` on posts
without one; both mean `{}`. That is why a body that was cut off must not pass for an empty one.
The digest of the body is kept for recognising repeated posts. The character NUL is turned away
here, once for all, because no catalogue can hold it; so is a slash inside a segment of the path,
because it would be taken for one between two, and no name has one.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.http.errors import envelope

LARGEST = 1 << 20
_SMALL = 64 << 10
_LARGE_AT_ONCE = 32
_UPLOAD = re.compile(r"/uploads/[0-9a-f]{24}/content$")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class BodyGate:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["path"] = _collapsed(scope["path"])
            nameless = _nameless(scope)
            if nameless is not None:
                return await _no_such_place(nameless, scope, receive, send)
        if scope["type"] == "http" and scope["method"] in _WITH_BODY and not _is_file(scope):
            return await self._with_body(scope, receive, send)
        return await self._app(scope, receive, send)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._read(receive)
        except _Gone:
            return None
        refusal = _refusal(body, Request(scope).headers.get("content-type", "application/json"))
        if refusal is not None:
            return await refusal(scope, receive, send)
        scope.setdefault("state", {})["body_digest"] = hashlib.sha256(body).hexdigest()
        return await self._app(_as_json(scope), _once(_normal(body), receive), send)

    async def _read(self, receive: Receive) -> bytes:
        """The whole body, or the beginning of one that is too large.

        Nobody knows yet whether the caller has a token, so only a few bodies may be large at once;
        the others wait with what the socket holds.
        """
        body = bytearray()
        async with AsyncExitStack() as turn:
            while len(body) <= LARGEST:
                small = len(body) <= _SMALL
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Gone
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    break
                if small and len(body) > _SMALL:
                    await turn.enter_async_context(self._large)
        return bytes(body)


def _is_file(scope: Scope) -> bool:
    """Parts of uploads are no JSON; their route reads and limits them itself."""
    return scope["method"] == "PUT" and _UPLOAD.search(scope["path"]) is not None


class _Gone(Exception):
    """The client went away before its whole body was here."""


def _nameless(scope: Scope) -> str | None:
    """The character of the address that is in no name."""
    if "\x00" in scope["path"] or b"%00" in scope.get("query_string", b""):
        return "the character NUL"
    return "a slash" if b"%2f" in scope.get("raw_path", b"").lower() else None


async def _no_such_place(what: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await envelope(404, f"nothing has {what} in its name", "http.404")(scope, receive, send)


def _collapsed(path: str) -> str:
    """A host with a trailing slash makes the JS client ask for `//v1/...`."""
    return f"/{path.lstrip('/')}" if path.startswith("//") else path


def _refusal(body: bytes, content_type: str) -> Response | None:
    if len(body) > LARGEST:
        return envelope(413, f"the request body is larger than {LARGEST} bytes", "http.413")
    if body.strip() and not content_type.lower().startswith("application/json"):
        return envelope(415, "the request body must be application/json", "http.415")
    problem = _flaw(_normal(body))
    return (
        envelope(400, f"the request body {problem}", "invalid", {"body": problem})
        if problem
        else None
    )


def _flaw(body: bytes) -> str | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return "is not well-formed JSON"
    if b"\\u0000" in body and any("\x00" in text for text in _texts(document)):
        return "holds the character NUL"
    return None


def _texts(value: object) -> Iterator[str]:
    """Every string in a document, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            yield from _texts(each)
    elif isinstance(value, dict):
        for key, each in cast("dict[str, object]", value).items():
            yield key
            yield from _texts(each)


def _normal(body: bytes) -> bytes:
    return b"{}" if body.strip() in (b"", b"null") else body


def _as_json(scope: Scope) -> Scope:
    kept = [(k, v) for k, v in scope["headers"] if k not in (b"content-type", b"content-length")]
    return {**scope, "headers": [*kept, (b"content-type", b"application/json")]}


def _once(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
