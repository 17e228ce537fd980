"""S1 to S3 and D6 through the official clients, and the reference's example as it is printed."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.attached import Attached
from fixtures.bodies import WEEKLY
from fixtures.holdfast import Api, await_backup, fresh
from fixtures.official import JsClient, OfficialCli
from fixtures.s3 import S3Server

pytestmark = pytest.mark.sqlite_first

HEX24 = re.compile("[0-9a-f]{24}")
AS_PRINTED = (
    '{"scheduling":{"interval":"weekly","minute":[30],"hour":[18],"day":[4]},'
    '"backupType":"snapshot","additionalDestinations":[{"retentionTime":7}],'
    '"compressionType":"gz","retentionTime":7}'
)
"""The example request of the reference, character by character."""
HOURLY = {
    "scheduling": {"interval": "hourly", "minute": [0, 30]},
    "backupType": "dump",
    "compressionType": "zstd",
    "retentionTime": 7,
}
LISTED = {"id", "backupType", "scheduling", "retentionTime", "createdAt", "updatedAt"}
"""What the reference requires of every schedule."""


@pytest.fixture
def offsite(api: Api, s3_server: S3Server) -> str:
    credentials = s3_server.credentials(s3_server.bucket())
    body = {"name": fresh("Offsite"), "type": "s3", "prefix": "", "credentials": credentials}
    return api.post("/backup-destinations", body).data["id"]


def known(api: Api, attached: Attached) -> list[str]:
    """The schedules of the addon as Holdfast's own API has them."""
    found = api.get(f"{attached.path}/backup-schedules").data["schedules"]
    return [each["id"] for each in found]


def test_the_javascript_client(js: JsClient, api: Api, attached: Attached) -> None:
    at = attached.place
    assert js.data("get.addon.backupSchedules", parameters=at) == {"schedules": []}
    made = js.data("create.addon.backupSchedule", parameters=at, data=HOURLY)
    assert list(made) == ["id"]
    assert HEX24.fullmatch(made["id"])
    assert known(api, attached) == [made["id"]]
    weekly = {
        "scheduling": WEEKLY,
        "backupType": "dump",
        "retentionTime": 120,
    }
    other = js.data("create.addon.backupSchedule", parameters=at, data=weekly)

    answer = js.call("get.addon.backupSchedules", parameters=at)
    newest, first = answer["data"]["schedules"]
    assert [newest["id"], first["id"]] == [other["id"], made["id"]]
    assert first.keys() >= LISTED | {"backupCompressionType"}
    assert first["backupCompressionType"] == "zstd"
    assert first["scheduling"] == HOURLY["scheduling"]
    assert newest["scheduling"] == weekly["scheduling"]
    assert answer["pagination"] == {"hasNextPage": False, "count": 2}
    options = {"per_page": 1, "page": 1}
    joined = js.all("get.addon.backupSchedules", parameters=at, options=options)
    assert joined == answer["data"]

    gone = {**at, "scheduleId": made["id"]}
    assert js.data("delete.addon.backupSchedule", parameters=gone) == {}
    assert known(api, attached) == [other["id"]]
    again = js.call("delete.addon.backupSchedule", parameters=gone)
    assert again["error"]["status"] == 404


def test_below_a_team(js: JsClient, api: Api, attached: Attached) -> None:
    at = {**attached.place, "teamId": "my-team"}
    made = js.data("create.addon.backupSchedule", parameters=at, data=HOURLY)
    answer = js.call("get.addon.backupSchedules", parameters=at)
    assert "/teams/my-team/" in answer["url"]
    assert answer["data"]["schedules"][0]["id"] == made["id"]
    js.data("delete.addon.backupSchedule", parameters={**at, "scheduleId": made["id"]})
    assert known(api, attached) == []


def test_the_printed_example_is_refused_for_what_it_lacks(
    js: JsClient, cli: OfficialCli, api: Api, attached: Attached
) -> None:
    """Discrepancy 2: `additionalDestinations` without its required `destinationId`."""
    field = "additionalDestinations[0].destinationId"
    error = js.call(
        "create.addon.backupSchedule", parameters=attached.place, data=json.loads(AS_PRINTED)
    )["error"]
    assert (error["status"], error["details"]) == (400, {field: "is required"})
    at = ("--projectId", attached.project, "--addonId", attached.addon)
    said = cli("create", "addon", "backup-schedule", *at, "-i", AS_PRINTED)
    assert (said.status, field in said.err, "400" in said.err) == (1, True, True)
    raw = api.raw("POST", f"{attached.path}/backup-schedules", content=AS_PRINTED)
    assert raw.status_code == 400
    assert known(api, attached) == []


def test_the_printed_example_with_a_destination(
    js: JsClient, api: Api, attached: Attached, offsite: str
) -> None:
    """Discrepancy 3: `gz` beside a snapshot is accepted, and not shown again."""
    example = json.loads(AS_PRINTED)
    example["additionalDestinations"][0]["destinationId"] = offsite
    js.data("create.addon.backupSchedule", parameters=attached.place, data=example)
    shown = js.data("get.addon.backupSchedules", parameters=attached.place)["schedules"][0]
    assert shown["additionalDestinations"] == [
        {"destinationId": offsite, "type": "custom", "retentionTime": 7}
    ]
    assert "backupCompressionType" not in shown
    error = js.call("delete.backupDestination", parameters={"backupDestinationId": offsite})
    assert (error["error"]["status"], list(error["error"]["details"])) == (409, ["schedules"])


def test_the_command_line(cli: OfficialCli, api: Api, attached: Attached) -> None:
    at = ("--projectId", attached.project, "--addonId", attached.addon)
    order = json.dumps(HOURLY)
    made = cli("create", "addon", "backup-schedule", *at, "-i", order, "-o", "json").json
    assert known(api, attached) == [made["id"]]
    listed = cli("get", "addon", "backup-schedules", *at, "-o", "json").json
    assert listed["schedules"][0]["id"] == made["id"]
    assert listed["schedules"][0].keys() >= LISTED
    table = cli("get", "addon", "backup-schedules", *at)
    assert (table.status, made["id"] in table.out) == (0, True)
    one = ("--scheduleId", made["id"], "--force")
    assert cli("delete", "addon", "backup-schedule", *at, *one).status == 0
    assert known(api, attached) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"retentionTime": 8}, "retentionTime"),
        ({"scheduling": {"interval": "daily", "minute": [0]}}, "scheduling.hour"),
        ({"scheduling": {**HOURLY["scheduling"], "day": [1]}}, "scheduling.day"),
        ({"compresionType": "gz"}, "compresionType"),
    ],
)
def test_refusals_name_their_field(
    js: JsClient, attached: Attached, change: dict[str, Any], field: str
) -> None:
    data = {**HOURLY, **change}
    error = js.call("create.addon.backupSchedule", parameters=attached.place, data=data)["error"]
    assert (error["status"], list(error["details"])) == (400, [field])


def test_an_addon_with_its_schedules(js: JsClient, api: Api, attached: Attached) -> None:
    data = {"backupSchedules": [HOURLY]}
    patched = js.data("patch.addon", parameters=attached.place, data=data)
    (schedule,) = patched["backupSchedules"]
    assert known(api, attached) == [schedule["id"]]
    js.data("patch.addon", parameters=attached.place, data={"description": "Kept"})
    assert known(api, attached) == [schedule["id"]]
    js.data("patch.addon", parameters=attached.place, data={"backupSchedules": []})
    assert known(api, attached) == []


def test_a_destinations_backups(
    js: JsClient,
    cli: OfficialCli,
    api: Api,
    attach_one: Callable[..., Attached],
    offsite: str,
) -> None:
    """D6: an entry is whole while its addon is there, and the same when it is not."""
    attached = attach_one()
    order = {"backupType": "dump", "customDestinationId": offsite, "retentionTime": 7}
    made = []
    for name in ("First one", "Second one"):
        data = {**order, "name": name}
        path = f"{attached.path}/backups"
        made.append(api.post(path, data).data["id"])
        await_backup(api, f"{path}/{made[-1]}")
    at = {"backupDestinationId": offsite}
    second, first = js.data("list.backupDestinationsBackups", parameters=at)
    assert [first["id"], second["id"]] == made
    assert (first["name"], first["status"]) == ("First one", "completed")
    assert (first["project"]["id"], first["addon"]["id"]) == (attached.project, attached.addon)
    assert first["config"]["source"] == {"type": "global"}
    assert re.fullmatch("[1-9][0-9]*", first["config"]["size"])
    assert isinstance(first["expiredBy"], int)
    assert first["createdAt"] <= first["completedAt"]
    pages = js.pages("list.backupDestinationsBackups", parameters=at, options={"per_page": 1})
    assert [page["data"][0]["id"] for page in pages] == made[::-1]
    assert "cursor" not in pages[-1]["pagination"]

    one = ("--backupDestinationId", offsite)
    listed = cli("list", "backup-destinations-backups", *one, "-o", "json").json
    assert listed == [second, first]

    js.data("delete.addon", parameters=attached.place)
    assert js.data("list.backupDestinationsBackups", parameters=at) == [second, first]


def test_the_last_good_backup_is_not_deleted_by_a_client_that_cannot_force(
    js: JsClient, cli: OfficialCli, api: Api, attached: Attached, backup: str
) -> None:
    at = {**attached.place, "backupId": backup}
    error = js.call("delete.backup", parameters=at)["error"]
    assert error["status"] == 409
    assert "last good backup" in error["message"]
    assert list(error["details"]) == ["force"]
    where = ("--projectId", attached.project, "--addonId", attached.addon, "--backupId", backup)
    said = cli("delete", "backup", *where, "--force")
    assert said.status == 1
    assert "last good backup" in said.err
    assert api.get(f"{attached.path}/backups/{backup}").data["status"] == "completed"
