"""`make bench-metrics`: what a scrape of 2,000 addons costs, while everything runs in one process.

Each addon has four schedules, 30 finished backups, 10 drills and an archived log of 200 pieces in a
fresh SQLite catalogue. The first scrape counts the copies in all stores, the others take that count
for a minute.
"""

import argparse
import statistics
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from sqlalchemy import select, update

from benchmarks.catalogue import Number, insert_backups, insert_rows, numbers, padded
from benchmarks.fleet import fill_fleet
from benchmarks.requester import Connection
from demo.place import place
from demo.screen import Screen
from demo.server import Server
from holdfast.bootstrap import Parts
from holdfast.catalog import protection
from holdfast.catalog.archiving import archives
from holdfast.catalog.schema import Addon, ArchiveLine, ArchivePiece, ArchiveRow, Drill
from holdfast.domain.units import DAY_MS, HOUR_MS
from holdfast.kit.clock import SystemClock
from holdfast.settings import Settings

_TARGET_MS = 200.0
_BACKUPS = 30
_DRILLS = 10
_PIECES = 200
_SEGMENT = 1 << 24
_ADDONS_AT_ONCE = 200
_SCHEDULES_PER_ADDON = 4
# The addons have no servers and the backups no objects, so neither is looked for.
_SETTINGS = {
    "HOLDFAST_AUDIT_EVERY": "0",
    "HOLDFAST_READ_WITHIN": "0",
    "HOLDFAST_DRILLS": "0",
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-metrics", description=__doc__)
    parser.add_argument("--addons", type=int, default=2_000)
    parser.add_argument("--scrapes", type=int, default=30)
    return parser.parse_args()


def main() -> None:
    screen, chosen = Screen(), _arguments()
    with ExitStack() as stack:
        home = stack.enter_context(place(None, 0, keep=False))
        with screen.step(f"Writing {chosen.addons:,} addons into a fresh catalogue"):
            _fill(home, chosen.addons)
        server = Server(home, settings=_SETTINGS)
        try:
            server.start()
            token = server.token_file.read_text().strip()
            with closing(Connection(server.port, token)) as client:
                first, body = _scrape(client)
                others = [_scrape(client)[0] for _ in range(chosen.scrapes)]
        finally:
            server.stop()
    samples = sum(not line.startswith(b"#") for line in body.splitlines())
    middle = statistics.median(others)
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("what", "measured", "target", ""):
        table.add_column(column)
    table.add_row("samples", f"{samples:,}", "", "")
    table.add_row("the first scrape", f"{first:,.0f} ms", "", "")
    verdict = "met" if middle < _TARGET_MS else "MISSED"
    table.add_row("a scrape, median", f"{middle:,.0f} ms", f"< {_TARGET_MS:g} ms", verdict)
    table.add_row("  the slowest", f"{max(others):,.0f} ms", "", "")
    screen.console.print(table, highlight=False)


def _scrape(client: Connection) -> tuple[float, bytes]:
    """Milliseconds, and the answer."""
    began = time.monotonic()
    body = client.get("/metrics")
    return (time.monotonic() - began) * 1000, body


def _fill(home: Path, count: int) -> None:
    now = SystemClock().now()
    parts = Parts(Settings(data_dir=home))
    # A key and a store are made while there are no rows that speak of older ones.
    _ = parts.master, parts.store(None)
    catalog = parts.catalog
    fill_fleet(catalog, count * _SCHEDULES_PER_ADDON, now + HOUR_MS)
    with catalog.read() as session:
        addon_pks = list(session.scalars(select(Addon.pk).order_by(Addon.pk)))
    with catalog.write() as session:
        first_pk, step = addon_pks[0], DAY_MS // count
        number = numbers(1, count * _BACKUPS)
        began = now - (count * _BACKUPS - number) * step
        insert_backups(session, first_pk + number % count, number, began)
        number = numbers(count * (_BACKUPS - _DRILLS) + 1, count * _BACKUPS)
        began = now - (count * _BACKUPS - number) * step
        insert_rows(session, Drill, _drill(first_pk + number % count, number, began))
        # Servers of another machine: none of this one tries to follow them.
        session.execute(update(Addon).values(managed=True, node="elsewhere"))
        number = numbers(1, count)
        insert_rows(session, ArchiveRow, _archive(first_pk + number - 1, now))
        insert_rows(session, ArchiveLine, _line(number, now))
        number = numbers(0, count * _PIECES - 1)
        piece = _piece(1 + number // _PIECES, number % _PIECES, now)
        insert_rows(session, ArchivePiece, piece)
    for first in range(0, count, _ADDONS_AT_ONCE):
        with catalog.write() as session:
            chosen = addon_pks[first : first + _ADDONS_AT_ONCE]
            protection.refresh(session, chosen, all_days=True)
    catalog.close()


def _archive(addon_pk: Number, now: int) -> dict[str, Any]:
    return {
        "addon_pk": addon_pk,
        "wanted": True,
        "days": 7,
        "interval_s": 10,
        "unbounded": False,
        "slot": "slot",
        "recipient": "",
        "sealed_identity": "",
        "fence": 1,
        "state": archives.STREAMING,
        "behind": 0,
        "slack": 900_000_000,
        "slack_limit": 1_000_000_000,
        "checked": now,
        "since": now - DAY_MS,
        "created": now - DAY_MS,
        "review": now + HOUR_MS,
        "looked": now,
        "sweeping": False,
        "bytes": _PIECES * 5_000_000,
    }


def _line(archive_pk: Number, now: int) -> dict[str, Any]:
    return {
        "archive_pk": archive_pk,
        "root": "root",
        "name": "00000001",
        "forked": 0,
        "needs": 0,
        "source": "1",
        "segment": _SEGMENT,
        "begins": now - DAY_MS,
        "head": _PIECES * _SEGMENT,
        "head_clock": now,
        "since": now - DAY_MS,
        "removed": 0,
    }


def _piece(line_pk: Number, number: Number, now: int) -> dict[str, Any]:
    return {
        "line_pk": line_pk,
        "start": number * _SEGMENT,
        "end": (number + 1) * _SEGMENT,
        "whole": True,
        "stored": 5_000_000,
        "sha256": "",
        "crc": 0,
        "clock": now,
        "first": now,
        "last": now,
        "created": now,
    }


def _drill(addon_pk: Number, number: Number, began: Number) -> dict[str, Any]:
    return {
        "id": padded(number, 24),
        "addon_pk": addon_pk,
        "backup_pk": number,
        "cause": "plan",
        "status": "completed",
        "operation": padded(number, 24),
        "verdict": "passed",
        "findings": [],
        "times": {"restore": 4_000},
        "size": 80_000_000,
        "keep_minutes": 0,
        "opinions": [],
        "created": began,
        "completed": began + 4_000,
    }


if __name__ == "__main__":
    main()
