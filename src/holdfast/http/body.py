"""Checks requests before the framework sees them: size, content type and form of the body.

The official clients send `Content-Type: application/json` with an empty body or `null` on posts
without one; both become `{}`. So a body that was cut off must not pass for an empty one. The digest
of the body is kept to recognise repeated posts. The character NUL is refused here, because no
catalogue can hold it; so is an encoded slash in a segment of the path, because it would be taken
for one between two, and no name has one.
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
from holdfast.http.limits.rates import PING

MAX_BODY_BYTES = 1 << 20
_SMALL_BYTES = 64 << 10
_LARGE_AT_ONCE = 32
_UPLOAD = re.compile(r"/uploads/[0-9a-f]{24}/content$")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class BodyGate:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            if scope["path"].startswith("//"):
                # A host with a trailing slash makes the JS client ask for `//v1/...`.
                scope["path"] = f"/{scope['path'].lstrip('/')}"
            character = None  # one that no name may have
            if "\x00" in scope["path"] or b"%00" in scope.get("query_string", b""):
                character = "the character NUL"
            elif b"%2f" in scope.get("raw_path", b"").lower():
                character = "a slash"
            if character is not None:
                if scope["type"] == "websocket":
                    return await send({"type": "websocket.close", "code": 1008})
                answer = envelope(404, f"nothing has {character} in its name", "http.404")
                return await answer(scope, receive, send)
        if scope["type"] == "http" and scope["method"] in _WITH_BODY:
            # Bodies of uploads and pings are no JSON, and limited by their own routes.
            is_upload = scope["method"] == "PUT" and _UPLOAD.search(scope["path"]) is not None
            if not is_upload and not scope["path"].startswith(PING):
                return await self._pass_body(scope, receive, send)
        return await self._app(scope, receive, send)

    async def _pass_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._read(receive)
        except _ClientLeft:
            return None
        refusal = _refusal(body, Request(scope).headers.get("content-type", "application/json"))
        if refusal is not None:
            return await refusal(scope, receive, send)
        scope.setdefault("state", {})["body_digest"] = hashlib.sha256(body).hexdigest()
        replaced = (b"content-type", b"content-length")
        headers = [(name, value) for name, value in scope["headers"] if name not in replaced]
        headers.append((b"content-type", b"application/json"))
        message: Message = {"type": "http.request", "body": _normal(body), "more_body": False}
        messages = iter((message,))

        async def replay() -> Message:
            return next(messages, None) or await receive()

        return await self._app({**scope, "headers": headers}, replay, send)

    async def _read(self, receive: Receive) -> bytes:
        """Returns the whole body, or the beginning of one that is too large.

        The token is not checked yet, so only a few bodies may be large at once; the others wait
        with what the socket holds.
        """
        body = bytearray()
        async with AsyncExitStack() as turn:
            while len(body) <= MAX_BODY_BYTES:
                small = len(body) <= _SMALL_BYTES
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _ClientLeft
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    break
                if small and len(body) > _SMALL_BYTES:
                    await turn.enter_async_context(self._large)
        return bytes(body)


class _ClientLeft(Exception):
    """The client went away before its whole body had arrived."""


def _refusal(body: bytes, content_type: str) -> Response | None:
    if len(body) > MAX_BODY_BYTES:
        return envelope(413, f"the request body is larger than {MAX_BODY_BYTES} bytes", "http.413")
    if body.strip() and not content_type.lower().startswith("application/json"):
        return envelope(415, "the request body must be application/json", "http.415")
    problem = ""
    try:
        document = json.loads(_normal(body))
    except (ValueError, RecursionError):
        problem = "is not well-formed JSON"
    else:
        if b"\\u0000" in body and any("\x00" in text for text in _texts(document)):
            problem = "holds the character NUL"
    if not problem:
        return None
    return envelope(400, f"the request body {problem}", "invalid", {"body": problem})


def _texts(value: object) -> Iterator[str]:
    """Yields every string in a document, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            yield key
            yield from _texts(item)


def _normal(body: bytes) -> bytes:
    return b"{}" if body.strip() in (b"", b"null") else body
