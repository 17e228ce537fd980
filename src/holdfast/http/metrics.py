"""`GET /metrics`: the protection of each addon and the work there is, for Prometheus.

The numbers are rows that are kept anyway, read when they are scraped: every API process says the
same, and a scrape counts no backups. Labels are projects, addons, kinds and statuses, of which
there are as many as there are.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from holdfast.domain.access import Caller, Permission
from holdfast.http.auth import requires
from holdfast.http.state import Api, State
from holdfast.views.protection import metrics
from holdfast.views.protection.metrics import AddonSample, WorkSample

router = APIRouter(tags=["metrics"])

Reader = Annotated[Caller, Depends(requires(Permission.ADDON_READ))]

_ADDON = ("project", "addon", "type")


@router.get("/metrics", response_class=Response)
async def get_metrics(api: State, caller: Reader) -> Response:
    """In Prometheus' text format: the addons that the token sees, and the work there is."""
    body = await run_in_threadpool(_scrape, api, caller)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


class _Scrape:
    """One scrape, as a collector of the client library."""

    def __init__(self, addons: list[AddonSample], work: list[WorkSample]) -> None:
        self._addons = addons
        self._work = work

    def collect(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "holdfast_addon_state",
            "1 for the state of protection that an addon is in.",
            labels=[*_ADDON, "state"],
        )
        for addon in self._addons:
            state.add_metric([addon.project, addon.addon, addon.type, addon.state], 1)
        yield state
        for name, text in metrics.ADDON_GAUGES.items():
            yield _gauge(name, text, self._addons)
        work = GaugeMetricFamily(
            "holdfast_operations",
            "Operations that wait or go on, by kind and status.",
            labels=["kind", "status"],
        )
        for sample in self._work:
            work.add_metric([sample.kind, sample.status], sample.count)
        yield work
        oldest = GaugeMetricFamily(
            "holdfast_operations_oldest_wait_seconds",
            "How long the longest waiting operation of a kind has waited to begin.",
            labels=["kind"],
        )
        for sample in self._work:
            if sample.oldest_wait_seconds is not None:
                oldest.add_metric([sample.kind], sample.oldest_wait_seconds)
        yield oldest


def _gauge(name: str, text: str, addons: Iterable[AddonSample]) -> Metric:
    """An addon that has no such value has no sample, so that `absent` is a rule that works."""
    family = GaugeMetricFamily(f"holdfast_addon_{name}", text, labels=list(_ADDON))
    for addon in addons:
        value = addon.values.get(name)
        if value is not None:
            family.add_metric([addon.project, addon.addon, addon.type], value)
    return family


def _scrape(api: Api, caller: Caller) -> bytes:
    now = api.clock.now()
    with api.catalog.read() as session:
        scrape = _Scrape(metrics.addons(session, caller, now), metrics.work(session, caller, now))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(scrape)  # pyright: ignore[reportArgumentType] - it asks for `collect` alone
    return generate_latest(registry)
