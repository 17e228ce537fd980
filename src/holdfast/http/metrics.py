"""`GET /metrics`: protection, work and stores, for Prometheus.

The gauges are rows that are kept anyway, read when they are scraped: every API process says the
same. What this process measured itself (its calls of stores, its memory) comes after them, for
callers that see every project.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.exposition import generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from holdfast.catalog.database.session import Catalog
from holdfast.domain.access import Caller, Permission
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.kit.telemetry.measures import PROCESS
from holdfast.views.metrics import addons, installation
from holdfast.views.metrics.gauge import Gauge
from holdfast.views.metrics.stored import StoredBytes

router = APIRouter(tags=["metrics"])

Reader = Annotated[Caller, Depends(requires(Permission.ADDON_READ))]


@router.get("/metrics", response_class=Response)
async def get_metrics(api: State, caller: Reader) -> Response:
    """In Prometheus' text format: the addons that the token sees, and, for one that sees every
    project, the work there is, the stores and this process."""
    now, stored = api.clock.now(), api.stored_bytes
    body = await run_in_threadpool(scrape, api.catalog, caller, now, stored)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


def scrape(catalog: Catalog, caller: Caller, now: int, stored: StoredBytes) -> bytes:
    """The text of one scrape; raises CatalogAway."""
    with catalog.read() as session:
        gauges = list(addons.gauges(session, caller, now, stored))
        if caller.projects is None:
            gauges += installation.gauges(session, now, stored)
    text = "".join(lines(gauges)).encode()
    return text + generate_latest(PROCESS) if caller.projects is None else text


_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def lines(gauges: Iterable[Gauge]) -> Iterator[str]:
    """The lines of the text format. The client library takes ten times as long: it looks at every
    label of every sample again, where an addon's labels are the same in 25 gauges."""
    texts: dict[tuple[str, ...], dict[tuple[str, ...], str]] = {}
    escaped: dict[str, str] = {}
    for gauge in gauges:
        name = gauge.name
        known = texts.setdefault(gauge.labels, {})
        shown = [f"# HELP {name} {gauge.text}\n# TYPE {name} gauge\n"]
        for values, number in gauge.samples:
            text = known.get(values)
            if text is None:
                parts: list[str] = []
                for label, value in zip(gauge.labels, values, strict=False):
                    safe = escaped.get(value)
                    if safe is None:
                        safe = escaped[value] = value.translate(_ESCAPES)
                    parts.append(f'{label}="{safe}"')
                text = known[values] = ",".join(parts)
            shown.append(f"{name}{{{text}}} {number}\n")
        yield "".join(shown)
