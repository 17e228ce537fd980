"""Snapshots through the API: taken, opened by the stock tool, copied, put back in place."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fixtures.attached import Attached
from fixtures.bodies import BILLING
from fixtures.debian_postgres import USER
from fixtures.holdfast import Api, Server, await_backup, await_restore, await_that, fresh
from fixtures.http_api import Holdfast
from fixtures.installation import sql
from fixtures.s3 import S3Server

pytestmark = pytest.mark.sqlite_first

PG = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="module")
def managed(server: Server) -> Iterator[str]:
    """Its path. The tests below follow one server."""
    api = server.api()
    project = api.project()
    body = {"name": "Snapped", "type": "postgresql", "version": "15-latest", "billing": BILLING}
    made = api.post(f"/projects/{project}/addons", body).data
    path = f"/projects/{project}/addons/{made['id']}"
    await_that(lambda: api.get(path).data["status"] == "running")
    sql(api, path, "CREATE TABLE t AS SELECT g, md5(g::text) AS m FROM generate_series(1, 50000) g")
    sql(api, path, "CREATE INDEX ON t (m)")
    yield path
    api.delete(path)


def snapshot(api: Api, addon: str, **body: Any) -> str:
    """Takes one; its path."""
    made = api.post(f"{addon}/backups", {"name": fresh("Snap"), **body}).data
    await_backup(api, f"{addon}/backups/{made['id']}")
    return f"{addon}/backups/{made['id']}"


def restic(url: str, password: str, *words: str, **environment: str) -> str:
    """What the stock tool says of a repository."""
    env = {"RESTIC_PASSWORD": password, "PATH": os.environ["PATH"], **environment}
    argv = ["restic", "--no-cache", "-r", url, *words]
    done = subprocess.run(argv, check=False, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kit_of(api: Api, place: str, addon: str) -> tuple[str, str]:
    """Passphrase and URL of the addon's repository."""
    kit = api.post(f"{place}/recovery-kit").data
    project = addon.split("/")[2]
    (mine,) = [each for each in kit["repositories"] if each["project"] == project]
    return kit["passphrase"], mine["url"]


def test_the_default_backup_is_a_physical_copy(api: Api, managed: str) -> None:
    first = snapshot(api, managed)
    found = api.get(first).data
    assert (found["backupType"], found["config"]["source"]["type"]) == ("snapshot", "snapshot")
    assert int(found["config"]["size"]) > 20_000_000
    evidence = api.get(f"{first}/evidence").data
    assert all(check["passed"] for check in evidence["checks"])
    assert evidence["facts"]["start"]["lsn"] < evidence["facts"]["end"]["lsn"]
    sql(api, managed, "UPDATE t SET g = -g WHERE g < 500")
    again = api.get(f"{snapshot(api, managed)}/evidence").data
    assert again["storedBytes"] < evidence["storedBytes"] / 2
    refused = api.get(f"{first}/download-link")
    assert (refused.status, refused.error["id"]) == (409, "conflict")


def test_the_stock_tool_opens_every_snapshot(api: Api, managed: str, tmp_path: Path) -> None:
    snapshot(api, managed)
    passphrase, url = kit_of(api, "/platform-store", managed)
    assert "no errors were found" in restic(url, passphrase, "check", "--read-data")
    restic(url, passphrase, "restore", "latest", "--target", str(tmp_path))
    checked = [str(PG / "pg_verifybackup"), "--no-parse-wal", str(tmp_path / "data")]
    done = subprocess.run(checked, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    old = passphrase
    passphrase, _ = kit_of(api, "/platform-store", managed)
    assert passphrase != old
    with pytest.raises(AssertionError, match="wrong password"):
        restic(url, old, "snapshots")


def test_a_restore_puts_the_addon_back(api: Api, managed: str) -> None:
    backup = snapshot(api, managed)
    before = sql(api, managed, "SELECT count(*), sum(g), max(m) FROM t")
    sql(api, managed, "CREATE TABLE later (a int)")
    sql(api, managed, "DROP TABLE t")
    restore = api.post(f"{backup}/restore").data["restoreId"]
    report = await_restore(api, backup, restore)["report"]
    assert report["checksums"] == "every page's checksum is right"
    assert report["databases"]["defaultdb"]["tables"] > 50
    assert sql(api, managed, "SELECT count(*), sum(g), max(m) FROM t") == before
    assert sql(api, managed, "SELECT to_regclass('later')") == [(None,)]
    assert api.get(managed).data["status"] == "running"
    last = api.get(backup).data["lastRestore"]
    assert last["status"] == "completed"


def test_a_snapshot_goes_into_another_addon(api: Api, managed: str) -> None:
    """With its own password, whatever the copied server's was."""
    backup = snapshot(api, managed)
    project, _, source = managed.removeprefix("/projects/").split("/")
    body = {"name": "Twin", "type": "postgresql", "version": "15-latest", "billing": BILLING}
    twin = f"/projects/{project}/addons/{api.post(f'/projects/{project}/addons', body).data['id']}"
    await_that(lambda: api.get(twin).data["status"] == "running")
    origin = {"sourceProjectId": project, "sourceAddonId": source}
    here = f"{twin}/backups/{backup.rpartition('/')[2]}"
    restore = api.post(f"{here}/restore", params=origin).data["restoreId"]
    await_restore(api, here, restore, **origin)
    wanted = sql(api, managed, "SELECT count(*), sum(g), max(m) FROM t")
    assert sql(api, twin, "SELECT count(*), sum(g), max(m) FROM t") == wanted
    api.delete(twin)


def destination(api: Api, s3_server: S3Server, bucket: str) -> str:
    credentials = s3_server.credentials(bucket)
    body = {"name": fresh("Offsite"), "type": "s3", "prefix": "hf/", "credentials": credentials}
    return api.post("/backup-destinations", body).data["id"]


def test_copies_go_to_every_additional_destination(
    api: Api, managed: str, s3_server: S3Server
) -> None:
    place = destination(api, s3_server, s3_server.bucket())
    more = [{"destinationId": place, "type": "custom", "retentionTime": 3}]
    backup = snapshot(api, managed, additionalDestinations=more)
    assert api.get(backup).data["config"]["additionalDestinations"] == more

    def copied() -> Any:
        (item,) = api.get(f"/backup-destinations/{place}/backups").data
        return item if item["status"] == "completed" else None

    item = await_that(copied)
    assert item["id"] == backup.rpartition("/")[2]
    assert item["config"]["size"] == api.get(backup).data["config"]["size"]
    assert item["expiredBy"] > 0
    passphrase, url = kit_of(api, f"/backup-destinations/{place}", managed)
    keys = {
        "AWS_ACCESS_KEY_ID": s3_server.access_key, "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
    }  # fmt: skip
    assert "no errors were found" in restic(url, passphrase, "check", "--read-data", **keys)


def test_the_files_come_as_a_tar_that_a_server_starts_from(
    api: Api, managed: str, tmp_path: Path
) -> None:
    backup = snapshot(api, managed)
    tar = api.raw("GET", f"{backup}/files").content
    subprocess.run(["tar", "-x", "-C", tmp_path], input=tar, check=True, timeout=60)
    checked = [str(PG / "pg_verifybackup"), "--no-parse-wal", str(tmp_path / "data")]
    done = subprocess.run(checked, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_attached_server_is_copied_over_the_wire(api: Api, attached: Attached) -> None:
    backup = snapshot(api, attached.path)
    refused = api.post(f"{backup}/restore").data["restoreId"]
    over = await_that(lambda: api.get(f"{backup}/restores").data["restores"][0].get("completedAt"))
    (restore,) = api.get(f"{backup}/restores").data["restores"]
    assert (restore["id"], restore["status"]) == (refused, "not-supported")
    assert "holdfast backup materialise" in restore["reason"]
    assert over


def test_a_server_that_lets_nobody_replicate_says_what_is_missing(
    api: Api, attached: Attached
) -> None:
    user = fresh("reader").replace(" ", "_")
    attached.postgres.run(f"CREATE ROLE {user} LOGIN PASSWORD 'p' IN ROLE pg_read_all_data")
    url = f"postgresql://{user}:p@127.0.0.1:{attached.postgres.port}/{attached.database}"
    body = {"name": fresh("Reader"), "type": "postgresql", "connectionString": url}
    made = api.post(f"/projects/{attached.project}/addons", body).data
    addon = f"/projects/{attached.project}/addons/{made['id']}"
    asked = api.post(f"{addon}/backups", {"backupType": "snapshot"}).data
    found = await_backup(api, f"{addon}/backups/{asked['id']}", "not-supported")
    assert "REPLICATION" in found["reason"]
    api.delete(addon)


def test_materialise_writes_what_a_server_starts_from_or_nothing(
    api: Api,
    server: Server,
    managed: str,
    fresh_holdfast: Holdfast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backup = snapshot(api, managed).rpartition("/")[2]
    wanted = sql(api, managed, "SELECT count(*), sum(g), max(m) FROM t")
    _, project, _, addon = managed.strip("/").split("/")
    monkeypatch.setenv("HOLDFAST_TOKEN", server.token)
    with tempfile.TemporaryDirectory(prefix="materialised-") as home:
        target = Path(home) / "restored"
        words = ["--host", server.url, "-p", project, "-a", addon, "--to", str(target)]
        ran = fresh_holdfast("backup", "materialise", backup, *words)
        assert ran.status == 0, ran.err
        assert "recovers by itself" in ran.err
        assert rows_of_started(api, managed, home, target) == wanted
        assert (target / "data/pg_wal/00000002.history").stat().st_size > 0  # a timeline of its own
        assert not (target / "data/recovery.signal").exists()
        settings = (target / "data/postgresql.auto.conf").read_text()
        assert "recovery" not in settings
        assert "restore_command" not in settings
        again = fresh_holdfast("backup", "materialise", backup, *words)
        assert (again.status, "exists already" in again.err) == (2, True)
        words[-1] = str(Path(home) / "never")
        missing = fresh_holdfast("backup", "materialise", "no-such", *words)
        assert missing.status != 0
        assert [path.name for path in Path(home).iterdir()] == ["restored"]


def rows_of_started(api: Api, addon: str, home: str, target: Path) -> list[tuple[Any, ...]]:
    """The steps that the command prints, done."""
    secrets = api.get(f"{addon}/credentials").data["secrets"]
    user = USER if os.geteuid() == 0 else None
    if user:
        subprocess.run(["chown", "-R", f"{user}:", home], check=True, timeout=30)
    uri = psycopg.conninfo.conninfo_to_dict(secrets["POSTGRES_URI"])
    flags = f"-c listen_addresses= -c unix_socket_directories={home} -c port={uri['port']}"
    pg_ctl = [str(PG / "pg_ctl"), "-D", str(target / "data"), "-w", "-t", "60"]
    log = ["-l", f"{home}/restored/log", "-o", flags]
    subprocess.run([*pg_ctl, *log, "start"], check=True, user=user, cwd=home, timeout=90)
    try:
        with psycopg.connect(**{**uri, "host": home, "sslmode": "disable"}) as connection:
            query = "SELECT count(*), sum(g), max(m) FROM t"
            return connection.execute(query.encode()).fetchall()
    finally:
        subprocess.run([*pg_ctl, "-m", "fast", "stop"], check=True, user=user, cwd=home, timeout=60)


def test_recovery_kits_are_for_tokens_that_see_every_project(
    api: Api, server: Server, managed: str
) -> None:
    project = managed.split("/")[2]
    body = {"name": "Mine", "role": "owner", "projects": [project]}
    restricted = server.api(api.post("/tokens", body).data["token"])
    refused = restricted.post("/platform-store/recovery-kit")
    assert (refused.status, "restricted" in refused.error["message"]) == (403, True)
    assert restricted.post("/backup-destinations/any/recovery-kit").status == 403


def test_the_passphrase_is_in_the_answer_and_nowhere_else(
    api: Api, server: Server, managed: str
) -> None:
    passphrase, _ = kit_of(api, "/platform-store", managed)
    again, _ = kit_of(api, "/platform-store", managed)
    assert again != passphrase
    for path in [server.log, *server.data_dir.glob("catalog*")]:
        assert passphrase.encode() not in path.read_bytes(), path


def test_a_failed_copy_says_why_and_is_made_when_told_to(
    api: Api, managed: str, s3_server: S3Server
) -> None:
    """The backup itself is completed; restores read whichever copy there is."""
    bucket = s3_server.bucket()
    place = destination(api, s3_server, bucket)
    empty(s3_server, bucket).delete_bucket(Bucket=bucket)
    backup = snapshot(api, managed, additionalDestinations=[{"destinationId": place}])

    def copy(status: str) -> Any:
        more = [c for c in api.get(backup).data["copies"] if c.get("destinationId") == place]
        return more[0] if more[0]["status"] == status else None

    failed = await_that(lambda: copy("failed"))
    assert failed["reason"]
    assert failed["nextTryAt"]
    (stored,) = api.get(f"/backup-destinations/{place}/backups").data
    assert (stored["status"], stored["reason"]) == ("failed", failed["reason"])
    assert api.get(backup).data["status"] == "completed"

    empty(s3_server, bucket).create_bucket(Bucket=bucket)
    assert api.post(f"{backup}/copies/{place}/retry").status == 200
    assert "reason" not in await_that(lambda: copy("completed"))
    assert api.post(f"{backup}/copies/{place}/retry").status == 409
    assert api.post(f"{backup}/copies/unknown/retry").status == 404


def empty(s3_server: S3Server, bucket: str) -> Any:
    """A client, once nothing is in the bucket."""
    client: Any = s3_server.client
    with contextlib.suppress(client.exceptions.NoSuchBucket):
        for each in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
            client.delete_object(Bucket=bucket, Key=each["Key"])
    return client
