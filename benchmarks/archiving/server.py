"""A server with a log to archive: how much it wrote, and the processor time that sending takes."""

import os
import random
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from benchmarks.server import postgresql_url
from holdfast.contracts.local_servers import LocalServer

_ROWS = 200_000
_FILL = """
CREATE TABLE events AS SELECT g AS id, now() AS at,
  (SELECT string_agg(md5((g * 7 + w % 5)::text) || ' order paid ', '') FROM generate_series(1, 8) w)
    AS note
FROM generate_series(1, {rows}) g;
ALTER TABLE events ADD PRIMARY KEY (id);
"""
_UPDATE = "UPDATE events SET note = md5(random()::text) || note WHERE id %% 20 = %s"
_POSITION = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
_MESSAGE_BYTES = 100_000


@dataclass(frozen=True)
class LoggedServer:
    """A running PostgreSQL whose log is kept until every slot has been served."""

    place: LocalServer

    @property
    def url(self) -> str:
        return postgresql_url(self.place)

    @property
    def bin_dir(self) -> Path:
        return max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))

    def run(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def position(self) -> int:
        ((position,),) = self.run(_POSITION)
        return int(str(position))

    def switch(self) -> int:
        """Begins a new segment, and returns its position."""
        self.run("SELECT pg_switch_wal()")
        segment = 16 << 20
        position = self.position() // segment * segment
        self.run("CHECKPOINT")  # a tool that is to stop there waits until there is more
        return position

    def reserve(self, *slots: str) -> None:
        for slot in slots:
            self.run(f"SELECT pg_create_physical_replication_slot('{slot}', true)")

    def drop(self, slot: str) -> None:
        self.run(f"SELECT pg_drop_replication_slot('{slot}')")

    def fill(self) -> None:
        for statement in _FILL.format(rows=_ROWS).split(";"):
            if statement.strip():
                self.run(statement)

    def write_log(self, size: int) -> None:
        """Updates rows until so many bytes of log were written, checkpoints in between."""
        began = self.position()
        with psycopg.connect(self.url, autocommit=True) as session:
            while self.position() - began < size:
                session.execute(_UPDATE, [random.randrange(20)])
                session.execute("CHECKPOINT")
                session.execute("VACUUM events")

    def commit_steadily(self, rate: int, seconds: float) -> list[tuple[float, int]]:
        """Commits at `rate` bytes of log a second; returns when and up to where, for each."""
        messages = [os.urandom(_MESSAGE_BYTES // 2).hex() for _ in range(32)]
        statement = "SELECT pg_logical_emit_message(true, 'bench', %s)"
        moments: list[tuple[float, int]] = []
        began = time.monotonic()
        with psycopg.connect(self.url, autocommit=True) as session:
            while (passed := time.monotonic() - began) < seconds:
                session.execute(statement, [messages[len(moments) % len(messages)]])
                row = session.execute(_POSITION).fetchone()
                assert row is not None
                moments.append((time.monotonic(), int(row[0])))
                time.sleep(max(0.0, len(moments) * _MESSAGE_BYTES / rate - passed))
        return moments

    def processor_seconds(self) -> float:
        """Of the server with all its processes, ended ones included."""
        postmaster = psutil.Process(
            int((self.place.directory / "postmaster.pid").read_text().split()[0])
        )
        times = postmaster.cpu_times()
        total = times.user + times.system + times.children_user + times.children_system
        for child in postmaster.children():
            times = child.cpu_times()
            total += times.user + times.system
        return total

    def base_backup(self, directory: Path) -> None:
        words = [self.bin_dir / "pg_basebackup", "-D", directory, "-d", self.url, "-X", "none"]
        subprocess.run([*words, "-c", "fast"], check=True, stderr=subprocess.DEVNULL)
