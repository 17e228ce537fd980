"""kill -9 of the worker while MariaDB is dumped, loaded, and swapped: all converges by itself."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.test_kill import wait_for_death
from fixtures.holdfast import MORTAL, Server, await_backup, await_restore, fresh, start_holdfast
from fixtures.mysql import MySQLServer, StartMySQL, leftovers, url_of

BACKUPS = "/projects/chaos/addons/source/backups"
ROWS = 30_000
RESTORE_POINTS = [
    "stage:before",
    "stage:during",
    "stage:after",
    "swap:before",
    "publish:before",
]


@dataclass
class House:
    home: Path
    source: MySQLServer
    target: MySQLServer

    def start(self) -> Server:
        return start_holdfast(self.home, forked=True)

    def start_mortal(self, at: str) -> Server:
        return start_holdfast(self.home, program=MORTAL, forked=True, MORTAL_AT=at)


@pytest.fixture(scope="module")
def house(start_mysql: StartMySQL) -> Iterator[House]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    source, target = start_mysql("source"), start_mysql("target")
    for made in (source, target):
        made.wipe()
    source.execute(
        "CREATE TABLE main.kept (id int PRIMARY KEY, text varchar(200))",
        f"INSERT INTO main.kept SELECT seq, repeat(md5(seq), 4) FROM main.seq_1_to_{ROWS}",
        "CREATE TRIGGER main.tr BEFORE INSERT ON main.kept FOR EACH ROW SET @a = 1",
        "CREATE VIEW main.v AS SELECT id FROM main.kept",
    )
    server = start_holdfast(home)
    try:
        api = server.api()
        api.post("/projects", {"name": "Chaos"})
        for name, made in (("Source", source), ("Target", target)):
            body = {"name": name, "type": "mysql", "connectionString": url_of(made)}
            assert api.post("/projects/chaos/addons", body).data["status"] == "running"
        api.post(BACKUPS, {"name": "good", "backupType": "dump", "compressionType": "zstd"})
        await_backup(api, f"{BACKUPS}/good")
    finally:
        server.stop()
    yield House(home, source, target)
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.slow
def test_a_backup_survives_the_death_of_its_worker(house: House) -> None:
    name = fresh("B").replace(" ", "-")
    mortal = house.start_mortal("backup:copy:during")
    mortal.api().post(BACKUPS, {"name": name, "backupType": "dump", "compressionType": "zstd"})
    wait_for_death(mortal)
    server = house.start()
    try:
        await_backup(server.api(), f"{BACKUPS}/{name.lower()}")
    finally:
        server.stop()
    house.source.execute("INSERT INTO main.kept VALUES (-1, 'nobody holds a lock')")
    house.source.execute("DELETE FROM main.kept WHERE id = -1")


def restores(point: str) -> object:
    return pytest.param(point, marks=pytest.mark.slow)


@pytest.mark.parametrize("point", [*map(restores, RESTORE_POINTS), "swap:after"])
def test_a_restore_survives_the_death_of_its_worker(house: House, point: str) -> None:
    house.target.execute(
        "DROP TABLE IF EXISTS main.kept",
        "DROP VIEW IF EXISTS main.v",
        "CREATE TABLE main.kept (id int)",
        "CREATE TRIGGER main.old BEFORE INSERT ON main.kept FOR EACH ROW SET @a = 2",
    )
    path = "/projects/chaos/addons/target/backups/good"
    mortal = house.start_mortal(f"restore:{point}")
    asked = mortal.api().post(
        f"{path}/restore",
        params={"sourceAddonId": "source"},
        headers={"idempotency-key": point},  # else it would repeat the case before
    )
    restore = asked.data["restoreId"]
    wait_for_death(mortal)
    server = house.start()
    try:
        found = await_restore(server.api(), path, restore, sourceAddonId="source")
    finally:
        server.stop()
    assert found["report"]["rows"] == ROWS
    counted = "SELECT count(*), count(DISTINCT text) FROM main.kept"
    assert house.target.execute(counted) == [(ROWS, ROWS)]
    assert house.target.execute("SELECT max(id) FROM main.v") == [(ROWS,)]
    triggers = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'main'"
    assert house.target.execute(triggers) == [("tr",)]
    assert not leftovers(house.target)
