"""`make bench-api`: the ends of a list of 100,000 backups, and small requests per second.

One client asks for the first and the last page in turns, so both see the same machine. Small
requests come over several connections from another process. The catalogue is SQLite.
"""

import argparse
import json
import multiprocessing
import statistics
import threading
import time
from collections.abc import Sequence
from itertools import cycle

from rich import box
from rich.table import Table

from benchmarks.catalogue import ADDON, PROJECT, fill_catalogue
from benchmarks.requester import Connection
from demo.place import place
from demo.screen import Screen
from demo.server import Server

_ADDON = f"/v1/projects/{PROJECT}/addons/{ADDON}"
_LIST = f"{_ADDON}/backups?per_page=100"
_SMALL = (f"{_ADDON}/backups/backup-777", f"/v1/projects/{PROJECT}", f"{_ADDON}/backups/backup-42")
_P99_MS = 25.0
_PER_SECOND = 200.0
_WARM_UP = 50


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-api", description=__doc__)
    parser.add_argument("--backups", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=1000, help="of each page")
    parser.add_argument("--seconds", type=float, default=10.0, help="of small requests")
    parser.add_argument("--connections", type=int, default=4)
    return parser.parse_args()


def main() -> None:
    screen, chosen = Screen(), _arguments()
    with place(None, 0, keep=False) as home:
        with screen.step(f"Writing {chosen.backups:,} backups into a fresh catalogue"):
            fill_catalogue(home, chosen.backups)
        server = Server(home)
        try:
            server.start()
            _measure(screen, server, chosen)
        finally:
            server.stop()


def _measure(screen: Screen, server: Server, chosen: argparse.Namespace) -> None:
    token = server.token_file.read_text().strip()
    client = Connection(server.port, token)
    with screen.step("Walking to the last page") as step:
        last = _last_page(client, chosen.backups)
        step.result = f"{chosen.backups / step.seconds:,.0f} backups/s"
    with screen.step(f"{chosen.requests} requests of the first and of the last page, in turns"):
        first_ms, last_ms = _in_turns(client, (_LIST, last), chosen.requests)
    with screen.step(f"Small requests over {chosen.connections} connections"):
        rate = _small(server.port, token, chosen.connections, chosen.seconds)
    client.close()
    _report(screen, first_ms, last_ms, rate)


def _last_page(client: Connection, expected: int) -> str:
    """The path of the last page; counts on the way that no backup is missing."""
    path, seen = _LIST, 0
    while True:
        answer = json.loads(client.get(path))
        seen += len(answer["data"]["backups"])
        cursor = answer["pagination"].get("cursor")
        if cursor is None:
            break
        path = f"{_LIST}&cursor={cursor}"
    if seen != expected:
        raise RuntimeError(f"the pages hold {seen} backups, not {expected}")
    return path


def _in_turns(client: Connection, paths: Sequence[str], count: int) -> list[list[float]]:
    """Milliseconds of `count` requests of each path."""
    taken: list[list[float]] = [[] for _ in paths]
    for number in range(-_WARM_UP, count):
        for path, kept in zip(paths, taken, strict=True):
            began = time.perf_counter()
            client.get(path)
            if number >= 0:
                kept.append((time.perf_counter() - began) * 1000)
    return taken


def _small(port: int, token: str, connections: int, seconds: float) -> float:
    """Requests per second, asked by a process of its own."""
    mine, theirs = multiprocessing.Pipe(duplex=False)
    asker = multiprocessing.Process(
        target=lambda: theirs.send(_ask(port, token, connections, seconds))
    )
    asker.start()
    rate = float(mine.recv())
    asker.join()
    return rate


def _ask(port: int, token: str, connections: int, seconds: float) -> float:
    counts = [0] * connections
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        connection = Connection(port, token)
        for path in cycle(_SMALL):
            if time.monotonic() > until:
                break
            connection.get(path)
            counts[number] += 1
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def _p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100)[98]


def _report(screen: Screen, first: list[float], last: list[float], rate: float) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("what", "p50", "p99", "max", "target", ""):
        table.add_column(column)
    for name, taken in (("first page of 100", first), ("last page of 100", last)):
        p99 = _p99(taken)
        shown = (f"{statistics.median(taken):.1f} ms", f"{p99:.1f} ms", f"{max(taken):.1f} ms")
        table.add_row(name, *shown, f"p99 <= {_P99_MS:.0f} ms", _met(p99 <= _P99_MS))
    ratio = statistics.median(last) / statistics.median(first)
    table.add_row("last / first", f"{ratio:.2f}", "", "", "about 1", _met(0.8 <= ratio <= 1.25))
    shown = f"{rate:,.0f}/s"
    table.add_row(
        "small requests", shown, "", "", f">= {_PER_SECOND:.0f}/s", _met(rate >= _PER_SECOND)
    )
    screen.console.print(table, highlight=False)


def _met(good: bool) -> str:
    return "met" if good else "MISSED"


if __name__ == "__main__":
    main()
