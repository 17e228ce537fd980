"""How often somebody may ask, counted in this process's memory.

A valid token has a window of an hour, as the documentation of the v1 API has it. Everything else is
counted by address and minute: what no window of a token covers, and wrong tokens once more. A token
that was valid here before is told from a wrong one without asking the catalogue, so guessing from
an address does not lock out those who work from it. IPv6 addresses count by their /64, which is
what one customer has.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Generic, TypeVar

from holdfast.domain.errors import Refused
from holdfast.http.limits.bounds import Bounds
from holdfast.kit.clock import Clock

_HOUR = 3600.0
_MINUTE = 60.0
_MOST = 10_000
"""Windows of a kind: memory is bounded, whoever asks."""


@dataclass
class Window:
    """`ends` in monotonic seconds."""

    ends: float
    used: int = 0
    probes: int = 0
    guesses: int = 0


@dataclass(frozen=True)
class Told:
    """What the `x-ratelimit-*` headers say."""

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
    """Somebody asks too often. `by_address`: it is not a valid token that does."""

    code = "rate-limited"
    status = 429

    def __init__(self, what: str, told: Told, *, by_address: bool) -> None:
        super().__init__(f"{what}; try again in {told.reset} s")
        self.told = told
        self.by_address = by_address


K = TypeVar("K")


class _Windows(Generic[K]):
    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._of: dict[K, Window] = {}

    def find(self, key: K) -> Window | None:
        """Also one that has ended: then it begins anew."""
        found = self._of.get(key)
        if found is not None and found.ends <= self._clock.monotonic():
            found = self._of[key] = Window(self._clock.monotonic() + self._seconds)
        return found

    def open(self, key: K) -> Window:
        found = self.find(key)
        if found is None:
            self._make_room()
            found = self._of[key] = Window(self._clock.monotonic() + self._seconds)
        return found

    def forget(self, key: K) -> None:
        self._of.pop(key, None)

    def _make_room(self) -> None:
        """Windows that have ended go first, then the oldest half."""
        if len(self._of) < _MOST:
            return
        now = self._clock.monotonic()
        self._of = {key: each for key, each in self._of.items() if each.ends > now}
        if len(self._of) >= _MOST:
            self._of = dict(list(self._of.items())[_MOST // 2 :])


class Throttle:
    """All its methods belong to the event loop's thread."""

    def __init__(self, bounds: Bounds, clock: Clock) -> None:
        self._bounds = bounds
        self._clock = clock
        self._tokens: _Windows[str] = _Windows(_HOUR, clock)
        self._addresses: _Windows[str] = _Windows(_MINUTE, clock)

    def ask(self, token: str | None, address: str) -> tuple[Told, bool]:
        """Counts a request before anything is done for it; True when its token was valid before.

        `token` is a digest. Raises TooMany.
        """
        known = self._tokens.find(token) if token is not None else None
        if known is not None:
            told = self._told(known, self._bounds.rate_limit, used=1)
            if known.used > self._bounds.rate_limit:
                raise TooMany("too many requests", told, by_address=False)
            return told, True
        window = self._addresses.open(_place(address))
        if token is not None:
            self._check_guesses(window)
        told = self._told(window, self._bounds.address_limit, used=1)
        if window.used > self._bounds.address_limit:
            raise TooMany("too many requests without a valid token", told, by_address=True)
        return told, False

    def check_guesses(self, address: str) -> None:
        """Before a token is looked at that came another way than in a header. Raises TooMany."""
        self._check_guesses(self._addresses.open(_place(address)))

    def _check_guesses(self, window: Window) -> None:
        if window.guesses >= self._bounds.guess_limit:
            told = self._told(window, self._bounds.address_limit)
            raise TooMany("too many wrong tokens from this address", told, by_address=True)

    def welcome(self, token: str) -> Told:
        """The request that showed that a token is valid counts as its first."""
        return self._told(self._tokens.open(token), self._bounds.rate_limit, used=1)

    def wrong(self, token: str | None, address: str) -> None:
        """A token that is not valid, or no longer."""
        if token is not None:
            self._tokens.forget(token)
            self._addresses.open(_place(address)).guesses += 1

    def probed_too_often(self, address: str) -> bool:
        window = self._addresses.open(_place(address))
        window.probes += 1
        return window.probes > self._bounds.address_limit

    def _told(self, window: Window, limit: int, used: int = 0) -> Told:
        window.used += used
        reset = max(round(window.ends - self._clock.monotonic()), 1)
        return Told(limit, max(limit - window.used, 0), reset)


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _place(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
