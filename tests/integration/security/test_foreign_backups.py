"""Backups that strangers could have shaped: restored without power, unless somebody vouches."""

from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from fixtures.attached import Attached, Own, attach
from fixtures.holdfast import Api, await_backup, await_restore, await_that, fresh

pytestmark = pytest.mark.sqlite_first

HEAD = "CREATE OR REPLACE FUNCTION f(a text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS "


@pytest.fixture
def hostile(own_postgres: Own, proof: Path) -> Iterator[Own]:
    """A database whose index runs a program for whoever makes it anew."""
    own = Own(own_postgres.postgres, own_postgres.postgres.create())
    run = f"$$BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch {proof}'''; END$$"
    evil = "$$BEGIN PERFORM public.g(); RETURN a; END$$"
    for statement in (
        f"CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS {run}",
        f"{HEAD} $$BEGIN RETURN a; END$$",
        "CREATE TABLE t (a text)",
        "INSERT INTO t VALUES ('x')",
        "CREATE INDEX ON t (f(a))",
        HEAD + evil,
    ):
        own.postgres.run(statement, own.database)
    yield own
    own.postgres.run(f"DROP DATABASE {own.database}")


@pytest.fixture
def target(api: Api, empty_postgres: Own) -> Attached:
    return attach(
        api, empty_postgres.postgres, api.project(), fresh("Addon"), empty_postgres.database
    )


def dump_of(api: Api, addon: Attached) -> str:
    made = api.post(f"{addon.path}/backups", {"backupType": "dump", "name": fresh("B")}).data
    await_backup(api, f"{addon.path}/backups/{made['id']}")
    return made["id"]


def ended(api: Api, target: Attached, started: Any) -> dict[str, Any]:
    def over() -> Any:
        restores = api.get(f"{target.path}/restores").data["restores"]
        restore = next(r for r in restores if r["id"] == started.data["restoreId"])
        return restore if restore["status"] not in ("scheduled", "in-progress") else None

    return await_that(over)


def from_elsewhere(source: Attached) -> dict[str, str]:
    return {"sourceProjectId": source.project, "sourceAddonId": source.addon}


def test_a_live_import_runs_nothing_with_power(
    api: Api, hostile: Own, target: Attached, proof: Path
) -> None:
    address = hostile.postgres.url(hostile.database)
    body = {"connectionString": address, "importAllDatabases": False}
    imported = api.post(f"{target.path}/import", body).data
    one = f"{target.path}/backups/{imported['id']}"
    await_backup(api, one)
    assert api.get(f"{one}/evidence").data["provenance"] == "foreign"
    restore = ended(api, target, api.post(f"{one}/restore"))
    assert restore["status"] == "failed"
    assert "privilege" in restore["reason"] or "permission denied" in restore["reason"]
    assert not proof.exists()


def test_another_projects_backup_runs_nothing_with_power(
    api: Api, hostile: Own, target: Attached, proof: Path
) -> None:
    source = attach(api, hostile.postgres, api.project(), fresh("Addon"), hostile.database)
    one = f"{target.path}/backups/{dump_of(api, source)}"
    query = from_elsewhere(source)
    restore = ended(api, target, api.post(f"{one}/restore", params=query))
    assert restore["status"] == "failed"
    assert "privilege" in restore["reason"] or "permission denied" in restore["reason"]
    assert not proof.exists()
    ended(api, target, api.post(f"{one}/restore", {"trusted": True}, params=query))
    assert proof.exists(), "this is what the restore before was kept from"


def test_another_projects_backup_comes_without_its_roles_until_somebody_vouches(
    api: Api, own_postgres: Own, target: Attached
) -> None:
    own = Own(own_postgres.postgres, own_postgres.postgres.create())
    role = f"clerk_{token_hex(4)}"
    for statement in (
        f"CREATE ROLE {role} LOGIN SUPERUSER",
        "CREATE TABLE ledger AS SELECT generate_series(1, 20) AS id",
        f"ALTER TABLE ledger OWNER TO {role}",
        "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$",
        "CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION watch()",
        f"ALTER DATABASE {own.database} SET work_mem = '7MB'",
        f"ALTER DATABASE {own.database} SET session_preload_libraries = 'auto_explain'",
    ):
        own.postgres.run(statement, own.database)
    source = attach(api, own.postgres, api.project(), fresh("Addon"), own.database)
    one = f"{target.path}/backups/{dump_of(api, source)}"
    query = from_elsewhere(source)

    restored = target.postgres
    known = f"SELECT count(*) FROM pg_roles WHERE rolname = '{role}'"
    owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'ledger'"
    settings = "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d"
    settings += f" ON d.oid = s.setdatabase WHERE datname = '{own.database}'"

    started = api.post(f"{one}/restore", params=query)
    await_restore(api, f"{source.path}/backups/{one.rpartition('/')[2]}", started.data["restoreId"])
    assert restored.run("SELECT count(*) FROM ledger", own.database) == [(20,)]
    assert restored.run(known) == [(0,)]
    assert restored.run(owner, own.database) == [("holdfast_imported",)]
    assert restored.run("SELECT count(*) FROM pg_event_trigger", own.database) == [(0,)]
    assert restored.run(settings) == [("work_mem=7MB",)]

    body = {"name": fresh("ci"), "role": "default", "projects": [source.project, target.project]}
    lesser = Api(api.url, api.post("/tokens", body).data["token"])
    refused = lesser.post(f"{one}/restore", {"trusted": True}, params=query)
    assert (refused.status, "restricted" in refused.error["message"]) == (403, True)

    ended(api, target, api.post(f"{one}/restore", {"trusted": True}, params=query))
    assert restored.run(known) == [(1,)]
    assert restored.run(owner, own.database) == [(role,)]
    assert restored.run("SELECT count(*) FROM pg_event_trigger", own.database) == [(1,)]
    restored.run(f"DROP DATABASE {own.database}")
    restored.run(f"DROP ROLE {role}")
    own.postgres.run(f"DROP DATABASE {own.database}")
    own.postgres.run(f"DROP ROLE {role}")


def test_a_backup_of_the_same_project_keeps_its_roles(
    api: Api, own_postgres: Own, empty_postgres: Own, attach_one: Callable[..., Attached]
) -> None:
    """People of one project trust each other."""
    source = attach_one()
    target = attach(
        api, empty_postgres.postgres, source.project, fresh("Addon"), empty_postgres.database
    )
    one = f"{target.path}/backups/{dump_of(api, source)}"
    started = api.post(f"{one}/restore", params=from_elsewhere(source))
    assert ended(api, target, started)["status"] == "completed"
    restore = started.data["restoreId"]
    lines = api.get(f"{one}/restores/{restore}/logs", **from_elsewhere(source)).data
    assert "strangers" not in str(lines)
    owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'things'"
    assert target.postgres.run(owner, own_postgres.database) != [("holdfast_imported",)]
