"""A second Holdfast watches the first: its death, its failed starts, and a schedule's backups."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fixtures.holdfast import Server, await_that, start_holdfast
from fixtures.receivers import Hook

DAY = 86_400


@dataclass
class Watcher:
    """The second installation, whose alarms go to a webhook."""

    server: Server
    hook: Hook

    def add_monitor(self, every: int = DAY, grace: int = DAY) -> str:
        """The URL to ping."""
        body = {"name": "First", "everySeconds": every, "graceSeconds": grace}
        return self.server.api().post("/monitors", body).data["pingUrl"]

    @property
    def monitor(self) -> dict[str, Any]:
        return self.server.api().get("/monitors/first").data

    def await_told(self, event: str, count: int = 1) -> dict[str, Any]:
        """The newest of so many alarms about the monitor, as the webhook got it."""
        events = await_that(lambda: len(told := self.hook.events(event)) >= count and told)
        (alarm,) = events[-1]["alarms"]
        assert (alarm["kind"], alarm["subject"]) == ("monitor.down", "monitor first")
        return alarm


@pytest.fixture
def watcher(tmp_path: Path, hook: Hook) -> Iterator[Watcher]:
    (tmp_path / "second").mkdir()
    server = start_holdfast(tmp_path / "second", forked=True)
    try:
        body = {"name": "Hook", "kind": "webhook", "settings": {"url": hook.url}}
        assert server.api().post("/channels", body).status == 200
        yield Watcher(server, hook)
    finally:
        server.stop()


@pytest.mark.slow
def test_a_first_that_cannot_start(tmp_path: Path, watcher: Watcher) -> None:
    home = tmp_path / "first"
    home.mkdir()
    environment = {
        "HOLDFAST_HEARTBEAT_URL": watcher.add_monitor(),
        "HOLDFAST_HEARTBEAT_SIGNALS": "exit-status",
        "HOLDFAST_WATCH_EVERY": "1",
    }
    start_holdfast(home, **environment).stop()
    await_that(lambda: watcher.monitor["state"] == "up")
    key = home / "data" / "master.key"
    away = key.rename(home / "elsewhere")
    with pytest.raises(RuntimeError, match="did not come up"):
        start_holdfast(home, **environment)
    alarm = watcher.await_told("alarm.opened")
    assert alarm["reason"].startswith("exit status 1: Holdfast could not start: There is no master")
    away.rename(key)
    server = start_holdfast(home, **environment)
    try:
        assert watcher.await_told("alarm.closed")["id"] == alarm["id"]
    finally:
        server.stop()


@pytest.mark.slow
def test_a_first_that_is_killed(tmp_path: Path, watcher: Watcher) -> None:
    """It pings once a minute, so its silence is noticed after that and the grace."""
    home = tmp_path / "first"
    home.mkdir()
    environment = {"HOLDFAST_HEARTBEAT_URL": watcher.add_monitor(60, 15)}
    server = start_holdfast(home, **environment)
    await_that(lambda: watcher.monitor["state"] == "up")
    server.child.kill()
    server.child.wait()
    alarm = watcher.await_told("alarm.opened")
    assert alarm["reason"] == "no ping for 75 s; one is due every 60 s"
    server = start_holdfast(home, **environment)
    try:
        assert watcher.await_told("alarm.closed")["id"] == alarm["id"]
    finally:
        server.stop()


@pytest.mark.slow
def test_the_backups_of_a_schedule_of_the_first(tmp_path: Path, watcher: Watcher) -> None:
    home, files = tmp_path / "first", tmp_path / "files"
    home.mkdir()
    files.mkdir()
    with closing(sqlite3.connect(files / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    server = start_holdfast(home, HOLDFAST_SQLITE_ROOTS=str(files))
    try:
        api = server.api()
        project = api.project()
        body = {"name": "Shop", "type": "sqlite", "connectionString": f"sqlite://{files}/shop.db"}
        addon = api.post(f"/projects/{project}/addons", body).data["id"]
        path = f"/projects/{project}/addons/{addon}"
        minutes = [(datetime.now(UTC).minute + more) % 60 for more in (1, 2, 3, 4)]
        schedule = api.post(
            f"{path}/backup-schedules",
            {
                "backupType": "dump",
                "compressionType": "gz",
                "scheduling": {"interval": "hourly", "minute": sorted(minutes)},
                "retentionTime": 1,
            },
        ).data["id"]
        url = watcher.add_monitor()
        settings = {"url": url, "schedule": schedule, "signals": "exit-status"}
        beat = {"name": "Beat", "kind": "heartbeat", "settings": settings}
        assert api.post("/channels", beat).status == 200
        await_that(lambda: watcher.monitor["state"] == "up")
        assert "backup" in watcher.monitor["said"]
        (files / "shop.db").write_bytes(b"no database")
        alarm = watcher.await_told("alarm.opened")
        assert alarm["reason"].startswith("exit status 11: ")
        assert "failed" in alarm["reason"]
    finally:
        server.stop()
