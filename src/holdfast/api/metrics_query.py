"""Checks the query parameters of an addon's metrics, as the official clients send them."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from holdfast.api.logging_query import QueryReader, whole
from holdfast.domain.errors import Invalid
from holdfast.domain.units import MINUTE_MS
from holdfast.kit.clock import parse_rfc3339

TYPES = (
    *("cpu", "memory", "networkIngress", "networkEgress", "tcpConnectionsOpen", "diskUsage"),
    *("requests", "http4xxResponses", "http5xxResponses", "bandwidth", "bandwidthVolume"),
)
"""Those that the v1 API knows."""
_INSTANT = {"type": "string", "format": "date-time"}
_SCHEMAS = {
    "queryType": {"enum": ["single", "range"]},
    "metricTypes": {"type": "array", "items": {"enum": list(TYPES)}},
    "time": _INSTANT,
    "timestamp": {**_INSTANT, "description": "As the official client calls `time`."},
    "startTime": _INSTANT,
    "endTime": _INSTANT,
    "duration": {"type": "integer", "minimum": 1, "maximum": 10**9, "description": "Seconds."},
    "containerName": {"type": "string"},
}
DESCRIBED = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in _SCHEMAS.items()
    ]
}
"""For the API document, as the route does not declare them one by one."""


@dataclass(frozen=True)
class MetricsQuery:
    """Which metrics are asked for, of which container (None: any), and whether of now."""

    types: Sequence[str]
    container: str | None
    now: bool

    def covers(self, container: str) -> bool:
        return self.now and self.container in (None, container)


def parse_metrics_query(query: QueryParams, now: int) -> MetricsQuery:
    """Raises Invalid naming every parameter that makes no sense. Without types: all of them.

    An instant within the last minute is now, because clocks of callers differ.
    """
    reader = QueryReader(query)
    instants = [
        reader.take(name, parse_rfc3339, "an ISO 8601 instant") for name in ("time", "timestamp")
    ]
    start = reader.take("startTime", parse_rfc3339, "an ISO 8601 instant")
    end = reader.take("endTime", parse_rfc3339, "an ISO 8601 instant")
    seconds = reader.take("duration", whole, "a whole number of seconds")
    types = query.getlist("metricTypes") or list(TYPES)
    if not set(types) <= set(TYPES):
        reader.problems["metricTypes"] = f"must be some of {', '.join(TYPES)}"
    if query.get("queryType", "single") not in ("single", "range"):
        reader.problems["queryType"] = "must be single or range"
    if {"startTime", "endTime", "duration"} <= query.keys():
        reader.problems["duration"] = "combines with at most one of startTime and endTime"
    if reader.problems:
        raise Invalid("the parameters of the metrics are not valid", reader.problems)
    if seconds is not None and start is not None:
        end = start + seconds * 1000
    chosen = [instant for instant in (*instants, end) if instant is not None]
    current = all(instant >= now - MINUTE_MS for instant in chosen)
    return MetricsQuery(types, query.get("containerName"), current)
