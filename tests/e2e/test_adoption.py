"""A host is lost with its catalogue: another one takes its backups in from where they lie."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pymongo
import pytest

from fixtures.bodies import ZSTD_DUMP
from fixtures.holdfast import HOLDFAST, await_that, fresh
from fixtures.installation import Installation, installation_home, running
from fixtures.mongodb import MongoServer, link_mongodb
from fixtures.s3 import S3Server

PROJECT, ADDON = "lost", "/projects/lost/addons/source"
PLATFORM, OFFSITE = "/platform-store", "/backup-destinations/offsite"


@dataclass
class AdoptingInstallation(Installation):
    """On a new host, with the old one's stores and kits, and nothing else of it."""

    kits: dict[str, str] = field(default_factory=dict[str, str])
    """By path, the passphrase of a store's snapshots."""

    @property
    def dumps(self) -> Path:
        """In the store that came from the old host."""
        return self.data_dir / "store" / "dumps" / PROJECT / "source"

    def add_offsite(self, s3: S3Server, bucket: str) -> None:
        credentials = s3.credentials(bucket)
        offsite = {"name": "Offsite", "type": "s3", "prefix": "hf/", "credentials": credentials}
        self.api.post("/backup-destinations", offsite)

    def fill_stores(self) -> dict[str, str]:
        """Two dumps and two snapshots at two places; the passphrases that open the latter."""
        self.api.post("/projects", {"name": "Lost"})
        self.manage(PROJECT, "Source", customCredentials={"dbName": "shop"})
        additional = {"destinationId": "offsite", "type": "custom", "retentionTime": 3}
        bodies: dict[str, dict[str, Any]] = {
            "one": ZSTD_DUMP,
            "two": {"backupType": "dump", "customDestinationId": "offsite"},
            "three": {"additionalDestinations": [additional]},
            "four": {},
        }
        for name, body in bodies.items():
            self.sql(f"CREATE TABLE {name} AS SELECT generate_series(1, 100) AS id")
            self.backup(name=name, **body)
        await_that(self.all_completed_offsite)
        return {
            store: self.api.post(f"{store}/recovery-kit").data["passphrase"]
            for store in (PLATFORM, OFFSITE)
        }

    def all_completed_offsite(self) -> bool:
        copies = self.api.get(f"{OFFSITE}/backups").data
        return len(copies) == 2 and all(copy["status"] == "completed" for copy in copies)

    def fork(self, project: str, uid: str, **kind: str) -> str:
        """A new addon that a stored backup was restored into."""
        fork = self.manage(project, fresh("Addon"), source={"backupUid": uid}, **kind)

        def ended_restore() -> Any:
            (restore,) = self.api.get(f"{fork}/restores").data["restores"]
            return restore if restore.get("completedAt") else None

        restored = await_that(ended_restore)
        assert restored["status"] == "completed", restored
        await_that(lambda: self.status(fork) == "running")
        return fork

    def adopt(self, store: str, **body: Any) -> dict[str, Any]:
        return self.api.post(f"{store}/adopt", body).data

    def uid(self, store: str, name: str) -> str:
        copies = self.api.get(f"{store}/backups").data
        (uid,) = [copy["uid"] for copy in copies if copy["id"] == name]
        return uid


@pytest.fixture(scope="module")
def installation(s3_server: S3Server) -> Iterator[AdoptingInstallation]:
    bucket = s3_server.bucket()
    with installation_home() as old_home, installation_home() as home:
        with running(AdoptingInstallation(old_home, addon=ADDON)) as old:
            old.add_offsite(s3_server, bucket)
            kits = old.fill_stores()
        (home / "data").mkdir()
        shutil.copytree(old.data_dir / "store", home / "data" / "store")
        with running(AdoptingInstallation(home, kits=kits)) as installation:
            installation.add_offsite(s3_server, bucket)
            yield installation


def _names(adopted: dict[str, Any]) -> list[str]:
    return sorted(each["id"] for each in adopted["backups"])


def test_without_a_passphrase_dumps_are_taken_in_and_snapshots_are_named(
    installation: AdoptingInstallation,
) -> None:
    found = installation.adopt(PLATFORM)
    assert _names(found) == ["one"]
    (problem,) = found["problems"]
    assert problem["where"].startswith("snapshots/lost/source/")
    assert "passphrase of its recovery kit" in problem["problem"]
    wrong = installation.adopt(PLATFORM, passphrase="not it")
    assert [each["problem"] for each in wrong["problems"]] == [
        "the password opens no key of this repository"
    ]
    assert wrong["backups"] == []


def test_everything_is_taken_in_once(installation: AdoptingInstallation) -> None:
    found = installation.adopt(PLATFORM, passphrase=installation.kits[PLATFORM])
    assert _names(found) == ["four", "three"]
    assert found["problems"] == []
    assert "next" not in found
    offsite = installation.adopt(OFFSITE, passphrase=installation.kits[OFFSITE])
    assert _names(offsite) == ["three", "two"]
    for place in (PLATFORM, OFFSITE):
        again = installation.adopt(place, passphrase=installation.kits[place])
        assert (again["backups"], again["problems"]) == ([], [])
    listed = installation.api.get(f"{PLATFORM}/backups").data
    assert {each["addon"]["id"] for each in listed} == {"source"}
    assert all(each["status"] == "completed" and "expiredBy" not in each for each in listed)
    told = installation.api.get("/audit-log", kind="backup").data["entries"]
    assert sorted(each["object"]["id"] for each in told) == ["four", "one", "three", "two"]
    assert {(each["object"]["addon"], each["actor"]["role"]) for each in told} == {
        ("source", "owner")
    }


@pytest.mark.parametrize(("place", "name", "tables"), [
    (OFFSITE, "two", ["one", "two"]),
    (OFFSITE, "three", ["one", "three", "two"]),
])  # fmt: skip
def test_what_was_taken_in_restores(
    installation: AdoptingInstallation, place: str, name: str, tables: list[str]
) -> None:
    api = installation.api
    fork = installation.fork(api.project(), installation.uid(place, name))
    base = installation.uri(fork).rpartition("/")[0]
    with psycopg.connect(f"{base}/shop") as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert sorted(row[0] for row in found) == tables
        count = connection.execute(f"SELECT count(*) FROM {tables[0]}".encode()).fetchone()
        assert count == (100,)
    api.delete(fork)


def test_what_is_not_whole_is_named_and_left_alone(installation: AdoptingInstallation) -> None:
    """Copies of a real dump under other uids, each spoiled in its way."""
    (whole,) = (installation.dumps).iterdir()
    attempt = next(whole.iterdir())
    spoiled = {
        "11111111-1111-4111-8111-111111111111": ("is of the backup", lambda m: m),
        "22222222-2222-4222-8222-222222222222": ("as a whole: Invalid JSON", lambda _: "{"),
        "33333333-3333-4333-8333-333333333333": (
            "not ours: members.0.key", lambda m: _with_key(m, "../../../../etc/passwd")),
        "44444444-4444-4444-8444-444444444444": (
            "is missing", lambda m: _with_key(m, "other.sql.zst")),
        "55555555-5555-4555-8555-555555555555": ("never completed", lambda _: None),
    }  # fmt: skip
    for uid, (_, change) in spoiled.items():
        place = installation.dumps / uid / "1"
        shutil.copytree(attempt, place)
        manifest = json.loads((place / "manifest.json").read_text())
        if uid[0] != "1":
            manifest["backup"]["uid"] = uid
        text = change(json.dumps(manifest))
        (place / "manifest.json").unlink()
        if text is not None:
            (place / "manifest.json").write_text(text)
    found = installation.adopt(PLATFORM, passphrase=installation.kits[PLATFORM])
    assert found["backups"] == []
    told = {each["where"].split("/")[3]: each["problem"] for each in found["problems"]}
    assert told.keys() == spoiled.keys()
    for uid, (words, _) in spoiled.items():
        assert words in told[uid], told[uid]


def _with_key(manifest: str, key: str) -> str:
    document = json.loads(manifest)
    document["members"][0]["key"] = key
    return json.dumps(document)


def test_the_command_says_what_it_took_and_what_it_left(installation: AdoptingInstallation) -> None:
    environment = {
        "HOLDFAST_HOST": installation.server.url,
        "HOLDFAST_TOKEN": installation.server.token,
    }
    done = subprocess.run(
        [HOLDFAST, "destination", "adopt", "--platform", "--passphrase-file", "-"],
        input=installation.kits[PLATFORM], env=environment, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "never completed" in done.stderr
    assert installation.kits[PLATFORM] not in done.stdout + done.stderr
    listed = subprocess.run(
        [HOLDFAST, "destination", "backups", "--platform"],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert all(name in listed.stdout for name in ("one", "three", "four"))


def test_what_was_taken_in_can_be_deleted(installation: AdoptingInstallation) -> None:
    api = installation.api
    uid = installation.uid(PLATFORM, "one")
    assert api.delete(f"/stored-backups/{uid}", force="true").status == 200
    await_that(lambda: not (installation.dumps / uid).exists())
    assert api.post(f"{PLATFORM}/adopt", {"passphrase": 5}).status == 400
    assert api.post(f"{PLATFORM}/adopt", {"after": "x", "more": 1}).status == 400


@pytest.mark.slow
def test_a_dump_of_mongodb_is_taken_in_and_restores(mongodb: MongoServer) -> None:
    """The adopting host knows nothing of the server that it was taken of."""
    mongodb.client().shop.orders.insert_many({"_id": number} for number in range(300))
    order = {"name": "Source", "type": "mongodb", "connectionString": mongodb.url}
    with installation_home() as old_home, installation_home() as home:
        with running(AdoptingInstallation(old_home, addon=ADDON)) as old:
            old.api.post("/projects", {"name": "Lost"})
            old.api.post(f"/projects/{PROJECT}/addons", order)
            old.backup(name="documents", **ZSTD_DUMP)
        (home / "data").mkdir()
        shutil.copytree(old.data_dir / "store", home / "data" / "store")
        link_mongodb(home / "tools")
        environment = {"HOLDFAST_TOOLS_DIR": str(home / "tools")}
        with running(AdoptingInstallation(home, environment)) as installation:
            assert _names(installation.adopt(PLATFORM)) == ["documents"]
            uid = installation.uid(PLATFORM, "documents")
            kind = {"type": "mongodb", "version": "6.0-latest"}
            fork = installation.fork(installation.api.project(), uid, **kind)
            secrets = installation.api.get(f"{fork}/credentials").data["secrets"]
            with pymongo.MongoClient[Any](secrets["MONGO_SRV"]) as client:
                assert client.shop.orders.count_documents({}) == 300
