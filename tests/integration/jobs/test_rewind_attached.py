"""Restores in place into servers of others, whose operator said what stops and starts them."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.holdfast import await_that
from fixtures.installation import Installation, installation_home, running
from fixtures.own_server import OwnServer, controls, own_server
from holdfast.domain.errors import Invalid
from holdfast.settings import Settings, attached_controls

ADDON = "/projects/own/addons/orders"


@dataclass(kw_only=True)
class ControllingInstallation(Installation):
    """It may stop and start a server of its operator's, whose data the addon is."""

    own: OwnServer
    other: OwnServer

    def attach(self, name: str, own: OwnServer) -> str:
        body = {"name": name, "type": "postgresql", "connectionString": own.database.url()}
        return f"/projects/own/addons/{self.api.post('/projects/own/addons', body).data['id']}"

    def state(self) -> str:
        return str(self.own.database.run("SELECT now FROM state")[0][0])

    def be(self, state: str) -> None:
        self.own.database.run(f"UPDATE state SET now = '{state}'")


@pytest.fixture(scope="module")
def installation() -> Iterator[ControllingInstallation]:
    with installation_home() as home, own_server() as own, own_server() as other:
        servers = {"a": ("own/orders", own), "b": ("own/mistaken", own)}
        file = controls(home / "attached.json", **servers)
        environment = {"HOLDFAST_ATTACHED_FILE": file}
        with running(
            ControllingInstallation(home, environment, ADDON, own=own, other=other)
        ) as installation:
            installation.api.post("/projects", {"name": "Own"})
            assert installation.attach("Orders", own) == ADDON
            own.database.run("CREATE TABLE state AS SELECT 'snapshot' AS now")
            yield installation


def test_the_operators_server_is_put_back(installation: ControllingInstallation) -> None:
    backup = installation.backup()
    installation.be("later")
    installation.own.database.run("ALTER SYSTEM SET work_mem = '7MB'")
    owner = installation.own.data.owner()
    report = installation.restore(backup)["report"]
    assert report["checksums"] == "every page's checksum is right"
    assert installation.state() == "snapshot"
    assert installation.own.database.run("SHOW work_mem") == [("7MB",)]  # settings are the place's
    assert installation.own.data.owner() == owner
    assert installation.own.beside() <= {"lock", "restored", "served", "server.log"}
    assert installation.api.get(backup).data["lastRestore"]["status"] == "completed"
    (newest, *_) = installation.api.get(f"{ADDON}/restores").data["restores"]
    assert (newest["status"], newest["backupId"]) == ("completed", backup.rpartition("/")[2])
    installation.be("written to")
    installation.backup()


def test_a_server_that_is_down_is_restored_as_well(installation: ControllingInstallation) -> None:
    backup = installation.backup()
    installation.be("later")
    installation.own.do(installation.own.stop)
    shutil.rmtree(installation.own.data / "base")  # nobody will start this again
    installation.restore(backup)
    assert installation.state() == "written to"


def test_a_restored_server_that_does_not_start_is_put_back(
    installation: ControllingInstallation,
) -> None:
    backup = installation.backup()
    installation.be("live")
    installation.own.refuse.touch()
    found = installation.await_restore_over(backup, installation.begin_restore(backup))
    installation.own.refuse.unlink()
    assert found["status"] == "failed"
    assert "the operator's start command exited with status 1" in found["reason"]
    assert "the addon was put back as it was" in found["reason"]
    assert installation.state() == "live"
    assert installation.api.get(backup).data["lastRestore"]["status"] == "failed"


def test_an_abort_leaves_it_as_it_was_or_finishes(installation: ControllingInstallation) -> None:
    installation.be("snapshot")
    backup = installation.backup()
    for pause in (0.0, 0.8, 1.6):
        installation.be("later")
        restore = installation.begin_restore(backup)
        time.sleep(pause)  # the moments differ from run to run, and what must hold does not
        installation.api.post(f"{backup}/abort-restore", {"restoreId": restore})
        status = installation.await_restore_over(backup, restore)["status"]
        assert status in ("aborted", "completed")
        assert installation.state() == ("later" if status == "aborted" else "snapshot")
        assert installation.own.beside() <= {"lock", "restored", "served", "server.log"}


def test_without_the_operators_word_nothing_is_stopped(
    installation: ControllingInstallation,
) -> None:
    backup = installation.backup(installation.attach("Unnamed", installation.other))
    found = installation.await_restore_over(backup, installation.begin_restore(backup))
    assert found["status"] == "not-supported"
    assert "holdfast backup materialise" in found["reason"]
    assert installation.other.beside() == set()


def test_a_line_that_names_another_servers_directory_changes_nothing(
    installation: ControllingInstallation,
) -> None:
    backup = installation.backup(installation.attach("Mistaken", installation.other))
    installation.be("untouched")
    found = installation.await_restore_over(backup, installation.begin_restore(backup))
    assert found["status"] == "failed"
    assert f"the addon's on {installation.other.database.port}" in found["reason"]
    assert installation.state() == "untouched"


@pytest.mark.parametrize(
    "move", [2, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 3, 4, 5))]
)
def test_a_death_between_two_renames_ends_with_the_restored_data(
    installation: ControllingInstallation, move: int
) -> None:
    installation.be("snapshot")
    backup = installation.backup()
    installation.be("later")
    installation.restart(MORTAL_AT=f"rewind:move:{move}")
    restore = installation.begin_restore(backup)
    await_that(lambda: installation.server.child.poll() is not None)
    installation.restart()
    assert installation.await_restore_over(backup, restore)["status"] == "completed"
    assert installation.state() == "snapshot"
    assert installation.own.beside() <= {"lock", "restored", "served", "server.log"}


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ('{"p/a": {"dataDirectory": "/x", "stop": ["x"], "start": ["y"]}}', 0o666),
        ('{"p/a": {"dataDirectory": "x", "stop": ["x"], "start": ["y"]}}', 0o600),
        ('{"p/a": {"dataDirectory": "/x", "stop": [], "start": ["y"]}}', 0o600),
        ('{"p/a": {"dataDirectory": "/x", "stop": "x", "start": ["y"]}}', 0o600),
        ('{"p/a": {"dataDirectory": "/x", "stop": ["x"], "start": ["y"], "z": 1}}', 0o600),
        ("[]", 0o600),
        ("{", 0o600),
    ],
)
def test_a_file_that_is_wrong_or_others_may_write_is_refused(
    tmp_path: Path, text: str, mode: int
) -> None:
    path = tmp_path / "attached.json"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(Invalid, match="attached_file"):
        attached_controls(Settings(attached_file=str(path)))
