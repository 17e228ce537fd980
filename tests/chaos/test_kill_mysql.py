"""kill -9 of the worker while MariaDB is dumped, loaded, and swapped: all converges by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from chaos.test_kill import wait_for_death
from fixtures.bodies import ZSTD_DUMP
from fixtures.holdfast import await_backup, await_restore, fresh
from fixtures.installation import Installation, installation_home, running
from fixtures.mysql import MySQLServer, StartMySQL, leftovers, url_of

ADDON = "/projects/chaos/addons/source"
BACKUPS = f"{ADDON}/backups"
ROWS = 30_000
RESTORE_POINTS = [
    "stage:before",
    "stage:during",
    "stage:after",
    "swap:before",
    "publish:before",
]


@dataclass(kw_only=True)
class KilledInstallation(Installation):
    source: MySQLServer
    target: MySQLServer


@pytest.fixture(scope="module")
def installation(start_mysql: StartMySQL) -> Iterator[KilledInstallation]:
    source, target = start_mysql("source"), start_mysql("target")
    for server in (source, target):
        server.wipe()
    source.execute(
        "CREATE TABLE main.kept (id int PRIMARY KEY, text varchar(200))",
        f"INSERT INTO main.kept SELECT seq, repeat(md5(seq), 4) FROM main.seq_1_to_{ROWS}",
        "CREATE TRIGGER main.tr BEFORE INSERT ON main.kept FOR EACH ROW SET @a = 1",
        "CREATE VIEW main.v AS SELECT id FROM main.kept",
    )
    with (
        installation_home() as home,
        running(
            KilledInstallation(home, addon=ADDON, source=source, target=target)
        ) as installation,
    ):
        api = installation.api
        api.post("/projects", {"name": "Chaos"})
        for name, server in (("Source", source), ("Target", target)):
            body = {"name": name, "type": "mysql", "connectionString": url_of(server)}
            assert api.post("/projects/chaos/addons", body).data["status"] == "running"
        installation.backup(name="good", **ZSTD_DUMP)
        installation.server.stop()
        yield installation


@pytest.mark.slow
def test_a_backup_survives_the_death_of_its_worker(installation: KilledInstallation) -> None:
    name = fresh("B").replace(" ", "-")
    mortal = installation.start_mortal("backup:copy:during")
    mortal.api().post(BACKUPS, {"name": name, **ZSTD_DUMP})
    wait_for_death(mortal)
    server = installation.start()
    try:
        await_backup(server.api(), f"{BACKUPS}/{name.lower()}")
    finally:
        server.stop()
    installation.source.execute("INSERT INTO main.kept VALUES (-1, 'nobody holds a lock')")
    installation.source.execute("DELETE FROM main.kept WHERE id = -1")


def restores(point: str) -> object:
    return pytest.param(point, marks=pytest.mark.slow)


@pytest.mark.parametrize("point", [*map(restores, RESTORE_POINTS), "swap:after"])
def test_a_restore_survives_the_death_of_its_worker(
    installation: KilledInstallation, point: str
) -> None:
    installation.target.execute(
        "DROP TABLE IF EXISTS main.kept",
        "DROP VIEW IF EXISTS main.v",
        "CREATE TABLE main.kept (id int)",
        "CREATE TRIGGER main.old BEFORE INSERT ON main.kept FOR EACH ROW SET @a = 2",
    )
    path = "/projects/chaos/addons/target/backups/good"
    mortal = installation.start_mortal(f"restore:{point}")
    asked = mortal.api().post(
        f"{path}/restore",
        params={"sourceAddonId": "source"},
        headers={"idempotency-key": point},  # else it would repeat the case before
    )
    restore = asked.data["restoreId"]
    wait_for_death(mortal)
    server = installation.start()
    try:
        found = await_restore(server.api(), path, restore, sourceAddonId="source")
    finally:
        server.stop()
    assert found["report"]["rows"] == ROWS
    counted = "SELECT count(*), count(DISTINCT text) FROM main.kept"
    assert installation.target.execute(counted) == [(ROWS, ROWS)]
    assert installation.target.execute("SELECT max(id) FROM main.v") == [(ROWS,)]
    triggers = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'main'"
    assert installation.target.execute(triggers) == [("tr",)]
    assert not leftovers(installation.target)
