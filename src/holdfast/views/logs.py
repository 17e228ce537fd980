"""Makes the API's views of log lines, and filters them by a query."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from holdfast.catalog.schema import Line
from holdfast.kit.clock import parse_rfc3339, rfc3339
from holdfast.kit.processes.search import matching
from holdfast.views.shapes.others import LogLine

DEFAULT_LIMIT = 500
MAX_LINES = 10_000
_TAIL_BYTES = 4 << 20


@dataclass(frozen=True)
class LogQuery:
    """A choice of lines. Instants in ms; at most one of the text filters is set."""

    start: int | None = None
    end: int | None = None
    limit: int = DEFAULT_LIMIT
    backward: bool = True
    container: str | None = None
    includes: str | None = None
    excludes: str | None = None
    matches: str | None = None
    matches_not: str | None = None

    @property
    def filters(self) -> bool:
        """Whether it leaves out lines by their text."""
        return any((self.includes, self.excludes, self.matches, self.matches_not))

    def chosen(self, lines: list[LogLine]) -> list[LogLine]:
        """Returns the lines that match, and no more than the limit."""
        if self.includes is not None:
            lines = [line for line in lines if self.includes in line.log]
        if self.excludes is not None:
            lines = [line for line in lines if self.excludes not in line.log]
        if self.matches is not None:
            lines = _matching(self.matches, lines, included=True)
        if self.matches_not is not None:
            lines = _matching(self.matches_not, lines, included=False)
        return lines[-self.limit :] if self.backward else lines[: self.limit]

    def within(self, at: int) -> bool:
        return (self.start is None or at >= self.start) and (self.end is None or at <= self.end)


def _matching(pattern: str, lines: list[LogLine], *, included: bool) -> list[LogLine]:
    hits = matching(pattern, [line.log for line in lines])
    return [line for line, hit in zip(lines, hits, strict=True) if hit is included]


def operation_lines(lines: Iterable[Line], container: str, query: LogQuery) -> list[LogLine]:
    return query.chosen(
        [LogLine(container_id=container, log=line.text, ts=rfc3339(line.at)) for line in lines]
    )


def server_lines(log: Path, container: str, query: LogQuery) -> list[LogLine]:
    """Returns the newest (or oldest) matching lines of a managed server's log, in file order.

    A line without a time of its own has that of the line before it.
    """
    if not log.exists() or (query.container is not None and query.container != container):
        return []
    with log.open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - _TAIL_BYTES))
        texts = handle.read().decode(errors="replace").splitlines()
    lines, at = list[LogLine](), 0
    for text in texts[1:] if size > _TAIL_BYTES else texts:
        stamp = _STAMP.match(text)
        if stamp is not None:
            at = parse_rfc3339(stamp.group(1))
        if query.within(at):
            lines.append(LogLine(container_id=container, log=text, ts=rfc3339(at)))
    return query.chosen(lines)


_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) (?:UTC|GMT)\b")
