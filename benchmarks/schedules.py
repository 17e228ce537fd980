"""`make bench-schedules`: what 100,000 schedules cost when nothing is due, and when very much is.

The real scheduler looks at a real catalogue, on SQLite and on PostgreSQL (a server of its own,
with fsync): its clock, its queue and its transactions are those of `holdfast scheduler`.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich import box
from rich.table import Table

from benchmarks.fleet import fill_fleet, make_due
from benchmarks.server import catalogue_server
from demo.place import place
from demo.screen import Screen
from holdfast.bootstrap import Parts
from holdfast.catalog.database.clock import DatabaseClock
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.work import workers
from holdfast.daemons.scheduler import Scheduler
from holdfast.settings import Settings

_IDLE_MS = {"SQLite": 5.0, "PostgreSQL": 25.0}
_PER_SECOND = 400.0
_MINUTE = 60_000
_DAY = 24 * 60 * _MINUTE


@dataclass
class Result:
    """Of one database: milliseconds of rounds by what there was, operations per second, and
    milliseconds that somebody else's small transactions took meanwhile.
    """

    database: str
    idle: dict[str, list[float]] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-schedules", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000)
    parser.add_argument("--due", type=int, default=10_000, help="at the same minute")
    parser.add_argument("--rounds", type=int, default=200, help="of looking at nothing due")
    return parser.parse_args()


def main() -> None:
    screen, chosen = Screen(), _arguments()
    results: list[Result] = []
    with ExitStack() as kept:
        home = kept.enter_context(place(None, 0, keep=False))
        for database in _IDLE_MS:
            url = ""
            if database == "PostgreSQL":
                url = kept.enter_context(catalogue_server(home))
            results.append(_measure(screen, home / database, database, url, chosen))
    _report(screen, results)


def _measure(
    screen: Screen, home: Path, database: str, url: str, chosen: argparse.Namespace
) -> Result:
    result = Result(database)
    parts = Parts(Settings(data_dir=home, database_url=url))
    clock = DatabaseClock(parts.catalog, parts.clock)
    scheduler = Scheduler(replace(parts.toolbox, clock=clock), 7 * _DAY)
    far = clock.now() + 50 * _MINUTE
    with screen.step(f"{database}: writing {chosen.schedules:,} schedules"):
        fill_fleet(parts.catalog, chosen.schedules, far)

    def idle(what: str) -> None:
        with screen.step(f"{database}: {chosen.rounds} rounds, {what}") as step:
            taken = _timed(scheduler.round, chosen.rounds)
            result.idle[what] = taken
            step.result = f"median {statistics.median(taken):.1f} ms"

    def fire(what: str, kind: str) -> None:
        now = clock.now()
        make_due(parts.catalog, kind, chosen.due, now // _MINUTE * _MINUTE)
        with screen.step(f"{database}: {chosen.due:,} due at once, {what}") as step:
            with _neighbour(parts.catalog, result.waits):
                made = scheduler.fire(now)
            result.rates[what] = made / step.seconds
            step.result = f"{result.rates[what]:,.0f} operations/s"
        if made != chosen.due:
            raise RuntimeError(f"{made} of {chosen.due} were fired")

    idle("nothing due")
    fire("dispatched at once", "dump")
    idle("as many dispatched and not begun")
    fire("waiting for the addon's other one", "snapshot")
    idle("as many waiting for another one")
    parts.catalog.close()
    return result


@contextmanager
def _neighbour(catalog: Catalog, taken: list[float]) -> Generator[None]:
    """Somebody else who writes a little, fifty times a second."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.02):
            taken.extend(_timed(lambda: _beat(catalog), 1, warm=False))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _beat(catalog: Catalog) -> None:
    with catalog.write() as session:
        workers.beat(session, "neighbour", "here")


def _timed(work: Callable[[], None], count: int, *, warm: bool = True) -> list[float]:
    taken: list[float] = []
    if warm:  # a scheduler's first round also looks whether the clock went back
        work()
    for _ in range(count):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _report(screen: Screen, results: list[Result]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("what", "median", "p99", "max", "target", ""):
        table.add_column(column)
    for result in results:
        most = _IDLE_MS[result.database]
        for what, taken in result.idle.items():
            middle, p99 = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
            shown = (f"{middle:.1f} ms", f"{p99:.1f} ms", f"{max(taken):.1f} ms")
            target = f"<= {most:.0f} ms" if what == "nothing due" else ""
            met = _met(middle <= most) if target else ""
            table.add_row(f"{result.database}: {what}", *shown, target, met)
        p99 = statistics.quantiles(result.waits, n=100)[98]
        shown = (statistics.median(result.waits), p99, max(result.waits))
        row = (
            f"{result.database}: others' transactions meanwhile",
            *(f"{t:.1f} ms" for t in shown),
        )
        table.add_row(*row)
        for what, rate in result.rates.items():
            target = f">= {_PER_SECOND:.0f}/s"
            row = (f"{result.database}: {what}", f"{rate:,.0f}/s", "", "", target)
            table.add_row(*row, _met(rate >= _PER_SECOND))
    screen.console.print(table)


def _met(good: bool) -> str:
    return "met" if good else "[bold red]missed[/]"


if __name__ == "__main__":
    main()
