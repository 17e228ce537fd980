"""Sends traces over OTLP/HTTP. The library reads the ordinary `OTEL_*` variables itself: endpoint,
headers, certificates, sampling, batches."""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import StatusCode

from holdfast.kit.telemetry.traces import Attribute, Span, Tracer

_LAST_WORDS_SECONDS = 5.0
"""How long the end of a process waits for a collector that does not answer."""


class OtlpTracer:
    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("holdfast", version("holdfast"))

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Attribute]) -> Generator[Span]:
        # Not the exception itself, which the library would record: its message may quote data.
        with self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            traced = OtlpSpan(span)
            try:
                yield traced
            except BaseException as error:
                traced.fail(getattr(error, "code", type(error).__name__))
                raise

    def close(self) -> None:
        sending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        sending.start()
        sending.join(_LAST_WORDS_SECONDS)


class OtlpSpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, name: str, value: Attribute) -> None:
        self._span.set_attribute(name, value)

    def fail(self, code: str) -> None:
        self._span.set_status(StatusCode.ERROR, code)


def open_tracer() -> Tracer:
    """A tracer that sends in the background; a collector that is away holds nothing up."""
    ours = Resource.create({"service.name": "holdfast", "service.version": version("holdfast")})
    # In this order, so that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
    provider = TracerProvider(
        resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtlpTracer(provider)
