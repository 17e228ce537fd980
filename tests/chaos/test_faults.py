"""One installation and the faults of what it works with: each ends with a status and a reason."""

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fixtures.debian_postgres import Database, running_postgres
from fixtures.fleet import dumps_below, files_below, locked
from fixtures.holdfast import OVER, await_that, fresh
from fixtures.installation import Installation, installation_home, running
from fixtures.postgres import PostgresServer, url_of

ROWS = 20_000


def filled(postgres: Database) -> str:
    database = postgres.create()
    postgres.run(
        "CREATE TABLE things AS SELECT g AS id, md5(g::text) AS what"
        f" FROM generate_series(1, {ROWS}) g",
        database,
    )
    return database


@dataclass(kw_only=True)
class FaultyInstallation(Installation):
    """Its addons are all of one database server; "backups" is the path of an addon's backups."""

    source: Database
    database: str

    def new_backups(self) -> str:
        """Of one more addon, the same database again."""
        return self.attach(self.source.url(self.database))

    def restricted_backups(self) -> str:
        """Of an addon of a user who may read everything, and may not replicate."""
        name = fresh("reader").replace(" ", "_")
        self.source.run(f"CREATE ROLE {name} LOGIN PASSWORD 'p' IN ROLE pg_read_all_data")
        address = f"postgresql://{name}:p@127.0.0.1:{self.source.port}/{self.database}"
        return self.attach(address)

    def attach(self, address: str) -> str:
        body = {"name": fresh("Addon"), "type": "postgresql", "connectionString": address}
        addon = self.api.post("/projects/chaos/addons", body).data["id"]
        return f"/projects/chaos/addons/{addon}/backups"

    def order(self, backups: str, kind: str = "dump") -> str:
        body = {"name": fresh("B"), "backupType": kind}
        if kind == "dump":
            body["compressionType"] = "zstd"
        return f"{backups}/{self.api.post(backups, body).data['id']}"

    def await_over(self, backup: str, wanted: str, within: float = 10) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            shown = self.api.get(backup).data
            return shown if shown["status"] in OVER else None

        shown = await_that(over, within)
        assert shown["status"] == wanted, (shown, self.server.log.read_text()[-3000:])
        return shown

    def await_dumping(self) -> None:
        await_that(lambda: dumps_below(self.server.child.pid), 10)

    def stored(self, backup: str) -> set[Path]:
        uid = self.api.get(backup).data["uid"]
        return {path for path in files_below(self.data_dir / "store") if uid in str(path)}


@pytest.fixture(scope="module")
def source() -> Iterator[tuple[Database, str]]:
    running = running_postgres()
    yield running.database, filled(running.database)
    running.stop()


@pytest.fixture(scope="module", params=["dbos", pytest.param("table", marks=pytest.mark.slow)])
def shared(
    request: pytest.FixtureRequest, source: tuple[Database, str]
) -> Iterator[FaultyInstallation]:
    server, database = source
    environment = {"HOLDFAST_STALL": "2", "HOLDFAST_GRACE": "1", "HOLDFAST_QUEUE": request.param}
    with (
        installation_home() as home,
        running(
            FaultyInstallation(home, environment, source=server, database=database)
        ) as installation,
    ):
        installation.api.post("/projects", {"name": "Chaos"})
        yield installation


@pytest.fixture
def installation(shared: FaultyInstallation) -> FaultyInstallation:
    if shared.server.child.poll() is not None:
        shared.start()
    return shared


@pytest.fixture
def lock(installation: FaultyInstallation) -> Callable[[], Any]:
    return lambda: locked(installation.source, installation.database)


def test_aborts_of_what_runs_and_of_what_waits(
    installation: FaultyInstallation, lock: Callable[[], Any]
) -> None:
    backups = installation.new_backups()
    with lock():
        running, waiting = installation.order(backups), installation.order(backups)
        installation.await_dumping()
        assert installation.api.post(f"{waiting}/abort").data == {}
        assert installation.status(waiting) == "aborted"
        assert installation.api.post(f"{running}/abort").data == {}
        installation.await_over(running, "aborted", within=5)
        assert dumps_below(installation.server.child.pid) == [], "aborted, and its child still runs"
    assert installation.stored(running) == installation.stored(waiting) == set()
    installation.await_over(installation.order(backups), "completed")


def test_a_stalled_child_is_ended_and_named(
    installation: FaultyInstallation, lock: Callable[[], Any]
) -> None:
    with lock():
        backup = installation.order(installation.new_backups())
        installation.await_dumping()
        (dump,) = dumps_below(installation.server.child.pid)
        dump.send_signal(signal.SIGSTOP)
    over = installation.await_over(backup, "failed")
    assert "no bytes moved" in over["reason"]
    assert not dump.is_running()
    assert installation.stored(backup) == set()


def test_a_child_that_is_killed_fails_the_backup(
    installation: FaultyInstallation, lock: Callable[[], Any]
) -> None:
    with lock():
        backup = installation.order(installation.new_backups())
        installation.await_dumping()
        (dump,) = dumps_below(installation.server.child.pid)
        dump.kill()
        over = installation.await_over(backup, "failed")
    assert "pg_dump was ended by signal 9" in over["reason"]
    assert installation.stored(backup) == set()


def test_a_server_that_dies_in_the_middle_fails_the_backup(
    installation: FaultyInstallation,
) -> None:
    doomed = running_postgres()
    database = filled(doomed.database)
    backups = installation.attach(doomed.database.url(database))
    try:
        with suppress(psycopg.OperationalError), locked(doomed.database, database):
            backup = installation.order(backups)
            installation.await_dumping()
            doomed.child.send_signal(signal.SIGQUIT)
            doomed.child.wait(10)
            over = installation.await_over(backup, "failed", within=15)
    finally:
        doomed.stop()
    assert "server" in over["reason"] or "connection" in over["reason"]
    assert installation.stored(backup) == set()


def test_a_store_that_goes_away_in_the_middle_fails_the_backup(
    installation: FaultyInstallation, lock: Callable[[], Any]
) -> None:
    store, aside = installation.data_dir / "store", installation.data_dir / "aside"
    with lock():
        backup = installation.order(installation.new_backups())
        installation.await_dumping()
        store.rename(aside)
        store.write_text("a file where the directory was")
    over = installation.await_over(backup, "failed")
    assert over["reason"]
    store.unlink()
    aside.rename(store)
    await_that(lambda: installation.stored(backup) == set(), 15)
    installation.await_over(installation.order(installation.new_backups()), "completed")


def test_a_restart_with_operations_in_every_state(
    installation: FaultyInstallation, lock: Callable[[], Any]
) -> None:
    """Killed with one of each; afterwards each is over in its own way, and nobody was lost."""
    assert installation.server.stop() == 0
    installation.start(HOLDFAST_BEAT="600")  # learns of no abort before it dies
    one, other, third = (
        installation.new_backups(),
        installation.new_backups(),
        installation.new_backups(),
    )
    completed = installation.order(third)
    installation.await_over(completed, "completed")
    unsupported = installation.order(installation.restricted_backups(), "snapshot")
    installation.await_over(unsupported, "not-supported")
    with lock():
        running, waiting, aborted = (
            installation.order(one),
            installation.order(one),
            installation.order(one),
        )
        installation.api.post(f"{aborted}/abort")
        aborting = installation.order(other)
        await_that(lambda: len(dumps_below(installation.server.child.pid)) == 2, 10)
        assert installation.api.post(f"{aborting}/abort").data == {}
        states = [installation.status(each) for each in (running, waiting, aborting, aborted)]
        assert states == ["in-progress", "scheduled", "aborting", "aborted"]
        installation.kill()
    installation.start()
    installation.await_over(running, "completed", within=15)
    installation.await_over(waiting, "completed")
    installation.await_over(aborting, "aborted")
    final = [installation.status(each) for each in (completed, unsupported, aborted)]
    assert final == ["completed", "not-supported", "aborted"]
    assert installation.stored(aborting) == set()
    assert {path.parent.name for path in installation.stored(running)} == {"2"}


def test_a_catalogue_that_is_away_for_a_while_ends_no_work(
    start_postgres: Callable[[int, str], PostgresServer], source: tuple[Database, str]
) -> None:
    catalogue = start_postgres(15, "catalogue")
    server, database = source
    environment = {"HOLDFAST_DATABASE_URL": url_of(catalogue, "main"), "HOLDFAST_DEAD": "3"}
    with (
        installation_home() as home,
        running(
            FaultyInstallation(home, environment, source=server, database=database)
        ) as installation,
    ):
        installation.api.post("/projects", {"name": "Chaos"})
        with locked(*source):
            backup = installation.order(installation.new_backups())
            installation.await_dumping()
            catalogue.engine.stop(catalogue.place)
            (dump,) = dumps_below(installation.server.child.pid)
        await_that(lambda: not dump.is_running() or dump.status() == "zombie", 10)
        await_that(lambda: "trying again" in installation.server.log.read_text(), 10)
        catalogue.start()
        installation.await_over(backup, "completed", within=20)
        log = [line["log"] for line in installation.api.get(f"{backup}/logs").data]
        assert not any("taken over" in line for line in log)
        installation.await_over(
            installation.order(installation.new_backups()), "completed", within=20
        )
