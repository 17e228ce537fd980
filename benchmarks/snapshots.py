"""`make bench-snapshots`: physical copies into our repository against stock tools, in turns.

A server with text and json is copied again and again, with shares of its rows updated at random
in between; the last copy is written to disk again by each tool, several times in turns. What is
compared: Holdfast's engine, repository and local store with fsync, in this process. Reading back
and the checks of the job around it are not in it. With `--transactions`, what a throttled snapshot
costs the server's clients is measured instead.
"""

import argparse
import os
import shutil
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import memory
from benchmarks.physical.contest import Contest, Tool
from benchmarks.physical.mysql import mysql
from benchmarks.physical.postgresql import postgresql, transactions_lost
from benchmarks.physical.redis import redis
from demo.place import place
from demo.screen import Screen
from demo.sizes import mb, parse_size

CONTESTS: dict[str, Callable[[Path, int], AbstractContextManager[Contest]]] = {
    "postgresql": postgresql,
    "mysql": mysql,
    "redis": redis,
}
UPDATES = (0.0, 0.002, 0.002, 0.02)
"""Shares of the rows that change before each copy."""
RESTORE, RESTORES = "restore", 5


@dataclass(frozen=True)
class Cell:
    """What one step cost one tool: seconds, and bytes added to what it stores."""

    seconds: float
    stored: int

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s" + (f", {mb(self.stored)}" if self.stored else "")


Rows = dict[str, dict[str, Cell]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-snapshots", description=__doc__)
    parser.add_argument("--engine", choices=CONTESTS, action="append")
    parser.add_argument("--size", type=parse_size, default="600MB", help="bytes of rows, about")
    parser.add_argument("--transactions", action="store_true")
    parser.add_argument("--rate", type=int, default=16_384, help="KiB/s, with --transactions")
    asked = parser.parse_args()
    screen = Screen()
    if asked.transactions:
        with place(None, 3 * asked.size, keep=False) as home:
            lost = transactions_lost(home, asked.size, asked.rate, rounds=4, seconds=15)
        screen.console.print(f"lost beside a snapshot of {asked.rate} KiB/s: {lost:.1%} (15 %)")
        return
    for kind in asked.engine or CONTESTS:
        with (
            place(None, 8 * asked.size, keep=False) as home,
            screen.step(f"Filling {kind}"),
            CONTESTS[kind](home, asked.size) as contest,
        ):
            memory.forget_peak(os.getpid())
            report(screen.console, kind, measure(contest, home))


def measure(contest: Contest, home: Path) -> Rows:
    rows: Rows = {}
    for share in UPDATES:
        if share:
            contest.update(share)
        contest.settle()
        again = sum(f"{share:.1%} updated" in name for name in rows)
        name = f"{share:.1%} updated{' again' * again}" if share else "first"
        rows[name] = {tool.name: _captured(tool) for tool in contest.tools}
    rows[RESTORE] = _restores(contest, home / "target")
    return rows


def _captured(tool: Tool) -> Cell:
    before = _size(tool.directory)
    seconds = _timed(tool.capture)
    return Cell(seconds, _size(tool.directory) - before)


def _restores(contest: Contest, target: Path) -> dict[str, Cell]:
    """In turns, the median: what waits to be written to the disk makes a single one say little."""
    taken: dict[str, list[float]] = {tool.name: [] for tool in contest.tools}
    for _ in range(RESTORES):
        for tool in contest.tools:
            taken[tool.name].append(_restored(tool, target))
    return {name: Cell(statistics.median(seconds), 0) for name, seconds in taken.items()}


def _restored(tool: Tool, target: Path) -> float:
    target.mkdir()
    seconds = _timed(lambda: tool.restore(target))
    shutil.rmtree(target)
    return seconds


def _timed(act: Callable[[], None]) -> float:
    os.sync()
    began = time.monotonic()
    act()
    return time.monotonic() - began


def _size(directory: Path) -> int:
    return sum(each.stat().st_size for each in directory.rglob("*") if each.is_file())


def report(console: Console, kind: str, rows: Rows) -> None:
    table = Table(title=f"{kind}: seconds, bytes stored; Holdfast's over each", box=box.SIMPLE_HEAD)
    names = list(rows[RESTORE])
    for column in ("", *names):
        table.add_column(column)
    for step, cells in rows.items():
        ours = cells["Holdfast"]
        table.add_row(step, *(_compared(ours, cells[name]) for name in names))
    console.print(table, highlight=False)
    console.print(
        f"memory of this process: {mb(memory.peak(os.getpid()))} at most", highlight=False
    )


def _compared(ours: Cell, theirs: Cell) -> str:
    if ours is theirs:
        return str(ours)
    stored = f", {ours.stored / theirs.stored:.2f}" if theirs.stored else ""
    return f"{theirs} ({ours.seconds / theirs.seconds:.2f}{stored})"


if __name__ == "__main__":
    main()
