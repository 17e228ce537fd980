"""The second part of `make bench-schedules`: the plan for 1,000,000 backups, and listing them.

The plan is computed as the API does it, in a process of its own whose memory is measured. Then a
server is asked for the first and the last page of the destination's backups, in turns.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from rich import box
from rich.table import Table

from benchmarks.requester import Connection
from benchmarks.shelves import DAY_MS, DAYS, DESTINATION, fill_shelves
from demo.place import place
from demo.screen import Screen
from demo.server import Server
from holdfast.catalog.database.session import Catalog
from holdfast.domain.retention.rules import Policy
from holdfast.views import retention

_PLAN_SECONDS = 20.0
_PLAN_MB = 500.0
_LIST = f"/v1/backup-destinations/{DESTINATION}/backups?per_page=100"
_POLICY = Policy(share=0.25, grace_ms=DAY_MS, every_ms=DAY_MS // 24, history_ms=400 * DAY_MS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-schedules", description=__doc__)
    parser.add_argument("--addons", type=int, default=2_000)
    parser.add_argument("--each", type=int, default=500, help="backups of each addon")
    parser.add_argument("--requests", type=int, default=500, help="of each page")
    return parser.parse_args()


def main() -> None:
    screen, chosen = Screen(), _arguments()
    count = chosen.addons * chosen.each
    now = time.time_ns() // 1_000_000
    with place(None, 0, keep=False) as home:
        with screen.step(f"Writing {count:,} backups of {chosen.addons:,} addons"):
            fill_shelves(home, chosen.addons, chosen.each, now)
        with screen.step(f"The retention plan for {count:,} backups") as step:
            seconds, megabytes, fates = _in_a_process_of_its_own(home, now + DAYS * DAY_MS // 2)
            step.result = ", ".join(f"{n:,} {fate}" for fate, n in fates.items() if n)
        if sum(fates.values()) != count:
            raise RuntimeError(f"the plan speaks of {sum(fates.values())} copies, not {count}")
        first, last = _listing(screen, home, count, chosen.requests)
    _report(screen, (seconds, megabytes), first, last)


def _in_a_process_of_its_own(home: Path, now: int) -> tuple[float, float, dict[str, int]]:
    mine, theirs = multiprocessing.Pipe(duplex=False)
    spawn = multiprocessing.get_context("spawn")
    child = spawn.Process(target=plan, args=(theirs, str(home), now))
    child.start()
    found = mine.recv()
    child.join()
    return found


def plan(answer: Pipe, home: str, now: int) -> None:
    """Every copy of every addon, with its reasons and when it goes."""
    catalog = Catalog(f"sqlite:///{home}/holdfast.db")
    began = time.perf_counter()
    with catalog.read() as session:
        totals = retention.totals(session, now, _POLICY)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer.send((seconds, peak, {fate: each.copies for fate, each in totals.fates.items()}))


def _listing(
    screen: Screen, home: Path, count: int, requests: int
) -> tuple[list[float], list[float]]:
    server = Server(home, settings={"HOLDFAST_AUDIT_EVERY": "0"})
    try:
        server.start()
        client = Connection(server.port, server.token_file.read_text().strip())
        with screen.step("Walking to the last page of the destination") as step:
            last = _last_page(client, count)
            step.result = f"{count / step.seconds:,.0f} backups/s"
        with screen.step(f"{requests} requests of the first and of the last page, in turns"):
            taken = _in_turns(client, last, requests)
        client.close()
        return taken
    finally:
        server.stop()


def _last_page(client: Connection, expected: int) -> str:
    path, seen = _LIST, 0
    while True:
        answer = json.loads(client.get(path))
        seen += len(answer["data"])
        cursor = answer["pagination"].get("cursor")
        if cursor is None:
            break
        path = f"{_LIST}&cursor={cursor}"
    if seen != expected:
        raise RuntimeError(f"the pages hold {seen} backups, not {expected}")
    return path


def _in_turns(client: Connection, last: str, count: int) -> tuple[list[float], list[float]]:
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(-50, count):
        for path, kept in ((_LIST, taken[0]), (last, taken[1])):
            began = time.perf_counter()
            client.get(path)
            if number >= 0:
                kept.append((time.perf_counter() - began) * 1000)
    return taken


def _report(
    screen: Screen, plan_cost: tuple[float, float], first: list[float], last: list[float]
) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("what", "p50", "p99", "target", ""):
        table.add_column(column)
    seconds, megabytes = plan_cost
    table.add_row("plan", f"{seconds:.1f} s", "", f"<= {_PLAN_SECONDS:.0f} s",
                  _met(seconds <= _PLAN_SECONDS))  # fmt: skip
    table.add_row("memory of its process", f"{megabytes:.0f} MB", "", f"<= {_PLAN_MB:.0f} MB",
                  _met(megabytes <= _PLAN_MB))  # fmt: skip
    for name, taken in (("first page of 100", first), ("last page of 100", last)):
        p99 = statistics.quantiles(taken, n=100)[98]
        table.add_row(name, f"{statistics.median(taken):.1f} ms", f"{p99:.1f} ms", "", "")
    ratio = statistics.median(last) / statistics.median(first)
    table.add_row("last / first", f"{ratio:.2f}", "", "about 1", _met(0.8 <= ratio <= 1.25))
    screen.console.print(table, highlight=False)


def _met(good: bool) -> str:
    return "met" if good else "MISSED"


if __name__ == "__main__":
    main()
