"""Restores that are taken back: the old data waits beside, and takes its place again."""

from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.holdfast import await_restore, await_that, fresh
from fixtures.installation import Installation, installation_home, running


class UndoInstallation(Installation):
    """One managed PostgreSQL, whose restores are taken back."""

    def backup_of(self, kind: str) -> str:
        compression = {"compressionType": "zstd"} if kind == "dump" else {}
        return self.backup(backupType=kind, **compression)

    def undo(self, backup: str, restore: dict[str, Any]) -> dict[str, Any]:
        started = self.api.post(f"{backup}/undo-restore", {"restoreId": restore["id"]}).data
        return await_restore(self.api, backup, started["restoreId"])

    def shown(self, restore: dict[str, Any]) -> dict[str, Any]:
        listed = self.api.get(f"{self.addon}/restores").data["restores"]
        return next(entry for entry in listed if entry["id"] == restore["id"])

    def set_aside(self) -> list[str]:
        """Directories and databases that are on the machine for an undo."""
        directories = [path.name for path in self.addon_home.glob("aside-*")]
        databases = self.sql("SELECT datname FROM pg_database WHERE datname LIKE 'holdfast\\_%'")
        return [*directories, *(name for (name,) in databases)]

    def let_expire(self, restore: dict[str, Any]) -> None:
        self.catalogue("UPDATE restores SET old_until = 1 WHERE id = ?", restore["id"])
        self.catalogue("UPDATE chores SET due = 1 WHERE name = 'old-data'")


@pytest.fixture(scope="module")
def installation() -> Iterator[UndoInstallation]:
    with (
        installation_home() as home,
        running(UndoInstallation(home, {"HOLDFAST_SETTLE": "0"})) as installation,
    ):
        installation.manage_first("Undo")
        yield installation


@pytest.mark.parametrize("kind", ["snapshot", "dump"])
def test_old_data_comes_back_once(installation: UndoInstallation, kind: str) -> None:
    installation.sql("DROP TABLE IF EXISTS state")
    installation.sql("CREATE TABLE state AS SELECT 'backed up' AS now")
    backup = installation.backup_of(kind)
    installation.sql("UPDATE state SET now = 'changed since'")
    restore = installation.restore(backup, keepOldHours=2)
    assert installation.sql("SELECT now FROM state") == [("backed up",)]
    assert restore["oldDataUntil"] > restore["completedAt"]
    assert installation.set_aside() != []

    undone = installation.undo(backup, restore)
    assert undone["undoes"] == restore["id"]
    assert installation.sql("SELECT now FROM state") == [("changed since",)]
    assert "oldDataUntil" not in installation.shown(restore)
    assert installation.set_aside() == []
    again = {"restoreId": restore["id"]}
    headers = {"idempotency-key": fresh("key")}
    refused = installation.api.post(f"{backup}/undo-restore", again, headers=headers)
    assert (refused.status, "not set aside" in refused.error["message"]) == (409, True)
    assert installation.api.get(f"{backup}").data["lastRestore"]["status"] == "completed"


@pytest.mark.parametrize("kind", ["snapshot", "dump"])
def test_old_data_goes_when_its_time_is_over(installation: UndoInstallation, kind: str) -> None:
    installation.sql("CREATE TABLE IF NOT EXISTS state AS SELECT 'kept' AS now")
    backup = installation.backup_of(kind)
    restore = installation.restore(backup, keepOldHours=1)
    assert installation.set_aside() != []
    installation.let_expire(restore)
    await_that(lambda: "oldDataUntil" not in installation.shown(restore))
    assert installation.set_aside() == []
    assert installation.sql("SELECT count(*) FROM state") == [(1,)]


def test_only_the_last_restore_is_undone(installation: UndoInstallation) -> None:
    installation.sql("CREATE TABLE IF NOT EXISTS state AS SELECT 'kept' AS now")
    backup = installation.backup_of("dump")
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
    installation: UndoInstallation, kind: str, body: dict[str, Any], field: str
) -> None:
    refused = installation.api.post(f"{installation.backup_of(kind)}/restore", body)
    assert (refused.status, list(refused.details)) == (400, [field])
