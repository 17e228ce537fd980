"""`make bench-api`: a server's start, its idling, lists under load, and a backup beside a flood.

1,000,000 finished backups of one addon are in a fresh catalogue, on SQLite or on a PostgreSQL
server of its own (`--catalogue`); everything of Holdfast runs in one process. The requests come
from another process, over connections that stay open, so client and server share the machine. What
is asked for: a page of backups, one page after the other, so that each is read for the first time,
a page of projects, and the trivial `/healthz`, to which the others are a ratio; first as fast as
they are answered, then at the rate that is the target. In the end a SQLite file is backed up again
and again, with and without a flood of requests that have no valid token.
"""

import argparse
import json
import multiprocessing
import os
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich import box
from rich.table import Table

from benchmarks.asking import Load, measure
from benchmarks.catalogue import ADDON, PROJECT, fill_catalogue
from benchmarks.memory import resident
from benchmarks.requester import Connection
from benchmarks.server import catalogue_server
from demo.place import place
from demo.screen import Screen
from demo.server import Server
from holdfast.catalog.database.page import DEFAULT_SIZE
from holdfast.client import Client
from holdfast.kit.seal import Secret

_BACKUPS = f"/v1/projects/{PROJECT}/addons/{ADDON}/backups"
_TARGETS = {"per_second": 400.0, "p99_ms": 60.0, "start": 2.5, "memory_mb": 200.0, "cpu": 2.0}
_MB = 1_000_000
# The backups have no objects, so nobody may look for them; too many probes would be held back.
_SETTINGS = {
    "HOLDFAST_AUDIT_EVERY": "0",
    "HOLDFAST_READ_WITHIN": "0",
    "HOLDFAST_ADDRESS_LIMIT": "10000000",
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-api", description=__doc__)
    parser.add_argument("--catalogue", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--backups", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each kind of request")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of watching it idle")
    parser.add_argument("--rounds", type=int, default=7, help="backups with and without a flood")
    return parser.parse_args()


def main() -> None:
    screen, chosen = Screen(), _arguments()
    with ExitStack() as stack:
        home = stack.enter_context(place(None, 0, keep=False))
        files = Path(stack.enter_context(TemporaryDirectory(prefix="holdfast-files-")))
        settings = {**_SETTINGS, "HOLDFAST_SQLITE_ROOTS": str(files)}
        url = ""
        if chosen.catalogue == "postgresql":
            url = stack.enter_context(catalogue_server(home / "catalogue"))
            settings["HOLDFAST_DATABASE_URL"] = url
        with screen.step(f"Writing {chosen.backups:,} backups into a fresh catalogue"):
            fill_catalogue(home, chosen.backups, database_url=url)
        server = Server(home, settings=settings)
        table = Table(box=box.SIMPLE_HEAD)
        for column in ("what", "measured", "target", ""):
            table.add_column(column)
        try:
            started = time.monotonic()
            server.start()
            _row(table, "start to first answer", time.monotonic() - started, "s", "start")
            with screen.step("Watching it idle"):
                _idle(table, server.pid, chosen.idle)
            with screen.step(f"Requests over {chosen.connections} connections"):
                _lists(table, server, chosen)
            with screen.step(f"{chosen.rounds} backups, with and without a flood"):
                _flood(table, server, files, chosen.rounds)
        finally:
            server.stop()
    screen.console.print(table, highlight=False)


def _row(table: Table, what: str, found: float, unit: str, target: str | None) -> None:
    if target is None:
        table.add_row(what, f"{found:,.2f} {unit}", "", "")
        return
    limit = _TARGETS[target]
    good = found >= limit if target == "per_second" else found <= limit
    sign = ">=" if target == "per_second" else "<="
    shown = f"{sign} {limit:g} {unit}"
    table.add_row(what, f"{found:,.2f} {unit}", shown, "met" if good else "MISSED")


def _idle(table: Table, pid: int, seconds: float) -> None:
    time.sleep(5)  # what a start leaves to do
    before = _cpu(pid)
    time.sleep(seconds)
    _row(table, "idle CPU of one core", 100 * (_cpu(pid) - before) / seconds, "%", "cpu")
    _row(table, "idle memory", resident(pid) / _MB, "MB", "memory_mb")


def _cpu(pid: int) -> float:
    """Seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _lists(table: Table, server: Server, chosen: argparse.Namespace) -> None:
    token = server.token_file.read_text().strip()
    with closing(Connection(server.port, token)) as client:
        page = json.loads(client.get(_BACKUPS))
    if len(page["data"]["backups"]) != min(DEFAULT_SIZE, chosen.backups):
        raise RuntimeError("the page is not whole")
    used = partial(_cpu, server.pid)
    asked = Load(server.port, token, "/healthz", chosen.connections, chosen.seconds)
    trivial = measure(asked, used)
    least = trivial.cost / len(trivial.taken)
    _row(table, "/healthz", trivial.per_second, "/s", None)
    _row(table, "  processor time of the server", 1000 * least, "ms", None)
    for what, path, rows in (
        ("50 of the backups", _BACKUPS, None),
        ("the next 50 each time", _BACKUPS, chosen.backups),
        ("10 of the backups", f"{_BACKUPS}?per_page=10", None),
        ("the projects", "/v1/projects", None),
    ):
        wanted = replace(asked, path=path, rows=rows)
        most = measure(wanted, used)
        cost = most.cost / len(most.taken)
        _row(table, what, most.per_second, "/s", "per_second")
        _row(table, "  p99", most.p99, "ms", "p99_ms")
        _row(table, "  processor time of the server", 1000 * cost, "ms", None)
        _row(table, "  that / that of /healthz", cost / least, "", None)
        steady = measure(replace(wanted, rate=_TARGETS["per_second"]), used)
        _row(table, f"  at {steady.per_second:.0f}/s: p99", steady.p99, "ms", "p99_ms")


def _flood(table: Table, server: Server, files: Path, rounds: int) -> None:
    with closing(sqlite3.connect(files / "big.db", isolation_level=None)) as session:
        session.execute("CREATE TABLE noise (b BLOB)")
        for _ in range(30):
            session.execute(
                "INSERT INTO noise VALUES (?)", [os.urandom(_MB // 2) + bytes(_MB // 2)]
            )
    alone: list[float] = []
    beside: list[float] = []
    asked = multiprocessing.Value("q", 0)
    with Client(server.url, Secret(server.token_file.read_text().strip())) as client:
        project = client.projects.create({"name": "Flood"}).id
        address = f"sqlite://{files / 'big.db'}"
        body = {"name": "Big", "type": "sqlite", "connectionString": address}
        addon = client.addons.create(project, body).id
        for number in range(rounds):
            alone.append(_backed_up(client, project, addon, f"Alone {number}"))
            with _flooded(server.port, asked):
                beside.append(_backed_up(client, project, addon, f"Beside {number}"))
    one, other = statistics.median(alone), statistics.median(beside)
    _row(table, "a backup of 30 MB, alone", one, "s", None)
    _row(table, "  beside the flood", other, "s", None)
    _row(table, "  ratio", other / one, "", None)
    _row(table, "  refused meanwhile", asked.value / max(sum(beside), 0.001), "/s", None)


def _backed_up(client: Client, project: str, addon: str, name: str) -> float:
    """Seconds from the order to the end."""
    began = time.monotonic()
    made = client.backups.create(project, addon, {"name": name, "backupType": "dump"})
    ended = client.wait_for_backup(project, addon, made.id)
    if ended.status != "completed":
        raise RuntimeError(f"the backup is {ended.status}: {ended.reason}")
    return time.monotonic() - began


@contextmanager
def _flooded(port: int, asked: object) -> Iterator[None]:
    stop = multiprocessing.Event()
    flooder = multiprocessing.Process(target=_ask_in_vain, args=(port, stop, asked))
    flooder.start()
    try:
        yield
    finally:
        stop.set()
        flooder.join()


def _ask_in_vain(port: int, stop: object, asked: object) -> None:
    """64 connections that ask as fast as they are answered, with a token that is not valid."""

    def work() -> None:
        connection, number = Connection(port, "guess"), 0
        while not stop.is_set():  # type: ignore[attr-defined]
            number += 1
            with suppress(RuntimeError):
                connection.get(f"{_BACKUPS}?page={number}")
            with asked.get_lock():  # type: ignore[attr-defined]
                asked.value += 1  # type: ignore[attr-defined]
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
