"""Redis and Valkey through the API: managed and attached, snapshots, restores, refusals."""

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from fixtures.bodies import BILLING
from fixtures.holdfast import Api, await_backup, await_restore, await_that, fresh
from fixtures.http_api import Holdfast
from fixtures.redis_data import fill, fingerprint
from fixtures.redis_installation import VERSIONS, RedisInstallation
from fixtures.redis_servers import FLAVOURS, running_redis


@pytest.fixture
def installation(redis_installation: RedisInstallation) -> RedisInstallation:
    return redis_installation


def test_the_type_says_what_it_can(installation: RedisInstallation) -> None:
    kinds = installation.api.get("/addon-types").data["addonTypes"]
    (kind,) = (each for each in kinds if each["type"] == "redis")
    features = kind["features"]
    assert (features["backupsDump"], features["backupsSnapshot"]) == (False, True)
    assert (features["managed"], features["customDBName"], features["tls"]) == (True, False, True)
    assert kind["major"] == ["9.1", "7.0"]
    body = {"name": "Named", "type": "redis", "billing": BILLING}
    refused = installation.api.post(
        "/projects/keys/addons", {**body, "customCredentials": {"dbName": "x"}}
    )
    assert list(refused.details) == ["customCredentials.dbName"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_managed_server_is_put_back(installation: RedisInstallation, flavour: str) -> None:
    addon = installation.manage_redis(flavour)
    client = installation.inside(addon)
    fill(client, timed_fields=flavour == "valkey")
    installation.inside_as_admin(addon).execute_command(
        "ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all"
    )
    before = fingerprint(client)
    backup = installation.backup(addon)
    evidence = installation.api.get(f"{backup}/evidence").data
    assert {check["name"] for check in evidence["checks"]} >= {"RDB checksum", "stock checker"}
    assert evidence["facts"]["keys"]["15"] == installation.inside(addon, 15).dbsize()
    client.flushall()
    client.execute_command("FUNCTION", "FLUSH")
    installation.inside_as_admin(addon).execute_command("ACL", "DELUSER", "app")
    client.set("later", "written")
    for appends in ("yes", "no"):  # what is set in between
        report = installation.restore(backup)["report"]
        assert report["keys"] == evidence["facts"]["keys"]
        client, admin = installation.inside(addon), installation.inside_as_admin(addon)
        assert fingerprint(client) == before
        assert any("app" in line and "-@admin" in line for line in map(str, admin.acl_list()))
        assert client.config_get("appendonly")["appendonly"] == appends
        admin.config_set("appendonly", "no")
        admin.config_rewrite()
        client.set("later", "again")
    installation.api.post(f"{addon}/restart")
    await_that(lambda: installation.api.get(addon).data["status"] == "running")
    assert installation.inside(addon).get("later") == b"again"
    installation.api.delete(addon)


def test_an_attached_redis_goes_into_a_managed_valkey(installation: RedisInstallation) -> None:
    with running_redis("redis", appendonly="yes", requirepass="s3cret") as own:
        client = own.client(password="s3cret")
        fill(client, timed_fields=False)
        before = fingerprint(client)
        wrong = {"name": "Wrong", "type": "redis", "connectionString": own.url}
        refused = installation.api.post("/projects/keys/addons", wrong)
        assert list(refused.details) == ["connectionString"]
        source = installation.attach(own, f"redis://:s3cret@127.0.0.1:{own.port}")
        backup = installation.backup(source)
        into_itself = installation.api.post(f"{backup}/restore").data["restoreId"]
        over = await_that(lambda: restore_of(installation.api, backup, into_itself))
        assert (over["status"], "materialise" in over["reason"]) == ("not-supported", True)
    target = installation.manage_redis("valkey", "Target")
    client = installation.inside(target)
    client.set("only", "here")
    restore_elsewhere(installation, backup, target)
    found, wanted = fingerprint(client), before
    for each in (found, wanted):
        each.pop("functions")  # both flavours have them, each with words of its own
    assert found == wanted
    assert client.execute_command("FCALL", "twice", 0, 4) == 8


def test_a_fork_is_a_server_of_its_own(installation: RedisInstallation) -> None:
    source = installation.manage_redis("valkey", "Forked")
    client = installation.inside(source)
    client.set("a", "then")
    backup = installation.backup(source)
    client.set("a", "now")
    origin = {"addonId": source.rpartition("/")[2], "backupId": backup.rpartition("/")[2]}
    body = {"name": fresh("Fork"), "type": "redis", "version": VERSIONS["valkey"]}
    body |= {"billing": BILLING, "source": origin}
    fork = (
        f"/projects/keys/addons/{installation.api.post('/projects/keys/addons', body).data['id']}"
    )
    await_that(lambda: completed_restore(installation.api, fork))
    assert installation.inside(fork).get("a") == b"then"
    installation.inside(fork).set("a", "apart")
    assert client.get("a") == b"now"


def test_users_of_another_projects_snapshot_stay_away(installation: RedisInstallation) -> None:
    source = installation.manage_redis("redis", "Foreign")
    client = installation.inside(source)
    client.set("a", "then")
    administrator = installation.inside_as_admin(source)
    administrator.execute_command("ACL", "SETUSER", "boss", "on", ">known", "~*", "+@all")
    backup = installation.backup(source)
    installation.api.post("/projects", {"name": "Other keys"})
    origin = {"projectId": "keys", "addonId": source.rpartition("/")[2]}
    origin["backupId"] = backup.rpartition("/")[2]
    for project, users in (("keys", [b"boss"]), ("other-keys", [])):
        body = {"name": fresh("Fork"), "type": "redis", "version": VERSIONS["redis"]}
        body |= {"billing": BILLING, "source": origin}
        made = installation.api.post(f"/projects/{project}/addons", body).data
        fork = f"/projects/{project}/addons/{made['id']}"
        await_that(lambda fork=fork: completed_restore(installation.api, fork))
        assert installation.inside(fork).get("a") == b"then"
        known = installation.inside_as_admin(fork).execute_command("ACL", "USERS")
        assert [name for name in known if name == b"boss"] == users


def completed_restore(api: Api, addon: str) -> bool:
    """The server is exchanged on the way, so nobody can talk to it all the time before."""
    (found,) = api.get(f"{addon}/restores").data["restores"]
    assert found["status"] not in ("failed", "aborted", "not-supported"), found
    return found["status"] == "completed"


def restore_of(api: Api, backup: str, restore: str) -> dict[str, Any] | None:
    listed = api.get(f"{backup}/restores").data["restores"]
    found = next(each for each in listed if each["id"] == restore)
    return found if found.get("completedAt") else None


def restore_elsewhere(
    installation: RedisInstallation, backup: str, target: str, wanted: str = "completed"
) -> None:
    _, _, project, _, source, _, identifier = backup.split("/")
    origin = {"sourceProjectId": project, "sourceAddonId": source}
    here = f"{target}/backups/{identifier}"
    restore = installation.api.post(f"{here}/restore", params=origin).data["restoreId"]

    def over() -> Any:
        listed = installation.api.get(f"{here}/restores", **origin).data["restores"]
        found = next(each for each in listed if each["id"] == restore)
        return found if found.get("completedAt") else None

    found = await_that(over)
    assert found["status"] == wanted, found


def test_a_newer_snapshot_is_refused_by_an_older_server_before_anything_happens(
    installation: RedisInstallation,
) -> None:
    with running_redis("valkey") as own:
        own.client().set("a", 1)
        backup = installation.backup(installation.attach(own))
    target = installation.manage_redis("redis", "Older")
    installation.inside(target).set("mine", "kept")
    restore_elsewhere(installation, backup, target, "failed")
    assert installation.inside(target).get("mine") == b"kept"


def test_what_cannot_be_is_not_supported_and_says_why(installation: RedisInstallation) -> None:
    with running_redis("redis") as own:
        addon = installation.attach(own)
        body = {"name": "A dump", "backupType": "dump", "compressionType": "gz"}
        made = installation.api.post(f"{addon}/backups", body).data
        found = await_backup(installation.api, f"{addon}/backups/{made['id']}", "not-supported")
        assert "no logical dumps; take a snapshot" in found["reason"]
        own.client().execute_command("ACL", "SETUSER", "low", "on", ">pw", "~*", "+@all", "-psync")
        low = installation.attach(own, f"redis://low:pw@127.0.0.1:{own.port}")
        made = installation.api.post(f"{low}/backups", {"name": "No rights"}).data
        found = await_backup(installation.api, f"{low}/backups/{made['id']}", "not-supported")
        assert "+psync" in found["reason"]


def test_materialised_files_start_a_server_by_the_printed_steps(
    installation: RedisInstallation,
    fresh_holdfast: Holdfast,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with running_redis("redis") as own:
        fill(own.client(), timed_fields=False)
        before = fingerprint(own.client())
        backup = installation.backup(installation.attach(own))
    _, _, project, _, addon, _, identifier = backup.split("/")
    monkeypatch.setenv("HOLDFAST_TOKEN", installation.server.token)
    words = ["--host", installation.server.url, "-p", project, "-a", addon]
    ran = fresh_holdfast("backup", "materialise", identifier, *words, "--to", str(tmp_path / "it"))
    assert ran.status == 0, ran.err
    assert "CONFIG SET appendonly yes" in ran.err
    data = tmp_path / "it" / "data"
    checked = subprocess.run(
        ["redis-check-rdb", data / "dump.rdb"], check=False, capture_output=True
    )
    assert checked.returncode == 0, checked.stdout
    with running_redis("redis", appendonly="yes") as target:
        target.stop()
        shutil.rmtree(target.directory / "appendonlydir")
        shutil.move(data / "dump.rdb", target.directory / "dump.rdb")
        target.settings = {"appendonly": "no"}
        target.start()
        assert fingerprint(target.client()) == before
        target.client().config_set("appendonly", "yes")
        await_that(lambda: not target.client().info("persistence")["aof_rewrite_in_progress"])
        target.stop()
        target.settings = {"appendonly": "yes"}
        target.start()
        assert fingerprint(target.client()) == before


def test_an_abort_in_the_middle_leaves_nothing(installation: RedisInstallation) -> None:
    with running_redis("redis", rdbcompression="no") as own:
        own.client().set("big", b"\x01\x02" * (4 << 20))
        addon = installation.attach(own)
        made = installation.api.post(f"{addon}/backups", {"name": "Slow", "maxRate": 1024}).data
        path = f"{addon}/backups/{made['id']}"
        await_that(lambda: installation.api.get(path).data["status"] == "in-progress")
        assert installation.api.post(f"{path}/abort").status == 200
        await_backup(installation.api, path, "aborted")
        await_that(lambda: own.client().info("replication")["connected_slaves"] == 0)
        installation.backup(addon)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["snapshot:capture:during", "snapshot:seal:before"])
def test_a_worker_that_is_killed_is_taken_over(
    installation: RedisInstallation, moment: str
) -> None:
    with running_redis("redis", rdbcompression="no") as own:
        own.client().set("big", b"\x01\x02" * (2 << 20))
        addon = installation.attach(own)
        installation.restart(MORTAL_AT=moment)
        made = installation.api.post(f"{addon}/backups", {"name": fresh("Killed")}).data
        assert await_that(installation.server.child.poll) == -9
        installation.restart()
        found = await_backup(installation.api, f"{addon}/backups/{made['id']}")
        assert int(found["config"]["size"]) > 4 << 20


def server_of(installation: RedisInstallation, addon: str) -> psutil.Process:
    """The one that answers; after a start of Holdfast that takes a moment."""

    def answers() -> Any:
        with contextlib.suppress(redis.exceptions.RedisError):
            return (
                installation.inside(addon).ping()
                and installation.inside(addon).info()["process_id"]
            )

    return psutil.Process(await_that(answers))


def servers_in(home: Path) -> set[int]:
    """Of one addon: what serves, and what waits beside it."""
    found: set[int] = set()
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(each.cwd()).is_relative_to(home):
                found.add(each.pid)
    return found


GOES_ON = ("swap:before", "move:1", "move:2", "move:3", "swap:after")
"""From here on the rehearsed server is known to be sound."""
EXCHANGE = ("fetch:during", "rehearse:before", "rehearse:after", *GOES_ON)
QUICK, SLOW = "move:2", [pytest.mark.slow]


def _exchange_points() -> list[Any]:
    return [
        pytest.param(moment, victim, marks=[] if moment == QUICK and not victim else SLOW)
        for moment in EXCHANGE
        for victim in (False, True)
    ]


@pytest.mark.parametrize(("moment", "victim"), _exchange_points())
def test_a_restore_that_is_killed_is_finished(
    installation: RedisInstallation, moment: str, victim: bool
) -> None:
    """And with every server that it had started or not yet stopped, when there is a victim."""
    addon = installation.manage_redis("valkey", "Mortal")
    installation.inside(addon).set("big", b"\x01\x03" * (2 << 20))
    installation.inside_as_admin(addon).config_set("rdbcompression", "no")
    backup = installation.backup(addon)
    installation.inside(addon).set("big", "changed")
    installation.restart(MORTAL_AT=f"rewind:{moment}")
    old = server_of(installation, addon)
    home = Path(old.cwd()).parent
    begun = installation.api.post(f"{backup}/restore").data["restoreId"]
    assert await_that(installation.server.child.poll) == -9
    left = servers_in(home)
    if victim:
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    installation.restart()
    await_restore(installation.api, backup, begun)
    serving = server_of(installation, addon).pid
    assert installation.inside(addon).get("big") == b"\x01\x03" * (2 << 20)
    assert servers_in(home) == {serving}
    if moment in GOES_ON:
        assert (serving in left - {old.pid}) == (not victim)
    installation.inside(addon).set("later", "written")
    installation.api.post(f"{addon}/restart")
    await_that(lambda: serving not in servers_in(home) and server_of(installation, addon))
    assert installation.inside(addon).get("later") == b"written"
    await_that(lambda: installation.api.get(addon).data["status"] == "running")
    installation.api.delete(addon)


@pytest.mark.slow
def test_a_restore_whose_server_never_answers_goes_back(installation: RedisInstallation) -> None:
    addon = installation.manage_redis("redis", "Back")
    installation.inside(addon).set("a", "then")
    backup = installation.backup(addon)
    installation.inside(addon).set("a", "now")
    installation.restart(MORTAL_AT="rewind:nowhere:never", MORTAL_START="fail")
    home = Path(server_of(installation, addon).cwd()).parent
    assert installation.restore_over(backup)["status"] == "failed"
    assert servers_in(home) == {server_of(installation, addon).pid}
    assert installation.inside(addon).get("a") == b"now"
    installation.restart()
