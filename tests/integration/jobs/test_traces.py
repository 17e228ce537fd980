"""Traces of operations, received over OTLP by a collector of the test's own."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from fixtures.attached import attach, fill
from fixtures.bodies import ZSTD_DUMP
from fixtures.debian_postgres import Database
from fixtures.holdfast import Api, await_backup, await_that, fresh
from fixtures.installation import Installation, installation_home, running
from holdfast import settings
from holdfast.bootstrap.tracing import open_tracer
from holdfast.domain.errors import Invalid
from holdfast.kit.telemetry.traces import UNTRACED


@dataclass
class Collector:
    port: int = 0
    bodies: list[bytes] = field(default_factory=list[bytes])

    def services(self) -> set[str]:
        return {
            pair.value.string_value
            for body in self.bodies
            for group in ExportTraceServiceRequest.FromString(body).resource_spans
            for pair in group.resource.attributes
            if pair.key == "service.name"
        }

    def spans(self) -> list[Span]:
        return [
            span
            for body in list(self.bodies)
            for group in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def backup(self, outcome: str) -> Span | None:
        """The span of a backup that ended so."""
        return next(
            (
                span
                for span in self.spans()
                if span.name == "operation backup"
                and attributes(span)["holdfast.outcome"] == outcome
            ),
            None,
        )


def attributes(span: Span) -> dict[str, str | int]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            collector.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield collector
        server.shutdown()


@pytest.mark.slow
def test_an_operation_is_a_trace_of_its_steps(debian_postgres: Database, tmp_path: Path) -> None:
    database = fill(debian_postgres)
    with collecting() as collector, installation_home() as home:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_SERVICE_NAME": "holdfast-of-a-test",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "HOLDFAST_SQLITE_ROOTS": str(tmp_path),
        }
        with running(Installation(home, environment)) as installed:
            api = installed.api
            attached = attach(api, debian_postgres, api.project(), fresh("Traced"), database)
            backup = installed.backup(attached.path, **ZSTD_DUMP)
            whole = await_that(lambda: collector.backup("completed"))
            broken = attach_file(api, f"/projects/{attached.project}/addons", tmp_path / "a.db")
            (tmp_path / "a.db").write_bytes(b"no database any more")
            lost = api.post(f"{broken}/backups", {"name": fresh("Lost"), **ZSTD_DUMP}).data["id"]
            await_backup(api, f"{broken}/backups/{lost}", "failed")
            failed = await_that(lambda: collector.backup("failed"))
            token = installed.server.token
        told = attributes(whole)
        assert told["holdfast.addon"] == attached.addon
        assert told["holdfast.addon.type"] == "postgresql"
        assert told["holdfast.backup"] == backup.rpartition("/")[2]
        assert (told["holdfast.attempt"], told["holdfast.kind"]) == (1, "backup")
        assert whole.status.code == Status.STATUS_CODE_UNSET
        parts = [span for span in collector.spans() if span.parent_span_id == whole.span_id]
        assert [span.name for span in parts] == ["look", "copy", "check", "seal"]
        assert all(span.trace_id == whole.trace_id for span in parts)
        assert failed.status.code == Status.STATUS_CODE_ERROR
        assert " " not in failed.status.message, "a code, not a sentence"
        assert collector.services() == {"holdfast-of-a-test"}
        sent = b"".join(collector.bodies)
        for secret in (debian_postgres.password, token, database):
            assert secret.encode() not in sent


def attach_file(api: Api, addons: str, path: Path) -> str:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    body = {"name": fresh("File"), "type": "sqlite", "connectionString": f"sqlite://{path}"}
    return f"{addons}/{api.post(addons, body).data['id']}"


def test_a_collector_that_is_away_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    tracer = open_tracer()
    with tracer.span("operation backup", {}):
        pass
    tracer.close()


@pytest.mark.parametrize(
    ("environment", "exporter"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, None),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "otlp"),
    ],
)
def test_the_ordinary_variables_turn_traces_on(
    environment: dict[str, str], exporter: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert settings.traces_exporter(["otlp"]) == exporter


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]
)
def test_what_cannot_be_exported_ends_the_start(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")
    monkeypatch.setenv(name, value)
    with pytest.raises(Invalid) as refused:
        open_tracer()
    assert list(refused.value.details) == [name]


def test_by_default_nothing_is_traced_and_no_library_loaded() -> None:
    assert open_tracer() is UNTRACED
    program = "import sys, holdfast.bootstrap; print('opentelemetry.sdk.trace' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"
