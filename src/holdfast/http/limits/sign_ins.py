"""Slows down those who guess passwords, without keeping the right person out.

Wrong passwords count by address as wrong tokens do (`throttle.py`), and by name. From the sixth
wrong one on, a further attempt at that name waits before it is looked at, longer each time and at
most 16 seconds; it is never refused because of what others did. Those who cannot be guessing do not
wait at all: a browser that signed in as this user before, and a password that comes with a code.
"""

import asyncio
import hashlib
from collections import Counter

from holdfast.domain.errors import SignInBusy
from holdfast.http.limits.throttle import Throttle, Windows, digest_of, network_of
from holdfast.kit.clock import Clock

FREE_ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 16
_HOUR_SECONDS = 3600.0
_WAITING = 200
_WAITING_OF_NETWORK = 5


class SignIns:
    """Counts attempts, in this process's memory. For the event loop's thread."""

    def __init__(self, throttle: Throttle, clock: Clock) -> None:
        self._throttle = throttle
        self._names: Windows[str] = Windows(_HOUR_SECONDS, clock)
        self._devices: Windows[str] = Windows(_HOUR_SECONDS, clock)
        self._waiting: Counter[str] = Counter()

    def wait_of(self, name: str) -> int:
        """Seconds that an attempt at this name waits now."""
        window = self._names.find(_key_of(name))
        extra = window.guesses - FREE_ATTEMPTS if window is not None else -1
        return min(2 ** min(extra, 10), LONGEST_WAIT_SECONDS) if extra >= 0 else 0

    def is_trusted(self, device: str) -> bool:
        """Whether a device that is known has not begun to guess itself."""
        window = self._devices.find(device)
        return window is None or window.guesses < FREE_ATTEMPTS

    async def admit(self, name: str, address: str, *, hurried: bool) -> None:
        """Returns when the attempt may be looked at; `hurried` ones at once.

        Raises TooMany for an address with too many wrong attempts, SignInBusy when too many wait.
        """
        self._throttle.check_guesses(address)
        seconds = 0 if hurried else self.wait_of(name)
        if not seconds:
            return
        network = network_of(address)
        if self._waiting[network] >= _WAITING_OF_NETWORK or self._waiting.total() >= _WAITING:
            raise SignInBusy
        self._waiting[network] += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting[network] -= 1
            self._waiting += Counter()  # drops zeros

    def failed(self, name: str, address: str, device: str | None) -> None:
        self._throttle.wrong(digest_of(name), address)
        if device is not None:
            self._devices.open(device).guesses += 1
        else:
            self._names.open(_key_of(name)).guesses += 1

    def succeeded(self, name: str) -> None:
        self._names.forget(_key_of(name))


def _key_of(name: str) -> str:
    """The name without case and as a digest: people type passwords into the wrong field."""
    return hashlib.sha256(name.strip().casefold().encode()).hexdigest()
