"""S3 as the platform's own store: set up as the README says, used from backup to deletion."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from fixtures.holdfast import Server, await_backup, await_restore, await_that
from fixtures.installation import Installation, installation_home, running
from fixtures.postgres import PostgresServer, url_of
from fixtures.s3 import S3Server
from holdfast.stores.registry import open_store

PUBLIC = "https://backups.example.org"
ADDON = "/projects/platform/addons/one"
ROWS = 3000


@pytest.fixture
def settings(s3_server: S3Server) -> dict[str, object]:
    return s3_server.options(s3_server.bucket(), prefix="holdfast/")


@pytest.fixture
def server(settings: dict[str, object]) -> Iterator[Server]:
    with installation_home() as home:
        file = home / "store.json"
        file.write_text(json.dumps({"kind": "s3", **settings}))
        environment = {"HOLDFAST_STORE_FILE": str(file), "HOLDFAST_PUBLIC_URL": PUBLIC}
        with running(Installation(home, environment)) as installation:
            yield installation.server


def test_a_backup_lives_and_ends_in_the_bucket(
    server: Server,
    settings: dict[str, object],
    start_postgres: Callable[[int, str], PostgresServer],
) -> None:
    source = start_postgres(15, "platform")
    source.execute(f"CREATE TABLE t AS SELECT g FROM generate_series(1, {ROWS}) g", "main")
    api, bucket = server.api(), open_store("s3", settings)
    api.post("/projects", {"name": "Platform"})
    body = {"name": "One", "type": "postgresql", "connectionString": url_of(source, "main")}
    assert api.post("/projects/platform/addons", body).data["status"] == "running"

    api.post(f"{ADDON}/backups", {"name": "first", "backupType": "dump"})
    await_backup(api, f"{ADDON}/backups/first")
    names = [stat.key.rpartition("/")[2] for stat in bucket.list("dumps/")]
    assert names == ["globals.sql.gz", "main.dump.gz", "manifest.json"]
    assert not (server.data_dir / "store").exists()

    source.execute("DELETE FROM t WHERE g > 10", "main")
    restore = api.post(f"{ADDON}/backups/first/restore").data["restoreId"]
    await_restore(api, f"{ADDON}/backups/first", restore)
    assert source.execute("SELECT count(*) FROM t", "main") == [(ROWS,)]

    link = api.get(f"{ADDON}/backups/first/download-link").data["downloadLink"]
    assert link.startswith(f"{PUBLIC}/v1/downloads/")
    content = httpx.get(link.replace(PUBLIC, server.url), timeout=60).content
    assert content.startswith(b"\x1f\x8b")

    api.delete(f"{ADDON}/backups/first", force="true")
    await_that(lambda: not list(bucket.list("dumps/")))
    assert str(settings["secret_key"]) not in server.log.read_text()
