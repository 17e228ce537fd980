"""One installation and the faults of what it works with: each ends with a status and a reason."""

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fixtures.debian_postgres import Database, running_postgres
from fixtures.fleet import dumps_below, files_below, locked
from fixtures.holdfast import OVER, Api, Server, await_that, fresh, start_holdfast
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


@dataclass
class House:
    """A running installation and addons of one database server."""

    home: Path
    server: Server
    source: Database
    database: str
    environment: dict[str, str]

    def api(self) -> Api:
        return self.server.api()

    def addon(self) -> str:
        """The path of one more addon, the same database again."""
        made = self.attach(self.source.url(self.database))
        return f"/projects/chaos/addons/{made}/backups"

    def restricted_addon(self) -> str:
        """Of a user who may read everything, and may not replicate."""
        name = fresh("reader").replace(" ", "_")
        self.source.run(f"CREATE ROLE {name} LOGIN PASSWORD 'p' IN ROLE pg_read_all_data")
        address = f"postgresql://{name}:p@127.0.0.1:{self.source.port}/{self.database}"
        return f"/projects/chaos/addons/{self.attach(address)}/backups"

    def attach(self, address: str) -> str:
        body = {"name": fresh("Addon"), "type": "postgresql", "connectionString": address}
        return self.api().post("/projects/chaos/addons", body).data["id"]

    def order(self, backups: str, kind: str = "dump") -> str:
        body = {"name": fresh("B"), "backupType": kind}
        if kind == "dump":
            body["compressionType"] = "zstd"
        return f"{backups}/{self.api().post(backups, body).data['id']}"

    def status(self, backup: str) -> str:
        return self.api().get(backup).data["status"]

    def await_over(self, backup: str, wanted: str, within: float = 10) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            shown = self.api().get(backup).data
            return shown if shown["status"] in OVER else None

        shown = await_that(over, within)
        assert shown["status"] == wanted, (shown, self.server.log.read_text()[-3000:])
        return shown

    def await_dumping(self) -> None:
        await_that(lambda: dumps_below(self.server.child.pid), 10)

    def stored(self, backup: str) -> set[Path]:
        uid = self.api().get(backup).data["uid"]
        return {path for path in files_below(self.home / "data" / "store") if uid in str(path)}

    def start(self, **environment: str) -> None:
        self.server = start_holdfast(self.home, forked=True, **self.environment, **environment)

    def kill(self) -> None:
        self.server.child.kill()
        self.server.child.wait()


@pytest.fixture(scope="module")
def source() -> Iterator[tuple[Database, str]]:
    running = running_postgres()
    yield running.database, filled(running.database)
    running.stop()


@pytest.fixture(scope="module", params=["dbos", "table"])
def built(request: pytest.FixtureRequest, source: tuple[Database, str]) -> Iterator[House]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    environment = {"HOLDFAST_STALL": "2", "HOLDFAST_GRACE": "1", "HOLDFAST_QUEUE": request.param}
    server = start_holdfast(home, forked=True, **environment)
    house = House(home, server, *source, environment)
    house.api().post("/projects", {"name": "Chaos"})
    yield house
    house.server.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def house(built: House) -> House:
    if built.server.child.poll() is not None:
        built.start()
    return built


@pytest.fixture
def lock(house: House) -> Callable[[], Any]:
    return lambda: locked(house.source, house.database)


def test_aborts_of_what_runs_and_of_what_waits(house: House, lock: Callable[[], Any]) -> None:
    backups = house.addon()
    with lock():
        running, waiting = house.order(backups), house.order(backups)
        house.await_dumping()
        assert house.api().post(f"{waiting}/abort").data == {}
        assert house.status(waiting) == "aborted"
        assert house.api().post(f"{running}/abort").data == {}
        house.await_over(running, "aborted", within=5)
        assert dumps_below(house.server.child.pid) == [], "aborted, and its child still runs"
    assert house.stored(running) == house.stored(waiting) == set()
    house.await_over(house.order(backups), "completed")


def test_a_stalled_child_is_ended_and_named(house: House, lock: Callable[[], Any]) -> None:
    with lock():
        backup = house.order(house.addon())
        house.await_dumping()
        (dump,) = dumps_below(house.server.child.pid)
        dump.send_signal(signal.SIGSTOP)
    over = house.await_over(backup, "failed")
    assert "no bytes moved" in over["reason"]
    assert not dump.is_running()
    assert house.stored(backup) == set()


def test_a_child_that_is_killed_fails_the_backup(house: House, lock: Callable[[], Any]) -> None:
    with lock():
        backup = house.order(house.addon())
        house.await_dumping()
        (dump,) = dumps_below(house.server.child.pid)
        dump.kill()
        over = house.await_over(backup, "failed")
    assert "pg_dump was ended by signal 9" in over["reason"]
    assert house.stored(backup) == set()


def test_a_server_that_dies_in_the_middle_fails_the_backup(house: House) -> None:
    doomed = running_postgres()
    database = filled(doomed.database)
    addon = house.attach(doomed.database.url(database))
    try:
        with suppress(psycopg.OperationalError), locked(doomed.database, database):
            backup = house.order(f"/projects/chaos/addons/{addon}/backups")
            house.await_dumping()
            doomed.child.send_signal(signal.SIGQUIT)
            doomed.child.wait(10)
            over = house.await_over(backup, "failed", within=15)
    finally:
        doomed.stop()
    assert "server" in over["reason"] or "connection" in over["reason"]
    assert house.stored(backup) == set()


def test_a_store_that_goes_away_in_the_middle_fails_the_backup(
    house: House, lock: Callable[[], Any]
) -> None:
    store, aside = house.home / "data" / "store", house.home / "data" / "aside"
    with lock():
        backup = house.order(house.addon())
        house.await_dumping()
        store.rename(aside)
        store.write_text("a file where the directory was")
    over = house.await_over(backup, "failed")
    assert over["reason"]
    store.unlink()
    aside.rename(store)
    await_that(lambda: house.stored(backup) == set(), 15)
    house.await_over(house.order(house.addon()), "completed")


def test_a_restart_with_operations_in_every_state(house: House, lock: Callable[[], Any]) -> None:
    """Killed with one of each; afterwards each is over in its own way, and nobody was lost."""
    assert house.server.stop() == 0
    house.start(HOLDFAST_BEAT="600")  # learns of no abort before it dies
    one, other, third = house.addon(), house.addon(), house.addon()
    completed = house.order(third)
    house.await_over(completed, "completed")
    unsupported = house.order(house.restricted_addon(), "snapshot")
    house.await_over(unsupported, "not-supported")
    with lock():
        running, waiting, aborted = house.order(one), house.order(one), house.order(one)
        house.api().post(f"{aborted}/abort")
        aborting = house.order(other)
        await_that(lambda: len(dumps_below(house.server.child.pid)) == 2, 10)
        assert house.api().post(f"{aborting}/abort").data == {}
        states = [house.status(each) for each in (running, waiting, aborting, aborted)]
        assert states == ["in-progress", "scheduled", "aborting", "aborted"]
        house.kill()
    house.start()
    house.await_over(running, "completed", within=15)
    house.await_over(waiting, "completed")
    house.await_over(aborting, "aborted")
    final = [house.status(each) for each in (completed, unsupported, aborted)]
    assert final == ["completed", "not-supported", "aborted"]
    assert house.stored(aborting) == set()
    assert {path.parent.name for path in house.stored(running)} == {"2"}


def test_a_catalogue_that_is_away_for_a_while_ends_no_work(
    start_postgres: Callable[[int, str], PostgresServer], source: tuple[Database, str]
) -> None:
    catalogue = start_postgres(15, "catalogue")
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    environment = {"HOLDFAST_DATABASE_URL": url_of(catalogue, "main"), "HOLDFAST_DEAD": "3"}
    house = House(home, start_holdfast(home, forked=True, **environment), *source, environment)
    try:
        house.api().post("/projects", {"name": "Chaos"})
        with locked(*source):
            backup = house.order(house.addon())
            house.await_dumping()
            catalogue.engine.stop(catalogue.place)
            (dump,) = dumps_below(house.server.child.pid)
        await_that(lambda: not dump.is_running() or dump.status() == "zombie", 10)
        await_that(lambda: "trying again" in house.server.log.read_text(), 10)
        catalogue.start()
        house.await_over(backup, "completed", within=20)
        log = [line["log"] for line in house.api().get(f"{backup}/logs").data]
        assert not any("taken over" in line for line in log)
        house.await_over(house.order(house.addon()), "completed", within=20)
    finally:
        house.server.stop()
        shutil.rmtree(home, ignore_errors=True)
