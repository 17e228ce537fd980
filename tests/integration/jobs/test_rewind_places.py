"""Restores of snapshots in place, and where the data lies afterwards: tablespaces and aborts."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from fixtures.holdfast import (
    OVER,
    Api,
    Server,
    await_backup,
    await_restore,
    await_that,
    fresh,
    start_holdfast,
)
from fixtures.managed import admin_of

BILLING = {"deploymentPlan": "any", "storage": 1024, "replicas": 1}
ADDON = "/projects/places/addons/source"


@dataclass
class Room:
    """One installation with one managed server, and a directory its user may write."""

    server: Server
    addon: Path
    spare: Path

    @property
    def api(self) -> Api:
        return self.server.api()

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        uri = self.api.get(f"{ADDON}/credentials").data["secrets"]["POSTGRES_URI"]
        return self._run(uri, statement)

    def make_tablespace(self, name: str) -> None:
        """Only an administrator may; the owner may use it."""
        uri = self.api.get(f"{ADDON}/credentials").data["secrets"]["POSTGRES_URI"]
        parts = conninfo_to_dict(uri)
        login = admin_of(self.server, int(str(parts["port"])))
        whole = make_conninfo(uri, user=login.user, password=login.password.reveal())
        self._run(whole, f"CREATE TABLESPACE {name} LOCATION '{self.space(name)}'")
        self._run(whole, f"GRANT CREATE ON TABLESPACE {name} TO PUBLIC")

    def _run(self, uri: str, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(uri, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def snapshot(self) -> str:
        made = self.api.post(f"{ADDON}/backups", {"name": fresh("Snap")}).data
        await_backup(self.api, f"{ADDON}/backups/{made['id']}")
        return f"{ADDON}/backups/{made['id']}"

    def begin(self, backup: str) -> str:
        headers = {"idempotency-key": fresh("key")}
        return self.api.post(f"{backup}/restore", headers=headers).data["restoreId"]

    def trees(self) -> list[str]:
        return [path.name for path in self.addon.glob("restore-*")]

    def space(self, name: str) -> Path:
        made = self.spare / name
        made.mkdir()
        state = (self.addon / "data").stat()
        os.chown(made, state.st_uid, state.st_gid)
        return made


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    spare = home / "spare"
    spare.mkdir(mode=0o755)
    server = start_holdfast(home, forked=True)
    try:
        api = server.api()
        api.post("/projects", {"name": "Places"})
        body = {"name": "Source", "type": "postgresql", "version": "15-latest", "billing": BILLING}
        api.post("/projects/places/addons", body)
        await_that(lambda: api.get(ADDON).data["status"] == "running")
        (addon,) = (home / "data" / "addons").iterdir()
        yield Room(server, addon, spare)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def test_an_abort_at_any_moment_leaves_the_old_data_or_finishes(room: Room) -> None:
    room.sql("CREATE TABLE state AS SELECT 'snapshot' AS now")
    backup = room.snapshot()
    seen: set[str] = set()
    for pause in (0.0, 0.3, 0.8, 1.4, 2.0):
        await_that(lambda: room.api.get(ADDON).data["status"] == "running")
        room.sql("UPDATE state SET now = 'later'")
        restore = room.begin(backup)
        time.sleep(pause)  # the moments differ from run to run, and what must hold does not
        asked = room.api.post(f"{backup}/abort-restore", {"restoreId": restore})
        assert asked.status in (200, 409)  # too late is said

        def over(restore: str = restore) -> Any:
            listed = room.api.get(f"{backup}/restores").data["restores"]
            found = next(each for each in listed if each["id"] == restore)
            return found if found["status"] in OVER else None

        status = await_that(over)["status"]
        seen.add(status)
        assert status in ("aborted", "completed")
        wanted = "later" if status == "aborted" else "snapshot"
        assert room.sql("SELECT now FROM state") == [(wanted,)]
        assert room.trees() == []
    assert "aborted" in seen


def test_a_snapshot_is_as_gentle_as_it_was_asked_to_be(room: Room) -> None:
    """Read at most at so many KiB per second; sizes and times are the server's own."""
    body = {"name": fresh("Gentle"), "backupType": "snapshot", "maxRate": 16_384}
    made = room.api.post(f"{ADDON}/backups", body).data
    begun = time.monotonic()
    found = await_backup(room.api, f"{ADDON}/backups/{made['id']}")
    least = int(found["config"]["size"]) / (16_384 << 10)
    assert time.monotonic() - begun > 0.8 * least > 1
    for wrong in (31, 2_000_000, "fast"):
        refused = room.api.post(f"{ADDON}/backups", {**body, "maxRate": wrong})
        assert (refused.status, list(refused.details)) == (400, ["maxRate"])
    refused = room.api.post(f"{ADDON}/backups", {**body, "backupType": "dump"})
    assert (refused.status, list(refused.details)) == (400, ["maxRate"])


@pytest.mark.slow
def test_tablespaces_follow_every_restore_and_go_with_the_data(room: Room) -> None:
    for name in ("one", "two"):
        room.make_tablespace(name)
        room.sql(f"CREATE TABLE in_{name} TABLESPACE {name} AS SELECT generate_series(1, 999) AS g")
    backup = room.snapshot()
    for _ in range(2):
        room.sql("DROP TABLE in_one")
        room.sql("UPDATE in_two SET g = 0")
        await_restore(room.api, backup, room.begin(backup))
        for name in ("one", "two"):
            assert room.sql(f"SELECT count(*), sum(g) FROM in_{name}") == [(999, 499_500)]
        (tree,) = room.trees()
        assert [path.name for path in (room.addon / tree).iterdir()] == ["tablespaces"]
    again = room.snapshot()  # of a server whose tablespaces lie where a restore put them
    room.sql("DROP TABLE in_two")
    await_restore(room.api, again, room.begin(again))
    assert room.sql("SELECT count(*), sum(g) FROM in_two") == [(999, 499_500)]
    assert len(room.trees()) == 1
    room.api.post(f"{ADDON}/reset")
    await_that(lambda: not room.trees())
    await_that(lambda: room.api.get(ADDON).data["status"] == "running")
    room.api.delete(ADDON)
    await_that(lambda: not room.addon.exists())
