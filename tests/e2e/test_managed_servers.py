"""Servers that Holdfast runs itself: made, stopped, restarted, adopted, wiped and removed."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from fixtures.holdfast import Api, await_backup, await_that, start_holdfast

BILLING = {"deploymentPlan": "nf-compute-20", "storage": 1024, "replicas": 1}
ADDON = "/projects/managed/addons/one"


class House:
    """One installation in one place, started as often as a test wants."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.server = start_holdfast(home)

    @property
    def api(self) -> Api:
        return self.server.api()

    def restart(self) -> None:
        self.server = start_holdfast(self.home)

    def status(self) -> str:
        return self.api.get(ADDON).data["status"]

    def await_status(self, wanted: str) -> None:
        await_that(lambda: self.status() == wanted)

    def uri(self) -> str:
        return self.api.get(f"{ADDON}/credentials").data["secrets"]["POSTGRES_URI"]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.uri(), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def answers(self) -> bool:
        try:
            return self.query("SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False

    def postmaster(self) -> int:
        [file] = (self.home / "data" / "addons").glob("*/data/postmaster.pid")
        return int(file.read_text().splitlines()[0])


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def house() -> Iterator[House]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    made = House(home)
    made.api.post("/projects", {"name": "Managed"})
    body = {"name": "One", "type": "postgresql", "version": "latest", "billing": BILLING}
    assert made.api.post("/projects/managed/addons", body).data["managed"] is True
    made.await_status("running")
    made.query("CREATE TABLE kept AS SELECT 1 AS id")
    yield made
    made.server.stop()
    shutil.rmtree(home, ignore_errors=True)


def test_a_managed_server_lives_through_its_verbs(house: House) -> None:
    api, uri = house.api, house.uri()
    api.post(f"{ADDON}/pause")
    house.await_status("paused")
    assert not house.answers()
    assert api.post(f"{ADDON}/pause").status == 409
    assert api.get(f"{ADDON}/containers").data["containers"][0]["status"] == "TASK_KILLED"
    api.post(f"{ADDON}/backups", {"name": "asleep", "backupType": "dump"})
    failed = await_backup(api, f"{ADDON}/backups/asleep", "failed")
    assert "paused" in failed["reason"]

    api.post(f"{ADDON}/resume")
    house.await_status("running")
    assert house.query("SELECT id FROM kept") == [(1,)]

    before = house.postmaster()
    api.post(f"{ADDON}/restart")
    house.await_status("running")
    assert house.postmaster() != before
    assert any("ready to accept" in line["log"] for line in api.get(f"{ADDON}/logs").data)

    api.post(f"{ADDON}/reset")
    house.await_status("running")
    assert house.uri() == uri
    assert house.query("SELECT to_regclass('kept')") == [(None,)]

    api.delete(ADDON)
    assert api.get(ADDON).status == 404
    await_that(lambda: not list((house.home / "data" / "addons").iterdir()))


def test_a_server_that_dies_is_started_again(house: House) -> None:
    before = house.postmaster()
    os.kill(before, signal.SIGKILL)
    await_that(house.answers)
    assert house.postmaster() != before
    assert house.query("SELECT id FROM kept") == [(1,)]


def test_a_server_is_adopted_by_the_next_holdfast(house: House) -> None:
    before = house.postmaster()
    house.server.child.send_signal(signal.SIGKILL)
    house.server.child.wait()
    assert not gone(before), "it outlives a crash of ours"
    house.restart()
    house.await_status("running")
    assert house.postmaster() == before


def test_a_drain_stops_the_server_and_a_start_brings_it_back(house: House) -> None:
    before = house.postmaster()
    assert house.server.stop() == 0
    assert gone(before)
    house.restart()
    await_that(house.answers)
    assert house.query("SELECT id FROM kept") == [(1,)]


def test_an_empty_server_can_be_backed_up(house: House) -> None:
    house.query("DROP TABLE kept")
    house.api.post(f"{ADDON}/backups", {"name": "empty", "backupType": "dump"})
    await_backup(house.api, f"{ADDON}/backups/empty")
