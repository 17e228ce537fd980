"""`make bench-drills`: what a drill adds to a restore, and what an installation's state costs.

A managed PostgreSQL is filled, dumped and taken as a snapshot; then restores into it and drills of
the same backup take turns. Afterwards `state.py` measures a catalogue with very many backups of
2,000 addons. `--only` does one of the two.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import psycopg
from rich import box
from rich.table import Table

from benchmarks import state
from demo.place import place
from demo.screen import Screen
from demo.server import Server
from holdfast.client import Client, Patience
from holdfast.client.restores import Choices

_SETTINGS = {"HOLDFAST_QUEUE_EVERY": "0.05", "HOLDFAST_ADDRESS_LIMIT": "10000000"}
_PATIENCE = Patience(first=0.05, longest=0.05)
_OVERHEAD = 1.10
_ROW_BYTES = 450
_PARTS = {
    "server": "apart from it: an empty server",
    "content": "apart from it: all content compared, and the server's checks beside that",
    "fetch": "waiting for the store",
    "load": "until the server answers",
    "checks": "the server's checks of its own data",
}
_FILL = """
CREATE TABLE orders AS SELECT n AS id, repeat(md5(n::text), 13) AS note
    FROM generate_series(1, {rows}) n;
ALTER TABLE orders ADD PRIMARY KEY (id);
CREATE INDEX ON orders (left(note, 20));
VACUUM ANALYZE orders
"""


@dataclass
class Rounds:
    """Seconds of one kind of backup: of restores, of drills without the making of an empty server
    and the comparison of content, and of every part of a drill by its name."""

    restores: list[float] = field(default_factory=list[float])
    drills: list[float] = field(default_factory=list[float])
    parts: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-drills", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help=f"of {_ROW_BYTES} bytes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--addons", type=int, default=2_000)
    parser.add_argument("--backups", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("drills", "state"))
    return parser.parse_args()


def main() -> None:
    screen, chosen = Screen(), _arguments()
    table = _table()
    # Of room there is asked for five times as much, for the copies of what is drilled.
    drilled = 0 if chosen.only == "state" else 5 * chosen.rows * _ROW_BYTES
    listed = 0 if chosen.only == "drills" else chosen.backups * state.BYTES_A_BACKUP // 3
    with ExitStack() as stack:
        home = stack.enter_context(place(None, max(drilled, listed), keep=False))
        for directory in (home / "drills", home / "state"):
            directory.mkdir(mode=0o711)
        if chosen.only != "state":
            _drills(screen, table, Server(home / "drills", settings=_SETTINGS), chosen)
            screen.console.print(table, highlight=False)  # what comes may fail
            table = _table()
        if chosen.only != "drills":
            state.measure(screen, table, home / "state", chosen.backups, chosen.addons)
            screen.console.print(table, highlight=False)


def _table() -> Table:
    return Table("what", "measured", "target", "", box=box.SIMPLE_HEAD)


def _drills(screen: Screen, table: Table, server: Server, chosen: argparse.Namespace) -> None:
    server.start()
    try:
        with server.client() as client:
            with screen.step(f"Filling a PostgreSQL with {chosen.rows:,} rows"):
                addon = _filled(client, chosen.rows)
            for kind in ("dump", "snapshot"):
                with screen.step(f"{chosen.rounds} restores and drills of a {kind}"):
                    rounds = _measure(client, addon, kind, chosen.rounds)
                _report(table, kind, rounds)
    finally:
        server.stop()


def _filled(client: Client, rows: int) -> tuple[str, str]:
    project = client.projects.create({"name": "Drills"}).id
    billing = {"deploymentPlan": "nf-compute-20", "storage": 4096, "replicas": 1}
    body = {"name": "Orders", "type": "postgresql", "version": "latest", "billing": billing}
    addon = client.addons.create(project, body).id
    client.wait_for_addon(project, addon)
    uri = client.addons.credentials(project, addon).secrets["POSTGRES_URI"].reveal()
    with psycopg.connect(uri, autocommit=True) as connection:
        for statement in _FILL.format(rows=rows).split(";"):
            connection.execute(statement.encode())
    return project, addon


def _measure(client: Client, addon: tuple[str, str], kind: str, count: int) -> Rounds:
    made = client.backups.create(*addon, {"name": f"A {kind}", "backupType": kind})
    ended = client.wait_for_backup(*addon, made.id)
    if ended.status != "completed":
        raise RuntimeError(f"the backup is {ended.status}: {ended.reason}")
    rounds = Rounds()
    for _ in range(count):
        rounds.restores.append(_timed(lambda: _restore(client, addon, made.id)))
        began = time.monotonic()
        started = client.drills.run(*addon, made.id)
        drill = client.wait_for_drill(*addon, started.drill_id, _PATIENCE)
        took = time.monotonic() - began
        if drill.verdict != "passed":
            raise RuntimeError(f"the drill is {drill.verdict}: {drill.findings}")
        apart = drill.seconds.get("server", 0) + drill.seconds.get("content", 0)
        rounds.drills.append(took - apart)
        for name in _PARTS:
            rounds.parts.setdefault(name, []).append(drill.seconds.get(name, 0))
    return rounds


def _restore(client: Client, addon: tuple[str, str], backup: str) -> None:
    started = client.restores.create(*addon, backup, choices=Choices(keep_old_hours=0))
    ended = client.wait_for_restore(*addon, started.restore_id, _PATIENCE)
    if ended.status != "completed":
        raise RuntimeError(f"the restore is {ended.status}: {ended.reason}")


def _timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _report(table: Table, kind: str, rounds: Rounds) -> None:
    plain, drill = statistics.median(rounds.restores), statistics.median(rounds.drills)
    ratio = drill / plain
    table.add_row(f"a restore of the {kind}", f"{plain:.2f} s", "", "")
    met = "met" if ratio <= _OVERHEAD else "MISSED"
    table.add_row("  its drill", f"{drill:.2f} s, {ratio:.2f} x", f"<= {_OVERHEAD} x", met)
    for name, text in _PARTS.items():
        table.add_row(f"    {text}", f"{statistics.median(rounds.parts[name]):.2f} s", "", "")


if __name__ == "__main__":
    main()
