"""A restore that differs from its backup: it says how, and goes on when the person agrees."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from fixtures.attached import Attached, attach
from fixtures.bodies import ZSTD_DUMP
from fixtures.debian_postgres import Database, running_postgres
from fixtures.holdfast import OVER, Api, Server, await_backup, await_that, fresh

pytestmark = pytest.mark.sqlite_first

DEVIATING = """
CREATE FUNCTION allowed() RETURNS bool LANGUAGE sql AS
  $$ SELECT coalesce(current_setting('app.allowed', true), '') = 'yes' $$;
SET app.allowed = 'yes';
CREATE TABLE guarded (id int CHECK (allowed())); INSERT INTO guarded VALUES (1), (2), (3);
CREATE TABLE plain (id int PRIMARY KEY); INSERT INTO plain SELECT generate_series(1, 50);
CREATE TRUSTED LANGUAGE dialect HANDLER plpgsql_call_handler;
CREATE FUNCTION spoken() RETURNS int LANGUAGE dialect AS 'BEGIN RETURN 1; END';
"""
"""Rows that only a setting let in, and a language that pg_dump does not explain."""


@dataclass(frozen=True)
class Pair:
    """A backup of one server, to be restored into another."""

    api: Api
    target: Attached
    backup: str
    origin: dict[str, str]

    def restore(self, **choices: Any) -> dict[str, Any]:
        headers = {"idempotency-key": fresh("key")}
        path = f"{self.target.path}/backups/{self.backup}"
        begun = self.api.post(f"{path}/restore", choices, params=self.origin, headers=headers)
        return self.ended(begun.data["restoreId"])

    def ended(self, restore: str) -> dict[str, Any]:
        def over() -> Any:
            listed = self.api.get(f"{self.target.path}/restores").data["restores"]
            found = next(entry for entry in listed if entry["id"] == restore)
            return found if found["status"] in OVER else None

        return await_that(over)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Database, Database]]:
    source, target = running_postgres(), running_postgres()
    yield source.database, target.database
    source.stop()
    target.stop()


@pytest.fixture
def pair(api: Api, servers: tuple[Database, Database]) -> Iterator[Pair]:
    source, target = servers
    database = source.create()
    source.run(DEVIATING, database)
    target.run(f"CREATE DATABASE {database}")
    target.run("CREATE TABLE old (id int)", database)
    project = api.project()
    taken = attach(api, source, project, fresh("Source"), database)
    body = {"name": fresh("Deviating"), **ZSTD_DUMP}
    backup = api.post(f"{taken.path}/backups", body).data["id"]
    await_backup(api, f"{taken.path}/backups/{backup}")
    origin = {"sourceProjectId": project, "sourceAddonId": taken.addon}
    yield Pair(api, attach(api, target, project, fresh("Target"), database), backup, origin)
    for server in servers:
        server.run(f"DROP DATABASE {database} WITH (FORCE)")


def tables(pair: Pair) -> set[str]:
    query = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'"
    return {name for (name,) in pair.target.postgres.run(query, pair.target.database)}


def test_differences_are_shown_and_the_person_decides(
    pair: Pair, server: Server, fresh_holdfast: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = pair.restore()
    assert seen["status"] == "failed"
    assert len(seen["report"]["differences"]) == 1, seen
    (difference,) = seen["report"]["differences"]
    assert "guarded: 3 rows dumped, 0 restored" in difference
    assert "spoken" in " ".join(seen["report"]["skipped"])
    for option in ("--accept-differences", "--skip-failed-objects"):
        assert option in seen["reason"]
    assert tables(pair) == {"old"}

    only_accepted = pair.restore(acceptDifferences=[difference])
    assert (only_accepted["status"], "spoken" in only_accepted["reason"]) == ("failed", True)
    another = pair.restore(acceptDifferences=["table public.guarded: 1"], skipFailedObjects=True)
    assert (another["status"], difference in another["reason"]) == ("failed", True)
    assert tables(pair) == {"old"}

    monkeypatch.setenv("HOLDFAST_TOKEN", server.token)
    monkeypatch.setenv("HOLDFAST_HOST", server.url)
    where = ("-p", pair.target.project, "-a", pair.target.addon)
    origin = ("--from-addon", pair.origin["sourceAddonId"])
    chosen = ("--accept-differences", "--skip-failed-objects", "-y", "--wait")
    words = ("restore", "create", "-b", pair.backup, *where, *origin, *chosen)
    ran = fresh_holdfast(*words)
    assert (ran.status, difference in ran.err) == (0, True), ran
    agreed = pair.api.get(f"{pair.target.path}/restores").data["restores"][0]
    assert agreed["status"] == "completed", agreed
    assert agreed["report"]["differences"] == [difference]
    assert agreed["report"]["skipped"] == seen["report"]["skipped"]
    assert agreed["oldDataUntil"] > agreed["completedAt"]
    assert tables(pair) == {"guarded", "plain"}
    rows = pair.target.postgres.run("SELECT count(*) FROM plain", pair.target.database)
    assert rows == [(50,)]

    path = f"{pair.target.path}/backups/{pair.backup}"
    undone = pair.api.post(
        f"{path}/undo-restore", {"restoreId": agreed["id"]}, params=pair.origin
    ).data["restoreId"]
    assert pair.ended(undone)["status"] == "completed"
    assert tables(pair) == {"old"}
    left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'holdfast\\_%'"
    assert pair.target.postgres.run(left) == [(0,)]
