"""kill -9 at every step of a backup and of a restore: all converges by itself, once."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.bodies import ZSTD_DUMP
from fixtures.fleet import files_below
from fixtures.holdfast import Server, await_backup, await_restore, fresh
from fixtures.installation import Installation, installation_home, running
from fixtures.postgres import PostgresServer, url_of

ADDON = "/projects/chaos/addons/source"
BACKUPS = f"{ADDON}/backups"
ROWS = 60_000

BACKUP_POINTS = [
    "look:before",
    "copy:before",
    "copy:during",
    "copy:after",
    "check:before",
    "seal:before",
    "seal:after",
    "publish:before",
]
RESTORE_POINTS = [
    "read:before",
    "preflight:before",
    "stage:before",
    "stage:during",
    "stage:after",
    "compare:before",
    "swap:before",
    "swap:after",
    "publish:before",
]


@dataclass(kw_only=True)
class KilledInstallation(Installation):
    """One that is killed at work on two attached servers, and started again."""

    source: PostgresServer
    target: PostgresServer

    def stored(self) -> set[Path]:
        """Directories of the platform store that hold objects, and unfinished uploads."""
        return {path.parent for path in files_below(self.data_dir / "store")}


def every_other(points: list[str]) -> list[Any]:
    """The others are in the slow run."""
    return [
        pytest.param(point, marks=pytest.mark.slow) if number % 2 else point
        for number, point in enumerate(points)
    ]


@pytest.fixture(scope="module")
def installation(
    start_postgres: Callable[[int, str], PostgresServer],
) -> Iterator[KilledInstallation]:
    source = start_postgres(15, "source")
    target = start_postgres(15, "target")
    source.execute(
        "CREATE TABLE kept AS SELECT g AS id, repeat(md5(g::text), 3) AS text"
        f" FROM generate_series(1, {ROWS}) g",
        "main",
    )
    with (
        installation_home() as home,
        running(
            KilledInstallation(home, {"HOLDFAST_DEAD": "3"}, ADDON, source=source, target=target)
        ) as installation,
    ):
        api = installation.api
        api.post("/projects", {"name": "Chaos"})
        for name, database in (("Source", source), ("Target", target)):
            body = {"name": name, "type": "postgresql"}
            body["connectionString"] = url_of(database, "main")
            assert api.post("/projects/chaos/addons", body).data["status"] == "running"
        installation.backup(name="good", **ZSTD_DUMP)
        installation.server.stop()
        yield installation


def wait_for_death(server: Server) -> None:
    try:
        assert server.child.wait(60) == -9
    except subprocess.TimeoutExpired:
        server.child.kill()
        server.child.wait()
        pytest.fail(f"it never came to that point:\n{server.log.read_text()[-2000:]}")


@pytest.mark.parametrize("point", every_other(BACKUP_POINTS))
def test_a_backup_survives_the_death_of_its_worker(
    installation: KilledInstallation, point: str
) -> None:
    before = installation.stored()
    name = fresh("B").replace(" ", "-")
    mortal = installation.start_mortal(f"backup:{point}")
    body = {"name": name, **ZSTD_DUMP}
    assert mortal.api().post(BACKUPS, body).data["status"] == "scheduled"
    wait_for_death(mortal)
    server = installation.start()
    try:
        api = server.api()
        backup = await_backup(api, f"{BACKUPS}/{name.lower()}")
        assert int(backup["config"]["size"]) > 100_000
        evidence = api.get(f"{BACKUPS}/{name.lower()}/evidence").data
        assert all(check["passed"] for check in evidence["checks"])
        log = [line["log"] for line in api.get(f"{BACKUPS}/{name.lower()}/logs").data]
        assert "taken over: attempt 2" in log
        assert log.count("completed") == 1
        assert len(installation.stored() - before) == 1, (
            "a dead attempt left something in the store"
        )
    finally:
        server.stop()


@pytest.mark.parametrize("point", every_other(RESTORE_POINTS))
def test_a_restore_survives_the_death_of_its_worker(
    installation: KilledInstallation, point: str
) -> None:
    installation.target.execute("DROP TABLE IF EXISTS kept", "main")
    path = "/projects/chaos/addons/target/backups/good"
    mortal = installation.start_mortal(f"restore:{point}")
    restore = (
        mortal.api()
        .post(
            f"{path}/restore",
            params={"sourceAddonId": "source"},
            headers={"idempotency-key": point},  # else it would repeat the case before
        )
        .data["restoreId"]
    )
    wait_for_death(mortal)
    server = installation.start()
    try:
        found = await_restore(server.api(), path, restore, sourceAddonId="source")
        assert found["report"]["rows"] == ROWS
        counted = installation.target.execute(
            "SELECT count(*), count(DISTINCT text) FROM kept", "main"
        )
        assert counted == [(ROWS, ROWS)]
        left = installation.target.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'holdfast%'", "template1"
        )
        assert left == [], "staging databases were left behind"
    finally:
        server.stop()
