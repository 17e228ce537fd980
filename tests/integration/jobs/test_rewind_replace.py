"""Restores on a machine without room for a second copy: refused, or the present data goes first."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fixtures.holdfast import (
    MORTAL,
    OVER,
    Api,
    Server,
    await_backup,
    await_restore,
    await_that,
    fresh,
    start_holdfast,
)

ADDON = "/projects/cramped/addons/source"
BILLING = {"deploymentPlan": "any", "storage": 1024, "replicas": 1}


@dataclass
class Room:
    """An installation with one managed server, a good snapshot, and no room for two copies."""

    server: Server
    addon: Path
    backup: str

    @property
    def api(self) -> Api:
        return self.server.api()

    def restart(self, at: str = "rewind:nowhere:0", **more: str) -> None:
        """With 1 MiB less than a second copy needs."""
        size = int(self.api.get(self.backup).data["config"]["size"])
        self.server.stop()
        self.server = start_holdfast(
            self.server.data_dir.parent, program=MORTAL, forked=True, MORTAL_AT=at,
            HOLDFAST_DEAD="3", MORTAL_FREE=str(round(size * 1.05) + (63 << 20)), **more,
        )  # fmt: skip
        await_that(lambda: self.api.get(ADDON).data["status"] in ("running", "failed"))

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        uri = self.api.get(f"{ADDON}/credentials").data["secrets"]["POSTGRES_URI"]
        with psycopg.connect(uri, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def begin(self, **body: Any) -> str:
        headers = {"idempotency-key": fresh("key")}
        return self.api.post(f"{self.backup}/restore", body, headers=headers).data["restoreId"]

    def over(self, restore: str) -> dict[str, Any]:
        def ended() -> Any:
            listed = self.api.get(f"{self.backup}/restores").data["restores"]
            found = next(each for each in listed if each["id"] == restore)
            return found if found["status"] in OVER else None

        return await_that(ended, 120)

    def require_restored(self) -> None:
        assert self.sql("SELECT now FROM state") == [("snapshot",)]
        assert self.api.get(ADDON).data["status"] == "running"
        known = {"data", "lock", "server.log", "restored", "served"}
        assert {path.name for path in self.addon.iterdir()} == known


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    server = start_holdfast(home, forked=True)
    made = Room(server, home, "")
    try:
        api = server.api()
        api.post("/projects", {"name": "Cramped"})
        body = {"name": "Source", "type": "postgresql", "version": "15-latest", "billing": BILLING}
        api.post("/projects/cramped/addons", body)
        await_that(lambda: api.get(ADDON).data["status"] == "running")
        (made.addon,) = (home / "data" / "addons").iterdir()
        made.sql("CREATE TABLE state AS SELECT 'snapshot' AS now")
        api.post(f"{ADDON}/backups", {"name": "good"})
        made.backup = f"{ADDON}/backups/good"
        await_backup(api, made.backup)
        made.sql("UPDATE state SET now = 'later'")
        made.restart()
        yield made
    finally:
        made.server.stop()
        shutil.rmtree(home, ignore_errors=True)


def test_without_room_and_without_leave_nothing_is_touched(room: Room) -> None:
    found = room.over(room.begin())
    assert found["status"] == "failed"
    assert "no room for a second copy" in found["reason"]
    assert "`replace` would give up the present data" in found["reason"]
    assert room.sql("SELECT now FROM state") == [("later",)]


def test_leave_is_for_snapshots_and_a_word_of_its_own(room: Room) -> None:
    for wrong in ("yes", 1, None):
        refused = room.api.post(f"{room.backup}/restore", {"replace": wrong})
        assert (refused.status, list(refused.details)) == (400, ["replace"])
    refused = room.api.post(f"{room.backup}/restore", {"replaced": True})
    assert refused.status == 400
    room.api.post(f"{ADDON}/backups", {"name": "a dump", "backupType": "dump"})
    await_backup(room.api, f"{ADDON}/backups/a-dump")
    refused = room.api.post(f"{ADDON}/backups/a-dump/restore", {"replace": True})
    assert (refused.status, list(refused.details)) == (400, ["replace"])


def test_nothing_is_given_up_for_a_snapshot_that_cannot_be_read(room: Room) -> None:
    packs = list((room.server.data_dir / "store").rglob("data/*/*"))
    victim = max(packs, key=lambda path: path.stat().st_size)
    body = victim.read_bytes()
    middle = len(body) // 2
    victim.write_bytes(body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :])
    found = room.over(room.begin(replace=True))
    victim.write_bytes(body)
    assert found["status"] == "failed"
    assert "not what was written" in found["reason"]
    assert "the addon is as it was" in found["reason"]
    assert room.sql("SELECT now FROM state") == [("later",)]


def test_a_failure_after_that_says_that_nothing_is_left(room: Room) -> None:
    """And the next restore, which needs no leave any more, brings the addon back."""
    room.restart(MORTAL_FETCH="fail")
    found = room.over(room.begin(replace=True))
    assert found["status"] == "failed"
    assert "was given up for a restore and is gone" in found["reason"]
    addon = room.api.get(ADDON).data
    assert (addon["status"], "has no data" in addon["reason"]) == ("failed", True)
    assert not (room.addon / "data").exists()
    room.server.stop()
    room.server = start_holdfast(room.server.data_dir.parent, forked=True)
    await_restore(room.api, room.backup, room.begin())
    room.require_restored()


def test_with_leave_the_present_data_goes_first(room: Room) -> None:
    room.sql("UPDATE state SET now = 'later'")
    room.restart()
    restore = room.begin(replace=True)
    await_restore(room.api, room.backup, restore)
    room.require_restored()
    lines = room.api.get(f"{room.backup}/restores/{restore}/logs", queryType="range").data
    assert any("giving up the present data" in line["log"] for line in lines)


@pytest.mark.parametrize(
    "at",
    ["fetch:during", *(pytest.param(f"move:{n}", marks=pytest.mark.slow) for n in range(1, 6))],
)
def test_a_death_on_the_way_ends_with_the_restored_data(room: Room, at: str) -> None:
    room.sql("UPDATE state SET now = 'later'")
    room.restart(f"rewind:{at}")
    restore = room.begin(replace=True)
    await_that(lambda: room.server.child.poll() is not None)
    room.server = start_holdfast(
        room.server.data_dir.parent, program=MORTAL, forked=True, MORTAL_AT="rewind:nowhere:0",
        HOLDFAST_DEAD="3", MORTAL_FREE="0",
    )  # fmt: skip
    assert room.over(restore)["status"] == "completed"
    room.require_restored()
