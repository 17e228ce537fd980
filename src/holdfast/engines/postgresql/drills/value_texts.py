"""Makes the text of a value independent of the settings of the session that wrote it."""

import re


def digits(amount: bytes) -> bytes:
    """An amount of money without what `lc_monetary` adds: separators, signs of currencies."""
    if amount == rb"\N":
        return amount
    negative = b"-" in amount or b"(" in amount
    return b"-" * negative + b"".join(_DIGITS.findall(amount))


_DIGITS = re.compile(rb"\d+")

_SEEMS_SHIFTED = re.compile(rb":\d\d(?:\.\d+)?[+-](?!00(?![:\d]))\d\d")
"""An offset other than `+00`. It begins with a colon, which is found fast."""
_TIMESTAMP = re.compile(
    rb"(?<!\d)(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)((?:\.\d+)?)"
    rb"([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?(?![\d:])( BC)?"
)


def in_utc(chunk: bytes) -> bytes:
    """Rows in which each timestamp with an offset is written in UTC.

    Its text depends on the TimeZone of the session that dumps. Dumps of today are made in UTC;
    earlier ones in that of the server. Text that looks like a timestamp is treated alike.
    """
    if _SEEMS_SHIFTED.search(chunk) is None:
        return chunk
    return _TIMESTAMP.sub(_shifted, chunk)


def _shifted(match: re.Match[bytes]) -> bytes:
    year, month, day, hour, minute, second = (int(match[group]) for group in range(1, 7))
    hours, minutes, seconds = (int(match[group] or 0) for group in (9, 10, 11))
    offset = hours * 3600 + minutes * 60 + seconds
    if match[12]:
        year = 1 - year
    instant = hour * 3600 + minute * 60 + second + (-offset if match[8] == b"+" else offset)
    days, instant = divmod(instant, 86_400)
    year, month, day = _moved(year, month, day, days)
    era = b" BC" if year < 1 else b""
    date = b"%04d-%02d-%02d" % (1 - year if year < 1 else year, month, day)
    clock = b"%02d:%02d:%02d" % (instant // 3600, instant // 60 % 60, instant % 60)
    return b"%b %b%b+00%b" % (date, clock, match[7], era)


def _moved(year: int, month: int, day: int, days: int) -> tuple[int, int, int]:
    """The date that lies -1, 0 or 1 days later. Years are not limited to those of `datetime`."""
    day += days
    if day < 1:
        year, month = (year - 1, 12) if month == 1 else (year, month - 1)
        return year, month, _month_days(year, month)
    if day > _month_days(year, month):
        return (year + 1, 1, 1) if month == 12 else (year, month + 1, 1)
    return year, month, day


def _month_days(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _MONTH_DAYS[month - 1]


_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
