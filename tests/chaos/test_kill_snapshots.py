"""kill -9 at every step of a snapshot, its copy, its restore and the tidying: all converges, once.

The data before the restore and the data of the snapshot differ in one row, so what a server serves
can be told. The stock `restic` judges the repository after every death.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fixtures.holdfast import (
    Api,
    Server,
    await_backup,
    await_restore,
    await_that,
    fresh,
    start_holdfast,
)
from fixtures.s3 import S3Server

MORTAL = (sys.executable, str(Path(__file__).with_name("mortal.py")))
ADDON = "/projects/chaos/addons/source"
BACKUPS = f"{ADDON}/backups"
BILLING = {"deploymentPlan": "any", "storage": 1024, "replicas": 1}
ROWS = 30_000


def deaths(quick: list[str], slow: list[str]) -> list[Any]:
    return [*quick, *(pytest.param(point, marks=pytest.mark.slow) for point in slow)]


SNAPSHOT_POINTS = deaths(
    ["capture:during"],
    [
        "seal:after",
        "look:before",
        "capture:before",
        "capture:after",
        "check:before",
        "check:after",
        "seal:before",
        "publish:before",
    ],
)
COPY_POINTS = deaths(
    [],
    [
        "seal:after",
        "find:before",
        "copy:before",
        "copy:during",
        "copy:after",
        "check:before",
        "seal:before",
        "publish:before",
    ],
)
REWIND_POINTS = deaths(
    ["fetch:during", "move:2"],
    [
        "move:1",
        "swap:after",
        "read:before",
        "preflight:before",
        "fetch:before",
        "fetch:after",
        "rehearse:before",
        "rehearse:after",
        "swap:before",
        "move:3",
        "move:4",
        "publish:before",
    ],
)
TIDY_POINTS = deaths([], ["tidy:before", "tidy:after", "publish:before"])


@dataclass
class House:
    """An installation with one managed server, started, killed and started again in one place."""

    home: Path
    s3: S3Server
    more: list[dict[str, Any]] = field(default_factory=list)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Per place its repository: passphrase and URL."""

    started: list[Server] = field(default_factory=list)

    def start(self) -> Server:
        self.started.append(start_holdfast(self.home, HOLDFAST_DEAD="3"))
        return self.started[-1]

    def start_mortal(self, at: str, **environment: str) -> Server:
        self.started.append(start_holdfast(self.home, program=MORTAL, MORTAL_AT=at, **environment))
        return self.started[-1]

    def leftovers(self) -> list[str]:
        """What lies beside the live directory and should not."""
        (addon,) = (self.home / "data" / "addons").iterdir()
        known = {"data", "lock", "server.log", "restored"}
        return [path.name for path in addon.iterdir() if path.name not in known]

    def require_sound_repositories(self, api: Api) -> None:
        for place in ("/platform-store", f"/backup-destinations/{self.more[0]['destinationId']}"):
            if place not in self.places:
                kit = api.post(f"{place}/recovery-kit").data
                urls = [each["url"] for each in kit["repositories"]]
                if not urls:
                    continue
                self.places[place] = kit["passphrase"], urls[0]
            passphrase, url = self.places[place]
            assert "no errors were found" in self.restic(url, passphrase, "check", "--read-data")

    def restic(self, url: str, passphrase: str, *words: str) -> str:
        env = {
            "PATH": os.environ["PATH"],
            "RESTIC_PASSWORD": passphrase,
            "AWS_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
        }
        argv = ["restic", "--no-cache", "-r", url, *words]
        done = subprocess.run(  # noqa: PLW1510 - its words are the message
            argv, env=env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def catalogue(self, statement: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.home / "data" / "holdfast.db") as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture(scope="module")
def house(s3_server: S3Server) -> Iterator[House]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    made = House(home, s3_server)
    server = made.start()
    try:
        _furnish(server.api(), made, s3_server)
    finally:
        server.stop()
    yield made
    for each in made.started:
        each.stop()  # those of tests that failed half way
    shutil.rmtree(home, ignore_errors=True)


def _furnish(api: Api, house: House, s3_server: S3Server) -> None:
    api.post("/projects", {"name": "Chaos"})
    body = {"name": "Source", "type": "postgresql", "version": "15-latest", "billing": BILLING}
    api.post("/projects/chaos/addons", body)
    await_that(lambda: api.get(ADDON).data["status"] == "running")
    credentials = {
        "accessKey": s3_server.access_key, "secretKey": s3_server.secret_key,
        "bucketName": s3_server.bucket(), "region": s3_server.region,
        "endpoint": s3_server.endpoint,
    }  # fmt: skip
    place = {"name": "Offsite", "type": "s3", "prefix": "hf/", "credentials": credentials}
    made = api.post("/backup-destinations", place).data["id"]
    house.more = [{"destinationId": made, "type": "custom", "retentionTime": 3}]
    sql(
        api,
        "CREATE TABLE t AS SELECT g, repeat(md5(g::text), 3) AS m"
        f" FROM generate_series(1, {ROWS}) g",
    )
    sql(api, "CREATE TABLE state AS SELECT 'snapshot' AS now")
    api.post(BACKUPS, {"name": "good", "additionalDestinations": house.more})
    await_backup(api, f"{BACKUPS}/good")
    await_that(lambda: all(item["status"] == "completed" for item in copied(api, house)))


def sql(api: Api, statement: str) -> list[tuple[Any, ...]]:
    uri = api.get(f"{ADDON}/credentials").data["secrets"]["POSTGRES_URI"]
    with await_that(lambda: connected(uri), 30) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def connected(uri: str) -> "psycopg.Connection[Any] | None":
    """None while the supervisor is still at starting the server."""
    try:
        return psycopg.connect(uri, autocommit=True)
    except psycopg.OperationalError:
        return None


def copied(api: Api, house: House) -> list[dict[str, Any]]:
    return api.get(f"/backup-destinations/{house.more[0]['destinationId']}/backups").data


def wait_for_death(server: Server) -> None:
    try:
        assert server.child.wait(60) == -9
    except subprocess.TimeoutExpired:
        server.child.kill()
        server.child.wait()
        pytest.fail(f"it never came to that point:\n{server.log.read_text()[-2000:]}")


def change(api: Api) -> None:
    """Something new to store."""
    sql(api, f"UPDATE t SET m = md5(random()::text) || m WHERE g % 7 = 0 AND g < {ROWS}")


@pytest.mark.parametrize("point", SNAPSHOT_POINTS)
def test_a_snapshot_survives_the_death_of_its_worker(house: House, point: str) -> None:
    name = fresh("S").replace(" ", "-").lower()
    mortal = house.start_mortal(f"snapshot:{point}")
    change(mortal.api())
    assert mortal.api().post(BACKUPS, {"name": name}).data["status"] == "scheduled"
    wait_for_death(mortal)
    server = house.start()
    try:
        api = server.api()
        await_backup(api, f"{BACKUPS}/{name}")
        evidence = api.get(f"{BACKUPS}/{name}/evidence").data
        assert all(check["passed"] for check in evidence["checks"])
        log = [line["log"] for line in api.get(f"{BACKUPS}/{name}/logs").data]
        assert "taken over: attempt 2" in log
        assert log.count("completed") == 1
        assert sql(api, "SELECT count(*) FROM pg_replication_slots") == [(0,)]
        assert sql(api, "SELECT count(*) FROM pg_stat_replication") == [(0,)]
        house.require_sound_repositories(api)
        passphrase, url = house.places["/platform-store"]
        listed = house.restic(url, passphrase, "snapshots", "--json")
        assert listed.count(evidence["snapshot"]) == 1
    finally:
        server.stop()


@pytest.mark.parametrize("point", COPY_POINTS)
def test_a_copy_survives_the_death_of_its_worker(house: House, point: str) -> None:
    name = fresh("C").replace(" ", "-").lower()
    mortal = house.start_mortal(f"copy:{point}")
    if point.endswith(":during"):  # it dies after a megabyte that the place does not have
        sql(
            mortal.api(),
            "INSERT INTO t SELECT -g, md5(random()::text) || md5(random()::text)"
            " FROM generate_series(1, 40000) g",
        )
    change(mortal.api())
    mortal.api().post(BACKUPS, {"name": name, "additionalDestinations": house.more})
    wait_for_death(mortal)
    server = house.start()
    try:
        api = server.api()

        def there() -> Any:
            item = next(item for item in copied(api, house) if item["id"] == name)
            return item["status"] == "completed"

        await_that(there)
        assert api.get(f"{BACKUPS}/{name}").data["status"] == "completed"
        house.require_sound_repositories(api)
    finally:
        server.stop()


@pytest.mark.parametrize("point", REWIND_POINTS)
def test_a_restore_in_place_survives_the_death_of_its_worker(house: House, point: str) -> None:
    mortal = house.start_mortal(f"rewind:{point}")
    restore = begin_restore(mortal.api())
    wait_for_death(mortal)
    server = house.start()
    try:
        api = server.api()
        found = await_restore(api, f"{BACKUPS}/good", restore)
        assert found["report"]["files"] > 500
        assert sql(api, "SELECT now FROM state") == [("snapshot",)]
        assert sql(api, "SELECT count(*), count(DISTINCT m) FROM t") == [(ROWS, ROWS)]
        assert house.leftovers() == []
        await_that(lambda: api.get(ADDON).data["status"] == "running")
    finally:
        server.stop()


def begin_restore(api: Api) -> str:
    """Of the first snapshot, over data that is not the snapshot's."""
    await_that(lambda: api.get(ADDON).data["status"] == "running")
    sql(api, "UPDATE state SET now = 'later'")
    headers = {"idempotency-key": fresh("key")}
    return api.post(f"{BACKUPS}/good/restore", headers=headers).data["restoreId"]


def ended(api: Api, restore: str) -> dict[str, Any]:
    def over() -> Any:
        listed = api.get(f"{BACKUPS}/good/restores").data["restores"]
        found = next(each for each in listed if each["id"] == restore)
        return found if found.get("completedAt") else None

    return await_that(over)


def test_a_server_that_does_not_answer_makes_way_for_the_old_one(house: House) -> None:
    mortal = house.start_mortal("rewind:nowhere:never", MORTAL_START="fail")
    try:
        api = mortal.api()
        restore = begin_restore(api)
        found = ended(api, restore)
        assert found["status"] == "failed"
        assert "does not answer in this test" in found["reason"]
        assert "put back as it was" in found["reason"]
        assert sql(api, "SELECT now FROM state") == [("later",)]
        assert house.leftovers() == []
    finally:
        mortal.stop()


@pytest.mark.slow
@pytest.mark.parametrize("move", ["3", "4"])  # the third and fourth rename go back
def test_going_back_survives_the_death_of_its_worker(house: House, move: str) -> None:
    mortal = house.start_mortal(f"rewind:move:{move}", MORTAL_START="fail")
    restore = begin_restore(mortal.api())
    wait_for_death(mortal)
    server = house.start()
    try:
        api = server.api()
        found = ended(api, restore)
        state = "snapshot" if found["status"] == "completed" else "later"
        assert sql(api, "SELECT now FROM state") == [(state,)]
        assert house.leftovers() == []
        await_that(lambda: api.get(ADDON).data["status"] == "running")
    finally:
        server.stop()


@pytest.mark.parametrize("point", TIDY_POINTS)
def test_tidying_survives_the_death_of_its_worker(house: House, point: str) -> None:
    mortal = house.start_mortal(f"tidy:{point}")
    house.catalogue("UPDATE repositories SET tidy_due = 1, tidied = NULL")
    wait_for_death(mortal)
    server = house.start()
    try:
        api = server.api()
        await_that(
            lambda: (
                house.catalogue("SELECT count(*) FROM repositories WHERE tidied IS NULL") == [(0,)]
            )
        )
        house.require_sound_repositories(api)
    finally:
        server.stop()
