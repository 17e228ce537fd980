"""Waits for an operation of the server to end.

Polls quickly at first and then every two seconds. A server that is away for a moment (restarted,
busy) does not end the wait: the operation goes on, and comes back with the server.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from holdfast.client.transport.calls import Pause, Steps
from holdfast.client.transport.errors import (
    RateLimited,
    ServerFault,
    TimedOut,
    Unreachable,
)
from holdfast.kit.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """All in seconds. `timeout` None waits for ever; `outage` is how long a server may be away."""

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
        is_over: Callable[[T], bool],
        on_progress: Callable[[T], None],
    ) -> Steps[T]:
        """Polls until `is_over`, and passes every state to `on_progress`. Raises TimedOut."""
        interval, timeout = self._patience.first, self._patience.timeout
        while True:
            pause = interval
            try:
                state = yield from poll()
            except (Unreachable, RateLimited, ServerFault) as error:
                now = self._clock.monotonic()
                self._away_since = now if self._away_since is None else self._away_since
                is_limited = isinstance(error, RateLimited)
                if not is_limited and now - self._away_since > self._patience.outage:
                    raise
                pause = max(interval, error.retry_after or 0.0)
            else:
                self._away_since = None
                on_progress(state)
                if is_over(state):
                    return state
            if timeout is not None:
                remaining = timeout - (self._clock.monotonic() - self._began)
                if remaining <= 0:
                    raise TimedOut(f"not over after {timeout:g} seconds; it goes on without us")
                pause = min(pause, remaining)
            yield Pause(pause)
            interval = min(interval * 1.5, self._patience.longest)


def ignore(_: object) -> None:
    """A listener that does nothing."""
