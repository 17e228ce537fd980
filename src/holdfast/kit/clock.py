"""Time as an argument: the only module that reads the clock.

Instants are integers, milliseconds since 1970 UTC: they sort, compare and store alike on every
database, and no time zone can creep in.
"""

import time
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    def now(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean anything.

        They stand still while the machine sleeps, because what this machine does for us does not
        happen then either.
        """
        ...

    def boottime(self) -> float:
        """As `monotonic`, but counts while the machine sleeps: for what other machines do."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def rfc3339(instant: int) -> str:
    """Milliseconds to `2026-01-20T11:19:53.175Z`."""
    days, rest = divmod(instant, 86_400_000)
    minutes, ms = divmod(rest, 60_000)
    hour, minute = divmod(minutes, 60)
    return f"{_day(days)}T{hour:02}:{minute:02}:{ms // 1000:02}.{ms % 1000:03}Z"


def rfc3339_if(instant: int | None) -> str | None:
    """`rfc3339` of an instant; None for None."""
    return None if instant is None else rfc3339(instant)


@lru_cache(maxsize=4096)
def _day(since_1970: int) -> str:
    """Cached, because lists are full of instants of the same days."""
    return date.fromordinal(_DAY_ZERO + since_1970).isoformat()


_DAY_ZERO = date(1970, 1, 1).toordinal()


def parse_rfc3339(text: str) -> int:
    """An ISO 8601 instant (with `Z` or an offset; none means UTC) to milliseconds.

    Raises ValueError when the text is not an instant.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
