"""Every call of the official JavaScript client that Holdfast answers, against a running one."""

import re
import shutil
from typing import Any

import pytest

from fixtures.attached import Attached, Own
from fixtures.bodies import ZSTD_DUMP
from fixtures.holdfast import Api, await_backup, await_restore, await_that, fresh
from fixtures.official import JsClient

pytestmark = pytest.mark.sqlite_first

HEX24 = re.compile("[0-9a-f]{24}")


def test_projects(js: JsClient) -> None:
    name = fresh("Js")
    made = js.data("create.project", data={"name": name, "description": "From JavaScript"})
    place = {"projectId": made["id"]}
    assert js.data("get.project", parameters=place)["name"] == name
    assert js.data("put.project", data={"name": name, "description": "Put"})["id"] == made["id"]
    js.data("patch.project", parameters=place, data={"description": "Patched"})
    assert js.data("get.project", parameters=place)["description"] == "Patched"
    listed = js.data("list.projects", options={"per_page": 1})["projects"]
    assert listed[0]["id"] == made["id"]
    assert js.data("delete.project", parameters=place) == {}
    assert js.call("get.project", parameters=place)["error"]["status"] == 404


def test_addon_types_tell_the_truth(js: JsClient) -> None:
    kinds = {kind["type"]: kind for kind in js.data("get.addon.types")["addonTypes"]}
    dumps = {name: kind["features"]["backupsDump"] for name, kind in kinds.items()}
    assert dumps == {
        "mongodb": True,
        "mysql": True,
        "postgresql": True,
        "redis": False,
        "sqlite": True,
    }
    runs = bool(kinds.pop("mongodb")["versions"])  # its server is no package of this machine
    assert runs == (shutil.which("mongod") is not None)
    for kind in kinds.values():
        assert kind["features"]["backupsSnapshot"] is True
        assert kind["versions"]


def test_addons(js: JsClient, api: Api, attached: Attached) -> None:
    listed = js.data("list.addons", parameters={"projectId": attached.project})["addons"]
    assert [addon["id"] for addon in listed] == [attached.addon]
    shown = js.data("get.addon", parameters=attached.place)
    assert shown["spec"]["type"] == "postgresql"
    patched = js.data("patch.addon", parameters=attached.place, data={"description": "Mine"})
    assert patched["description"] == "Mine"
    secrets = js.data("get.addon.credentials", parameters=attached.place)["secrets"]
    assert secrets["PASSWORD"] == attached.postgres.password
    assert js.data("get.addon.version", parameters=attached.place)["upgradeTo"] == []
    assert js.data("get.addon.containers", parameters=attached.place)["containers"] == []
    for verb in ("pause.addon", "resume.addon", "restart.addon", "reset.addon"):
        assert js.call(verb, parameters=attached.place)["error"]["status"] == 409
    assert js.data("delete.addon", parameters=attached.place) == {}
    assert attached.rows(), "the user's database was touched"


def test_a_dump_and_its_restore(
    js: JsClient, api: Api, attached: Attached, empty_postgres: Own
) -> None:
    """B1 to B7 and R1 to R4, end to end: the data is there afterwards."""
    order = {"name": "Js dump", **ZSTD_DUMP}
    made = js.data("backup.addon", parameters=attached.place, data=order)
    assert (made["id"], made["status"]) == ("js-dump", "scheduled")
    at = {**attached.place, "backupId": made["id"]}
    events = js.tail("get.addon.backup.logTail", parameters=at)
    assert [event["name"] for event in events][-1] == "close"
    assert not [event for event in events if event["name"] == "error"]
    lines = [line["log"] for e in events if e["name"] == "logs-received" for line in e["data"]]
    assert lines[-1] == "completed"

    shown = js.data("get.addon.backup", parameters=at)
    assert shown["status"] == "completed"
    assert shown["config"]["compressionType"] == "zstd"
    assert int(shown["config"]["size"]) > 0
    logs = js.data("get.addon.backup.logs", parameters=at)
    assert [line["log"] for line in logs][-1] == "completed"
    assert js.data("retain.addon.backup", parameters=at) == {}
    assert js.data("get.addon.backup.download", parameters=at)["downloadLink"].startswith("http")

    before = attached.rows()
    attached.postgres.run("DELETE FROM things WHERE id > 10", attached.database)
    restore = js.data("restore.addon.backup", parameters=at)["restoreId"]
    assert HEX24.fullmatch(restore)
    path = f"{attached.path}/backups/{made['id']}"
    await_restore(api, path, restore)
    assert attached.rows() == before

    (listed,) = js.data("get.addon.backup.restores", parameters=at)["restores"]
    assert (listed["id"], listed["backupId"]) == (restore, made["id"])
    (listed,) = js.data("get.addon.restores", parameters=attached.place)["restores"]
    assert listed["status"] == "completed"
    logs = js.data("get.addon.restores.logs", parameters={**at, "restoreId": restore})
    assert [line["log"] for line in logs][-1] == "completed"
    over = js.call("abort.addon.restore", parameters=at, data={"restoreId": restore})
    assert over["error"]["status"] == 409
    assert js.call("abort.addon.backup", parameters=at)["error"]["status"] == 409

    _restore_elsewhere(js, api, attached, empty_postgres, made["id"])

    assert js.call("delete.backup", parameters=at)["error"]["status"] == 409, "the last good one"
    other = js.data("backup.addon", parameters=attached.place, data={"backupType": "dump"})
    await_backup(api, f"{attached.path}/backups/{other['id']}")
    assert js.data("delete.backup", parameters=at) == {}
    assert js.call("get.addon.backup", parameters=at)["error"]["status"] == 404


def _restore_elsewhere(js: JsClient, api: Api, source: Attached, own: Own, backup: str) -> None:
    """Into another project's addon, on another server."""
    project = api.project()
    address = own.postgres.url(own.database)
    body = {"name": "Target", "type": "postgresql", "connectionString": address}
    target = js.data("create.addon", parameters={"projectId": project}, data=body)
    at = {"projectId": project, "addonId": target["id"], "backupId": backup}
    origin = {"sourceProjectId": source.project, "sourceAddonId": source.addon}
    started = js.data("restore.addon.backup", parameters=at, options=origin)["restoreId"]
    path = f"/projects/{project}/addons/{target['id']}/backups/{backup}"
    await_restore(api, path, started, **origin)
    assert own.postgres.run("SELECT count(*) FROM things", source.database) == [(500,)]
    events = js.tail("get.addon.restores.logTail", parameters={**at, "restoreId": started})
    assert events[-1]["name"] == "close", "the client's tail does not send where a backup is from"
    listed = js.data("get.addon.backup.restores", parameters=at, options=origin)["restores"]
    assert listed[0]["id"] == started


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {}}])
def test_a_backup_without_a_body(js: JsClient, attached: Attached, data: dict[str, Any]) -> None:
    made = js.data("backup.addon", parameters=attached.place, **data)
    assert made["backupType"] == "snapshot"


def test_pages_end_and_give_the_union(js: JsClient, api: Api, attached: Attached) -> None:
    """Acceptance check 3."""
    wanted = []
    for number in range(5):
        made = api.post(f"{attached.path}/backups", {"name": f"page {number}"}).data
        wanted.insert(0, made["id"])

    def ids(data: Any) -> list[str]:
        return [each["id"] for each in data["backups"]]

    for options in ({"per_page": 2}, {"per_page": 2, "page": 1}, {}):
        joined = js.all("get.addon.backups", parameters=attached.place, options=options)
        assert ids(joined) == wanted
    pages = js.pages("get.addon.backups", parameters=attached.place, options={"per_page": 2})
    assert [len(ids(page["data"])) for page in pages] == [2, 2, 1]
    assert "cursor" not in pages[-1]["pagination"]
    empty = {"projectId": api.project()}
    assert js.all("list.addons", parameters=empty) == {"addons": []}


def test_below_a_team(make_js: Any, js: JsClient, attached: Attached) -> None:
    """What the client asks with a team, and what it asks without one although it has one."""
    team = {**attached.place, "teamId": "my-team"}
    answer = js.call("get.addon.backups", parameters=team)
    assert "/teams/my-team/" in answer["url"]
    assert answer["data"] == {"backups": []}
    made = js.data("backup.addon", parameters=team, data={"backupType": "dump"})
    at = {**team, "backupId": made["id"]}
    events = js.tail("get.addon.backup.logTail", parameters=at)
    assert not [event for event in events if event["name"] == "error"]
    assert events[-1]["name"] == "close"


def test_a_host_with_a_trailing_slash(make_js: Any, attached: Attached, api: Api) -> None:
    slashed = make_js(host=f"{api.url}/")
    answer = slashed.call("get.addon", parameters=attached.place)
    assert "//v1/" in answer["url"]
    assert answer["data"]["id"] == attached.addon


def test_a_wrong_token(make_js: Any, attached: Attached) -> None:
    """Acceptance check 8, first half: the tail says so, too."""
    stranger = make_js(token="hft_nobody")
    assert stranger.call("list.projects")["error"]["status"] == 401
    at = {**attached.place, "backupId": "none"}
    events = stranger.tail("get.addon.backup.logTail", parameters=at)
    assert "unknown, expired or revoked" in str(events[-1])


def test_errors_carry_a_sentence(js: JsClient, attached: Attached) -> None:
    error = js.call("backup.addon", parameters=attached.place, data={"name": "a", "x": 1})["error"]
    assert error["status"] == 400
    assert "name" in error["message"]
    assert error["details"].keys() == {"name", "x"}


def test_an_abort(js: JsClient, api: Api, attached: Attached) -> None:
    """Two at once: the second waits for the first, so there is time to abort it."""
    path = f"{attached.path}/backups"
    first = js.data("backup.addon", parameters=attached.place, data={"backupType": "dump"})
    order = {"backupType": "dump", "name": "second"}
    second = js.data("backup.addon", parameters=attached.place, data=order)
    at = {**attached.place, "backupId": second["id"]}
    assert js.data("abort.addon.backup", parameters=at) == {}
    await_backup(api, f"{path}/{second['id']}", "aborted")
    await_backup(api, f"{path}/{first['id']}")


def test_logs_of_an_attached_addon_are_not_ours(js: JsClient, attached: Attached) -> None:
    assert js.data("get.addon.logs", parameters=attached.place) == []


def test_destinations(js: JsClient, api: Api, s3_server: Any, attached: Attached) -> None:
    """D1 to D6."""
    name = fresh("Js Offsite")
    credentials = s3_server.credentials(s3_server.bucket())
    body = {"name": name, "type": "s3", "prefix": "js/", "credentials": credentials}
    made = js.data("add.backupDestination", data=body)
    at = {"backupDestinationId": made["id"]}
    assert js.data("get.backupDestination", parameters=at)["credentials"] == credentials
    by_name = js.data("get.backupDestination", parameters={"backupDestinationId": name})
    assert by_name["id"] == made["id"]
    listed = js.all("list.backupDestinations")["backupDestinations"]
    mine = next(each for each in listed if each["id"] == made["id"])
    assert mine["credentials"]["secretKey"] == "********"
    assert js.data("patch.backupDestination", parameters=at, data={"description": "New"}) == {}

    backups = []
    for number in range(2):
        order = {
            "backupType": "dump",
            "name": f"offsite {number}",
            "customDestinationId": made["id"],
        }
        backups.append(js.data("backup.addon", parameters=attached.place, data=order)["id"])
    for backup in backups:
        await_backup(api, f"{attached.path}/backups/{backup}")
    stored = js.data("list.backupDestinationsBackups", parameters=at)
    assert [each["id"] for each in stored] == backups[::-1]
    assert stored[0]["addon"]["id"] == attached.addon
    assert stored[0]["config"]["source"] == {"type": "global"}
    assert js.all("list.backupDestinationsBackups", parameters=at) == stored
    assert js.call("delete.backupDestination", parameters=at)["error"]["status"] == 409
    elsewhere = js.data("backup.addon", parameters=attached.place, data={"backupType": "dump"})
    await_backup(api, f"{attached.path}/backups/{elsewhere['id']}")
    for backup in backups:
        js.data("delete.backup", parameters={**attached.place, "backupId": backup})
    await_that(lambda: js.call("delete.backupDestination", parameters=at).get("data") == {})
