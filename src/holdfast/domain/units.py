"""Units of time, and quantities as people read them."""

from datetime import UTC, datetime
from itertools import pairwise

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def show_bytes(count: float) -> str:
    """`1536` to `1.5 KiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def show_duration(ms: int) -> str:
    """`93_600_000` to `26 h`: whole units, the largest that leaves at least two of them."""
    for unit, size in (("days", DAY_MS), ("h", HOUR_MS), ("min", MINUTE_MS)):
        if abs(ms) >= 2 * size:
            return f"{ms // size} {unit}"
    return f"{ms // 1000} s"


def show_instant(instant: int) -> str:
    """Milliseconds since 1970 to `2026-01-20 11:19 UTC`."""
    return f"{datetime.fromtimestamp(instant / 1000, UTC):%Y-%m-%d %H:%M} UTC"


_SPANS = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (1000, "s"))


def show_span(ms: int) -> str:
    """`90_061_000` to `1 d 1 h`: the largest unit and the rest in the next one; tenths of a second
    only below ten seconds."""
    for (size, unit), (next_size, next_unit) in pairwise(_SPANS):
        if ms >= size:
            remainder = ms % size // next_size
            return f"{ms // size} {unit}{f' {remainder} {next_unit}' if remainder else ''}"
    return f"{round(ms / 1000, 1 if ms < 10_000 else None):g} s"
