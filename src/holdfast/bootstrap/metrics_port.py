"""The port of `GET /metrics` without a token, in every process: a worker and a scheduler have no
other one. Who may read is decided by the address, before anything is read."""

import ipaddress
import logging
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.exposition import generate_latest

from holdfast.bootstrap.parts import Parts
from holdfast.domain.access import ALL, Caller
from holdfast.http import metrics
from holdfast.kit.fetch import Network, parse_networks
from holdfast.kit.telemetry.measures import PROCESS

log = logging.getLogger(__name__)

_IDLE_SECONDS = 10.0
_MAX_SCRAPES = 4
"""Scrapes at a time; a further one is turned away, so that none of them waits for memory."""

_READER = Caller("", "metrics port", "", ALL, None)
Scrape = Callable[[], bytes]


def serve_metrics(parts: Parts, *, installation: bool) -> "MetricsListener | None":
    """Listens in threads of its own until the process ends; None: no port is set.

    `installation`: the metrics are those of the installation and of this process, else of this
    process alone, so that a Prometheus that reads them all has each addon once. Raises Invalid for
    networks that are none.
    """
    settings = parts.settings
    networks = parse_networks(settings.metrics_networks, "metrics_networks")
    if not settings.metrics_port:
        return None

    def scrape() -> bytes:
        if not installation:
            return generate_latest(PROCESS)
        return metrics.scrape(parts.catalog, _READER, parts.clock.now(), parts.stored_bytes)

    listener = MetricsListener((settings.host, settings.metrics_port), networks, scrape)
    threading.Thread(target=listener.serve_forever, name="metrics", daemon=True).start()
    log.info("metrics can be read", extra={"host": settings.host, "port": settings.metrics_port})
    return listener


class MetricsListener(ThreadingHTTPServer):
    """Answers `GET /metrics` with what `scrape` returns, to addresses in `networks`."""

    def __init__(
        self, address: tuple[str, int], networks: tuple[Network, ...], scrape: Scrape
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.scrape = scrape
        self._networks = networks
        self._free = threading.BoundedSemaphore(_MAX_SCRAPES)
        super().__init__(address, _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        address = ipaddress.ip_address(client_address[0])
        client = getattr(address, "ipv4_mapped", None) or address  # where we listen on both
        return any(client in network for network in self._networks)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        log.exception("a scrape failed", extra={"client": client_address[0]})


class _Handler(BaseHTTPRequestHandler):
    server: MetricsListener  # pyright: ignore[reportIncompatibleVariableOverride]
    server_version, sys_version = "Holdfast", ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
            return
        try:
            body = self.server.scrape()
        except Exception:
            self.send_error(503, "the catalogue does not answer")
            raise
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Scrapes are not logged: there are several a minute."""
