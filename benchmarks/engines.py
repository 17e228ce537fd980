"""`make bench-engines`: each engine's backup and restore against its stock tools, in turns.

Ours is the engine and the compression of the pipeline; the stock tool is piped to the same
compressor, and read back through it. An engine is one function in `CONTESTS`.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.contest import Work
from benchmarks.mongodb import RECORDED, mongodb
from benchmarks.mysql import mysql
from benchmarks.postgresql import SINGLE, postgresql
from benchmarks.redis import redis
from benchmarks.sqlite import sqlite

CONTESTS: dict[str, Callable[[Path, int], AbstractContextManager[Work]]] = {
    "postgresql": postgresql,
    "postgresql-single": partial(postgresql, tables=SINGLE),
    "mysql": mysql,
    "mongodb": mongodb,
    "redis": redis,
    "sqlite": sqlite,
    "sqlite-wal": partial(sqlite, journal="wal"),
}
WHAT = ("backup", "restore")
TARGET = 1.10


@dataclass
class Series:
    seconds: list[float] = field(default_factory=list[float])

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        """On a busy machine the round that was disturbed least."""
        return min(self.seconds)


def measure(work: Work, rounds: int) -> dict[str, Series]:
    """Every part once to warm up, then all of them in turns."""
    found = {name: Series() for name in work}
    for number in range(rounds + 1):
        for name, part in work.items():
            began = time.monotonic()
            told = part()
            if number:
                found[name].seconds.append(time.monotonic() - began if told is None else told)
    return found


def lines(kind: str, found: dict[str, Series]) -> Iterator[str]:
    for what in WHAT:
        ours, stock = found[f"{what}: ours"], found.get(f"{what}: stock")
        if stock is None:
            yield (
                f"{kind} {what}: Holdfast {ours.median:.2f} s, best {ours.best:.2f} s; the stock"
                f" tools are not on this machine. Recorded: {RECORDED[what]}"
            )
            continue
        yield (
            f"{kind} {what}: stock {stock.median:.2f} s, Holdfast {ours.median:.2f} s,"
            f" ratio {ours.median / stock.median:.2f} (target {TARGET}); the best rounds"
            f" {stock.best:.2f} s, {ours.best:.2f} s, {ours.best / stock.best:.2f}"
        )
    compared = {f"{what}: {who}" for what in WHAT for who in ("ours", "stock")}
    for name, series in found.items():
        if name not in compared:
            yield f"{kind} {name}: {series.median:.2f} s, best {series.best:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=CONTESTS, action="append")
    parser.add_argument("--rows", type=int, default=2_000_000, help="of about 450 bytes each")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    for kind in asked.engine or CONTESTS:
        with (
            tempfile.TemporaryDirectory(prefix="hf-bench-") as home,
            CONTESTS[kind](Path(home), asked.rows) as work,
        ):
            for line in lines(kind, measure(work, asked.rounds)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
