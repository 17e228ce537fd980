"""Two workers on one catalogue, and what happens when one is killed, drained, frozen and thawed."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fixtures.bodies import ZSTD_DUMP
from fixtures.debian_postgres import Database, running_postgres
from fixtures.fleet import DEAD_SECONDS, Fleet, Member, dumps_of, files_below, locked
from fixtures.holdfast import OVER, Api, await_that, fresh

ROWS = 20_000
BACKUPS = "/projects/chaos/addons/source/backups"


@dataclass
class Scene:
    """A fleet, the database it backs up, and one backup that stands in the middle."""

    fleet: Fleet
    source: Database
    database: str

    def api(self) -> Api:
        return self.fleet.api()

    def order(self) -> dict[str, Any]:
        body = {"name": fresh("B"), **ZSTD_DUMP}
        return self.api().post(BACKUPS, body).data

    def await_dumping(self, backup: dict[str, Any]) -> Member:
        """The worker whose pg_dump of this backup runs."""

        def dumping() -> Member | None:
            holder = self.fleet.holder(backup["uid"])
            return holder if holder and dumps_of(holder) else None

        return await_that(dumping, 15)

    def await_quiet(self, backup: dict[str, Any]) -> None:
        """Until the worker has shown its progress and has no more to write: one that is frozen
        inside a transaction is only taken over when the catalogue has ended that (15 s)."""
        shown = "SELECT o.progress FROM operations o JOIN backups b ON b.operation = o.id"
        shown += " WHERE b.uid = %s AND o.progress IS NOT NULL"
        await_that(lambda: self.fleet.ask(shown, backup["uid"]), 5)

    def await_status(self, backup: dict[str, Any], *wanted: str, within: float) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            shown = self.api().get(f"{BACKUPS}/{backup['id']}").data
            return shown if shown["status"] in (*wanted, *OVER) else None

        shown = await_that(there, within)
        assert shown["status"] in wanted, (shown, self.fleet.logs())
        return shown

    def log(self, backup: dict[str, Any]) -> list[str]:
        return [line["log"] for line in self.api().get(f"{BACKUPS}/{backup['id']}/logs").data]

    def stored(self, backup: dict[str, Any]) -> set[Any]:
        return {path for path in files_below(self.fleet.store) if backup["uid"] in str(path)}

    def require_one_good_artifact(self, backup: dict[str, Any]) -> None:
        evidence = self.api().get(f"{BACKUPS}/{backup['id']}/evidence").data
        assert all(check["passed"] for check in evidence["checks"])
        (attempt,) = {path.parent for path in self.stored(backup)}
        names = {path.name for path in attempt.iterdir()}
        assert names == {member["key"] for member in evidence["members"]} | {"manifest.json"}


@pytest.fixture(scope="module")
def source() -> Iterator[tuple[Database, str]]:
    running = running_postgres()
    database = running.database.create()
    running.database.run(
        "CREATE TABLE things AS SELECT g AS id, md5(g::text) AS what"
        f" FROM generate_series(1, {ROWS}) g",
        database,
    )
    yield running.database, database
    running.stop()


@pytest.fixture(scope="module", params=["dbos", pytest.param("table", marks=pytest.mark.slow)])
def fleet(
    request: pytest.FixtureRequest, debian_postgres: Database, source: tuple[Database, str]
) -> Iterator[Fleet]:
    made = Fleet(debian_postgres, debian_postgres.create(), request.param)
    try:
        made.start_all()
        api = made.api()
        api.post("/projects", {"name": "Chaos"})
        server, database = source
        body = {
            "name": "Source",
            "type": "postgresql",
            "connectionString": server.url(database),
        }
        assert api.post("/projects/chaos/addons", body).data["status"] == "running"
        yield made
    finally:
        made.stop()


@pytest.fixture
def scene(fleet: Fleet, source: tuple[Database, str]) -> Scene:
    fleet.revive_workers()
    return Scene(fleet, *source)


def test_another_worker_finishes_what_a_killed_one_began(scene: Scene) -> None:
    with locked(scene.source, scene.database):
        backup = scene.order()
        holder = scene.await_dumping(backup)
        (dump,) = dumps_of(holder)
        await_that(lambda: len(scene.stored(backup)) == 2, 5)  # one object, one unfinished
        holder.kill()
        await_that(lambda: not dump.is_running() or dump.status() == "zombie", 5)
        assert scene.await_dumping(backup) is not holder
    scene.await_status(backup, "completed", within=10)
    assert scene.log(backup).count("taken over: attempt 2") == 1
    scene.require_one_good_artifact(backup)


def test_an_abort_reaches_work_whose_worker_is_dead(scene: Scene) -> None:
    with locked(scene.source, scene.database):
        backup = scene.order()
        scene.await_dumping(backup).kill()
        assert scene.api().post(f"{BACKUPS}/{backup['id']}/abort").data == {}
        scene.await_status(backup, "aborting", "aborted", within=1)
        scene.await_status(backup, "aborted", within=DEAD_SECONDS + 8)
    assert scene.stored(backup) == set()
    assert scene.log(backup)[-1].startswith("aborted")


def test_a_drained_worker_hands_its_work_over_at_once(scene: Scene) -> None:
    with locked(scene.source, scene.database):
        backup = scene.order()
        holder = scene.await_dumping(backup)
        holder.signal(signal.SIGTERM)
        await_that(lambda: holder.child.poll() is not None, 10, scene.fleet.logs)
        assert holder.child.returncode == 0
        assert scene.await_dumping(backup) is not holder
    scene.await_status(backup, "completed", within=10)
    said = scene.log(backup)
    assert "its worker is stopping; the next one starts it again" in said
    assert not any("taken over" in line for line in said)  # it did not wait for a death
    scene.require_one_good_artifact(backup)


def test_a_frozen_worker_that_thaws_changes_nothing(scene: Scene) -> None:
    with locked(scene.source, scene.database):
        backup = scene.order()
        holder = scene.await_dumping(backup)
        scene.await_quiet(backup)
        holder.signal(signal.SIGSTOP)

        def inherited() -> bool:
            return scene.fleet.holder(backup["uid"]) is not holder

        await_that(inherited, DEAD_SECONDS + 5)
    over = scene.await_status(backup, "completed", within=10)
    scene.require_one_good_artifact(backup)
    stored = {path: path.stat().st_mtime_ns for path in scene.stored(backup)}
    log = scene.log(backup)
    holder.signal(signal.SIGCONT)
    await_that(lambda: "operation left to others" in holder.log.read_text(), 10)
    await_that(lambda: not dumps_of(holder), 10)
    assert {path: path.stat().st_mtime_ns for path in scene.stored(backup)} == stored
    assert scene.log(backup) == log
    assert scene.api().get(f"{BACKUPS}/{backup['id']}").data == over
    next_one = scene.order()
    scene.await_status(next_one, "completed", within=10)
