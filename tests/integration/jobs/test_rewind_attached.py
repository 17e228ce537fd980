"""Restores in place into servers of others, whose operator said what stops and starts them."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.holdfast import (
    MORTAL,
    OVER,
    Api,
    Server,
    await_backup,
    await_restore,
    await_that,
    fresh,
    start_holdfast,
)
from fixtures.own_server import OwnServer, controls, own_server
from holdfast.domain.errors import Invalid
from holdfast.settings import Settings, attached_controls

ADDON = "/projects/own/addons/orders"


@dataclass
class House:
    """An installation, and a server of somebody else that it may stop and start."""

    server: Server
    own: OwnServer
    other: OwnServer
    file: str

    def restart(self, **how: Any) -> None:
        self.server.stop()
        home = self.server.data_dir.parent
        self.server = start_holdfast(
            home, forked=True, HOLDFAST_ATTACHED_FILE=self.file, HOLDFAST_DEAD="3", **how
        )

    @property
    def api(self) -> Api:
        return self.server.api()

    def attach(self, name: str, own: OwnServer) -> str:
        body = {"name": name, "type": "postgresql", "connectionString": own.database.url()}
        return f"/projects/own/addons/{self.api.post('/projects/own/addons', body).data['id']}"

    def snapshot(self, addon: str = ADDON) -> str:
        made = self.api.post(f"{addon}/backups", {"name": fresh("Snap")}).data
        await_backup(self.api, f"{addon}/backups/{made['id']}")
        return f"{addon}/backups/{made['id']}"

    def begin(self, backup: str, **body: Any) -> str:
        headers = {"idempotency-key": fresh("key")}
        return self.api.post(f"{backup}/restore", body, headers=headers).data["restoreId"]

    def over(self, backup: str, restore: str) -> dict[str, Any]:
        def ended() -> Any:
            listed = self.api.get(f"{backup}/restores").data["restores"]
            found = next(each for each in listed if each["id"] == restore)
            return found if found["status"] in OVER else None

        return await_that(ended, 120)

    def state(self) -> str:
        return str(self.own.database.run("SELECT now FROM state")[0][0])

    def be(self, state: str) -> None:
        self.own.database.run(f"UPDATE state SET now = '{state}'")


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    home.chmod(0o711)
    with own_server() as own, own_server() as other:
        named = {"a": ("own/orders", own), "b": ("own/mistaken", own)}
        file = controls(home / "attached.json", **named)
        server = start_holdfast(home, HOLDFAST_ATTACHED_FILE=file)
        made = House(server, own, other, file)
        try:
            made.api.post("/projects", {"name": "Own"})
            assert made.attach("Orders", own) == ADDON
            own.database.run("CREATE TABLE state AS SELECT 'snapshot' AS now")
            yield made
        finally:
            made.server.stop()
            shutil.rmtree(home, ignore_errors=True)


def test_the_operators_server_is_put_back(house: House) -> None:
    backup = house.snapshot()
    house.be("later")
    house.own.database.run("ALTER SYSTEM SET work_mem = '7MB'")
    owner = house.own.data.owner()
    report = await_restore(house.api, backup, house.begin(backup))["report"]
    assert report["checksums"] == "every page's checksum is right"
    assert house.state() == "snapshot"
    assert house.own.database.run("SHOW work_mem") == [("7MB",)]  # settings are the place's
    assert house.own.data.owner() == owner
    assert house.own.beside() <= {"lock", "restored", "served", "server.log"}
    assert house.api.get(backup).data["lastRestore"]["status"] == "completed"
    (newest, *_) = house.api.get(f"{ADDON}/restores").data["restores"]
    assert (newest["status"], newest["backupId"]) == ("completed", backup.rpartition("/")[2])
    house.be("written to")
    house.snapshot()


def test_a_server_that_is_down_is_restored_as_well(house: House) -> None:
    backup = house.snapshot()
    house.be("later")
    house.own.do(house.own.stop)
    shutil.rmtree(house.own.data / "base")  # nobody will start this again
    await_restore(house.api, backup, house.begin(backup))
    assert house.state() == "written to"


def test_a_restored_server_that_does_not_start_is_put_back(house: House) -> None:
    backup = house.snapshot()
    house.be("live")
    house.own.refuse.touch()
    found = house.over(backup, house.begin(backup))
    house.own.refuse.unlink()
    assert found["status"] == "failed"
    assert "the operator's start command exited with status 1" in found["reason"]
    assert "the addon was put back as it was" in found["reason"]
    assert house.state() == "live"
    assert house.api.get(backup).data["lastRestore"]["status"] == "failed"


def test_an_abort_leaves_it_as_it_was_or_finishes(house: House) -> None:
    house.be("snapshot")
    backup = house.snapshot()
    for pause in (0.0, 0.8, 1.6):
        house.be("later")
        restore = house.begin(backup)
        time.sleep(pause)  # the moments differ from run to run, and what must hold does not
        house.api.post(f"{backup}/abort-restore", {"restoreId": restore})
        status = house.over(backup, restore)["status"]
        assert status in ("aborted", "completed")
        assert house.state() == ("later" if status == "aborted" else "snapshot")
        assert house.own.beside() <= {"lock", "restored", "served", "server.log"}


def test_without_the_operators_word_nothing_is_stopped(house: House) -> None:
    backup = house.snapshot(house.attach("Unnamed", house.other))
    found = house.over(backup, house.begin(backup))
    assert found["status"] == "not-supported"
    assert "holdfast backup materialise" in found["reason"]
    assert house.other.beside() == set()


def test_a_line_that_names_another_servers_directory_changes_nothing(house: House) -> None:
    backup = house.snapshot(house.attach("Mistaken", house.other))
    house.be("untouched")
    found = house.over(backup, house.begin(backup))
    assert found["status"] == "failed"
    assert f"the addon's on {house.other.database.port}" in found["reason"]
    assert house.state() == "untouched"


@pytest.mark.parametrize(
    "move", [2, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 3, 4, 5))]
)
def test_a_death_between_two_renames_ends_with_the_restored_data(house: House, move: int) -> None:
    house.be("snapshot")
    backup = house.snapshot()
    house.be("later")
    house.restart(program=MORTAL, MORTAL_AT=f"rewind:move:{move}")
    restore = house.begin(backup)
    await_that(lambda: house.server.child.poll() is not None)
    house.restart()
    assert house.over(backup, restore)["status"] == "completed"
    assert house.state() == "snapshot"
    assert house.own.beside() <= {"lock", "restored", "served", "server.log"}


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
