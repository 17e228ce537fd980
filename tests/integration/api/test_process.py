"""The process itself: its first token, its drain, and what survives a restart."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fixtures.attached import Own, attach
from fixtures.bodies import BILLING
from fixtures.holdfast import Api, await_backup, await_that, start_holdfast
from fixtures.installation import installation_home


@pytest.fixture
def home() -> Iterator[Path]:
    with installation_home() as home:
        yield home


def test_a_stop_is_clean_and_a_start_finds_everything_again(home: Path, own_postgres: Own) -> None:
    server = start_holdfast(home)
    try:
        api = server.api()
        attached = attach(api, own_postgres.postgres, api.project(), "Stays", own_postgres.database)
        made = api.post(f"{attached.path}/backups", {"name": "Kept", "backupType": "dump"}).data
        one = f"{attached.path}/backups/{made['id']}"
        await_backup(api, one)
        body = {"name": "Ours", "type": "postgresql", "billing": BILLING}
        path = f"/projects/{attached.project}/addons"
        managed = f"{path}/{api.post(path, body).data['id']}"
        await_that(lambda: api.get(managed).data["status"] == "running")
        uri = api.get(f"{managed}/credentials").data["secrets"]["POSTGRES_URI"]
        with psycopg.connect(uri) as connection:
            found = connection.execute("SELECT current_setting('data_directory')").fetchone()
        assert found is not None
    finally:
        assert server.stop() == 0, "SIGTERM drains; it does not kill"
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(uri)

    again = start_holdfast(home)
    try:
        api = again.api()
        assert again.token == server.token
        assert api.get(one).data["status"] == "completed"

        def back() -> bool:
            try:
                with psycopg.connect(uri):
                    return True
            except psycopg.OperationalError:
                return False

        await_that(back)
        assert api.get(managed).data["status"] == "running"
    finally:
        assert again.stop() == 0


def test_a_given_owner_token_is_taken_and_not_written(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "owner.token").write_text("not written by us")
    server = start_holdfast(home, forked=True, HOLDFAST_OWNER_TOKEN="hft_given-by-the-operator")
    try:
        assert Api(server.url, "hft_given-by-the-operator").get("/login").status == 200
        assert (home / "data" / "owner.token").read_text() == "not written by us"
        assert "hft_given-by-the-operator" not in server.log.read_text()
    finally:
        server.stop()


def test_one_team_when_one_is_configured(home: Path) -> None:
    server = start_holdfast(home, forked=True, HOLDFAST_TEAM="ours")
    try:
        api = server.api()
        assert api.based("/v1/teams/ours").get("/projects").status == 200
        assert api.based("/v1/teams/theirs").get("/projects").status == 404
        assert [team["id"] for team in api.get("/teams").data["teams"]] == ["ours"]
    finally:
        server.stop()


def test_secrets_can_be_masked_everywhere(home: Path, s3_server: "object") -> None:
    server = start_holdfast(home, forked=True, HOLDFAST_MASK_SECRETS="1")
    try:
        api = server.api()
        credentials = {
            "accessKey": s3_server.access_key,  # type: ignore[attr-defined]
            "secretKey": s3_server.secret_key,  # type: ignore[attr-defined]
            "bucketName": s3_server.bucket(),  # type: ignore[attr-defined]
            "region": "us-east-1",
            "endpoint": s3_server.endpoint,  # type: ignore[attr-defined]
        }
        body = {"name": "Masked", "type": "s3", "prefix": "", "credentials": credentials}
        made = api.post("/backup-destinations", body)
        assert credentials["secretKey"] not in str(made.body)
        shown = api.get("/backup-destinations/masked").data["credentials"]
        assert (shown["accessKey"], shown["secretKey"]) == ("********", "********")
    finally:
        server.stop()


def test_the_first_files_are_private(home: Path) -> None:
    server = start_holdfast(home)
    server.stop()
    for name in ("owner.token", "master.key", "holdfast.db"):
        assert (home / "data" / name).stat().st_mode & 0o077 == 0
    assert (home / "data").stat().st_uid == os.geteuid()
