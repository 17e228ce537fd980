"""Restores of snapshots in place, and where the data lies afterwards: tablespaces and aborts."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from fixtures.debian_postgres import run_sql
from fixtures.holdfast import await_backup, await_that, fresh
from fixtures.installation import Installation, installation_home, running
from fixtures.managed import admin_of


class TablespaceInstallation(Installation):
    """One managed server, and a directory that the server's user may write."""

    @property
    def spare(self) -> Path:
        return self.home / "spare"

    def make_tablespace(self, name: str) -> None:
        """Only an administrator may; the owner may use it."""
        uri = self.uri()
        login = admin_of(self.server, int(str(conninfo_to_dict(uri)["port"])))
        admin_uri = make_conninfo(uri, user=login.user, password=login.password.reveal())
        run_sql(admin_uri, f"CREATE TABLESPACE {name} LOCATION '{self.make_location(name)}'")
        run_sql(admin_uri, f"GRANT CREATE ON TABLESPACE {name} TO PUBLIC")

    def make_location(self, name: str) -> Path:
        location = self.spare / name
        location.mkdir()
        state = (self.addon_home / "data").stat()
        os.chown(location, state.st_uid, state.st_gid)
        return location

    def trees(self) -> list[str]:
        return [path.name for path in self.addon_home.glob("restore-*")]


@pytest.fixture(scope="module")
def installation() -> Iterator[TablespaceInstallation]:
    with installation_home() as home, running(TablespaceInstallation(home)) as installation:
        installation.spare.mkdir(mode=0o755)
        installation.manage_first("Places")
        yield installation


def test_an_abort_at_any_moment_leaves_the_old_data_or_finishes(
    installation: TablespaceInstallation,
) -> None:
    installation.sql("CREATE TABLE state AS SELECT 'snapshot' AS now")
    backup = installation.backup()
    seen: set[str] = set()
    for pause in (0.0, 0.3, 0.8, 1.4, 2.0):
        installation.await_status("running")
        installation.sql("UPDATE state SET now = 'later'")
        restore = installation.begin_restore(backup)
        time.sleep(pause)  # the moments differ from run to run, and what must hold does not
        asked = installation.api.post(f"{backup}/abort-restore", {"restoreId": restore})
        assert asked.status in (200, 409)  # too late is said
        status = installation.await_restore_over(backup, restore)["status"]
        seen.add(status)
        assert status in ("aborted", "completed")
        wanted = "later" if status == "aborted" else "snapshot"
        assert installation.sql("SELECT now FROM state") == [(wanted,)]
        assert installation.trees() == []
    assert "aborted" in seen


def test_a_snapshot_is_as_gentle_as_it_was_asked_to_be(
    installation: TablespaceInstallation,
) -> None:
    """Read at most at so many KiB per second; sizes and times are the server's own."""
    body = {"name": fresh("Gentle"), "backupType": "snapshot", "maxRate": 16_384}
    made = installation.api.post(f"{installation.addon}/backups", body).data
    begun = time.monotonic()
    found = await_backup(installation.api, f"{installation.addon}/backups/{made['id']}")
    least = int(found["config"]["size"]) / (16_384 << 10)
    assert time.monotonic() - begun > 0.8 * least > 1
    for wrong in (31, 2_000_000, "fast"):
        refused = installation.api.post(f"{installation.addon}/backups", {**body, "maxRate": wrong})
        assert (refused.status, list(refused.details)) == (400, ["maxRate"])
    refused = installation.api.post(f"{installation.addon}/backups", {**body, "backupType": "dump"})
    assert (refused.status, list(refused.details)) == (400, ["maxRate"])


@pytest.mark.slow
def test_tablespaces_follow_every_restore_and_go_with_the_data(
    installation: TablespaceInstallation,
) -> None:
    for name in ("one", "two"):
        installation.make_tablespace(name)
        installation.sql(
            f"CREATE TABLE in_{name} TABLESPACE {name} AS SELECT generate_series(1, 999) AS g"
        )
    backup = installation.backup()
    for _ in range(2):
        installation.sql("DROP TABLE in_one")
        installation.sql("UPDATE in_two SET g = 0")
        installation.restore(backup)
        for name in ("one", "two"):
            assert installation.sql(f"SELECT count(*), sum(g) FROM in_{name}") == [(999, 499_500)]
        (tree,) = installation.trees()
        assert [path.name for path in (installation.addon_home / tree).iterdir()] == ["tablespaces"]
    again = installation.backup()  # of a server whose tablespaces lie where a restore put them
    installation.sql("DROP TABLE in_two")
    installation.restore(again)
    assert installation.sql("SELECT count(*), sum(g) FROM in_two") == [(999, 499_500)]
    assert len(installation.trees()) == 1
    installation.api.post(f"{installation.addon}/reset")
    await_that(lambda: not installation.trees())
    installation.await_status("running")
    addon_home = installation.addon_home
    installation.api.delete(installation.addon)
    await_that(lambda: not addon_home.exists())
