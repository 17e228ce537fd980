"""Imports through the official clients, and that a fork is what was backed up."""

import gzip
import json
import subprocess

import pytest

from fixtures.attached import ROWS, Attached, Own, attach
from fixtures.bodies import BILLING
from fixtures.holdfast import Api, await_backup, await_restore, await_that, fresh
from fixtures.offered import Offered
from fixtures.official import JsClient, OfficialCli

pytestmark = pytest.mark.sqlite_first


@pytest.fixture
def target(api: Api, empty_postgres: Own) -> Attached:
    where = (api.project(), fresh("Addon"))
    return attach(api, empty_postgres.postgres, *where, empty_postgres.database)


def test_a_dump_is_fetched_and_restored(
    js: JsClient, api: Api, target: Attached, own_postgres: Own, offered: Offered
) -> None:
    """B8 by address: the library stores it, a second call restores it."""
    program = own_postgres.postgres.bin_dir / "pg_dump"
    address = own_postgres.postgres.url(own_postgres.database)
    dumped = subprocess.run([program, address], capture_output=True, check=True).stdout
    url = offered.offer("/shop.sql.gz", gzip.compress(dumped))
    body = {"name": "From Js", "importUrl": url}
    made = js.data("import.addon.backup", parameters=target.place, data=body)
    assert made["config"]["source"]["type"] == "externalDump"
    await_backup(api, f"{target.path}/backups/{made['id']}")
    at = {**target.place, "backupId": made["id"]}
    started = js.data("restore.addon.backup", parameters=at)["restoreId"]
    await_restore(api, f"{target.path}/backups/{made['id']}", started)
    assert len(target.rows()) == ROWS
    assert js.data("get.addon.backup.download", parameters=at)["downloadLink"].startswith("http")


def test_a_file_is_fetched_over_the_command_line(
    cli: OfficialCli, api: Api, target: Attached, own_postgres: Own, offered: Offered
) -> None:
    program = own_postgres.postgres.bin_dir / "pg_dump"
    address = own_postgres.postgres.url(own_postgres.database)
    dumped = subprocess.run([program, "-Fc", address], capture_output=True, check=True).stdout
    order = json.dumps({"name": "From afar", "importUrl": offered.offer("/shop.dump", dumped)})
    at = ("--projectId", target.project, "--addonId", target.addon)
    made = cli("import", "addon", "backup", *at, "-i", order, "-o", "json").json
    backup = await_backup(api, f"{target.path}/backups/{made['id']}")
    assert backup["config"]["source"] == {"type": "externalDump"}


def test_a_live_server_is_imported(
    js: JsClient, api: Api, target: Attached, own_postgres: Own
) -> None:
    """B8 by connection string: dumped by the first call, loaded by the second."""
    address = own_postgres.postgres.url(own_postgres.database)
    body = {"name": "From Js", "connectionString": address, "importAllDatabases": False}
    made = js.data("import.addon.backup", parameters=target.place, data=body)
    one = f"{target.path}/backups/{made['id']}"
    assert await_backup(api, one)["config"]["source"] == {"type": "liveInstance"}
    at = {**target.place, "backupId": made["id"]}
    await_restore(api, one, js.data("restore.addon.backup", parameters=at)["restoreId"])
    rows = target.postgres.run("SELECT count(*) FROM things", own_postgres.database)
    assert rows == [(ROWS,)]


@pytest.mark.slow
def test_a_live_server_is_imported_over_the_command_line(
    cli: OfficialCli, api: Api, target: Attached, own_postgres: Own
) -> None:
    at = ("--projectId", target.project, "--addonId", target.addon)
    address = own_postgres.postgres.url(own_postgres.database)
    order = json.dumps({"name": "From the cli", "connectionString": address})
    made = cli("import", "addon", "backup", *at, "-i", order, "-o", "json").json
    backup = await_backup(api, f"{target.path}/backups/{made['id']}")
    assert backup["config"]["source"] == {"type": "liveInstance"}
    both = json.dumps({"connectionString": address, "importUrl": "http://a.example/b"})
    refused = cli("import", "addon", "backup", *at, "-i", both)
    assert (refused.status, "exactly one of" in refused.err) == (1, True)


def test_an_addon_is_forked(js: JsClient, api: Api, attached: Attached, backup: str) -> None:
    body = {
        "name": fresh("Fork"),
        "type": "postgresql",
        "version": "15-latest",
        "billing": BILLING,
        "source": {"addonId": attached.addon, "backupId": backup},
    }
    place = {"projectId": attached.project}
    made = js.data("create.addon", parameters=place, data=body)
    at = {**place, "addonId": made["id"]}

    def restored() -> bool:
        (found,) = js.data("get.addon.restores", parameters=at)["restores"]
        assert found["status"] not in ("failed", "not-supported"), found
        return found["status"] == "completed"

    await_that(restored)
    assert js.data("get.addon", parameters=at)["status"] == "running"
    assert js.data("delete.addon", parameters=at) == {}
