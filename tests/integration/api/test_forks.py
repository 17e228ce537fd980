"""Addons that begin with a backup: of a dump or a snapshot, from elsewhere, from what is gone."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fixtures.attached import Attached
from fixtures.bodies import BILLING
from fixtures.debian_postgres import run_sql
from fixtures.holdfast import Api, Server, await_backup, await_that, fresh
from fixtures.installation import Installation, installation_home, postgres_uri, running, sql
from fixtures.postgres import TOOLS
from integration.api.test_managed import await_running

pytestmark = pytest.mark.sqlite_first


def managed(api: Api, project: str, **more: Any) -> str:
    body = {"name": fresh("Addon"), "type": "postgresql", "version": "15-latest"}
    made = api.post(f"/projects/{project}/addons", {**body, "billing": BILLING, **more}).data
    return f"/projects/{project}/addons/{made['id']}"


def await_fork(api: Api, path: str) -> dict[str, Any]:
    """Its restore, once it is over."""

    def over() -> Any:
        (found,) = api.get(f"{path}/restores").data["restores"]
        return found if found["status"] not in ("scheduled", "in-progress") else None

    found = await_that(over)
    assert found["status"] == "completed", found
    await_running(api, path)
    return found


@pytest.fixture(scope="module")
def source(server: Server) -> Iterator[dict[str, Any]]:
    """An addon with a dump and a snapshot of its rows, and a newer row that is in neither."""
    api = server.api()
    project = api.project()
    path = managed(api, project, customCredentials={"dbName": "shop"})
    await_running(api, path)
    sql(api, path, "CREATE TABLE things AS SELECT generate_series(1, 100) AS id")
    made = {"path": path, "project": project, "addon": path.rpartition("/")[2]}
    for kind in ("snapshot", "dump"):
        order = {"backupType": kind, "name": f"A {kind}"}
        started = api.post(f"{path}/backups", order).data
        made[kind] = await_backup(api, f"{path}/backups/{started['id']}")
    sql(api, path, "INSERT INTO things VALUES (101)")
    yield made
    api.delete(path)


def test_a_fork_of_the_latest_is_independent(api: Api, source: dict[str, Any]) -> None:
    wanted = {"projectId": source["project"], "addonId": source["addon"], "backupId": "latest"}
    fork = managed(api, api.project(), source=wanted)
    restored = await_fork(api, fork)
    assert restored["backupId"] == source["dump"]["id"]
    assert api.get(fork).data["source"] == wanted
    assert counted(api, fork) == 100
    in_shop(api, fork, "DELETE FROM things")
    assert counted(api, source["path"]) == 101

    api.post(f"{fork}/reset")  # a fork begins again where it began
    await_that(lambda: len(api.get(f"{fork}/restores").data["restores"]) == 2)
    await_that(lambda: api.get(f"{fork}/restores").data["restores"][0]["status"] == "completed")
    assert counted(api, fork) == 100
    api.delete(fork)


def in_shop(api: Api, path: str, statement: str) -> Any:
    """In the database that came with the backup, whatever the fork's own is called."""
    return run_sql(f"{postgres_uri(api, path).rpartition('/')[0]}/shop", statement)


def counted(api: Api, path: str) -> int:
    return in_shop(api, path, "SELECT count(*) FROM things")[0][0]


def test_a_fork_of_a_snapshot(api: Api, source: dict[str, Any]) -> None:
    fork = managed(api, source["project"], source={"backupUid": source["snapshot"]["uid"]})
    await_fork(api, fork)
    assert counted(api, fork) == 100
    api.delete(fork)


def test_a_fork_outlives_what_it_came_from(api: Api) -> None:
    project = api.project()
    path = managed(api, project, customCredentials={"dbName": "shop"})
    await_running(api, path)
    sql(api, path, "CREATE TABLE things AS SELECT generate_series(1, 5) AS id")
    made = api.post(f"{path}/backups", {"backupType": "dump"}).data
    await_backup(api, f"{path}/backups/{made['id']}")
    api.delete(path)
    await_that(lambda: api.get(path).status == 404)
    named = {"addonId": path.rpartition("/")[2], "backupId": made["id"]}
    fork = managed(api, project, source=named)
    await_fork(api, fork)
    assert counted(api, fork) == 5
    api.delete(fork)


def test_what_does_not_fit_is_refused_before_anything_is_made(
    api: Api, source: dict[str, Any], token_of: Callable[..., Api], attached: Attached
) -> None:
    project, here = api.project(), {"addonId": source["addon"], "projectId": source["project"]}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"addonId": source["addon"]}, "source"),
        ({"backupUid": source["dump"]["uid"], "addonId": "x"}, "source"),
        ({"backupUid": "not-a-uid"}, "source.backupUid"),
        ({"backupUid": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}, "source.backupUid"),
        ({**here, "backupId": "nope"}, "source.backupId"),
        ({**here, "addonId": "nope", "backupId": "latest"}, "source.addonId"),
        ({**here, "projectId": "nope", "backupId": "latest"}, "source.addonId"),
        ({**here, "backupId": "latest", "colour": "blue"}, "source.colour"),
    ]
    for value, field in wrong:
        body = {"name": fresh("Addon"), "type": "postgresql", "billing": BILLING, "source": value}
        answer = api.post(f"/projects/{project}/addons", body)
        assert (answer.status, list(answer.details)) == (400, [field]), value
    elsewhere = token_of("owner", projects=[project])
    hidden = {"name": fresh("Addon"), "type": "postgresql", "billing": BILLING}
    hidden["source"] = {"backupUid": source["dump"]["uid"]}
    answer = elsewhere.post(f"/projects/{project}/addons", hidden)
    assert (answer.status, list(answer.details)) == (400, ["source.backupUid"])
    assert api.get(f"/projects/{project}/addons").data["addons"] == []


@pytest.fixture(scope="module")
def majors(postgres_engine: object) -> Iterator[Server]:
    """An installation that finds servers of every major."""
    del postgres_engine  # it has installed them
    with (
        installation_home() as home,
        running(Installation(home, {"HOLDFAST_TOOLS_DIR": str(TOOLS)})) as installation,
    ):
        yield installation.server


@pytest.mark.slow
def test_dumps_go_into_the_same_major_or_a_newer_one_and_snapshots_into_the_same(
    majors: Server,
) -> None:
    api = majors.api()
    project = api.project()
    path = managed(api, project, version="15-latest", customCredentials={"dbName": "shop"})
    await_running(api, path)
    sql(api, path, "CREATE TABLE things AS SELECT generate_series(1, 7) AS id")
    uids = {}
    for kind in ("snapshot", "dump"):
        made = api.post(f"{path}/backups", {"backupType": kind, "name": f"A {kind}"}).data
        uids[kind] = await_backup(api, f"{path}/backups/{made['id']}")["uid"]
    for kind, major in (("dump", 14), ("snapshot", 14), ("snapshot", 16)):
        body = {"name": fresh("Addon"), "type": "postgresql", "version": f"{major}-latest"}
        body |= {"billing": BILLING, "source": {"backupUid": uids[kind]}}
        answer = api.post(f"/projects/{project}/addons", body)
        assert (answer.status, list(answer.details)) == (400, ["version"]), (kind, major)
        assert f"a {kind} of 15." in answer.error["message"]
    fork = managed(api, project, version="16-latest", source={"backupUid": uids["dump"]})
    await_fork(api, fork)
    assert api.get(fork).data["spec"]["config"]["versionTag"].startswith("16.")
    assert counted(api, fork) == 7
    for each in (fork, path):
        api.delete(each)
