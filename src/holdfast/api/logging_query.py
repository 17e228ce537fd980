"""Checks the query parameters of log endpoints one by one, for HTTP and WebSocket alike."""

import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from pydantic import TypeAdapter
from starlette.datastructures import QueryParams

from holdfast.domain.errors import Invalid
from holdfast.kit.clock import parse_rfc3339
from holdfast.views.logs import DEFAULT_LIMIT, MAX_LINES, LogQuery

_FILTERS = ("textIncludes", "textNotIncludes", "regexIncludes", "regexNotIncludes")
_TYPES = frozenset({"cdn", "mesh", "ingress", "runtime", "build", "backup", "restore"})
_MAX_REGEX_LENGTH = 200

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
    "regexIncludes": {**_TEXT, "maxLength": _MAX_REGEX_LENGTH},
    "regexNotIncludes": {**_TEXT, "maxLength": _MAX_REGEX_LENGTH},
}
DESCRIBED = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in _SCHEMAS.items()
    ]
}
"""For the API document, as the routes do not declare them one by one."""

T = TypeVar("T")
_direction = TypeAdapter(Literal["forward", "backward"]).validate_python


class QueryReader:
    """Parses parameters and collects every problem."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self.query = query
        self.problems: dict[str, str] = {}

    def take(self, name: str, parse: Callable[[str], T], expected: str) -> T | None:
        text = self.query.get(name)
        if text is None:
            return None
        try:
            return parse(text)
        except (ValueError, re.error, OverflowError):
            self.problems[name] = f"must be {expected}"
            return None


def whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 10**9:
        raise ValueError(text)
    return int(text)


def _pattern(text: str) -> str:
    if len(text) > _MAX_REGEX_LENGTH:
        raise ValueError(text)
    re.compile(text)
    return text


def parse_log_query(query: QueryParams, now: int, limit: int = DEFAULT_LIMIT) -> LogQuery:
    """Parses the parameters. Raises Invalid naming every one that makes no sense.

    A duration goes forward from the start, or back from the end or from now.
    """
    reader = QueryReader(query)
    start = reader.take("startTime", parse_rfc3339, "an ISO 8601 instant")
    end = reader.take("endTime", parse_rfc3339, "an ISO 8601 instant")
    seconds = reader.take("duration", whole, "a whole number of seconds")
    lines = reader.take("lineLimit", whole, "a whole number of at least 1")
    direction = reader.take("direction", _direction, "forward or backward")
    matches = reader.take("regexIncludes", _pattern, "a regular expression of 200 characters")
    matches_not = reader.take("regexNotIncludes", _pattern, "a regular expression")
    if not _TYPES.issuperset(query.getlist("type")):
        reader.problems["type"] = f"must be one of {', '.join(sorted(_TYPES))}"
    used = [name for name in _FILTERS if name in query]
    if len(used) > 1:
        reader.problems[used[1]] = f"cannot be combined with {used[0]}"
    if {"startTime", "endTime", "duration"} <= query.keys():
        reader.problems["duration"] = "combines with at most one of startTime and endTime"
    if reader.problems:
        raise Invalid("the log parameters are not valid", reader.problems)
    if seconds is not None and start is not None:
        end = start + seconds * 1000
    elif seconds is not None:
        start = (now if end is None else end) - seconds * 1000
    return LogQuery(
        start=start,
        end=end,
        limit=min(lines or limit, MAX_LINES),
        backward=direction != "forward",
        container=query.get("containerName"),
        includes=query.get("textIncludes"),
        excludes=query.get("textNotIncludes"),
        matches=matches,
        matches_not=matches_not,
    )
