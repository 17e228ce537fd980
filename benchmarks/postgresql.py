"""PostgreSQL's part of `make bench-engines`: against pg_dump and pg_restore, through one socket."""

import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from psycopg.sql import SQL, Identifier

from benchmarks.contest import STOCK, Ours, Work, shell, started
from holdfast.contracts.engine import Address
from holdfast.engines.postgresql import create
from holdfast.engines.postgresql.client.address import Session, connect, through_socket
from holdfast.engines.postgresql.hosting import server

ROW = (
    "md5(g::text) || repeat(encode(sha256(g::text::bytea), 'hex'), 6)"
    " || ' the same words ' || g % 97"
)
SEVERAL: Mapping[str, int] = {"large": 4, **{f"middling{n}": 1 for n in range(1, 7)}}
SINGLE: Mapping[str, int] = {"single": 10}


@contextmanager
def postgresql(home: Path, rows: int, tables: Mapping[str, int] = SEVERAL) -> Generator[Work]:
    """A filled server and an empty one; what each side does with them.

    `tables`: tenths of the rows by the name of each.
    """
    home.chmod(0o711)
    engine = create(home / "no-tools")
    tools = engine.tools()[0]
    places = [started(engine, home / name, str(tools.major)) for name in ("full", "empty")]
    source, target = (server.address(place) for place in places)
    try:
        with connect(source) as session:
            for name, tenths in tables.items():
                _fill(session, name, rows * tenths // 10)
        ours = Ours(engine, home, source, target)
        dump = f"{tools.program('pg_dump')} {_words(source)} -Fc -Z0 main | {STOCK}"
        load = (
            f"{tools.program('pg_restore')} {_words(target)}"
            " --clean --if-exists --exit-on-error -d main"
        )
        as_file = f"zstd -q -d -f stock.zst -o stock.dump; {load} -j2 stock.dump; rm stock.dump"
        piped = f"export PGPASSWORD=bench; zstd -q -dc stock.zst | {load}"
        unpacked = f"export PGPASSWORD=bench; {as_file}"
        running = engine.running(places[1])
        assert running is not None

        def analysed() -> None:
            shell(home, piped)
            with connect(target) as session:
                session.execute("ANALYZE")

        stock, own, stock_analysed, parallel = (
            Settled(target, running, restore)
            for restore in (
                lambda: shell(home, piped),
                ours.restore,
                analysed,
                lambda: shell(home, unpacked),
            )
        )
        yield {
            "backup: stock": lambda: shell(home, f"PGPASSWORD=bench {dump}"),
            "backup: ours": ours.backup,
            "restore: stock": stock.run,
            "restore: stock, processor time": lambda: stock.processor,
            "restore: ours": own.run,
            "restore: ours, processor time": lambda: own.processor,
            "restore: ours, of it after the data was in place": ours.afterwards,
            "restore: stock, then ANALYZE": stock_analysed.run,
            "restore: stock, then ANALYZE, processor time": lambda: stock_analysed.processor,
            "restore: pg_restore -j2, with writing its file": parallel.run,
            "restore: pg_restore -j2, processor time": lambda: parallel.processor,
        }
    finally:
        for place in places:
            engine.stop(place)


class Settled:
    """A restore that begins when its server has written down what the one before it left.

    `processor` is the time of the last one on all processors: the server's, ours, and children's.
    """

    def __init__(self, target: Address, server: int, restore: Callable[[], None]) -> None:
        self._target, self._restore = target, restore
        self._server = psutil.Process(server)
        self.processor = 0.0

    def run(self) -> float:
        with connect(self._target) as session:
            session.execute("CHECKPOINT")
        before, began = self._used(), time.monotonic()
        self._restore()
        took = time.monotonic() - began
        self.processor = self._used() - before
        return took

    def _used(self) -> float:
        time.sleep(0.3)  # until sessions that were closed have ended and are the server's
        used = sum(os.times()[:4]) + sum(self._server.cpu_times()[:4])
        for child in self._server.children():
            with suppress(psutil.NoSuchProcess):
                used += sum(child.cpu_times()[:2])
        return used


def _words(address: Address) -> str:
    place = through_socket(address)
    return f"-h {place.host} -p {place.port} -U {place.user}"


def _fill(session: Session, name: str, rows: int) -> None:
    table = SQL("public.{}").format(Identifier(name))
    session.execute(SQL("CREATE TABLE {} (id int PRIMARY KEY, v text, n int)").format(table))
    session.execute(
        SQL("INSERT INTO {} SELECT g, {}, g * 7 % 1000 FROM generate_series(1, {}) g").format(
            table, SQL(ROW), rows
        )
    )
    session.execute(SQL("CREATE INDEX ON {} (n)").format(table))
    session.execute(SQL("VACUUM ANALYZE {}").format(table))
