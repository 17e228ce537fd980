"""Rate limits on every request, told on every answer.

Who is over a limit that goes by address gets the 429 a second late: a program that only asks again
and again then waits instead of working, and so do we. Probes are never refused, because a load
balancer would take an instance away that is only being annoyed; they are held back in the same way.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.http.arrival import address_in
from holdfast.http.errors import envelope
from holdfast.http.limits.throttle import Throttle, Told, TooMany, digest_of

PROBES = frozenset({"/healthz", "/readyz"})
AUTHENTICATED = "authenticated"
"""Set in a request's state when its token was found to be valid."""
_HELD_SECONDS = 1.0


class Limits:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, throttle: Throttle) -> None:
        self._app = app
        self._throttle = throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["path"] in PROBES:
            return await self._probe(scope, receive, send)
        token, address = _token_of(scope), address_in(scope)
        try:
            told, known = self._throttle.ask(token, address)
        except TooMany as error:
            if error.by_address:
                await asyncio.sleep(_HELD_SECONDS)
            return await _refuse(error, scope, receive, send)

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = self._learnt(scope, message["status"], told, known=known)
                MutableHeaders(scope=message).update(now.headers())
            await send(message)

        return await self._app(scope, receive, telling)

    async def _probe(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._throttle.probed_too_often(address_in(scope)):
            await asyncio.sleep(_HELD_SECONDS)
        await self._app(scope, receive, send)

    def _learnt(self, scope: Scope, status: int, told: Told, *, known: bool) -> Told:
        """The answer shows whether a token that was not known is valid, or one no longer is."""
        token = _token_of(scope)
        if token is not None and not known and scope["state"].get(AUTHENTICATED):
            return self._throttle.welcome(token)
        if status == 401:
            self._throttle.wrong(token, address_in(scope))
        return told


def _token_of(scope: Scope) -> str | None:
    """The digest of what the header claims to be a token."""
    scheme, _, value = Headers(scope=scope).get("authorization", "").partition(" ")
    return digest_of(value.strip()) if scheme.lower() == "bearer" and value.strip() else None


async def _refuse(error: TooMany, scope: Scope, receive: Receive, send: Send) -> None:
    answer = envelope(error.status, error.message, error.code)
    answer.headers.update(error.told.headers())
    answer.headers["retry-after"] = str(error.told.reset)
    await answer(scope, receive, send)
