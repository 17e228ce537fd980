"""Writes instants, durations, sizes and counts as pages show them: UTC, 24 hours, decimal units."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from holdfast.domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from holdfast.kit.clock import parse_rfc3339, rfc3339

NBSP = "\u00a0"
Instant = int | str
"""Milliseconds since 1970, or what the API says: `2026-11-21T03:00:00.000Z`."""

_ENGINES = {
    "postgresql": "PostgreSQL",
    "mysql": "MySQL",
    "mongodb": "MongoDB",
    "redis": "Redis",
    "sqlite": "SQLite",
}
_SHORT = {
    "postgresql": "PG",
    "mysql": "MySQL",
    "mongodb": "Mongo",
    "redis": "Redis",
    "sqlite": "SQLite",
}


def ms_of(instant: Instant) -> int:
    return instant if isinstance(instant, int) else parse_rfc3339(instant)


def size(count: float | str) -> str:
    """`19_700_000_000` to `19.7 GB`: decimal units, three digits."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    digits = 0 if unit == "B" or value >= 100 else 1
    return f"{value:.{digits}f}{NBSP}{unit}"


def duration(ms: float) -> str:
    """`492_000` to `8 min 12 s`: two units at most, of which the second is left out when zero."""
    if ms < 1000:
        return f"{ms / 1000:.1f}{NBSP}s"
    seconds = round(ms / 1000)
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    for number, (unit, length) in enumerate(units):
        if seconds >= length:
            count, remainder = divmod(seconds, length)
            text = f"{count}{NBSP}{unit}"
            if number + 1 < len(units):
                smaller, smaller_length = units[number + 1]
                if remainder >= smaller_length:
                    text += f"{NBSP}{remainder // smaller_length}{NBSP}{smaller}"
            return text
    return f"0{NBSP}s"


def age(ms: int) -> str:
    """`111_000_000` to `30 h`: one unit, as the wall has it."""
    for unit, length in (("d", DAY_MS), ("h", HOUR_MS), ("min", MINUTE_MS)):
        if ms >= length * (2 if unit == "d" else 1):
            return f"{ms // length}{NBSP}{unit}"
    return f"{max(ms, 0) // 1000}{NBSP}s"


def ago(instant: Instant, now: int) -> str:
    """`53 min ago`, or `in 7 min` for an instant to come."""
    passed = now - ms_of(instant)
    return f"{age(passed)} ago" if passed >= 0 else f"in {age(-passed)}"


def moment(instant: Instant, now: int | None = None) -> Markup:
    """A `<time>` with the shortest text that is not ambiguous: `03:14`, `Sat 20:03`, `15 Nov`,
    `15 Nov 2025`; without `now` always day and time."""
    ms = ms_of(instant)
    at = datetime.fromtimestamp(ms / 1000, UTC)
    text = f"{at.day} {at:%b %Y}, {at:%H:%M:%S}"
    if now is not None:
        today = datetime.fromtimestamp(now / 1000, UTC)
        days = abs((at.date() - today.date()).days)
        if days == 0:
            text = f"{at:%H:%M}"
        elif days < 7:
            text = f"{at:%a %H:%M}"
        elif at.year == today.year:
            text = f"{at.day} {at:%b}"
        else:
            text = f"{at.day} {at:%b %Y}"
    text = text.replace(" ", NBSP)
    exact = f"{at.day} {at:%b %Y, %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(rfc3339(ms), exact, text)


def day_time(instant: Instant) -> str:
    """`30 Nov 02:14`."""
    at = datetime.fromtimestamp(ms_of(instant) / 1000, UTC)
    return f"{at.day} {at:%b %H:%M}".replace(" ", NBSP)


def day(instant: Instant) -> str:
    """`30 Nov`."""
    at = datetime.fromtimestamp(ms_of(instant) / 1000, UTC)
    return f"{at.day} {at:%b}".replace(" ", NBSP)


def clock_time(instant: Instant, *, millis: bool = False) -> str:
    """`02:14:31`, or `02:14:31.412`."""
    text = rfc3339(ms_of(instant))[11:23]
    return text if millis else text[:8]


def number(count: float) -> str:
    """`1204118377` to `1,204,118,377`."""
    return f"{count:,.0f}"


def engine(kind: str, version: str = "") -> str:
    """`PostgreSQL 17.6`."""
    return f"{_ENGINES.get(kind, kind)} {version}".strip()


def short_engine(kind: str, version: str) -> str:
    """`PG 17`, as a tile has room for."""
    major = version.split("-", 1)[0].split(".", 1)[0]
    return f"{_SHORT.get(kind, kind)} {major}".strip()


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def schedule_times(scheduling: Mapping[str, Any]) -> str:
    """`at :14`, `at 02:00 and 14:00`, `Sunday at 03:30`, of the API's `scheduling`."""
    minutes: list[int] = scheduling["minute"]
    if scheduling["interval"] == "hourly":
        return f"at {listed([f':{minute:02}' for minute in minutes])}"
    times = [
        f"{hour:02}:{minute:02}" for hour in _numbers(scheduling, "hour") for minute in minutes
    ]
    days = [_DAYS[number] for number in _numbers(scheduling, "day")]
    return f"{listed(days)} at {listed(times)}" if days else f"at {listed(times)}"


def _numbers(scheduling: Mapping[str, Any], name: str) -> list[int]:
    return scheduling.get(name) or []


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 database`, `2 databases`."""
    return f"{number(count)}{NBSP}{one if count == 1 else many or one + 's'}"


_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)


def in_words(count: int) -> str:
    """Small numbers as words, as sentences have them: `one`, `twelve`; from thirteen on figures."""
    return _SMALL[count] if count < len(_SMALL) else number(count)


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop; a command that it begins with stays small."""
    text = text.strip()
    if not text:
        return text
    ended = text if text[-1] in ".!?:" else f"{text}."
    return ended if _COMMAND.match(ended) else ended[0].upper() + ended[1:]


_COMMAND = re.compile(
    r"`[^`]+`"
    r"|\bholdfast (?:api|serve|scheduler|status|worker"
    r"|(?:alarm|backup|channel|drill|monitor|schedule) [a-z]+)\b(?: --[a-z-]+)*"
)
"""A line of ours within a sentence: in backticks, or as the remedies of alarms name it."""


def advice(text: str) -> Markup:
    """A sentence whose commands are shown as code."""
    whole, parts, end = sentence(text), list[str | Markup](), 0
    for command in _COMMAND.finditer(whole):
        code = Markup("<code>{}</code>").format(command.group().strip("`"))
        parts += [whole[end : command.start()], code]
        end = command.end()
    return Markup("").join([*parts, whole[end:]])
