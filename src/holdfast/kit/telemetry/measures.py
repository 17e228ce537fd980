"""What a process measures of itself. Each process has its own, also those without an API: it
tells them on `HOLDFAST_METRICS_PORT`."""

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

PROCESS = CollectorRegistry()
"""Memory, processor time and open files of this process, and what modules add to it."""

ProcessCollector(registry=PROCESS)
PlatformCollector(registry=PROCESS)
