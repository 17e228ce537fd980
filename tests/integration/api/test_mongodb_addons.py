"""MongoDB through the API: managed and attached, forks, snapshots, what an owner may, crashes."""

import gzip
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import bson
import psutil
import pymongo
import pytest

from fixtures.bodies import BILLING
from fixtures.holdfast import HOLDFAST, await_backup, await_that, fresh
from fixtures.installation import Installation, installation_home, running
from fixtures.mongodb import EVERY_RUN, MongoServer, link_mongodb
from fixtures.mongodb_dumps import take
from fixtures.offered import Offered

Client = pymongo.MongoClient[Any]
ADDONS = "/projects/documents/addons"


class MongoInstallation(Installation):
    """It finds MongoDB's servers."""

    def manage_mongodb(self, name: str) -> str:
        body = {"type": "mongodb", "version": "6.0-latest"}
        return self.manage("documents", fresh(name), **body)

    def attach(self, url: str) -> str:
        body = {"name": fresh("Own"), "type": "mongodb", "connectionString": url}
        return f"{ADDONS}/{self.api.post(ADDONS, body).data['id']}"

    def run_cli(self, *words: str) -> str:
        environment = {"HOLDFAST_HOST": self.server.url, "HOLDFAST_TOKEN": self.server.token}
        return subprocess.run(
            [HOLDFAST, *words], env=environment, capture_output=True, text=True, check=True
        ).stdout

    def inside(self, addon: str) -> Client:
        """As the owner, by the string that applications get."""
        secrets = self.api.get(f"{addon}/credentials").data["secrets"]
        return pymongo.MongoClient(secrets["MONGO_SRV"])


@pytest.fixture(scope="module")
def installation() -> Iterator[MongoInstallation]:
    with installation_home() as home:
        link_mongodb(home / "tools")
        environment = {"HOLDFAST_TOOLS_DIR": str(home / "tools")}
        with running(MongoInstallation(home, environment)) as made:
            made.api.post("/projects", {"name": "Documents"})
            yield made


@pytest.fixture(scope="module")
def managed(installation: MongoInstallation) -> str:
    """An addon with some data and a completed dump and snapshot of it."""
    addon = installation.manage_mongodb("Managed")
    with closing(installation.inside(addon)) as client:
        shop = client.get_default_database()
        shop.orders.insert_many([{"_id": number} for number in range(500)])
        shop.orders.create_index("paid")
        client.other.things.insert_one({"_id": "there"})
        shop.command("createUser", "app", pwd="p", roles=["readWrite"])
    return addon


def test_the_type_says_what_it_can(installation: MongoInstallation) -> None:
    kinds = installation.api.get("/addon-types").data["addonTypes"]
    (kind,) = (each for each in kinds if each["type"] == "mongodb")
    features = kind["features"]
    wanted = ("backupsDump", "backupsSnapshot", "customDBName", "forkAddon", "managed", "tls")
    assert {name: features[name] for name in wanted} == dict.fromkeys(wanted, True)
    assert (kind["versions"], kind["major"]) == ([EVERY_RUN], ["6.0"])


def test_credentials_have_the_names_of_the_api(
    installation: MongoInstallation, managed: str
) -> None:
    credentials = installation.api.get(f"{managed}/credentials").data
    secrets, envs = credentials["secrets"], credentials["envs"]
    assert {*secrets} == {"USERNAME", "PASSWORD", "DATABASE", "MONGO_SRV", "MONGO_SRV_ADMIN"}
    assert secrets["DATABASE"] == envs["DATABASE"]
    with closing(installation.inside(managed)) as client:
        assert client.get_default_database().name == secrets["DATABASE"]
        status = client.admin.command("connectionStatus")
        assert status["authInfo"]["authenticatedUsers"] == [
            {"user": secrets["USERNAME"], "db": "admin"}
        ]
        with pytest.raises(pymongo.errors.OperationFailure):
            client.admin["system.users"].find_one()


def test_a_dump_is_made_proven_and_restored_by_the_command_line(
    installation: MongoInstallation, managed: str
) -> None:
    def holdfast(*words: str) -> Any:
        place = ["--project", "documents", "--addon", managed.rpartition("/")[2]]
        printed = installation.run_cli(*words, *place, "--format", "json")
        return json.loads(printed)

    made = ("--name", "walked", "--type", "dump", "--compression", "zstd", "--wait")
    assert holdfast("backup", "create", *made)["status"] == "completed"
    evidence = holdfast("backup", "evidence", "walked")
    assert all(check["passed"] for check in evidence["checks"])
    with closing(installation.inside(managed)) as client:
        shop = client.get_default_database()
        shop.orders.delete_many({"_id": {"$lt": 400}})
        shop.command("dropUser", "app")
        client.drop_database("other")
        client.later.things.insert_one({})
    holdfast("restore", "create", "--backup", "walked", "--yes", "--wait")
    with closing(installation.inside(managed)) as client:
        shop = client.get_default_database()
        assert shop.orders.count_documents({}) == 500
        assert "paid_1" in shop.orders.index_information()
        assert client.other.things.find_one() == {"_id": "there"}
        assert "later" not in client.list_database_names()
        assert [user["user"] for user in shop.command("usersInfo")["users"]] == ["app"]


def test_a_snapshot_goes_back_and_forks(installation: MongoInstallation, managed: str) -> None:
    backup = installation.backup(managed)
    with closing(installation.inside(managed)) as client:
        client.get_default_database().orders.drop()
    installation.restore(backup)
    with closing(installation.inside(managed)) as client:
        assert client.get_default_database().orders.count_documents({}) == 500
    origin = {"addonId": managed.rpartition("/")[2], "backupId": backup.rpartition("/")[2]}
    body = {"name": fresh("Fork"), "type": "mongodb", "version": "6.0-latest"}
    body |= {"billing": BILLING, "source": origin}
    fork = f"{ADDONS}/{installation.api.post(ADDONS, body).data['id']}"
    await_that(lambda: installation.status(fork) == "running")

    def restored() -> bool:
        """Its server ends and comes back for the restore that fills it."""
        try:
            with closing(installation.inside(fork)) as client:
                return client.get_default_database().orders.count_documents({}) == 500
        except pymongo.errors.PyMongoError:
            return False

    await_that(restored)
    installation.api.delete(fork)


@pytest.mark.slow
def test_it_is_paused_and_comes_back_after_a_crash(
    installation: MongoInstallation, managed: str
) -> None:
    installation.api.post(f"{managed}/pause")
    await_that(lambda: installation.status(managed) == "paused")
    installation.api.post(f"{managed}/resume")
    await_that(lambda: installation.status(managed) == "running")
    with closing(installation.inside(managed)) as client:
        client.other.things.insert_one({"_id": "acknowledged"})
        pid = _server_of(client)
    psutil.Process(pid).kill()

    def is_back() -> bool:
        try:
            with closing(installation.inside(managed)) as client:
                return _server_of(client) != pid
        except pymongo.errors.PyMongoError:
            return False

    await_that(is_back, 120)
    with closing(installation.inside(managed)) as client:
        assert client.other.things.find_one({"_id": "acknowledged"})


def _server_of(client: Client) -> int:
    return int(client.admin.command("serverStatus")["pid"])


def test_its_load_is_measured(installation: MongoInstallation, managed: str) -> None:
    kinds = ["cpu", "memory", "diskUsage", "tcpConnectionsOpen"]
    with closing(installation.inside(managed)) as client:
        client.admin.command("ping")
        query = {"queryType": "single", "metricTypes": kinds}
        metrics = installation.api.get(f"{managed}/metrics", **query).data
    now = {name: float(metrics[name]["values"][0]["data"][0]["value"]) for name in kinds}
    assert now["memory"] > 50
    assert now["diskUsage"] > 1
    assert now["tcpConnectionsOpen"] >= 1


def test_an_attached_set(installation: MongoInstallation, mongodb: MongoServer) -> None:
    client = mongodb.client()
    client.shop.orders.insert_many([{"_id": number} for number in range(100)])
    roles = ["root"]
    client.admin.command("createUser", "chief", pwd="p", roles=roles)
    wrong = mongodb.url.replace("s3cret", "wr0ng")
    body = {"name": "Wrong", "type": "mongodb", "connectionString": wrong}
    refused = installation.api.post(ADDONS, body)
    assert list(refused.details) == ["connectionString"]
    assert "refused the password of user root" in refused.details["connectionString"]
    assert "wr0ng" not in str(refused.details)
    addon = installation.attach(mongodb.url)
    snapshot = installation.api.post(
        f"{addon}/backups", {"name": "Snapshot", "backupType": "snapshot"}
    )
    over = await_backup(installation.api, f"{addon}/backups/{snapshot.data['id']}", "not-supported")
    assert "no backup cursor; take dumps" in over["reason"]
    backup = installation.backup(addon, backupType="dump", compressionType="gz")
    target = installation.manage_mongodb("Target")
    origin = {"sourceProjectId": "documents", "sourceAddonId": addon.rpartition("/")[2]}
    path = f"{target}/backups/{backup.rpartition('/')[2]}"
    begun = installation.api.post(f"{path}/restore", params=origin).data["restoreId"]

    def ended() -> Any:
        restores = installation.api.get(f"{path}/restores", **origin).data["restores"]
        shown = next(each for each in restores if each["id"] == begun)
        return shown if shown.get("completedAt") else None

    assert (over := await_that(ended, 120))["status"] == "completed", over
    with closing(installation.inside(target)) as inside:
        assert inside.shop.orders.count_documents({}) == 100
    uri = installation.api.get(f"{target}/credentials").data["secrets"]["MONGO_SRV"]
    login = uri.partition("://")[2].partition("@")[0]
    chief: Client = pymongo.MongoClient(uri.replace(login, "chief:p"))
    with closing(chief), pytest.raises(pymongo.errors.OperationFailure):
        chief.admin.command("createUser", "x", pwd="x", roles=roles)
    installation.api.delete(target)


def test_archives_and_live_servers_are_imported(
    installation: MongoInstallation, managed: str, mongodb: MongoServer, offered: Offered
) -> None:
    client = mongodb.client()
    client.imported.orders.insert_many([{"_id": number} for number in range(50)])
    client.admin.command("createUser", "stranger", pwd="p", roles=["root"])
    assert _imported(installation, managed, {"connectionString": mongodb.url}) == ["orders"]
    code = {"$function": {"body": "function() { while (true) {} }", "args": [], "lang": "js"}}
    client.imported.create_collection("code", viewOn="orders", pipeline=[{"$set": {"x": code}}])
    client.imported["system.js"].insert_one({"_id": "f", "value": bson.Code("function() {}")})
    archive = gzip.compress(take(mongodb.address).bodies["databases.archive"])
    order = {"importUrl": offered.offer("/some.bin", archive)}
    assert set(_imported(installation, managed, order)) <= {"orders", "system.views"}


def _imported(installation: MongoInstallation, managed: str, order: dict[str, str]) -> list[str]:
    """The collections that came; the stranger may not log in."""
    backup = installation.api.post(f"{managed}/import", order).data["id"]
    path = f"{managed}/backups/{backup}"
    await_backup(installation.api, path)
    installation.restore(path)
    with closing(installation.inside(managed)) as inside:
        names = inside.imported.list_collection_names()
        assert inside.imported.orders.count_documents({}) == 50
        host, port = inside.address or ("", 0)
        inside.drop_database("imported")
    stranger: Client = pymongo.MongoClient(host, port, username="stranger", password="p")
    with closing(stranger), pytest.raises(pymongo.errors.OperationFailure) as caught:
        stranger.imported.orders.find_one()
    assert caught.value.code == 18
    return names


def test_deleting_it_leaves_nothing(installation: MongoInstallation, managed: str) -> None:
    with closing(installation.inside(managed)) as client:
        server = psutil.Process(_server_of(client))
        home = Path(server.cwd()).parent
    installation.api.delete(managed)
    await_that(lambda: not server.is_running())
    await_that(lambda: not home.exists())
