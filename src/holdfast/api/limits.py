"""How much one caller may ask: a fixed window an hour long, told on every answer.

Counted per token (or per address, without one) in this process's memory: it keeps one runaway
script from starving the others, it is not a defence against many machines. The window starts
with the first request, as the documentation of the v1 API has it.
"""

import hashlib
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.api.errors import envelope
from holdfast.kit.clock import Clock

WINDOW_SECONDS = 3600.0
_MOST_CALLERS = 10_000
_FREE = frozenset({"/healthz", "/readyz"})


@dataclass
class _Window:
    ends: float
    used: int = 0


class Limits:
    """ASGI middleware. `limit` requests an hour for each caller."""

    def __init__(self, app: ASGIApp, limit: int, clock: Clock) -> None:
        self._app = app
        self._limit = limit
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _FREE:
            await self._app(scope, receive, send)
            return
        window, now = self._window(scope), self._clock.monotonic()
        window.used += 1
        left = max(self._limit - window.used, 0)
        reset = max(round(window.ends - now), 1)
        told = {
            "x-ratelimit-limit": str(self._limit),
            "x-ratelimit-remaining": str(left),
            "x-ratelimit-reset": str(reset),
        }

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        if window.used <= self._limit:
            await self._app(scope, receive, with_headers)
            return
        refusal = envelope(429, f"too many requests; try again in {reset} s", "rate-limited")
        refusal.headers["retry-after"] = str(reset)
        await refusal(scope, receive, with_headers)

    def _window(self, scope: Scope) -> _Window:
        key, now = _caller(scope), self._clock.monotonic()
        found = self._windows.get(key)
        if found is None or found.ends <= now:
            self._forget(now)
            found = self._windows[key] = _Window(now + WINDOW_SECONDS)
        return found

    def _forget(self, now: float) -> None:
        """Bounded memory: windows that ended go first, then all of them."""
        if len(self._windows) >= _MOST_CALLERS:
            self._windows = {k: w for k, w in self._windows.items() if w.ends > now}
        if len(self._windows) >= _MOST_CALLERS:
            self._windows.clear()


def _caller(scope: Scope) -> str:
    authorization = Headers(scope=scope).get("authorization")
    if authorization:
        return hashlib.sha256(authorization.encode()).hexdigest()
    return str((scope.get("client") or ("unknown", 0))[0])
