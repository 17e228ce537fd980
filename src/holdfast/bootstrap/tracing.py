"""Finds the exporter of traces; its library takes half a second to import, so only when asked."""

import importlib
from collections.abc import Callable, Mapping
from typing import cast

from holdfast import settings as config
from holdfast.kit.telemetry.traces import UNTRACED, Tracer

EXPORTERS: Mapping[str, str] = {"otlp": "holdfast.bootstrap.otlp"}


def open_tracer() -> Tracer:
    """The tracer that the environment asks for. Raises Invalid for one that there is not."""
    exporter = config.traces_exporter(list(EXPORTERS))
    if exporter is None:
        return UNTRACED
    module = importlib.import_module(EXPORTERS[exporter])
    return cast("Callable[[], Tracer]", module.open_tracer)()
