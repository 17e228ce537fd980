"""The reference's examples, as printed: requests replayed with real ids, the shapes of responses
compared field by field with what we answer. The examples themselves are in `reference/`.

Some contradict their own schema; then what was decided about them holds and is asserted here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.attached import Attached
from fixtures.holdfast import Api, Server, await_backup, await_restore, fresh
from fixtures.s3 import S3Server

pytestmark = pytest.mark.sqlite_first

MISSING = "additionalDestinations[0].destinationId"


def example(name: str) -> Any:
    return json.loads((Path(__file__).parent / "reference" / f"{name}.json").read_text())


def shape(value: Any, at: str = "") -> dict[str, str]:
    """Every field's path and the kind of its value; list items under `[]`."""
    if isinstance(value, dict):
        inner = {
            k: v for name, each in value.items() for k, v in shape(each, f"{at}.{name}").items()
        }
        return {at: "object", **inner}
    if isinstance(value, list):
        found = {at: "array"}
        for each in value:
            found |= shape(each, f"{at}[]")
        return found
    return {at: type(value).__name__}


def merged(*values: Any) -> dict[str, str]:
    """What several objects show together: one example shows what one object never has."""
    found: dict[str, str] = {}
    for value in values:
        found |= shape(value)
    return found


def require_shape(wanted: Any, *emitted: Any, but: dict[str, str] | None = None) -> None:
    """Each field of the example is emitted, as the same kind. `but`: kinds we decided otherwise."""
    expected, found = {**shape(wanted), **(but or {})}, merged(*emitted)
    assert {path: found.get(path) for path in expected} == expected


@pytest.fixture(scope="module")
def offsite(server: Server, s3_server: S3Server) -> str:
    credentials = s3_server.credentials(s3_server.bucket())
    body = {"name": fresh("Offsite"), "type": "s3", "prefix": "", "credentials": credentials}
    return server.api().post("/backup-destinations", body).data["id"]


def completed_by(body: dict[str, Any], destination: str) -> dict[str, Any]:
    """The example with the destination that it requires and lacks."""
    first, *rest = body["additionalDestinations"]
    whole = {**first, "destinationId": destination}
    return {**body, "additionalDestinations": [whole, *rest]}


@pytest.mark.parametrize(
    ("name", "path"),
    [("backup-addon", "backups"), ("create-addon-backup-schedule", "backup-schedules")],
)
def test_the_requests_as_printed_lack_what_they_require(
    api: Api, attached: Attached, name: str, path: str
) -> None:
    """Discrepancy 2: 400 that names the missing key, and nothing is made."""
    refused = api.post(f"{attached.path}/{path}", example(name)["request"])
    assert (refused.status, refused.details) == (400, {MISSING: "is required"})
    (listed,) = api.get(f"{attached.path}/{path}").data.values()
    assert listed == []


def test_a_backup_by_the_example(api: Api, attached: Attached, offsite: str) -> None:
    """`type` alone may be missing; `gz` beside a snapshot means nothing and is not shown again."""
    wanted = example("backup-addon")
    order = completed_by(wanted["request"], offsite)
    made = api.post(f"{attached.path}/backups", order).data
    assert (made["id"], made["name"]) == ("example-backup", "Example Backup")
    assert made["config"]["source"] == {"type": "snapshot"}
    assert "compressionType" not in made["config"]
    assert made["config"]["additionalDestinations"] == [
        {"destinationId": offsite, "type": "custom", "retentionTime": 7}
    ]


def test_a_schedule_by_the_example(api: Api, attached: Attached, offsite: str) -> None:
    wanted = example("create-addon-backup-schedule")
    order = completed_by(wanted["request"], offsite)
    made = api.post(f"{attached.path}/backup-schedules", order)
    require_shape(wanted["response"], made.body)
    assert len(made.data["id"]) == len(wanted["response"]["data"]["id"])


def test_listed_schedules_have_the_examples_shape(
    api: Api, attached: Attached, offsite: str
) -> None:
    """Discrepancies 4 and 9: the example's schedule is a snapshot with the settings of a dump, so
    it takes one of each to show all fields; and there is `pagination`, without a cursor."""
    path = f"{attached.path}/backup-schedules"
    snapshot = completed_by(example("create-addon-backup-schedule")["request"], offsite)
    dump = {key: snapshot[key] for key in ("scheduling", "retentionTime", "compressionType")}
    api.post(path, snapshot)
    api.post(path, {**dump, "backupType": "dump", "customDestinationId": offsite})
    listed = api.get(path)
    require_shape(example("get-addon-backup-schedules")["response"], listed.body)
    assert listed.pagination == {"hasNextPage": False, "count": 2}
    shown = {each["backupType"]: each.keys() for each in listed.data["schedules"]}
    assert shown["snapshot"] & {"customDestinationId", "backupCompressionType"} == set()
    assert "additionalDestinations" not in shown["dump"]
    wrong = {"backupType": "snapshot", "customDestinationId": offsite}
    refused = api.post(path, {**dump, **wrong})
    assert (refused.status, list(refused.details)) == (400, ["customDestinationId"])


def test_backups_and_a_destinations_backups_have_the_examples_shapes(
    api: Api, attach_one: Callable[..., Attached], offsite: str
) -> None:
    """Discrepancies 5 to 8: sizes are decimal strings, `expiredBy` is integer milliseconds."""
    attached = attach_one()
    path = f"{attached.path}/backups"
    order = {"name": "Example Dump", "backupType": "dump", "retentionTime": 7}
    api.post(path, {**order, "customDestinationId": offsite})
    one = f"{path}/example-dump"
    await_backup(api, one)
    api.post(path, completed_by(example("backup-addon")["request"], offsite))
    listed = api.get(path)
    require_shape(example("list-addon-backups")["response"], listed.body)
    sizes = [each["config"]["size"] for each in listed.data["backups"]]
    assert all(size.isdecimal() for size in sizes)

    restore = api.post(f"{one}/restore").data["restoreId"]
    await_restore(api, one, restore)
    require_shape(example("backup-addon")["response"], api.get(one).body)

    stored = api.get(f"/backup-destinations/{offsite}/backups")
    assert isinstance(stored.data, list), "a bare array, as documented"
    wanted = example("list-destination-backups")["response"]
    for entry in wanted["data"]:
        del entry["schedules"]  # only those that a schedule caused have any
    require_shape(wanted, stored.body, but={".data[].expiredBy": "int"})
