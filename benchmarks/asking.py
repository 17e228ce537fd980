"""Load on a list: many connections of another process ask for pages of it."""

import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection as Pipe

from benchmarks.requester import Connection
from holdfast.catalog.database.page import DEFAULT_SIZE


@dataclass(frozen=True)
class Load:
    """What is asked for, over how many connections, for how many seconds.

    `rate`: so many a second together, each at its time, and one that is not answered in time
    makes those behind it late, which counts; None: each connection again as soon as it is answered.
    `rows`: the length of a list that is read on and on, so that each page is asked for once: every
    connection begins at another place; None: always the same page.
    """

    port: int
    token: str
    path: str
    connections: int
    seconds: float
    rate: float | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Answers:
    """`taken`: milliseconds of each. `cost`: what `meter` counted meanwhile."""

    per_second: float
    taken: list[float]
    cost: float

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.taken, n=100)[98]


def measure(load: Load, meter: Callable[[], float]) -> Answers:
    """Asked by a process of its own. Connecting and finding the first page are not counted."""
    mine, theirs = multiprocessing.Pipe()
    asker = multiprocessing.Process(target=lambda: _ask(load, theirs))
    asker.start()
    mine.recv()
    before = meter()
    mine.send(None)
    taken: list[float] = mine.recv()
    cost = meter() - before
    asker.join()
    return Answers(len(taken) / load.seconds, taken, cost)


def _ask(load: Load, pipe: Pipe) -> None:
    taken: list[float] = []
    ready, go = (threading.Barrier(load.connections + 1) for _ in range(2))

    def work(number: int) -> None:
        with closing(Connection(load.port, load.token)) as connection:
            path = load.path
            if load.rows is not None:
                apart = load.rows // (DEFAULT_SIZE * load.connections)
                path = _after(path, connection.get(f"{path}?page={1 + number * apart}"))
            ready.wait()
            go.wait()
            for began in _times(load, number):
                page = connection.get(path)
                taken.append((time.monotonic() - began) * 1000)
                if load.rows is not None:
                    path = _after(path, page)

    threads = [threading.Thread(target=work, args=(each,)) for each in range(load.connections)]
    for thread in threads:
        thread.start()
    ready.wait()
    pipe.send(None)
    pipe.recv()
    go.wait()
    for thread in threads:
        thread.join()
    pipe.send(taken)


def _times(load: Load, number: int) -> Iterator[float]:
    """When each of a connection's requests begins, or should have begun; waits until then."""
    beginning = time.monotonic()
    for asked in count():
        due = now = time.monotonic()
        if load.rate is not None:
            due = beginning + (asked * load.connections + number) / load.rate
            time.sleep(max(0.0, due - now))
        if due >= beginning + load.seconds:
            return
        yield due


def _after(path: str, page: bytes) -> str:
    """The page after that one, or the first; reading all of it would cost as much as making it."""
    first = path.partition("?")[0]
    _, more, rest = page.rpartition(b'"cursor":"')
    cursor = rest.partition(b'"')[0].decode()
    return f"{first}?cursor={cursor}" if more else first
