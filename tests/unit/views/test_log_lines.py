"""Which log lines are chosen, and the times of a server's own log."""

from pathlib import Path

import pytest
from starlette.datastructures import QueryParams

from holdfast.api.logging_query import parse_log_query
from holdfast.catalog.schema import Line
from holdfast.domain.errors import Invalid
from holdfast.kit.clock import parse_rfc3339
from holdfast.views.logs import MAX_LINES, LogQuery, operation_lines, server_lines

NOW = parse_rfc3339("2026-01-20T12:00:00Z")


def parsed(**given: str) -> LogQuery:
    return parse_log_query(QueryParams(given), NOW)


def chosen(query: LogQuery) -> list[str]:
    texts = ["dumping a", "loading b", "dumping c", "done [x]"]
    lines = [Line(operation="o", at=at, text=text) for at, text in enumerate(texts)]
    return [line.log for line in operation_lines(lines, "c", query)]


def test_text_filters() -> None:
    assert chosen(parsed(textIncludes="dump")) == ["dumping a", "dumping c"]
    assert chosen(parsed(textNotIncludes="dump")) == ["loading b", "done [x]"]
    assert chosen(parsed(textIncludes="[x]")) == ["done [x]"]
    assert chosen(parsed(regexIncludes="^(dump|load)ing [ab]$")) == ["dumping a", "loading b"]
    assert chosen(parsed(regexNotIncludes="ing")) == ["done [x]"]


def test_the_limit_counts_what_is_wanted() -> None:
    assert chosen(parsed(lineLimit="1")) == ["done [x]"]
    assert chosen(parsed(lineLimit="1", direction="forward")) == ["dumping a"]
    assert chosen(parsed(lineLimit="1", textIncludes="dump")) == ["dumping c"]
    assert parsed(lineLimit=str(10**9)).limit == MAX_LINES


def test_spans() -> None:
    start, end = "2026-01-20T11:00:00Z", "2026-01-20T11:30:00+00:00"
    minute = 60_000
    assert (parsed().start, parsed().end) == (None, None)
    query = parsed(startTime=start, endTime=end)
    assert (query.start, query.end) == (NOW - 60 * minute, NOW - 30 * minute)
    query = parsed(duration="60")
    assert (query.start, query.end) == (NOW - minute, None)
    query = parsed(startTime=start, duration="60")
    assert (query.start, query.end) == (NOW - 60 * minute, NOW - 59 * minute)
    query = parsed(endTime=end, duration="60")
    assert (query.start, query.end) == (NOW - 31 * minute, NOW - 30 * minute)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"startTime": "yesterday"}, "startTime"),
        ({"endTime": "2026-13-01"}, "endTime"),
        ({"duration": "0"}, "duration"),
        ({"duration": "-1"}, "duration"),
        ({"duration": "٣"}, "duration"),
        ({"lineLimit": "many"}, "lineLimit"),
        ({"direction": "up"}, "direction"),
        ({"regexIncludes": "("}, "regexIncludes"),
        ({"regexIncludes": "a" * 201}, "regexIncludes"),
        ({"type": "none"}, "type"),
        ({"textIncludes": "a", "regexIncludes": "b"}, "regexIncludes"),
        (
            {
                "startTime": "2026-01-20T11:00:00Z",
                "endTime": "2026-01-20T11:00:00Z",
                "duration": "1",
            },
            "duration",
        ),
    ],
)
def test_what_makes_no_sense_is_named(given: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        parsed(**given)
    assert refused.value.details.keys() == {field}


def test_a_servers_log_line_without_a_time_has_that_of_the_line_before(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text(
        "2026-01-20 10:00:00.500 UTC [1] LOG: one\n"
        "\tmore of one\n"
        "2026-01-20 11:00:00 UTC [1] LOG: two\n"
    )
    everything = server_lines(log, "c", LogQuery())
    assert [line.ts for line in everything] == [
        "2026-01-20T10:00:00.500Z",
        "2026-01-20T10:00:00.500Z",
        "2026-01-20T11:00:00.000Z",
    ]
    early = LogQuery(end=parse_rfc3339("2026-01-20T10:30:00Z"))
    assert [line.log for line in server_lines(log, "c", early)][-1] == "\tmore of one"
    assert server_lines(log, "c", LogQuery(container="other")) == []
    assert server_lines(tmp_path / "none", "c", LogQuery()) == []
