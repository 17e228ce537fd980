"""Log lines as the API shows them, and which of them were asked for."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.catalog.schema import Line
from holdfast.kit.clock import parse_rfc3339, rfc3339
from holdfast.views.other_shapes import LogLine

DEFAULT_LIMIT = 500
LARGEST_LIMIT = 10_000
_TAIL_BYTES = 4 << 20


@dataclass(frozen=True)
class LogQuery:
    """Which lines. Instants in ms; at most one of the text filters is set."""

    start: int | None = None
    end: int | None = None
    limit: int = DEFAULT_LIMIT
    backward: bool = True
    container: str | None = None
    includes: str | None = None
    excludes: str | None = None
    matches: re.Pattern[str] | None = field(default=None)
    matches_not: re.Pattern[str] | None = field(default=None)

    def wants(self, text: str) -> bool:
        return (
            (self.includes is None or self.includes in text)
            and (self.excludes is None or self.excludes not in text)
            and (self.matches is None or self.matches.search(text) is not None)
            and (self.matches_not is None or self.matches_not.search(text) is None)
        )

    def within(self, at: int) -> bool:
        return (self.start is None or at >= self.start) and (self.end is None or at <= self.end)


def operation_lines(lines: Iterable[Line], container: str, query: LogQuery) -> list[LogLine]:
    return [
        LogLine(container_id=container, log=line.text, ts=rfc3339(line.at))
        for line in lines
        if query.wants(line.text)
    ]


def server_lines(log: Path, container: str, query: LogQuery) -> list[LogLine]:
    """The newest (or oldest) wanted lines of a managed server's log, in the order written."""
    if not log.exists() or (query.container is not None and query.container != container):
        return []
    found = [
        LogLine(container_id=container, log=text, ts=rfc3339(at))
        for at, text in _stamped(_tail(log))
        if query.within(at) and query.wants(text)
    ]
    return found[-query.limit :] if query.backward else found[: query.limit]


def _tail(log: Path) -> list[str]:
    with log.open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - _TAIL_BYTES))
        lines = handle.read().decode(errors="replace").splitlines()
    return lines[1:] if size > _TAIL_BYTES else lines


_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) (?:UTC|GMT)\b")


def _stamped(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """A line without a time of its own happened with the one before it."""
    at = 0
    for line in lines:
        stamp = _STAMP.match(line)
        if stamp is not None:
            at = parse_rfc3339(stamp.group(1))
        yield at, line
