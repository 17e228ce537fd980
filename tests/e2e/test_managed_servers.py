"""Servers that Holdfast runs itself: made, stopped, restarted, adopted, wiped and removed."""

import os
import signal
from collections.abc import Iterator

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from fixtures.debian_postgres import run_sql
from fixtures.holdfast import await_backup, await_that
from fixtures.installation import Installation, installation_home, running

ADDON = "/projects/managed/addons/one"


class ManagedInstallation(Installation):
    """With one managed server."""

    def answers(self) -> bool:
        try:
            return run_sql(make_conninfo(self.uri(), connect_timeout=5), "SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False

    def postmaster(self) -> int:
        [file] = (self.data_dir / "addons").glob("*/data/postmaster.pid")
        return int(file.read_text().splitlines()[0])


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def installation() -> Iterator[ManagedInstallation]:
    with installation_home() as home, running(ManagedInstallation(home)) as installation:
        installation.api.post("/projects", {"name": "Managed"})
        installation.addon = installation.manage("managed", "One", version="latest")
        assert installation.api.get(ADDON).data["managed"] is True
        installation.sql("CREATE TABLE kept AS SELECT 1 AS id")
        yield installation


def test_a_managed_server_lives_through_its_verbs(installation: ManagedInstallation) -> None:
    api, uri = installation.api, installation.uri()
    api.post(f"{ADDON}/pause")
    installation.await_status("paused")
    assert not installation.answers()
    assert api.post(f"{ADDON}/pause").status == 409
    assert api.get(f"{ADDON}/containers").data["containers"][0]["status"] == "TASK_KILLED"
    api.post(f"{ADDON}/backups", {"name": "asleep", "backupType": "dump"})
    failed = await_backup(api, f"{ADDON}/backups/asleep", "failed")
    assert "paused" in failed["reason"]

    api.post(f"{ADDON}/resume")
    installation.await_status("running")
    assert installation.sql("SELECT id FROM kept") == [(1,)]

    before = installation.postmaster()
    api.post(f"{ADDON}/restart")
    installation.await_status("running")
    assert installation.postmaster() != before
    assert any("ready to accept" in line["log"] for line in api.get(f"{ADDON}/logs").data)

    api.post(f"{ADDON}/reset")
    installation.await_status("running")
    assert installation.uri() == uri
    assert installation.sql("SELECT to_regclass('kept')") == [(None,)]

    api.delete(ADDON)
    assert api.get(ADDON).status == 404
    await_that(lambda: not list((installation.data_dir / "addons").iterdir()))


def test_a_server_that_dies_is_started_again(installation: ManagedInstallation) -> None:
    before = installation.postmaster()
    os.kill(before, signal.SIGKILL)
    await_that(installation.answers)
    assert installation.postmaster() != before
    assert installation.sql("SELECT id FROM kept") == [(1,)]


def test_a_server_is_adopted_by_the_next_holdfast(installation: ManagedInstallation) -> None:
    before = installation.postmaster()
    installation.kill()
    assert not gone(before), "it outlives a crash of ours"
    installation.start()
    installation.await_status("running")
    assert installation.postmaster() == before


def test_a_drain_stops_the_server_and_a_start_brings_it_back(
    installation: ManagedInstallation,
) -> None:
    before = installation.postmaster()
    assert installation.server.stop() == 0
    assert gone(before)
    installation.start()
    await_that(installation.answers)
    assert installation.sql("SELECT id FROM kept") == [(1,)]


def test_an_empty_server_can_be_backed_up(installation: ManagedInstallation) -> None:
    installation.sql("DROP TABLE kept")
    installation.api.post(f"{ADDON}/backups", {"name": "empty", "backupType": "dump"})
    await_backup(installation.api, f"{ADDON}/backups/empty")
