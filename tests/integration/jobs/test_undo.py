"""Restores that are taken back: the old data waits beside, and takes its place again."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fixtures.holdfast import Api, await_backup, await_restore, await_that, fresh, start_holdfast

BILLING = {"deploymentPlan": "any", "storage": 1024, "replicas": 1}
ADDON = "/projects/undo/addons/source"


@dataclass
class Installation:
    """One managed PostgreSQL; `home` is what it keeps on this machine."""

    api: Api
    home: Path
    catalog: Path

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        uri = self.api.get(f"{ADDON}/credentials").data["secrets"]["POSTGRES_URI"]
        with psycopg.connect(uri, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def backup(self, kind: str) -> str:
        body = {"name": fresh("Undo"), "backupType": kind}
        if kind == "dump":
            body["compressionType"] = "zstd"
        made = self.api.post(f"{ADDON}/backups", body).data
        await_backup(self.api, f"{ADDON}/backups/{made['id']}")
        return f"{ADDON}/backups/{made['id']}"

    def restore(self, backup: str, **body: Any) -> dict[str, Any]:
        headers = {"idempotency-key": fresh("key")}
        started = self.api.post(f"{backup}/restore", body, headers=headers).data
        return await_restore(self.api, backup, started["restoreId"])

    def undo(self, backup: str, restore: dict[str, Any]) -> dict[str, Any]:
        started = self.api.post(f"{backup}/undo-restore", {"restoreId": restore["id"]}).data
        return await_restore(self.api, backup, started["restoreId"])

    def found(self, restore: dict[str, Any]) -> dict[str, Any]:
        listed = self.api.get(f"{ADDON}/restores").data["restores"]
        return next(entry for entry in listed if entry["id"] == restore["id"])

    def set_aside(self) -> list[str]:
        """What lies on the machine for an undo: directories and databases."""
        directories = [path.name for path in self.home.glob("aside-*")]
        databases = self.sql("SELECT datname FROM pg_database WHERE datname LIKE 'holdfast\\_%'")
        return [*directories, *(name for (name,) in databases)]

    def let_expire(self, restore: dict[str, Any]) -> None:
        with sqlite3.connect(self.catalog, timeout=60) as catalog:
            catalog.execute("UPDATE restores SET old_until = 1 WHERE id = ?", [restore["id"]])
            catalog.execute("UPDATE chores SET due = 1 WHERE name = 'old-data'")


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    server = start_holdfast(home, forked=True, HOLDFAST_SETTLE="0")
    try:
        api = server.api()
        api.post("/projects", {"name": "Undo"})
        body = {"name": "Source", "type": "postgresql", "version": "15-latest", "billing": BILLING}
        api.post("/projects/undo/addons", body)
        await_that(lambda: api.get(ADDON).data["status"] == "running")
        (addon,) = (home / "data" / "addons").iterdir()
        yield Installation(api, addon, home / "data" / "holdfast.db")
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.parametrize("kind", ["snapshot", "dump"])
def test_old_data_comes_back_once(installation: Installation, kind: str) -> None:
    installation.sql("DROP TABLE IF EXISTS state")
    installation.sql("CREATE TABLE state AS SELECT 'backed up' AS now")
    backup = installation.backup(kind)
    installation.sql("UPDATE state SET now = 'changed since'")
    restore = installation.restore(backup, keepOldHours=2)
    assert installation.sql("SELECT now FROM state") == [("backed up",)]
    assert restore["oldDataUntil"] > restore["completedAt"]
    assert installation.set_aside() != []

    undone = installation.undo(backup, restore)
    assert undone["undoes"] == restore["id"]
    assert installation.sql("SELECT now FROM state") == [("changed since",)]
    assert "oldDataUntil" not in installation.found(restore)
    assert installation.set_aside() == []
    again = {"restoreId": restore["id"]}
    headers = {"idempotency-key": fresh("key")}
    refused = installation.api.post(f"{backup}/undo-restore", again, headers=headers)
    assert (refused.status, "not set aside" in refused.error["message"]) == (409, True)
    assert installation.api.get(f"{backup}").data["lastRestore"]["status"] == "completed"


@pytest.mark.parametrize("kind", ["snapshot", "dump"])
def test_old_data_goes_when_its_time_is_over(installation: Installation, kind: str) -> None:
    installation.sql("CREATE TABLE IF NOT EXISTS state AS SELECT 'kept' AS now")
    backup = installation.backup(kind)
    restore = installation.restore(backup, keepOldHours=1)
    assert installation.set_aside() != []
    installation.let_expire(restore)
    await_that(lambda: "oldDataUntil" not in installation.found(restore))
    assert installation.set_aside() == []
    assert installation.sql("SELECT count(*) FROM state") == [(1,)]


def test_only_the_last_restore_is_undone(installation: Installation) -> None:
    installation.sql("CREATE TABLE IF NOT EXISTS state AS SELECT 'kept' AS now")
    backup = installation.backup("dump")
    first = installation.restore(backup, keepOldHours=1)
    second = installation.restore(backup, keepOldHours=1)
    refused = installation.api.post(f"{backup}/undo-restore", {"restoreId": first["id"]})
    assert (refused.status, second["id"] in refused.error["message"]) == (409, True)
    installation.undo(backup, second)
    installation.undo(backup, first)
    assert installation.set_aside() == []


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("snapshot", {"replace": True, "keepOldHours": 5}, "keepOldHours"),
        ("snapshot", {"skipFailedObjects": True}, "skipFailedObjects"),
        ("dump", {"keepOldHours": -1}, "keepOldHours"),
        ("dump", {"keepOldHours": "long"}, "keepOldHours"),
        ("dump", {"acceptDifferences": "all"}, "acceptDifferences"),
        ("dump", {"acceptDifference": []}, "acceptDifference"),
    ],
)
def test_bad_choices_name_their_field(
    installation: Installation, kind: str, body: dict[str, Any], field: str
) -> None:
    refused = installation.api.post(f"{installation.backup(kind)}/restore", body)
    assert (refused.status, list(refused.details)) == (400, [field])
