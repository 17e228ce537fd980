"""Restored copies begin timelines of their own: an archive of WAL holds one history under a name.

The archive here is a plain directory, filled by a command that refuses to overwrite, as the manual
says, and whose files are seen whole or not at all; what is restored from it at the end is restored
by PostgreSQL alone.
"""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fixtures.holdfast import await_that
from fixtures.physical import Physical, TakePhysical
from fixtures.postgres import PostgresServer, ServerFactory, a_guard, free_port
from holdfast.contracts.local_servers import SERVED
from holdfast.engines.postgresql.client import tools
from holdfast.engines.postgresql.physical import timelines
from holdfast.kit.processes.process import Command, require_success, run

PART = ".part"
ROWS = "INSERT INTO kept SELECT %s, md5(g::text) FROM generate_series(1, 500) g"


@dataclass
class Archive:
    """A server with `archive_command`; every file of WAL that it or a successor gives is kept.

    `came` holds the digest of each: a server that served other tests may have gigabytes of them."""

    server: PostgresServer
    directory: Path
    came: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def begin(self) -> None:
        target = f"{self.directory}/%f"
        command = f"test ! -f {target} && cp %p {target}{PART} && mv {target}{PART} {target}"
        self.server.execute("ALTER SYSTEM SET archive_mode = on")
        self.server.execute(f"ALTER SYSTEM SET archive_command = '{command}'")
        self.restart()

    def timeline(self) -> int:
        (found,) = self.server.execute("SELECT timeline_id FROM pg_control_checkpoint()")
        return int(str(found[0]))

    def restart(self) -> None:
        self.server.engine.stop(self.server.place)
        self.server.start()

    def write(self, number: int) -> None:
        """Rows that are in the archive when this returns."""
        self.server.execute(ROWS.replace("%s", str(number)))
        (name,) = self.server.execute("SELECT pg_walfile_name(pg_current_wal_lsn())")[0]
        self.server.execute("SELECT pg_switch_wal()")
        deadline = time.monotonic() + 60
        while not (self.directory / str(name)).exists():
            assert time.monotonic() < deadline, self.server.execute("TABLE pg_stat_archiver")
            time.sleep(0.05)
        self.require_kept()

    def require_kept(self) -> None:
        """What was there is there still, byte for byte, and nothing waits in vain."""
        found: dict[str, bytes] = {}
        for path in self.directory.iterdir():
            if path.suffix == PART:  # half copied
                continue
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").digest()
        assert {name: found.get(name) for name in self.came} == self.came
        self.came = found

    def restore(self, copy: Physical) -> int:
        """In place, as a job does it: rehearsed while the old server runs, then exchanged."""
        engine, place = self.server.engine, replace(self.server.place, ours=False)
        facts = {**copy.facts, **engine.remember(place)}
        engine.arrange(copy.tree, place)
        before = os.umask(0o077)  # as in a worker
        report = engine.rehearse(copy.tree, place, facts, a_guard())
        os.umask(before)
        engine.stop(place)
        shutil.rmtree(place.directory)
        (copy.tree / "data").rename(place.directory)
        self.server.start()
        return int(str(report["timeline"]))

    def recovered(self, base: Path) -> list[tuple[object, ...]]:
        """What an old base backup and the archive give, by PostgreSQL's own means."""
        server = self.server
        with (base / "postgresql.auto.conf").open("a") as conf:
            conf.write(f"restore_command = 'cp {self.directory}/%f %p'\narchive_mode = off\n")
        (base / "recovery.signal").touch()
        owner = server.place.directory.owner()
        subprocess.run(["chown", "-R", f"{owner}:", str(base)], check=True)
        place = replace(server.place, directory=base, port=free_port())
        made = PostgresServer(server.engine, place, base.with_suffix(".log"))
        made.start()
        try:
            await_that(lambda: made.execute("SELECT pg_is_in_recovery()") == [(False,)])
            return made.execute("SELECT m.id FROM (SELECT DISTINCT id FROM kept) m ORDER BY 1")
        finally:
            server.engine.stop(place)


@pytest.fixture(
    params=[15, pytest.param(14, marks=pytest.mark.slow), pytest.param(18, marks=pytest.mark.slow)]
)
def archive(
    request: pytest.FixtureRequest, blank_server: ServerFactory, servers_root: Path
) -> Iterator[Archive]:
    server = blank_server(request.param)
    directory = servers_root / f"wal-{time.monotonic_ns()}"
    directory.mkdir()
    shutil.chown(directory, server.place.directory.owner())
    server.execute("CREATE TABLE kept (id int, m text)")
    made = Archive(server, directory)
    made.begin()
    yield made
    server.execute("ALTER SYSTEM RESET ALL")
    made.restart()
    server.wipe()
    shutil.rmtree(directory)


def base_backup(server: PostgresServer, target: Path) -> Path:
    program = tools.server(server.engine.tools_dir, server.place.version).program("pg_basebackup")
    address = server.address
    argv = [program, "-D", str(target), "-X", "none", "-c", "fast", "-h", address.host]
    words = ["-p", str(address.port), "-U", address.user]
    env = {"PGPASSWORD": address.password.reveal()}
    require_success(run(Command([*argv, *words], env=env)))
    return target


def test_an_archive_keeps_one_history_whatever_is_restored(
    archive: Archive, take_physical: TakePhysical, servers_root: Path
) -> None:
    """The same snapshot twice, and one that was put back after it had served."""
    base = base_backup(archive.server, servers_root / f"base-{time.monotonic_ns()}")
    again = base_backup(archive.server, servers_root / f"again-{time.monotonic_ns()}")
    archive.write(1)
    first, second, third = (take_physical(archive.server) for _ in range(3))
    archive.write(2)
    was = archive.timeline()
    assert archive.restore(first) == was + 1
    archive.write(3)
    assert archive.recovered(base) == [(1,), (3,)]
    assert archive.restore(second) == was + 2
    archive.write(4)
    (third.tree.parent / SERVED).write_text(str(was + 3))
    (archive.directory / f"{was + 3:08X}.history").write_text("1\t0/3000000\tput back\n")
    archive.came.clear()
    assert archive.restore(third) == was + 4
    archive.write(5)
    assert archive.recovered(again) == [(1,), (5,)]
    settings = archive.server.place.directory / "postgresql.auto.conf"
    assert "recovery" not in settings.read_text()
    assert not (settings.parent / "recovery.signal").exists()
    assert archive.server.execute("SELECT failed_count FROM pg_stat_archiver") == [(0,)]


def test_timelines_that_only_an_archive_knows_are_not_used_again(
    archive: Archive, take_physical: TakePhysical
) -> None:
    archive.write(1)
    copy = take_physical(archive.server)
    was = archive.timeline()
    for number in (was + 1, was + 2):
        (archive.directory / f"{number:08X}.history").write_text("1\t0/3000000\tof another\n")
    archive.server.execute(f"ALTER SYSTEM SET restore_command = 'cp {archive.directory}/%f \"%p\"'")
    archive.server.execute("SELECT pg_reload_conf()")
    archive.came.clear()
    archive.require_kept()
    server = archive.server
    asked = timelines.highest_used(
        tools.server(server.engine.tools_dir, server.place.version),
        replace(server.place, ours=False),
    )
    assert asked == was + 2
    assert archive.restore(copy) == was + 3
    archive.write(2)


def test_a_second_attempt_goes_on_with_the_timeline_that_the_first_began(
    archive: Archive, take_physical: TakePhysical
) -> None:
    archive.write(1)
    copy = take_physical(archive.server)
    engine, place = archive.server.engine, replace(archive.server.place, ours=False)
    engine.arrange(copy.tree, place)
    begun = [engine.rehearse(copy.tree, place, copy.facts, a_guard()) for _ in range(2)]
    assert [report["timeline"] for report in begun] == [archive.timeline() + 1] * 2
    assert not (copy.tree / "data/recovery.signal").exists()
