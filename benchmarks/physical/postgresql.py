"""PostgreSQL with realistic text and jsonb: against `pg_basebackup`, restic and pgBackRest."""

import subprocess
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks import pgbackrest
from benchmarks.physical.contest import Contest, Holdfast, Tool, restic, shell, stream
from benchmarks.server import hosted, postgresql_url
from holdfast.contracts.local_servers import LocalServer
from holdfast.engines.postgresql.hosting import server

_ROOT = Path(__file__).resolve().parents[2]
_ROW_BYTES = 600
_BINARIES = "/usr/lib/postgresql"
_FILL = """
CREATE TABLE events AS SELECT g AS id, now() - g * interval '1 second' AS at,
  (SELECT string_agg(md5((g * 7 + w % 5)::text) || ' order paid ', '') FROM generate_series(1, 8) w)
    AS note,
  jsonb_build_object('user', g % 9973, 'item', md5(g::text), 'state', 'shipped') AS what
FROM generate_series(1, {rows}) g;
ALTER TABLE events ADD PRIMARY KEY (id);
"""
_PGBACKREST = {
    "repo1-bundle": "y",
    "repo1-block": "y",
    "compress-type": "zst",
    "compress-level": 3,
    "process-max": 2,
    "allow-root": "y",
    "start-fast": "y",
}
_UPDATE = "UPDATE events SET note = md5(random()::text) || note WHERE random() < {share}"


@contextmanager
def postgresql(home: Path, size: int) -> Generator[Contest]:
    """`size` bytes of table, about."""
    with hosted("postgresql", home) as (engine, place):
        address = server.address(place)
        password = address.password.reveal()

        def run(*statements: str) -> None:
            with psycopg.connect(postgresql_url(place), autocommit=True) as session:
                for statement in statements:
                    session.execute(statement.encode())

        run(_FILL.format(rows=size // _ROW_BYTES), "VACUUM (FREEZE, ANALYZE)")
        data = place.directory
        program = max(Path(_BINARIES).glob("*/bin/pg_basebackup"))
        base = f"{program} -h {data} -p {place.port} -U {place.user} -c fast -X fetch -Ft -D -"
        yield Contest(
            tools=[
                stream(home, base, "tar -x", PGPASSWORD=password),
                restic(
                    home, "--exclude", f"{data}/pg_wal/*", "--exclude", f"{data}/.s.*", str(data)
                ),
                _pgbackrest(home, place),
                Holdfast(home / "ours", engine, address).tool,
            ],
            update=lambda share: run(_UPDATE.format(share=share)),
            settle=lambda: run("CHECKPOINT"),
        )


def _pgbackrest(home: Path, place: LocalServer) -> Tool:
    """Block incremental, the same compression, as many processes as there are cores.

    Without an archive: its backups hold no WAL, which the others' do.
    """
    script = _ROOT / "tools" / "pgbackrest.py"
    said = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True)
    directory, settings = home / "pgbackrest", home / "pgbackrest.conf"
    pgbackrest.write_settings(settings, place, directory, _PGBACKREST)

    def say(command: str, options: str = "") -> None:
        words = f"--config={settings} --stanza={pgbackrest.STANZA} {options} {command}"
        shell(f"{said.stdout.strip()} {words}", PGPASSWORD=place.password.reveal())

    def take() -> None:
        kind = "incr" if any(directory.glob("backup/bench/*F")) else "full"
        say("backup", f"--type={kind} --no-archive-check")

    directory.mkdir()
    say("stanza-create")
    return Tool(
        "pgBackRest", directory, take, lambda to: say("restore", f"--pg1-path={to} --type=none")
    )


def transactions_lost(home: Path, size: int, rate: int, rounds: int, seconds: int) -> float:
    """The share of its transactions per second that a server loses to a snapshot at `rate` KiB/s.

    pgbench's own mix with four clients, in turns with and without a snapshot beside it.
    """
    with hosted("postgresql", home) as (engine, place):
        address = server.address(place)
        ours = Holdfast(home / "ours", engine, address)
        environment = {"PGPASSWORD": address.password.reveal()}
        program = max(Path(_BINARIES).glob("*/bin/pgbench"))
        reach = f"{program} -h {address.host} -p {place.port} -U {place.user}"
        shell(
            f"{reach} -i -q -s {size // 15_000_000} {place.database} 2>&1 | tail -1", **environment
        )
        log = home / "pgbench.txt"

        def speed() -> float:
            line = f"{reach} -c 4 -j 2 -T {seconds} {place.database} > {log}"
            shell(line, **environment)
            return next(
                float(line.split()[2]) for line in log.read_text().splitlines() if "tps =" in line
            )

        speed()
        alone, beside = 0.0, 0.0
        for _ in range(rounds):
            alone += speed()
            with _again_and_again(ours, rate):
                beside += speed()
        return 1 - beside / alone


@contextmanager
def _again_and_again(ours: Holdfast, rate: int) -> Generator[None]:
    """A snapshot is being taken as long as the block runs; fails when one does."""
    enough = threading.Event()

    def work() -> None:
        while not enough.is_set():
            ours.capture(rate, enough)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        try:
            yield
        finally:
            enough.set()
        running.result()
