"""Restores from an additional copy: the platform's is damaged, gone, or everything else is gone."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fixtures.debian_postgres import USER
from fixtures.holdfast import (
    Api,
    Server,
    await_backup,
    await_restore,
    await_that,
    free_port,
    fresh,
    start_holdfast,
)
from fixtures.s3 import S3Server

PROJECT = "/projects/copies"
ADDON = f"{PROJECT}/addons/source"
BACKUP = f"{ADDON}/backups/good"
BILLING = {"deploymentPlan": "any", "storage": 1024, "replicas": 1}
PG = Path("/usr/lib/postgresql/15/bin")


@dataclass
class House:
    """One managed server, and one snapshot of it at two places. The tests follow its decline."""

    server: Server
    s3: S3Server
    place: str = ""
    kits: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def api(self) -> Api:
        return self.server.api()

    @property
    def platform(self) -> Path:
        return self.server.data_dir / "store" / "snapshots"

    def manage(self, name: str) -> str:
        body = {"name": name, "type": "postgresql", "version": "15-latest", "billing": BILLING}
        path = f"{PROJECT}/addons/{self.api.post(f'{PROJECT}/addons', body).data['id']}"
        await_that(lambda: self.api.get(path).data["status"] == "running")
        return path

    def sql(self, statement: str, addon: str = ADDON) -> list[tuple[Any, ...]]:
        uri = self.api.get(f"{addon}/credentials").data["secrets"]["POSTGRES_URI"]
        with psycopg.connect(uri, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def restore(self) -> list[str]:
        """What its log said."""
        self.sql("UPDATE state SET now = 'later'")
        headers = {"idempotency-key": fresh("key")}
        restore = self.api.post(f"{BACKUP}/restore", headers=headers).data["restoreId"]
        await_restore(self.api, BACKUP, restore)
        assert self.sql("SELECT now FROM state") == [("snapshot",)]
        lines = self.api.get(f"{BACKUP}/restores/{restore}/logs", queryType="range").data
        return [line["log"] for line in lines]

    def lost(self) -> list[bool]:
        return ["lost" in copy for copy in self.api.get(BACKUP).data["copies"]]

    def kit(self, path: str) -> tuple[str, str]:
        kit = self.api.post(f"{path}/recovery-kit").data
        return kit["passphrase"], kit["repositories"][0]["url"]

    def restic(self, kit: tuple[str, str], *words: str) -> str:
        env = {
            "PATH": os.environ["PATH"],
            "RESTIC_PASSWORD": kit[0],
            "AWS_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
        }
        argv = ["restic", "--no-cache", "-r", kit[1], *words]
        done = subprocess.run(argv, check=False, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def house(s3_server: S3Server) -> Iterator[House]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    made = House(start_holdfast(home, forked=True), s3_server)
    try:
        made.api.post("/projects", {"name": "Copies"})
        made.manage("Source")
        credentials = s3_server.credentials(s3_server.bucket())
        place = {"name": "Offsite", "type": "s3", "prefix": "hf/", "credentials": credentials}
        made.place = made.api.post("/backup-destinations", place).data["id"]
        made.sql("CREATE TABLE state AS SELECT 'snapshot' AS now")
        more = [{"destinationId": made.place}]
        made.api.post(f"{ADDON}/backups", {"name": "good", "additionalDestinations": more})
        await_backup(made.api, BACKUP)
        await_that(lambda: made.api.get(BACKUP).data["copies"][1]["status"] == "completed")
        yield made
    finally:
        made.server.stop()
        shutil.rmtree(home, ignore_errors=True)


def test_a_restore_goes_on_with_the_next_copy_when_a_byte_is_wrong(house: House) -> None:
    victim = max(house.platform.rglob("data/*/*"), key=lambda path: path.stat().st_size)
    body = victim.read_bytes()
    victim.write_bytes(body[:100] + bytes([body[100] ^ 1]) + body[101:])
    assert any("this copy cannot be used" in line for line in house.restore())


def test_what_is_damaged_is_found_when_asked_and_made_again(house: House) -> None:
    assert house.lost() == [False, False]
    house.api.post("/retention/audits", {"readData": True})

    def found() -> Any:
        listed = house.api.get("/retention/findings", kind="lost").data["findings"]
        return listed and listed[0]

    assert "is not what was written" in await_that(found)["reason"]
    settled = await_that(lambda: found() if "outcome" in found() else None)
    assert settled["outcome"] == "it was made again from another copy"
    assert house.lost() == [False, False]
    kit = house.kit("/platform-store")
    assert "no errors were found" in house.restic(kit, "check", "--read-data")
    refused = house.api.post(f"{BACKUP}/repair")
    assert (refused.status, "no copy of this backup is lost" in refused.error["message"]) == (
        409,
        True,
    )
    assert not any("cannot be used" in line for line in house.restore())


def test_a_restore_reads_an_additional_copy_when_the_platforms_is_gone(house: House) -> None:
    shutil.rmtree(house.platform)
    assert any("in the platform's store cannot be used" in line for line in house.restore())


def test_the_files_come_from_whichever_copy_is_there(house: House) -> None:
    assert len(house.api.raw("GET", f"{BACKUP}/files").content) > 20_000_000


def test_a_restore_outlives_the_addon_it_was_taken_of(house: House) -> None:
    twin = house.manage("Twin")
    house.kits["offsite"] = house.kit(f"/backup-destinations/{house.place}")
    house.api.delete(ADDON)
    origin = {"sourceProjectId": "copies", "sourceAddonId": "source"}
    here = f"{twin}/backups/good"
    restore = house.api.post(f"{here}/restore", params=origin).data["restoreId"]
    await_restore(house.api, here, restore, **origin)
    assert house.sql("SELECT now FROM state", twin) == [("snapshot",)]


def test_the_kit_and_the_stock_tool_open_it_when_all_of_holdfast_is_gone(house: House) -> None:
    """As the kit says, from the bucket alone."""
    house.server.stop()
    shutil.rmtree(house.server.data_dir)
    with tempfile.TemporaryDirectory(prefix="rescued-") as name:
        home = Path(name)
        house.restic(house.kits["offsite"], "restore", "latest", "--target", name)
        verify = [str(PG / "pg_verifybackup"), "--no-parse-wal", str(home / "data")]
        subprocess.run(verify, check=True, stdout=subprocess.DEVNULL)
        assert rows_of(home) == [("snapshot",)]


def rows_of(home: Path) -> list[tuple[Any, ...]]:
    """A server started from what was restored, as an owner would."""
    user, port = USER if os.geteuid() == 0 else None, free_port()
    if user:
        subprocess.run(["chown", "-R", f"{user}:", str(home)], check=True)
    (home / "hba").write_text("local all all trust\n")
    flags = f"-c listen_addresses= -c unix_socket_directories={home} -p {port}"
    pg_ctl = [str(PG / "pg_ctl"), "-D", str(home / "data"), "-w", "-l", str(home / "log")]
    options = ["-o", f"{flags} -c hba_file={home}/hba"]
    subprocess.run([*pg_ctl, *options, "start"], check=True, user=user, cwd=home, timeout=90)
    try:
        where = {"host": str(home), "port": port, "user": superuser(home), "dbname": "defaultdb"}
        with psycopg.connect(**where) as connection:
            return connection.execute("SELECT now FROM state").fetchall()
    finally:
        subprocess.run([*pg_ctl, "-m", "fast", "stop"], check=True, user=user, cwd=home, timeout=60)


def superuser(home: Path) -> str:
    """The manifest in the snapshot says it."""
    return json.loads((home / "holdfast/manifest.json").read_text())["facts"]["superuser"]
