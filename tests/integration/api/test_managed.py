"""A managed addon: provisioned, backed up, paused, resumed, reset, and removed with its data."""

from collections.abc import Iterator

import psycopg
import pytest

from fixtures.bodies import BILLING
from fixtures.holdfast import Api, Server, await_backup, await_restore, await_that
from fixtures.installation import sql

ON_NVME = {**BILLING, "storageClass": "nvme"}


def status(api: Api, path: str) -> str:
    return api.get(path).data["status"]


def await_running(api: Api, path: str) -> None:
    await_that(lambda: status(api, path) == "running")


@pytest.fixture(scope="module")
def managed(server: Server) -> Iterator[str]:
    """Its path; the tests below follow one server through its life, in order."""
    api = server.api()
    body = {
        "name": "Managed one",
        "type": "postgresql",
        "version": "15-latest",
        "billing": ON_NVME,
        "customCredentials": {"dbName": "shop"},
        "tlsEnabled": False,
        "stageId": "ignored",
    }
    project = api.project()
    made = api.post(f"/projects/{project}/addons", body).data
    assert (made["managed"], made["billing"]) == (True, ON_NVME)
    path = f"/projects/{project}/addons/{made['id']}"
    assert status(api, path) in ("preDeployment", "allocating", "postDeployment", "running")
    await_running(api, path)
    yield path
    if api.get(path).status == 200:
        api.delete(path)


def test_it_runs_with_the_database_asked_for(api: Api, managed: str) -> None:
    assert sql(api, managed, "SELECT current_database()") == [("shop",)]
    version = api.get(f"{managed}/version").data
    assert version["version"].startswith("15.")
    assert version["lifecycleStatus"] == "active"
    (container,) = api.get(f"{managed}/containers").data["containers"]
    assert container["status"] == "TASK_RUNNING"
    assert isinstance(container["createdAt"], int)
    assert container["createdAt"] < 10**11, "seconds, not milliseconds"
    lines = api.get(f"{managed}/logs").data
    assert any("ready to accept connections" in line["log"] for line in lines)
    assert {line["containerId"] for line in lines} == {container["name"]}
    named = api.get(f"{managed}/logs", containerName="another")
    assert named.data == []


def test_it_is_backed_up_and_restored(api: Api, managed: str) -> None:
    sql(api, managed, "CREATE TABLE orders AS SELECT generate_series(1, 100) AS id")
    made = api.post(f"{managed}/backups", {"name": "Shop", "backupType": "dump"}).data["id"]
    one = f"{managed}/backups/{made}"
    await_backup(api, one)
    sql(api, managed, "DROP TABLE orders")
    await_restore(api, one, api.post(f"{one}/restore").data["restoreId"])
    assert sql(api, managed, "SELECT count(*) FROM orders") == [(100,)]


def test_versions_that_make_no_sense_are_refused(api: Api, managed: str) -> None:
    for body in ({}, {"version": "99"}, {"version": "15.0"}, {"version": 15}, {"versio": "15"}):
        assert api.post(f"{managed}/version", body).status == 400
    refused = api.patch(managed, {"connectionString": "postgresql://a:b@127.0.0.1:1/x"})
    assert (refused.status, list(refused.details)) == (400, ["connectionString"])


def test_pause_resume_restart(api: Api, managed: str) -> None:
    assert api.post(f"{managed}/resume").status == 409
    assert api.post(f"{managed}/pause").data == {}
    await_that(lambda: status(api, managed) == "paused")
    with pytest.raises(psycopg.OperationalError):
        sql(api, managed, "SELECT 1")
    assert api.post(f"{managed}/pause").status == 409
    assert api.post(f"{managed}/restart").status == 409
    assert api.post(f"{managed}/resume", content=b"null").data == {}
    await_running(api, managed)
    assert sql(api, managed, "SELECT count(*) FROM orders") == [(100,)]
    began = sql(api, managed, "SELECT pg_postmaster_start_time()")
    assert api.post(f"{managed}/restart").data == {}

    def restarted() -> bool:
        try:
            return sql(api, managed, "SELECT pg_postmaster_start_time()") != began
        except psycopg.OperationalError:
            return False

    await_that(restarted)
    await_running(api, managed)


def test_a_reset_wipes_it_and_keeps_the_address(api: Api, managed: str) -> None:
    before = api.get(f"{managed}/credentials").data
    assert api.post(f"{managed}/reset").data == {}
    await_that(lambda: status(api, managed) != "resetting")
    await_running(api, managed)
    assert api.get(f"{managed}/credentials").data == before

    def wiped() -> bool:
        try:
            return sql(api, managed, "SELECT to_regclass('orders')") == [(None,)]
        except psycopg.OperationalError:
            return False

    await_that(wiped)


def test_deleting_it_stops_the_server_and_keeps_the_backups(
    server: Server, api: Api, managed: str
) -> None:
    uri = api.get(f"{managed}/credentials").data["secrets"]["POSTGRES_URI"]
    assert api.delete(managed).data == {}
    assert api.get(managed).status == 404

    def gone() -> bool:
        try:
            with psycopg.connect(uri):
                return False
        except psycopg.OperationalError:
            return True

    await_that(gone)
    port = uri.rpartition(":")[2].partition("/")[0]
    await_that(lambda: not list(server.data_dir.glob(f"addons/*/data/.s.PGSQL.{port}*")))
    password = uri.split(":")[2].split("@")[0]
    assert password not in server.log.read_text()
