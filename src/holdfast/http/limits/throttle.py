"""Counts requests by token and by address, in this process's memory.

A valid token has a window of an hour, as the documentation of the v1 API has it. Other requests are
counted by address and minute, and wrong tokens once more. A token that was valid here before is
distinguished from a wrong one without the catalogue, so guesses from an address do not lock out
those who work from it. IPv6 addresses count by their /64, which is what one customer has.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Generic, TypeVar

from holdfast.domain.errors import Refused
from holdfast.http.limits.bounds import Bounds
from holdfast.kit.clock import Clock

_HOUR_SECONDS = 3600.0
_MINUTE_SECONDS = 60.0
_MAX_WINDOWS = 10_000
"""Of a kind, so that memory is bounded however many addresses ask."""


@dataclass
class Window:
    """Counts of one token or address; `ends` in monotonic seconds."""

    ends: float
    used: int = 0
    guesses: int = 0


@dataclass(frozen=True)
class RateLimit:
    """The values of the `x-ratelimit-*` headers."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-reset": str(self.reset),
        }


class TooMany(Refused):
    """A caller asks too often. `by_address`: it has no valid token."""

    code = "rate-limited"
    status = 429

    def __init__(self, sentence: str, limit: RateLimit, *, by_address: bool) -> None:
        super().__init__(f"{sentence}; try again in {limit.reset} s")
        self.limit = limit
        self.by_address = by_address


K = TypeVar("K")


class Windows(Generic[K]):
    """Windows of one length, of which the number is bounded."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._of: dict[K, Window] = {}

    def find(self, key: K) -> Window | None:
        """Returns the key's window, restarted if it has ended; None for a new key."""
        window = self._of.get(key)
        if window is not None and window.ends <= self._clock.monotonic():
            window = self._of[key] = Window(self._clock.monotonic() + self._seconds)
        return window

    def open(self, key: K) -> Window:
        window = self.find(key)
        if window is None:
            now = self._clock.monotonic()
            if len(self._of) >= _MAX_WINDOWS:  # ended windows go first, then the oldest half
                self._of = {key: window for key, window in self._of.items() if window.ends > now}
            if len(self._of) >= _MAX_WINDOWS:
                self._of = dict(list(self._of.items())[_MAX_WINDOWS // 2 :])
            window = self._of[key] = Window(now + self._seconds)
        return window

    def forget(self, key: K) -> None:
        self._of.pop(key, None)


class Throttle:
    """Counts and limits requests. For the event loop's thread."""

    def __init__(self, bounds: Bounds, clock: Clock) -> None:
        self._bounds = bounds
        self._clock = clock
        self._tokens: Windows[str] = Windows(_HOUR_SECONDS, clock)
        self._addresses: Windows[str] = Windows(_MINUTE_SECONDS, clock)

    def ask(self, token: str | None, address: str) -> tuple[RateLimit, bool]:
        """Counts a request before anything is done for it; True when its token was valid before.

        `token` is a digest. Raises TooMany.
        """
        token_window = self._tokens.find(token) if token is not None else None
        if token_window is not None:
            limit = self._count(token_window, self._bounds.rate_limit, used=1)
            if token_window.used > self._bounds.rate_limit:
                raise TooMany("too many requests", limit, by_address=False)
            return limit, True
        window = self._addresses.open(network_of(address))
        if token is not None:
            self._check_guesses(window)
        limit = self._count(window, self._bounds.address_limit, used=1)
        if window.used > self._bounds.address_limit:
            raise TooMany("too many requests without a valid token", limit, by_address=True)
        return limit, False

    def check_guesses(self, address: str) -> None:
        """Raises TooMany for an address; for tokens that do not come in a header."""
        self._check_guesses(self._addresses.open(network_of(address)))

    def _check_guesses(self, window: Window) -> None:
        if window.guesses >= self._bounds.guess_limit:
            limit = self._count(window, self._bounds.address_limit)
            raise TooMany("too many wrong tokens from this address", limit, by_address=True)

    def welcome(self, token: str) -> RateLimit:
        """Opens the window of a token that proved valid; that request counts as its first."""
        return self._count(self._tokens.open(token), self._bounds.rate_limit, used=1)

    def wrong(self, token: str | None, address: str) -> None:
        """Counts a token that is not valid, or no longer."""
        if token is not None:
            self._tokens.forget(token)
            self._addresses.open(network_of(address)).guesses += 1

    def _count(self, window: Window, limit: int, used: int = 0) -> RateLimit:
        window.used += used
        reset = max(round(window.ends - self._clock.monotonic()), 1)
        return RateLimit(limit, max(limit - window.used, 0), reset)


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def network_of(address: str) -> str:
    """Returns what an address counts as: itself, or its /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
