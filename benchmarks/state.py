"""What an installation's state costs when it has very many backups, and how soon an alarm arrives.

A catalogue is filled with finished backups; then all addons are asked whether they are protected,
while everything runs in one process. Alarms are those of a monitor whose pings say that something
failed; they go to a webhook of our own.
"""

import json
import statistics
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from rich.table import Table

from benchmarks.catalogue import fill_catalogue
from benchmarks.requester import Connection
from demo.screen import Screen
from demo.server import Server
from holdfast.client import Client
from holdfast.domain.alarms.rules import STORM
from holdfast.kit.clock import parse_rfc3339

BYTES_A_BACKUP = 5_000
"""What a backup's rows take in the catalogue."""
_STATE_MS = 150.0
_DELIVERED_SECONDS = 5.0
_READS = 20
_ALARMS = 2 * STORM
_GIVE_UP_SECONDS = 120.0
# The addons have no servers and the backups no objects, so neither is looked for.
_SETTINGS = {
    "HOLDFAST_ADDRESS_LIMIT": "10000000",
    "HOLDFAST_AUDIT_EVERY": "0",
    "HOLDFAST_DRILLS": "0",
    "HOLDFAST_READ_WITHIN": "0",
}


def measure(screen: Screen, table: Table, home: Path, backups: int, addons: int) -> None:
    """Adds a row to the table for each limit."""
    with screen.step(f"Writing {backups:,} backups of {addons:,} addons") as step:
        fill_catalogue(home, backups, addons)
        step.result = f"{(home / 'holdfast.db').stat().st_size / 1e6:,.0f} MB"
    server = Server(home, settings=_SETTINGS)
    with screen.step("Starting a server on it"):
        server.start()
    try:
        with screen.step(f"Asking {_READS} times which of them are protected"):
            _measure_state(table, server, addons)
        with screen.step(f"Sending {_ALARMS} alarms, and their ends"), server.client() as client:
            _measure_alarms(table, client)
    finally:
        server.stop()


def _measure_state(table: Table, server: Server, addons: int) -> None:
    token = server.token_file.read_text().strip()
    with closing(Connection(server.port, token)) as connection:
        taken = [_read_state(connection, addons) for _ in range(_READS)]
    row(table, f"the state of {addons:,} addons, median", statistics.median(taken), _STATE_MS, "ms")
    table.add_row("  the first, and the slowest", f"{taken[0]:.0f} ms, {max(taken):.0f} ms", "", "")


def _read_state(connection: Connection, addons: int) -> float:
    began = time.monotonic()
    body = connection.get("/v1/protection")
    took_ms = (time.monotonic() - began) * 1000
    answered = len(json.loads(body)["data"]["addons"])
    if answered != addons:
        raise RuntimeError(f"the answer has {answered:,} addons of {addons:,}")
    return took_ms


@dataclass
class Receiver:
    """A webhook that notes which events of alarms came, and when, in ms since 1970."""

    url: str = ""
    arrived: dict[tuple[str, str], tuple[float, dict[str, Any]]] = field(
        default_factory=dict[tuple[str, str], tuple[float, dict[str, Any]]]
    )
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, body: bytes) -> None:
        now, document = time.time() * 1000, json.loads(body)
        with self.changed:
            for alarm in document.get("alarms", ()):
                key = document["event"], str(alarm["subject"])
                self.arrived.setdefault(key, (now, alarm))
            self.changed.notify_all()

    def await_event(self, event: str, subject: str) -> tuple[float, dict[str, Any]]:
        key = event, subject
        with self.changed:
            if not self.changed.wait_for(lambda: key in self.arrived, _GIVE_UP_SECONDS):
                raise RuntimeError(f"{event} of {subject} did not come in {_GIVE_UP_SECONDS:g} s")
            return self.arrived[key]


@contextmanager
def _receiving() -> Generator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """The steps are shown already."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _measure_alarms(table: Table, client: Client) -> None:
    """One alarm after the other. A channel gets a few of a kind one by one, then they gather; so
    each few have a channel of their own."""
    since_row: list[float] = []
    since_ping: list[float] = []
    ended: list[float] = []
    with _receiving() as receiver:
        for number in range(_ALARMS):
            if number % STORM == 0:
                settings = {"url": receiver.url}
                body = {"name": f"Hook {number}", "kind": "webhook", "settings": settings}
                channel = client.channels.add({**body, "kinds": ["monitor.down"]})
            monitor = client.monitors.add({"name": f"Alarm {number}", "everySeconds": 86_400})
            subject, url = f"monitor {monitor.id}", monitor.ping_url
            pinged = time.time() * 1000
            httpx.post(f"{url}/fail").raise_for_status()
            at, alarm = receiver.await_event("alarm.opened", subject)
            since_row.append((at - parse_rfc3339(alarm["openedAt"])) / 1000)
            since_ping.append((at - pinged) / 1000)
            httpx.post(str(url)).raise_for_status()
            at, alarm = receiver.await_event("alarm.closed", subject)
            ended.append((at - parse_rfc3339(alarm["closedAt"])) / 1000)
            client.monitors.delete(monitor.id)
            if number % STORM == STORM - 1:
                client.channels.delete(channel.id)
    what = f"an alarm at its webhook after its row, the slowest of {_ALARMS}"
    row(table, what, max(since_row), _DELIVERED_SECONDS, "s")
    row(table, "  its end, the slowest", max(ended), _DELIVERED_SECONDS, "s")
    words = f"{statistics.median(since_ping):.1f} s, {max(since_ping):.1f} s"
    table.add_row("  after what caused it, median and slowest", words, "", "")


def row(table: Table, what: str, measured: float, limit: float, unit: str) -> None:
    """Adds a figure, its limit, and the ratio of the two."""
    verdict = f"{'met' if measured <= limit else 'MISSED'} ({measured / limit:.2f} of it)"
    digits = 0 if unit == "ms" else 1
    table.add_row(what, f"{measured:.{digits}f} {unit}", f"<= {limit:g} {unit}", verdict)
