"""Archives of PostgreSQL's log: what is stored is all of it, and what is missing is named."""

from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.debian_postgres import Database, running_postgres
from fixtures.holdfast import await_that, fresh
from fixtures.installation import Installation, installation_home

INTERVAL = {"intervalSeconds": 1}


class Archiving(Installation):
    """With one attached server, which is archived."""

    postgres: Database

    def attach(self) -> str:
        project = self.api.post("/projects", {"name": fresh("P")}).data["id"]
        body = {
            "name": "Database",
            "type": "postgresql",
            "connectionString": self.postgres.url(),
        }
        addon = self.api.post(f"/projects/{project}/addons", body).data["id"]
        self.addon = f"/projects/{project}/addons/{addon}"
        return self.addon

    def archive(self) -> dict[str, Any]:
        return self.api.get(f"{self.addon}/archive").data

    def server_now(self) -> int:
        row = self.postgres.run(
            "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        )
        return int(row[0][0])

    def await_stored(self) -> None:
        """Until all that was acknowledged before now is stored, and a window shows it."""
        now = self.server_now()
        rows = "SELECT max(head_clock) FROM archive_lines WHERE until IS NULL"
        await_that(lambda: (self.catalogue(rows)[0][0] or 0) > now)


@pytest.fixture(scope="module")
def archiving() -> Iterator[Archiving]:
    server = running_postgres()
    with installation_home() as home:
        installation = Archiving(home, {"HOLDFAST_DEAD": "3"})
        installation.postgres = server.database
        installation.start()
        try:
            yield installation
        finally:
            installation.end()
            server.stop()


def test_archives_an_attached_server(archiving: Archiving) -> None:
    archiving.attach()
    run = archiving.postgres.run
    answer = archiving.api.post(f"{archiving.addon}/archive", INTERVAL)
    assert answer.status == 409
    assert "ALTER SYSTEM SET max_slot_wal_keep_size" in answer.error["message"]
    run("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'")
    run("SELECT pg_reload_conf()")
    assert archiving.api.post(f"{archiving.addon}/archive", INTERVAL).data["enabled"]
    run("CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g")
    archiving.await_stored()
    window = await_that(lambda: _window(archiving))
    assert window["startTimestamp"] < window["endTimestamp"]


def _window(archiving: Archiving) -> dict[str, Any] | None:
    window = archiving.api.get(f"{archiving.addon}/pitr-window").data
    return window if window["hasValidWindow"] else None
