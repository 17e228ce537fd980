"""What a managed server takes, in the shape of the v1 API's metrics."""

from collections.abc import Collection, Mapping

from holdfast.catalog.schema import Addon
from holdfast.kit.clock import rfc3339
from holdfast.views.containers import container_name
from holdfast.views.shapes.addons import (
    MetricInfo,
    MetricPoint,
    MetricSeries,
    MetricSource,
    MetricView,
)

_UNITS: Mapping[str, tuple[str, float]] = {
    "cpu": ("vCPU", 1),
    "memory": ("mb", 1e6),
    "diskUsage": ("mb", 1e6),
    "tcpConnectionsOpen": ("count", 1),
}
"""The unit of each metric that there is, and how much of what was measured is one of it."""


def metrics_of(
    addon: Addon, types: Collection[str], measured: Mapping[str, float], now: int
) -> dict[str, MetricView]:
    """Those of the `types` that there are; with no values where nothing was `measured`."""
    return {
        name: MetricView(
            metric_info=MetricInfo(metric_id=name, metric_unit=unit),
            values=[
                MetricSeries(
                    metadata=MetricSource(container_id=container_name(addon)),
                    data=[MetricPoint(value=round(measured[name] / size, 6), ts=rfc3339(now))],
                )
            ]
            if name in measured
            else [],
        )
        for name, (unit, size) in _UNITS.items()
        if name in types
    }
