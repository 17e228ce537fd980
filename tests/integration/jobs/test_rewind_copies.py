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
from fixtures.holdfast import await_restore, await_that, free_port
from fixtures.installation import Installation, installation_home, running
from fixtures.restic import run_restic
from fixtures.s3 import S3Server

ADDON = "/projects/copies/addons/source"
BACKUP = f"{ADDON}/backups/good"
PG = Path("/usr/lib/postgresql/15/bin")


@dataclass(kw_only=True)
class TwoCopiesInstallation(Installation):
    """One managed server, and one snapshot of it at two places. The tests follow its decline."""

    s3: S3Server
    destination: str = ""
    kits: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    @property
    def platform(self) -> Path:
        return self.data_dir / "store" / "snapshots"

    def restore_good(self) -> list[str]:
        """The restore's log."""
        self.sql("UPDATE state SET now = 'later'")
        restore = self.restore(BACKUP)["id"]
        assert self.sql("SELECT now FROM state") == [("snapshot",)]
        lines = self.api.get(f"{BACKUP}/restores/{restore}/logs", queryType="range").data
        return [line["log"] for line in lines]

    def lost(self) -> list[bool]:
        return ["lost" in copy for copy in self.api.get(BACKUP).data["copies"]]

    def kit(self, path: str) -> tuple[str, str]:
        kit = self.api.post(f"{path}/recovery-kit").data
        return kit["passphrase"], kit["repositories"][0]["url"]

    def restic(self, kit: tuple[str, str], *words: str) -> str:
        passphrase, url = kit
        return run_restic(self.s3, url, passphrase, *words)


@pytest.fixture(scope="module")
def installation(s3_server: S3Server) -> Iterator[TwoCopiesInstallation]:
    with (
        installation_home() as home,
        running(TwoCopiesInstallation(home, s3=s3_server)) as installation,
    ):
        installation.manage_first("Copies")
        credentials = s3_server.credentials(s3_server.bucket())
        offsite = {"name": "Offsite", "type": "s3", "prefix": "hf/", "credentials": credentials}
        installation.destination = installation.api.post("/backup-destinations", offsite).data["id"]
        installation.sql("CREATE TABLE state AS SELECT 'snapshot' AS now")
        copy = {"destinationId": installation.destination}
        installation.backup(name="good", additionalDestinations=[copy])
        await_that(lambda: installation.api.get(BACKUP).data["copies"][1]["status"] == "completed")
        yield installation


def test_a_restore_goes_on_with_the_next_copy_when_a_byte_is_wrong(
    installation: TwoCopiesInstallation,
) -> None:
    victim = max(installation.platform.rglob("data/*/*"), key=lambda path: path.stat().st_size)
    body = victim.read_bytes()
    victim.write_bytes(body[:100] + bytes([body[100] ^ 1]) + body[101:])
    assert any("this copy cannot be used" in line for line in installation.restore_good())


def test_what_is_damaged_is_found_when_asked_and_made_again(
    installation: TwoCopiesInstallation,
) -> None:
    assert installation.lost() == [False, False]
    installation.api.post("/retention/audits", {"readData": True})

    def found() -> Any:
        listed = installation.api.get("/retention/findings", kind="lost").data["findings"]
        return listed and listed[0]

    assert "is not what was written" in await_that(found)["reason"]
    settled = await_that(lambda: found() if "outcome" in found() else None)
    assert settled["outcome"] == "it was made again from another copy"
    assert installation.lost() == [False, False]
    kit = installation.kit("/platform-store")
    assert "no errors were found" in installation.restic(kit, "check", "--read-data")
    refused = installation.api.post(f"{BACKUP}/repair")
    assert (refused.status, "no copy of this backup is lost" in refused.error["message"]) == (
        409,
        True,
    )
    assert not any("cannot be used" in line for line in installation.restore_good())


def test_a_restore_reads_an_additional_copy_when_the_platforms_is_gone(
    installation: TwoCopiesInstallation,
) -> None:
    shutil.rmtree(installation.platform)
    lines = installation.restore_good()
    is_said = any("in the platform's store cannot be used" in line for line in lines)
    # A check of the store may have noticed first; then only the other copy is asked.
    assert is_said or installation.lost()[0], lines


def test_the_files_come_from_whichever_copy_is_there(installation: TwoCopiesInstallation) -> None:
    assert len(installation.api.raw("GET", f"{BACKUP}/files").content) > 20_000_000


@pytest.mark.slow
def test_a_restore_outlives_the_addon_it_was_taken_of(installation: TwoCopiesInstallation) -> None:
    twin = installation.manage("copies", "Twin")
    installation.kits["offsite"] = installation.kit(
        f"/backup-destinations/{installation.destination}"
    )
    installation.api.delete(ADDON)
    origin = {"sourceProjectId": "copies", "sourceAddonId": "source"}
    here = f"{twin}/backups/good"
    restore = installation.api.post(f"{here}/restore", params=origin).data["restoreId"]
    await_restore(installation.api, here, restore, **origin)
    assert installation.sql("SELECT now FROM state", twin) == [("snapshot",)]


@pytest.mark.slow
def test_the_kit_and_the_stock_tool_open_it_when_all_of_holdfast_is_gone(
    installation: TwoCopiesInstallation,
) -> None:
    """As the kit says, from the bucket alone."""
    installation.server.stop()
    shutil.rmtree(installation.data_dir)
    with tempfile.TemporaryDirectory(prefix="rescued-") as name:
        home = Path(name)
        installation.restic(installation.kits["offsite"], "restore", "latest", "--target", name)
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
