"""Due instants of schedules: arithmetic on UTC milliseconds, without a calendar.

Every interval repeats after a fixed period (an hour, a day, a week), because UTC has no summer
time. Within a period the instants are a sorted list of offsets, so all instants, past and future,
are numbered: finding one takes a division and a search in that list.
"""

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import product

from holdfast.domain.units import DAY_MS, HOUR_MS, MINUTE_MS

_MONDAY = -3 * DAY_MS  # 1969-12-29: day 0 of a week is a Monday


class Interval(StrEnum):
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"


class Outcome(StrEnum):
    """The result of an occurrence."""

    FIRED = "fired"
    SKIPPED = "skipped"  # the backup of the occurrence before it still waited
    MISSED = "missed"  # no scheduler was running to fire it in time
    PAUSED = "paused"  # on purpose: nothing was due


MOST_DAYS = {Interval.HOURLY: 7, Interval.DAILY: 60, Interval.WEEKLY: 120}
"""The longest retention of a schedule, unless configured otherwise."""

MOST_UNEXPIRED = 500
"""Maximum of unexpired backups of one schedule."""

PERIOD = {Interval.HOURLY: HOUR_MS, Interval.DAILY: DAY_MS, Interval.WEEKLY: 7 * DAY_MS}
"""Milliseconds after which a rule repeats itself."""
_FIRST = {Interval.HOURLY: 0, Interval.DAILY: 0, Interval.WEEKLY: _MONDAY}
_ARRAYS = {
    Interval.HOURLY: ("minute",),
    Interval.DAILY: ("minute", "hour"),
    Interval.WEEKLY: ("minute", "hour", "day"),
}
_BELOW = {"minute": 60, "hour": 24, "day": 7}


@dataclass(frozen=True, slots=True)
class Scheduling:
    """Due at every combination; day 0 is Monday. Arrays the interval does not use are empty."""

    interval: Interval
    minute: tuple[int, ...]
    hour: tuple[int, ...] = ()
    day: tuple[int, ...] = ()

    @property
    def period(self) -> int:
        """Milliseconds after which the rule repeats itself."""
        return PERIOD[self.interval]


Array = Collection[int] | None


def problems(interval: Interval, minute: Array, hour: Array, day: Array) -> dict[str, str]:
    """The errors of a rule by field; None is an array that was not sent."""
    wrong: dict[str, str] = {}
    for name, values in (("minute", minute), ("hour", hour), ("day", day)):
        problem = None
        if name not in _ARRAYS[interval]:
            if values is not None:
                problem = f"is not for {interval} schedules; leave it out"
        elif not values:
            problem = f"is required for {interval} schedules, with at least one value"
        elif any(not 0 <= value < _BELOW[name] for value in values):
            problem = f"must be numbers from 0 to {_BELOW[name] - 1}"
        elif len(set(values)) < len(values):
            problem = "must not name a value twice"
        if problem is not None:
            wrong[f"scheduling.{name}"] = problem
    return wrong


@lru_cache(maxsize=4096)
def _offsets(rule: Scheduling) -> tuple[int, ...]:
    """The instants of one period, from its beginning."""
    arrays = (rule.minute, rule.hour or (0,), rule.day or (0,))
    return tuple(sorted({m * MINUTE_MS + h * HOUR_MS + d * DAY_MS for m, h, d in product(*arrays)}))


def _until(rule: Scheduling, at: int) -> int:
    """The number of the first instant after `at`."""
    offsets = _offsets(rule)
    period, rest = divmod(at - _FIRST[rule.interval], rule.period)
    return period * len(offsets) + bisect_right(offsets, rest)


def _instant(rule: Scheduling, number: int) -> int:
    offsets = _offsets(rule)
    period, index = divmod(number, len(offsets))
    return _FIRST[rule.interval] + period * rule.period + offsets[index]


def next_due(rule: Scheduling, after: int) -> int:
    """The first instant strictly after."""
    return _instant(rule, _until(rule, after))


def latest_due(rule: Scheduling, at: int) -> int:
    """The last instant not after `at`."""
    return _instant(rule, _until(rule, at) - 1)


def count_due(rule: Scheduling, after: int, until: int) -> int:
    """How many instants are after `after` and not after `until`."""
    return max(0, _until(rule, until) - _until(rule, after))


def upcoming(rule: Scheduling, after: int, count: int) -> list[int]:
    """The first `count` instants strictly after."""
    first = _until(rule, after)
    return [_instant(rule, number) for number in range(first, first + count)]


def is_due(rule: Scheduling, at: int) -> bool:
    return latest_due(rule, at) == at


def most_kept(rule: Scheduling, days: int) -> int:
    """The largest number of unexpired backups when each is kept for `days`."""
    return -(-len(_offsets(rule)) * days * DAY_MS // rule.period)
