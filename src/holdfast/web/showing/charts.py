"""Turns numbers into the coordinates of charts: x in percent, y in pixels, so that a chart
stretches without scaling its text. Templates draw them, each with a title and a table."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from holdfast.domain.protection import HISTORY_DAYS
from holdfast.domain.units import DAY_MS

_SHAPES = {
    "g": "M{x} 0h5v12h-5z",
    "p": "M{x} 5h5v7h-5zM{x} 0h5v2h-5z",
    "f": "M{x} 8h5v4h-5z",
    "m": "M{x}.5 8.5h4v3h-4z",
    "e": "M{x} 11h5v1h-5z",
}
"""One day each: all good, some failed, all failed, none ran, nothing due."""
_ALL_GOOD = "g" * HISTORY_DAYS


def day_code(day: Mapping[str, Any] | None) -> str:
    """The letter of one day's outcome, see `_SHAPES`."""
    if day is None or not day["due"]:
        return "e"
    good, bad = day["good"], day["failed"] + day["missed"]
    if good:
        return "p" if bad else "g"
    if day["failed"]:
        return "f"
    return "m" if day["missed"] else "e"


@lru_cache(maxsize=10_000)
def history(days: str, today: int) -> str:
    """The bars of the last 14 UTC days as SVG, today at the right.

    `days` is the JSON of an addon's days, `today` when the day began. Of thousands of addons few
    have other days than a moment ago.
    """
    by_start = {day["start"]: day for day in json.loads(days)}
    first = today - (HISTORY_DAYS - 1) * DAY_MS
    codes = [day_code(by_start.get(first + number * DAY_MS)) for number in range(HISTORY_DAYS)]
    return _bars("".join(codes))


@lru_cache(maxsize=4096)
def _bars(codes: str) -> str:
    if codes == _ALL_GOOD:
        return '<use class="g" href="#g14"/>'
    paths = [
        (code, "".join(_SHAPES[code].format(x=8 * x) for x, c in enumerate(codes) if c == code))
        for code in _SHAPES
        if code in codes
    ]
    return "".join(f'<path class="{code}" d="{path}"/>' for code, path in paths)


@dataclass(frozen=True)
class Span:
    """A stretch of time that a chart shows, in ms since 1970."""

    start: int
    end: int

    def x(self, instant: int) -> float:
        """Percent of the width, between 0.5 and 99."""
        share = (instant - self.start) / max(self.end - self.start, 1)
        return round(0.5 + 98.5 * min(max(share, 0), 1), 2)

    def ticks(self, count: int = 5) -> list[tuple[float, str]]:
        """Round instants inside, and how they are written."""
        length = self.end - self.start
        steps = (3_600_000, 3 * 3_600_000, 6 * 3_600_000, DAY_MS, 7 * DAY_MS, 30 * DAY_MS)
        step = next((step for step in steps if length / step <= count + 1), 91 * DAY_MS)
        first = -(-self.start // step) * step
        return [(self.x(at), _tick(at, step)) for at in range(first, self.end, step)]


def _tick(instant: int, step: int) -> str:
    at = datetime.fromtimestamp(instant / 1000, UTC)
    return f"{at:%H:%M}" if step < DAY_MS else f"{at.day} {at:%b}"


@dataclass(frozen=True)
class Scale:
    """A vertical axis from 0 to a round number; `height` in pixels."""

    top: float
    height: int

    @classmethod
    def over(cls, values: Sequence[float], height: int) -> "Scale":
        highest = max(values, default=0) or 1
        magnitude = 10 ** math.floor(math.log10(highest))
        top = next(step * magnitude for step in (1, 2, 2.5, 5, 10) if step * magnitude >= highest)
        return cls(top, height)

    def y(self, value: float) -> float:
        return round(self.height * (1 - value / self.top), 1)

    @property
    def lines(self) -> list[tuple[float, float]]:
        """Values of the grid, and where they are."""
        return [(self.top * part / 4, self.y(self.top * part / 4)) for part in range(5)]


def area(points: Sequence[float], below: Sequence[float], scale: Scale, width: int = 600) -> str:
    """The path of a band between two curves of as many points."""
    step = width / max(len(points) - 1, 1)
    upper = [f"{number * step:.1f} {scale.y(value)}" for number, value in enumerate(points)]
    lower = [f"{number * step:.1f} {scale.y(value)}" for number, value in enumerate(below)]
    return f"M{'L'.join(upper)}L{'L'.join(reversed(lower))}z"


def log_x(ms: float, low: float = 10_000, high: float = 24 * 3_600_000) -> float:
    """Percent on a logarithmic axis of durations, from 10 s to a day."""
    bounded = min(max(ms, low), high)
    return round(1 + 97 * math.log(bounded / low) / math.log(high / low), 2)
