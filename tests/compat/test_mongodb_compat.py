"""The reference's example with `addonType: mongodb`, for real, through the official client."""

import json
from pathlib import Path

import pytest

from fixtures.holdfast import Server, await_backup, fresh
from fixtures.mongodb import MongoServer
from fixtures.official import JsClient
from fixtures.s3 import S3Server

pytestmark = pytest.mark.sqlite_first

EXAMPLE = Path(__file__).parent / "reference" / "list-destination-backups.json"


def test_a_destination_lists_backups_of_mongodb(
    js: JsClient, server: Server, s3_server: S3Server, mongodb: MongoServer
) -> None:
    mongodb.client().shop.orders.insert_one({"_id": 1})
    api = server.api()
    project = api.project()
    credentials = s3_server.credentials(s3_server.bucket())
    offsite = {"name": fresh("Offsite"), "type": "s3", "prefix": "", "credentials": credentials}
    destination = api.post("/backup-destinations", offsite).data["id"]
    order = {"name": fresh("Example Addon"), "type": "mongodb", "connectionString": mongodb.url}
    addon = api.post(f"/projects/{project}/addons", order).data["id"]
    place = {"projectId": project, "addonId": addon}
    config = js.data("get.addon", parameters=place)
    assert (config["spec"]["type"], config["status"]) == ("mongodb", "running")
    secrets = js.data("get.addon.credentials", parameters=place)["secrets"]
    assert secrets["MONGO_SRV"].startswith("mongodb://root:")
    wanted = {"name": "Example Backup", "backupType": "dump", "customDestinationId": destination}
    backup = js.data("backup.addon", parameters=place, data=wanted)
    await_backup(api, f"/projects/{project}/addons/{addon}/backups/{backup['id']}")
    (listed,) = js.data(
        "list.backupDestinationsBackups", parameters={"backupDestinationId": destination}
    )
    (example,) = json.loads(EXAMPLE.read_text())["response"]["data"]
    assert listed["config"].keys() >= example["config"].keys()
    assert listed["config"]["addonType"] == example["config"]["addonType"] == "mongodb"
    assert listed["config"]["addonVersion"] == mongodb.version
    assert (listed["id"], listed["status"]) == ("example-backup", "completed")
    api.delete(f"/projects/{project}/addons/{addon}")
