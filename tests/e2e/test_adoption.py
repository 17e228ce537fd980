"""A host is lost with its catalogue: another one takes its backups in from where they lie."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fixtures.holdfast import (
    HOLDFAST,
    Api,
    Server,
    await_backup,
    await_that,
    fresh,
    start_holdfast,
)
from fixtures.s3 import S3Server

BILLING = {"deploymentPlan": "nf-compute-20", "storage": 1024, "replicas": 1}
PROJECT, ADDON = "lost", "/projects/lost/addons/source"
PLATFORM, OFFSITE = "/platform-store", "/backup-destinations/offsite"


@dataclass
class Heir:
    """A new host with the old one's stores and kits, and nothing else of it."""

    server: Server
    store: Path
    kits: dict[str, str]

    def adopt(self, place: str, **body: Any) -> dict[str, Any]:
        return self.server.api().post(f"{place}/adopt", body).data


@pytest.fixture(scope="module")
def heir(s3_server: S3Server) -> Iterator[Heir]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    bucket = s3_server.bucket()
    (home / "old").mkdir(mode=0o711)
    old = start_holdfast(home / "old")
    try:
        kits = _live(old.api(), s3_server, bucket)
    finally:
        old.stop()
    new = home / "new"
    (new / "data").mkdir(parents=True)
    new.chmod(0o711)
    shutil.copytree(home / "old" / "data" / "store", new / "data" / "store")
    server = start_holdfast(new)
    try:
        _offsite(server.api(), s3_server, bucket)
        yield Heir(server, new / "data" / "store", kits)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _offsite(api: Api, s3: S3Server, bucket: str) -> None:
    keys = s3.credentials(bucket)
    api.post(
        "/backup-destinations",
        {"name": "Offsite", "type": "s3", "prefix": "hf/", "credentials": keys},
    )


def _live(api: Api, s3: S3Server, bucket: str) -> dict[str, str]:
    """Two dumps and two snapshots at two places; the passphrases that open the latter."""
    _offsite(api, s3, bucket)
    api.post("/projects", {"name": "Lost"})
    _managed(api, PROJECT, name="Source", customCredentials={"dbName": "shop"})
    for name, more in (
        ("one", {"backupType": "dump", "compressionType": "zstd"}),
        ("two", {"backupType": "dump", "customDestinationId": "offsite"}),
        ("three", {"additionalDestinations": [
            {"destinationId": "offsite", "type": "custom", "retentionTime": 3}]}),
        ("four", {}),
    ):  # fmt: skip
        _sql(api, ADDON, f"CREATE TABLE {name} AS SELECT generate_series(1, 100) AS id")
        api.post(f"{ADDON}/backups", {"name": name, **more})
        await_backup(api, f"{ADDON}/backups/{name}")
    await_that(lambda: _all_completed(api))
    return {
        each: api.post(f"{each}/recovery-kit").data["passphrase"] for each in (PLATFORM, OFFSITE)
    }


def _all_completed(api: Api) -> bool:
    found = api.get(f"{OFFSITE}/backups").data
    return len(found) == 2 and all(each["status"] == "completed" for each in found)


def _managed(api: Api, project: str, **more: Any) -> str:
    body = {"name": fresh("Addon"), "type": "postgresql", "version": "15-latest"}
    made = api.post(f"/projects/{project}/addons", {**body, "billing": BILLING, **more}).data
    path = f"/projects/{project}/addons/{made['id']}"
    await_that(lambda: api.get(path).data["status"] == "running")
    return path


def _sql(api: Api, addon: str, statement: str) -> list[tuple[Any, ...]]:
    secrets = api.get(f"{addon}/credentials").data["secrets"]
    with psycopg.connect(f"{secrets['POSTGRES_URI']}", autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def _names(adopted: dict[str, Any]) -> list[str]:
    return sorted(each["id"] for each in adopted["backups"])


def _uid(api: Api, place: str, name: str) -> str:
    (found,) = [each for each in api.get(f"{place}/backups").data if each["id"] == name]
    return found["uid"]


def test_without_a_passphrase_dumps_are_taken_in_and_snapshots_are_named(heir: Heir) -> None:
    found = heir.adopt(PLATFORM)
    assert _names(found) == ["one"]
    (problem,) = found["problems"]
    assert problem["where"].startswith("snapshots/lost/source/")
    assert "passphrase of its recovery kit" in problem["problem"]
    wrong = heir.adopt(PLATFORM, passphrase="not it")
    assert [each["problem"] for each in wrong["problems"]] == [
        "the password opens no key of this repository"
    ]
    assert wrong["backups"] == []


def test_everything_is_taken_in_once(heir: Heir) -> None:
    found = heir.adopt(PLATFORM, passphrase=heir.kits[PLATFORM])
    assert _names(found) == ["four", "three"]
    assert found["problems"] == []
    assert "next" not in found
    offsite = heir.adopt(OFFSITE, passphrase=heir.kits[OFFSITE])
    assert _names(offsite) == ["three", "two"]
    for place in (PLATFORM, OFFSITE):
        again = heir.adopt(place, passphrase=heir.kits[place])
        assert (again["backups"], again["problems"]) == ([], [])
    listed = heir.server.api().get(f"{PLATFORM}/backups").data
    assert {each["addon"]["id"] for each in listed} == {"source"}
    assert all(each["status"] == "completed" and "expiredBy" not in each for each in listed)
    told = heir.server.api().get("/audit-log", kind="backup").data["entries"]
    assert sorted(each["object"]["id"] for each in told) == ["four", "one", "three", "two"]
    assert {(each["object"]["addon"], each["actor"]["role"]) for each in told} == {
        ("source", "owner")
    }


@pytest.mark.parametrize(("place", "name", "tables"), [
    (OFFSITE, "two", ["one", "two"]),
    (OFFSITE, "three", ["one", "three", "two"]),
])  # fmt: skip
def test_what_was_taken_in_restores(heir: Heir, place: str, name: str, tables: list[str]) -> None:
    api = heir.server.api()
    project = api.project()
    fork = _managed(api, project, source={"backupUid": _uid(api, place, name)})

    def over() -> Any:
        (found,) = api.get(f"{fork}/restores").data["restores"]
        return found if found.get("completedAt") else None

    restored = await_that(over)
    assert restored["status"] == "completed", restored
    await_that(lambda: api.get(fork).data["status"] == "running")
    secrets = api.get(f"{fork}/credentials").data["secrets"]
    base = secrets["POSTGRES_URI"].rpartition("/")[0]
    with psycopg.connect(f"{base}/shop") as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert sorted(row[0] for row in found) == tables
        count = connection.execute(f"SELECT count(*) FROM {tables[0]}".encode()).fetchone()
        assert count == (100,)
    api.delete(fork)


def test_what_is_not_whole_is_named_and_left_alone(heir: Heir) -> None:
    """Copies of a real dump under other uids, each spoiled in its way."""
    (whole,) = (heir.store / "dumps/lost/source").iterdir()
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
        place = heir.store / "dumps/lost/source" / uid / "1"
        shutil.copytree(attempt, place)
        manifest = json.loads((place / "manifest.json").read_text())
        if uid[0] != "1":
            manifest["backup"]["uid"] = uid
        text = change(json.dumps(manifest))
        (place / "manifest.json").unlink()
        if text is not None:
            (place / "manifest.json").write_text(text)
    found = heir.adopt(PLATFORM, passphrase=heir.kits[PLATFORM])
    assert found["backups"] == []
    told = {each["where"].split("/")[3]: each["problem"] for each in found["problems"]}
    assert told.keys() == spoiled.keys()
    for uid, (words, _) in spoiled.items():
        assert words in told[uid], told[uid]


def _with_key(manifest: str, key: str) -> str:
    document = json.loads(manifest)
    document["members"][0]["key"] = key
    return json.dumps(document)


def test_the_command_says_what_it_took_and_what_it_left(heir: Heir) -> None:
    environment = {"HOLDFAST_HOST": heir.server.url, "HOLDFAST_TOKEN": heir.server.token}
    done = subprocess.run(
        [HOLDFAST, "destination", "adopt", "--platform", "--passphrase-file", "-"],
        input=heir.kits[PLATFORM], env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "never completed" in done.stderr
    assert heir.kits[PLATFORM] not in done.stdout + done.stderr
    listed = subprocess.run(
        [HOLDFAST, "destination", "backups", "--platform"],
        env=environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert all(name in listed.stdout for name in ("one", "three", "four"))


def test_what_was_taken_in_can_be_deleted(heir: Heir) -> None:
    api = heir.server.api()
    uid = _uid(api, PLATFORM, "one")
    assert api.delete(f"/stored-backups/{uid}", force="true").status == 200
    await_that(lambda: not (heir.store / "dumps/lost/source" / uid).exists())
    assert api.post(f"{PLATFORM}/adopt", {"passphrase": 5}).status == 400
    assert api.post(f"{PLATFORM}/adopt", {"after": "x", "more": 1}).status == 400
