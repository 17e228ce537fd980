"""The official clients on snapshots, which are their default: made, listed, restored, aborted."""

import json
from collections.abc import Iterator

import pytest

from fixtures.bodies import BILLING
from fixtures.holdfast import Server, await_backup, await_restore, await_that, fresh
from fixtures.official import JsClient, ManagedAddon, OfficialCli

pytestmark = pytest.mark.sqlite_first


class Addon(ManagedAddon):
    def require(self, state: str) -> None:
        assert self.sql("SELECT now FROM state") == [(state,)]


@pytest.fixture(scope="module")
def addon(server: Server, js: JsClient) -> Iterator[Addon]:
    api = server.api()
    project = api.project()
    body = {"name": fresh("Snap"), "type": "postgresql", "version": "15-latest", "billing": BILLING}
    made = js.data("create.addon", parameters={"projectId": project}, data=body)
    found = Addon(api, {"projectId": project, "addonId": made["id"]})
    await_that(lambda: api.get(found.path).data["status"] == "running")
    found.sql("CREATE TABLE state AS SELECT 'snapshot' AS now")
    yield found
    api.delete(found.path)


def test_the_javascript_client_makes_and_restores_one(js: JsClient, addon: Addon) -> None:
    made = js.data("backup.addon", parameters=addon.place, data={"name": "Js snap"})
    assert (made["id"], made["backupType"]) == ("js-snap", "snapshot")
    at = {**addon.place, "backupId": made["id"]}
    await_backup(addon.api, f"{addon.path}/backups/js-snap")
    shown = js.data("get.addon.backup", parameters=at)
    assert (shown["status"], shown["config"]["source"]) == ("completed", {"type": "snapshot"})
    assert int(shown["config"]["size"]) > 20_000_000
    listed = js.all("get.addon.backups", parameters=addon.place)["backups"]
    assert [each["id"] for each in listed] == ["js-snap"]
    refused = js.call("get.addon.backup.download", parameters=at)["error"]
    assert refused["status"] == 409

    addon.sql("UPDATE state SET now = 'later'")
    restore = js.data("restore.addon.backup", parameters=at)["restoreId"]
    events = js.tail("get.addon.restores.logTail", parameters={**at, "restoreId": restore})
    assert events[-1]["name"] == "close"
    await_restore(addon.api, f"{addon.path}/backups/js-snap", restore)
    addon.require("snapshot")
    for call, place in (("get.addon.backup.restores", at), ("get.addon.restores", addon.place)):
        (one,) = js.data(call, parameters=place)["restores"]
        assert (one["id"], one["backupId"], one["status"]) == (restore, "js-snap", "completed")
    assert js.data("get.addon.backup", parameters=at)["lastRestore"]["status"] == "completed"
    over = js.call("abort.addon.restore", parameters=at, data={"restoreId": restore})
    assert over["error"]["status"] == 409


def test_the_javascript_client_aborts_a_restore_of_one(js: JsClient, addon: Addon) -> None:
    """It waits for a backup that is being made, so there is time to. The backup is another one
    than before: a restore asked for twice within ten seconds is one restore."""
    js.data("backup.addon", parameters=addon.place, data={"name": "Second"})
    await_backup(addon.api, f"{addon.path}/backups/second")
    at = {**addon.place, "backupId": "second"}
    addon.sql("UPDATE state SET now = 'later'")
    gentle = {"name": fresh("Gentle"), "maxRate": 4096}
    busy = addon.api.post(f"{addon.path}/backups", gentle).data["id"]
    path = f"{addon.path}/backups/{busy}"
    await_that(lambda: addon.api.get(path).data["status"] == "in-progress")
    restore = js.data("restore.addon.backup", parameters=at)["restoreId"]
    assert js.data("abort.addon.restore", parameters=at, data={"restoreId": restore}) == {}
    assert js.data("abort.addon.backup", parameters={**addon.place, "backupId": busy}) == {}
    await_backup(addon.api, path, "aborted")
    newest = js.data("get.addon.restores", parameters=addon.place)["restores"][0]
    assert (newest["id"], newest["status"]) == (restore, "aborted")
    addon.require("later")
    assert js.data("get.addon.backup", parameters=at)["lastRestore"]["status"] == "aborted"


def test_the_command_line_aborts_both(cli: OfficialCli, addon: Addon) -> None:
    """The restore waits for the backup, which is gentle."""
    gentle = {"name": fresh("Gentle"), "maxRate": 4096}
    busy = addon.api.post(f"{addon.path}/backups", gentle).data["id"]
    path = f"{addon.path}/backups/{busy}"
    await_that(lambda: addon.api.get(path).data["status"] == "in-progress")
    one = (*addon.words, "--backupId", "js-snap")
    restore = cli("restore", "addon", "backup", *one, "-o", "json").json["restoreId"]
    order = json.dumps({"restoreId": restore})
    assert cli("abort", "addon", "restore", *one, "-i", order).status == 0
    assert cli("abort", "addon", "backup", *addon.words, "--backupId", busy).status == 0
    await_backup(addon.api, path, "aborted")
    newest = addon.api.get(f"{addon.path}/restores").data["restores"][0]
    assert (newest["id"], newest["status"]) == (restore, "aborted")
    addon.require("later")


@pytest.mark.slow
def test_the_command_line_does_the_same(cli: OfficialCli, addon: Addon) -> None:
    addon.sql("UPDATE state SET now = 'snapshot'")
    order = ("-i", '{"name":"Cli snap"}', "-o", "json")
    made = cli("backup", "addon", *addon.words, *order).json
    assert made["backupType"] == "snapshot"
    await_backup(addon.api, f"{addon.path}/backups/cli-snap")
    one = (*addon.words, "--backupId", "cli-snap")
    assert cli("get", "addon", "backup", *one, "-o", "json").json["status"] == "completed"
    assert "cli-snap" in cli("get", "addon", "backups", *addon.words).out
    addon.sql("UPDATE state SET now = 'later'")
    restore = cli("restore", "addon", "backup", *one, "-o", "json").json["restoreId"]
    logs = cli("get", "addon", "restores", "logs", *one, "--restoreId", restore, "-f")
    assert (logs.status, "completed" in logs.out + logs.err) == (0, True)
    addon.require("snapshot")
    assert restore in cli("get", "addon", "restores", *addon.words, "-o", "json").out
    assert restore in cli("get", "addon", "backup", "restores", *one, "-o", "json").out
    over = cli("abort", "addon", "restore", *one, "-i", json.dumps({"restoreId": restore}))
    assert (over.status, "409" in over.err) == (1, True)


def test_both_delete_one_and_the_last_good_one_stays(
    js: JsClient, cli: OfficialCli, addon: Addon
) -> None:
    addon.api.post(f"{addon.path}/backups", {"name": "Last snap", "backupType": "snapshot"})
    await_backup(addon.api, f"{addon.path}/backups/last-snap")
    for backup in ("js-snap", "second"):
        assert js.data("delete.backup", parameters={**addon.place, "backupId": backup}) == {}
        assert addon.api.get(f"{addon.path}/backups/{backup}").status == 404
    for backup in addon.api.get(f"{addon.path}/backups").data["backups"]:
        if backup["id"] != "last-snap":
            addon.api.delete(f"{addon.path}/backups/{backup['id']}")
    last = cli("delete", "backup", *addon.words, "--backupId", "last-snap", "--force")
    assert (last.status, "409" in last.err) == (1, True)
