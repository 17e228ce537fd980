"""The query parameters of log endpoints, checked one by one, for HTTP and WebSocket alike."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from starlette.datastructures import QueryParams

from holdfast.domain.errors import Invalid
from holdfast.kit.clock import parse_rfc3339
from holdfast.views.logs import DEFAULT_LIMIT, LARGEST_LIMIT, LogQuery

_FILTERS = ("textIncludes", "textNotIncludes", "regexIncludes", "regexNotIncludes")
_TYPES = frozenset({"cdn", "mesh", "ingress", "runtime", "build", "backup", "restore"})
_LONGEST_REGEX = 200

_INSTANT = {"type": "string", "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 1, "maximum": 10**9}
_TEXT = {"type": "string"}
_SCHEMAS: Mapping[str, Mapping[str, object]] = {
    "startTime": _INSTANT,
    "endTime": _INSTANT,
    "duration": {**_COUNT, "description": "Seconds; with at most one of start and end."},
    "lineLimit": _COUNT,
    "direction": {"enum": ["forward", "backward"]},
    "type": {"type": "array", "items": {"enum": sorted(_TYPES)}},
    "containerName": _TEXT,
    "textIncludes": {**_TEXT, "description": "One of these four at a time."},
    "textNotIncludes": _TEXT,
    "regexIncludes": {**_TEXT, "maxLength": _LONGEST_REGEX},
    "regexNotIncludes": {**_TEXT, "maxLength": _LONGEST_REGEX},
}
DESCRIBED = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in _SCHEMAS.items()
    ]
}
"""For the API document, as the routes do not declare them one by one."""

T = TypeVar("T")


class _Reader:
    """Collects every problem before it complains."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = given
        self.problems: dict[str, str] = {}

    def take(self, name: str, parse: Callable[[str], T], wanted: str) -> T | None:
        text = self.given.get(name)
        if text is None:
            return None
        try:
            return parse(text)
        except (ValueError, re.error, OverflowError):
            self.problems[name] = f"must be {wanted}"
            return None


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 10**9:
        raise ValueError(text)
    return int(text)


def _direction(text: str) -> bool:
    return {"forward": False, "backward": True}[text] if text in ("forward", "backward") else _no()


def _no() -> bool:
    raise ValueError


def _pattern(text: str) -> str:
    if len(text) > _LONGEST_REGEX:
        raise ValueError(text)
    re.compile(text)
    return text


def parse_log_query(given: QueryParams, now: int, limit: int = DEFAULT_LIMIT) -> LogQuery:
    """Raises Invalid naming every parameter that makes no sense."""
    reader = _Reader(given)
    start = reader.take("startTime", parse_rfc3339, "an ISO 8601 instant")
    end = reader.take("endTime", parse_rfc3339, "an ISO 8601 instant")
    seconds = reader.take("duration", _whole, "a whole number of seconds")
    lines = reader.take("lineLimit", _whole, "a whole number of at least 1")
    backward = reader.take("direction", _direction, "forward or backward")
    matches = reader.take("regexIncludes", _pattern, "a regular expression of 200 characters")
    matches_not = reader.take("regexNotIncludes", _pattern, "a regular expression")
    if not _TYPES.issuperset(given.getlist("type")):
        reader.problems["type"] = f"must be one of {', '.join(sorted(_TYPES))}"
    _check_combinations(reader)
    if reader.problems:
        raise Invalid("the log parameters are not valid", reader.problems)
    start, end = _spanned(start, end, seconds, now)
    return LogQuery(
        start=start,
        end=end,
        limit=min(lines or limit, LARGEST_LIMIT),
        backward=backward is not False,
        container=given.get("containerName"),
        includes=given.get("textIncludes"),
        excludes=given.get("textNotIncludes"),
        matches=matches,
        matches_not=matches_not,
    )


def _check_combinations(reader: _Reader) -> None:
    used = [name for name in _FILTERS if name in reader.given]
    if len(used) > 1:
        reader.problems[used[1]] = f"cannot be combined with {used[0]}"
    if {"startTime", "endTime", "duration"} <= reader.given.keys():
        reader.problems["duration"] = "combines with at most one of startTime and endTime"


def _spanned(
    start: int | None, end: int | None, seconds: int | None, now: int
) -> tuple[int | None, int | None]:
    """A duration stretches from the start, or back from the end or from now."""
    if seconds is None:
        return start, end
    if start is not None:
        return start, start + seconds * 1000
    return (now if end is None else end) - seconds * 1000, end
