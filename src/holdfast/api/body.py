"""Bodies before the framework sees them: size, content type, and empty ones made `{}`.

The official clients send `Content-Type: application/json` with an empty body or `null` on posts
without one; both mean `{}`. The digest of the body is kept for recognising repeated posts.
"""

import hashlib

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.api.errors import envelope

LARGEST = 1 << 20
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class BodyGate:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["path"] = _collapsed(scope["path"])
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            refusal = envelope(413, f"the request body is larger than {LARGEST} bytes", "http.413")
            await refusal(scope, receive, send)
            return
        content_type = Request(scope).headers.get("content-type", "application/json")
        if body.strip() and not content_type.lower().startswith("application/json"):
            refusal = envelope(415, "the request body must be application/json", "http.415")
            await refusal(scope, receive, send)
            return
        scope.setdefault("state", {})["body_digest"] = hashlib.sha256(body).hexdigest()
        await self._app(_as_json(scope), _once(_normal(body), receive), send)


def _collapsed(path: str) -> str:
    """A host with a trailing slash makes the JS client ask for `//v1/...`."""
    return f"/{path.lstrip('/')}" if path.startswith("//") else path


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None when it is too large."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST:
            return None
        if not message.get("more_body", False):
            return bytes(body)


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
