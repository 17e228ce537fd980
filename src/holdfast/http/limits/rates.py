"""Enforces rate limits on every request, and reports them on every answer.

A caller over a limit by address gets the 429 a second late: a program that only repeats its request
then waits instead of working, and so do we. Probes have no limit, and their answers cost next to
nothing: a load balancer shares its address with others behind it, and would remove an instance that
is only being annoyed.
"""

import asyncio
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.http.arrival import address_in
from holdfast.http.errors import envelope
from holdfast.http.limits.throttle import RateLimit, Throttle, TooMany, digest_of

PROBES = frozenset({"/healthz", "/readyz"})
AUTHENTICATED = "authenticated"
"""Set in a request's state when its token was found to be valid."""
WRONG = "wrong key"
"""Set when a key in the path is that of no monitor."""
PING = "/ping/"
CALLER = "holdfast.caller"
"""Key of the scope of a call that the dashboard makes inside this process: its caller. The request
that it is made for was counted when it came."""
_DELAY_SECONDS = 1.0


class Limits:
    """ASGI middleware that refuses or delays callers over a limit."""

    def __init__(
        self,
        app: ASGIApp,
        throttle: Throttle,
        credential_of: Callable[[Scope], str | None] | None = None,
    ) -> None:
        """`credential_of` returns the digest of what a request authenticates itself with, valid or
        not; by default that of its bearer token."""
        self._app = app
        self._throttle = throttle
        self._credential_of = credential_of or _token_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or CALLER in scope:
            return await self._app(scope, receive, send)
        if scope["path"] in PROBES:
            return await self._app(scope, receive, send)
        token, address = self._credential_of(scope), address_in(scope)
        try:
            limit, authenticated = self._throttle.ask(token, address)
        except TooMany as error:
            if error.by_address:
                await asyncio.sleep(_DELAY_SECONDS)
            answer = envelope(error.status, error.message, error.code)
            answer.headers.update(error.limit.headers())
            answer.headers["retry-after"] = str(error.limit.reset)
            return await answer(scope, receive, send)

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = self._updated(scope, message["status"], limit, authenticated=authenticated)
                MutableHeaders(scope=message).update(now.headers())
            await send(message)

        return await self._app(scope, receive, send_with_limits)

    def _updated(
        self, scope: Scope, status: int, limit: RateLimit, *, authenticated: bool
    ) -> RateLimit:
        """Learns from the answer whether a new token is valid, or a known one no longer is."""
        token = self._credential_of(scope)
        if token is not None and not authenticated and scope["state"].get(AUTHENTICATED):
            return self._throttle.welcome(token)
        if status == 401 or scope["state"].get(WRONG):
            self._throttle.wrong(token, address_in(scope))
        return limit


def _token_of(scope: Scope) -> str | None:
    """Returns the digest of the token in the header, or of the key in a ping's path, valid or
    not."""
    if scope["path"].startswith(PING):
        key = scope["path"].removeprefix(PING).partition("/")[0]
        return digest_of(key) if key else None
    scheme, _, value = Headers(scope=scope).get("authorization", "").partition(" ")
    return digest_of(value.strip()) if scheme.lower() == "bearer" and value.strip() else None
