"""Translates the times of a schedule from options to the API's arrays, and from those to words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import product
from typing import Annotated

import typer

from holdfast.client.models.upkeep import Scheduling
from holdfast.domain.units import show_span
from holdfast.kit.clock import SystemClock, parse_rfc3339, rfc3339

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Every(StrEnum):
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True)
class When:
    """All times are UTC."""

    every: Annotated[
        Every | None, typer.Option("--every", "-e", help="`hourly`, `daily` or `weekly`.")
    ] = None
    at: Annotated[
        list[str] | None,
        typer.Option("--at", help="`03:30`, or `:30` of each hour; in UTC; repeatable."),
    ] = None
    day: Annotated[
        list[str] | None,
        typer.Option("--day", help="`mon` to `sun`, or 0 (Monday) to 6; repeatable."),
    ] = None
    hour: Annotated[
        list[int] | None, typer.Option("--hour", min=0, max=23, help="Instead of --at.")
    ] = None
    minute: Annotated[
        list[int] | None, typer.Option("--minute", min=0, max=59, help="Instead of --at.")
    ] = None

    def scheduling(self) -> dict[str, object] | None:
        """Returns the API's arrays; None without options, when a file has them."""
        if self.every is None:
            if self.at or self.day or self.hour or self.minute:
                raise typer.BadParameter("give --every hourly, daily or weekly")
            return None
        if not self.at:
            hours, minutes = self.hour or [], self.minute or []
        elif self.hour or self.minute:
            raise typer.BadParameter("give either --at or --hour and --minute")
        else:
            hours, minutes = _split(self.at, self.every)
        self._check(self.every, hours, minutes)
        arrays = {
            "minute": minutes,
            "hour": hours,
            "day": [parse_day(text) for text in self.day or ()],
        }
        return {
            "interval": self.every,
            **{name: values for name, values in arrays.items() if values},
        }

    def _check(self, every: Every, hours: list[int], minutes: list[int]) -> None:
        """Checks as the server does, with sentences about our options instead of its fields."""
        example = {"hourly": ":30", "daily": "03:30", "weekly": "03:30"}[every]
        if not minutes or (not hours and every is not Every.HOURLY):
            raise typer.BadParameter(f"when? Give --at {example}")
        if hours and every is Every.HOURLY:
            raise typer.BadParameter(f"an hourly schedule has no --hour: give --at {example}")
        if self.day and every is not Every.WEEKLY:
            raise typer.BadParameter(f"a schedule that is due {every} has no --day")
        if not self.day and every is Every.WEEKLY:
            raise typer.BadParameter("on which days? Give --day, such as --day mon --day thu")


def _split(times: Sequence[str], every: Every) -> tuple[list[int], list[int]]:
    """Splits times into hours and minutes.

    A schedule is due at each of its minutes in each of its hours, so times that are not all of
    these would mean others, too, and are refused.
    """
    pairs = {parse_time(text, every) for text in times}
    hours = sorted({hour for hour, _ in pairs if hour is not None})
    minutes = sorted({minute for _, minute in pairs})
    more = {(h, m) for h, m in product(hours or [None], minutes)} - pairs
    if more:
        also = ", ".join(
            sorted(f"{hour:02}:{minute:02}" for hour, minute in more if hour is not None)
        )
        raise typer.BadParameter(
            f"these --at would also mean {also}, because a schedule is due at each of its minutes"
            " in each of its hours; choose times with the same minutes"
        )
    return hours, minutes


def parse_time(text: str, every: Every) -> tuple[int | None, int]:
    """Parses `03:30`, or `:30` for an hourly schedule, into hour and minute."""
    hour, colon, minute = text.strip().rpartition(":")
    is_time = colon and minute.isdecimal() and (hour.isdecimal() or not hour)
    if not is_time or int(minute) > 59 or (hour and int(hour) > 23):
        raise typer.BadParameter(f"--at {text} is not a time such as 03:30, or :30 of each hour")
    if bool(hour) is (every is Every.HOURLY):
        example = ":30" if every is Every.HOURLY else "03:30"
        raise typer.BadParameter(f"--at {text} is not for {every}: give one such as {example}")
    return int(hour) if hour else None, int(minute)


_MOMENT = re.compile(r"(\d{1,2}):(\d\d)(:\d\d(?:\.\d+)?)?(Z|z|[+-]\d\d:?\d\d)?")
_DAY_MS = 86_400_000


def parse_moment(option: str, text: str, now: int, zone: str) -> str:
    """Returns a time with a date. `14:03Z` is the last one before `now`, in ms.

    `zone` is the offset that an error suggests: which zone is meant is never guessed.
    """
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            raise typer.BadParameter(
                f"{option} {text} is no time: write 14:03Z, or 2026-11-30T14:03:00Z"
            ) from None
        if moment.tzinfo is None:
            raise typer.BadParameter(
                f"{option} {text} has no time zone: write {text}Z for UTC,"
                f" or {text}{zone} for this machine's zone"
            )
        return text.strip()
    if match[4] is None:
        raise typer.BadParameter(
            f"{option} {text} has no time zone: write {text}Z for UTC,"
            f" or {text}{zone} for this machine's zone"
        )
    offset = "+00:00" if match[4] in "Zz" else match[4]
    seconds = match[3] or ":00"
    for days in (-1, 0, 1):
        day = rfc3339(now - days * _DAY_MS)[:10]
        full = f"{day}T{int(match[1]):02}:{match[2]}{seconds}{offset}"
        try:
            if parse_rfc3339(full) <= now:
                return full
        except ValueError:
            break
    raise typer.BadParameter(f"{option} {text} is no time of a day, such as 14:03Z")


def own_zone() -> str:
    """This machine's offset from UTC now, such as `+01:00`."""
    offset = datetime.fromtimestamp(SystemClock().now() / 1000).astimezone().strftime("%z")
    return f"{offset[:3]}:{offset[3:]}"


def parse_day(text: str) -> int:
    """Parses `mon` to `sun`, or 0 (Monday) to 6."""
    name = text.strip().lower()
    if name.isdecimal() and int(name) < len(DAYS):
        return int(name)
    if name[:3] in DAYS:
        return DAYS.index(name[:3])
    raise typer.BadParameter(f"--day {text} is not a day: mon to sun, or 0 (Monday) to 6")


def in_words(scheduling: Scheduling) -> str:
    """Words the times of a schedule, such as `fri at 18:30`."""
    minutes, hours, days = scheduling.minute, scheduling.hour, scheduling.day
    if not hours:
        return "hourly at " + _joined([f":{minute:02}" for minute in minutes])
    times = _joined([f"{hour:02}:{minute:02}" for hour, minute in product(hours, minutes)])
    which = _joined([DAYS[day] for day in days if day < len(DAYS)]) if days else "daily"
    return f"{which} at {times}"


def _joined(words: Sequence[str], most: int = 6) -> str:
    """Joins words; the end of a long list is counted instead."""
    if len(words) > most:
        return f"{', '.join(words[: most - 2])} and {len(words) - most + 2} more"
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def weekday(instant: str) -> str:
    return DAYS[datetime.fromisoformat(instant).weekday()]


def until(instant: str, now: int | None = None) -> str:
    """Words the time until an instant: `in 3 h 5 min`, `2 d ago`; empty for any other text."""
    try:
        at = parse_rfc3339(instant)
    except ValueError:
        return ""
    seconds = round((at - (SystemClock().now() if now is None else now)) / 1000)
    words = show_span(1000 * abs(seconds))
    return f"in {words}" if seconds >= 0 else f"{words} ago"
