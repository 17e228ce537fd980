"""Waiting for something on the server to end, without hammering it and without giving up early.

Polls quickly at first and then every two seconds. A server that is away for a moment (restarted,
busy) does not end the wait: what we wait for goes on without us, and comes back with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from holdfast.client.transport.calls import Pause, Steps
from holdfast.client.transport.errors import (
    ApiError,
    RateLimited,
    ServerFault,
    TimedOut,
    Unreachable,
)
from holdfast.kit.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """All in seconds. `timeout` None waits for ever; `outage` is how long nobody may answer."""

    timeout: float | None = None
    first: float = 0.2
    longest: float = 2.0
    outage: float = 60.0


class Waiter:
    def __init__(self, clock: Clock, patience: Patience) -> None:
        self._clock = clock
        self._patience = patience
        self._began = clock.monotonic()
        self._away_since: float | None = None

    def until(
        self,
        poll: Callable[[], Steps[T]],
        done: Callable[[T], bool],
        on_progress: Callable[[T], None],
    ) -> Steps[T]:
        """Every state seen goes to `on_progress`, the last one included. Raises TimedOut."""
        interval = self._patience.first
        while True:
            seen, hint = yield from self._poll(poll)
            if seen is not None:
                on_progress(seen)
                if done(seen):
                    return seen
            yield Pause(self._rest(max(interval, hint)))
            interval = min(interval * 1.5, self._patience.longest)

    def _poll(self, poll: Callable[[], Steps[T]]) -> Steps[tuple[T | None, float]]:
        try:
            seen = yield from poll()
        except (Unreachable, RateLimited, ServerFault) as error:
            self._forgive(error)
            return None, error.retry_after or 0.0
        self._away_since = None
        return seen, 0.0

    def _forgive(self, error: ApiError) -> None:
        now = self._clock.monotonic()
        if self._away_since is None:
            self._away_since = now
        limited = isinstance(error, RateLimited)
        if not limited and now - self._away_since > self._patience.outage:
            raise error

    def _rest(self, seconds: float) -> float:
        timeout = self._patience.timeout
        if timeout is not None:
            left = timeout - (self._clock.monotonic() - self._began)
            if left <= 0:
                raise TimedOut(f"not over after {timeout:g} seconds; it goes on without us")
            seconds = min(seconds, left)
        return seconds


def ignore(_: object) -> None:
    """The listener of those who only want the end."""
