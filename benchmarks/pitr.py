"""`make bench-pitr`: what archiving a log costs, how soon a commit is stored, and a replay.

One PostgreSQL writes a range of log that every tool archives in turns, in rounds. Then commits at
20 MB/s are timed until they are stored. At last the range is replayed onto one base backup: from
our store with 100 ms before each answer, and from pgBackRest's repository on this machine.
"""

import argparse
import shutil
import sqlite3
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import psycopg
from rich import box
from rich.table import Table

from benchmarks.archiving.contestants import ARCHIVERS, Task, measured, receive
from benchmarks.archiving.receiving import parts_in
from benchmarks.archiving.server import LoggedServer
from benchmarks.server import hosted
from demo.place import place
from demo.screen import Screen
from demo.sizes import parse_size
from holdfast.catalog import addons
from holdfast.catalog.archiving import archives
from holdfast.contracts.store import ObjectStore
from holdfast.domain.archive.windows import Leg
from holdfast.usecases.archiving import archives as verbs
from holdfast.usecases.archiving.fetching import fetch_log

_TARGETS = {"pg_receivewal + zstd -3 + cp": 0.5, "pgBackRest archive-push, zst 1": 0.95}
_RATE = 20_000_000
_INTERVAL_SECONDS = 10
_FAR_SECONDS = 0.1


@dataclass(frozen=True)
class _Far:
    """A store with a pause before each object that is read."""

    near: ObjectStore

    def get(self, key: str) -> Iterator[bytes]:
        time.sleep(_FAR_SECONDS)
        return self.near.get(key)

    def list(self, prefix: str) -> Iterator[object]:
        time.sleep(_FAR_SECONDS)
        return iter(self.near.list(prefix))


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-pitr", description=__doc__)
    parser.add_argument("--size", type=parse_size, default="1GB", help="bytes of log, about")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=60, help="of commits at 20 MB/s")
    chosen = parser.parse_args()
    screen = Screen()
    table = Table("what", "measured", "Holdfast's share", "target", box=box.SIMPLE_HEAD)
    with place(None, 8 * chosen.size, keep=False) as home, hosted("postgresql", home) as hosting:
        server = LoggedServer(hosting[1])
        server.fill()
        base, rounds = home / "base", []
        for number in range(chosen.rounds):
            with screen.step(f"Round {number + 1}: archiving {chosen.size / 1e9:.1f} GB"):
                start = server.switch()
                server.reserve(*(archiver.slot for archiver in ARCHIVERS))
                if number == chosen.rounds - 1:
                    server.base_backup(base)
                server.write_log(chosen.size)
                until = server.switch()
                folder = home / f"round{number}"
                turns = [*ARCHIVERS[number % 4 :], *ARCHIVERS[: number % 4]]
                rounds.append(
                    {
                        each.name: measured(each, Task(server, folder / each.slot, start, until))
                        for each in turns
                    }
                )
        _report_archiving(table, rounds)
        with screen.step("Commits at 20 MB/s, until they are stored"):
            _measure_commits(table, server, home / "steady", chosen.seconds)
        with screen.step("Replaying"):
            _measure_replays(table, server, base, folder)
        screen.console.print(table, highlight=False)


def _report_archiving(table: Table, rounds: list[dict[str, float]]) -> None:
    medians = {name: statistics.median(turn[name] for turn in rounds) for name in rounds[0]}
    ours = medians[ARCHIVERS[-1].name]
    for name, seconds in medians.items():
        least, most = (edge(turn[name] for turn in rounds) for edge in (min, max))
        shown = f"{seconds:.2f} ({least:.2f} .. {most:.2f}) CPU s/GB"
        target = f"{_TARGETS[name]:.2f}" if name in _TARGETS else ""
        share = f"{ours / seconds:.2f}" if seconds != ours else ""
        table.add_row(f"archiving: {name}", shown, share, target)


def _measure_commits(table: Table, server: LoggedServer, home: Path, seconds: int) -> None:
    server.reserve("steady")
    child = receive(server, home, "steady", interval=_INTERVAL_SECONDS)
    stored: list[tuple[float, int]] = []
    over = threading.Event()

    def watch() -> None:
        with closing(sqlite3.connect(home / "data/holdfast.db", timeout=60)) as database:
            while not over.wait(0.05):
                ((end,),) = database.execute('SELECT max("end") FROM archive_pieces').fetchall()
                stored.append((time.monotonic(), int(end or 0)))

    try:
        while not server.run("SELECT 1 FROM pg_replication_slots WHERE active"):
            time.sleep(0.1)
        watching = threading.Thread(target=watch)
        watching.start()
        commits = server.commit_steadily(_RATE, seconds)
        while not stored or stored[-1][1] < commits[-1][1]:
            server.run("SELECT pg_logical_emit_message(true, 'bench', 'x')")
            time.sleep(0.5)
    finally:
        over.set()
        child.terminate()
        child.wait()
    watching.join()
    server.drop("steady")
    delays, at = [], 0
    for moment, position in commits:
        while stored[at][1] < position:
            at += 1
        delays.append(stored[at][0] - moment)
    delays.sort()
    rate = (commits[-1][1] - commits[0][1]) / (commits[-1][0] - commits[0][0])
    shown = f"{delays[len(delays) // 2]:.1f} s, {delays[-1]:.1f} s"
    limit = f"<= {_INTERVAL_SECONDS + 1} s"
    table.add_row(
        f"a commit is stored after, median, slowest ({rate / 1e6:.0f} MB/s)", shown, "", limit
    )


def _measure_replays(table: Table, server: LoggedServer, base: Path, folder: Path) -> None:
    wal = folder / "wal"
    wal.mkdir()
    began = time.monotonic()
    _fetch(folder / "holdfast", wal)
    fetched = time.monotonic() - began
    ours = fetched + _replayed(server, base, folder / "ours", f'cp "{wal}/%f" "%p"')
    config = folder / "pgbackrest/pgbackrest.conf"
    theirs = _replayed(
        server, base, folder / "theirs",
        f"pgbackrest --config={config} --stanza=bench --pg1-path={folder}/theirs"
        ' archive-get %f "%p"',
    )  # fmt: skip
    table.add_row(
        "replay: pgBackRest archive-get, local", f"{theirs:.1f} s", f"{ours / theirs:.2f}", "1.00"
    )
    table.add_row(
        "replay: Holdfast, store 100 ms away", f"{ours:.1f} s ({fetched:.1f} fetching)", "", ""
    )


def _fetch(home: Path, wal: Path) -> None:
    tools = parts_in(home).toolbox
    with tools.catalog.read() as session:
        archive, addon = archives.get(session, 1), addons.get(session, 1)
        (line,) = archives.lines(session, 1)
        end = archives.stored_end(session, line.pk)
        session.expunge_all()
    near = verbs.layout_of(tools, archive, addon)
    assert end is not None
    layout = replace(near, store=cast("ObjectStore", _Far(near.store)))
    fetch_log(tools.catalog, layout, [Leg(line.pk, line.needs, end)], wal, lambda _: None)


def _replayed(server: LoggedServer, base: Path, data: Path, command: str) -> float:
    """Seconds until a copy of the base is promoted, with the settings of a rehearsal."""
    shutil.copytree(base, data, symlinks=True)
    for lock in data.glob(".s.*"):  # of the server that was copied
        lock.unlink()
    (data / "recovery.signal").touch()
    port = server.place.port
    settings = {
        "restore_command": command, "recovery_target_timeline": "current", "port": port,
        "listen_addresses": "", "unix_socket_directories": data, "shared_buffers": "64MB",
        "hot_standby": "off", "max_wal_senders": 0, "autovacuum": "off",
    }  # fmt: skip
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    owner = server.place.directory.owner()
    subprocess.run(["chown", "-R", f"{owner}:", data, data.parent], check=True)
    log = data.with_suffix(".log").open("wb")
    began = time.monotonic()
    child = subprocess.Popen(
        [server.bin_dir / "postgres", "-D", data, *words], stdout=log, stderr=log, user=owner
    )
    try:
        while True:
            try:
                login = {"user": server.place.user, "password": server.place.password.reveal()}
                with psycopg.connect(
                    host=str(data), port=port, dbname="postgres", **login
                ) as session:
                    row = session.execute("SELECT pg_is_in_recovery()").fetchone()
                    if row == (False,):
                        return time.monotonic() - began
            except psycopg.OperationalError:
                if child.poll() is not None:
                    raise RuntimeError(data.with_suffix(".log").read_text()[-2000:]) from None
            time.sleep(0.02)
    finally:
        child.terminate()
        child.wait()
        log.close()
        shutil.rmtree(data)


if __name__ == "__main__":
    main()
