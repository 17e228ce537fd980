"""Time as an argument: the one place that reads the clock.

Instants are integers, milliseconds since 1970 UTC: they sort, compare and store alike on every
database, and no time zone can creep in.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean anything."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


def rfc3339(instant: int) -> str:
    """Milliseconds to `2026-01-20T11:19:53.175Z`."""
    moment = datetime.fromtimestamp(instant // 1000, tz=UTC)
    return f"{moment.isoformat()[:19]}.{instant % 1000:03d}Z"  # a third of strftime's time


def parse_rfc3339(text: str) -> int:
    """An ISO 8601 instant (with `Z` or an offset; none means UTC) to milliseconds.

    Raises ValueError when the text is not an instant.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
