"""RDB files through the API: stored as snapshots, restored into servers that read them."""

import gzip
import hashlib
from pathlib import Path

import pytest
import zstandard

from fixtures.bodies import OCTETS
from fixtures.holdfast import await_backup
from fixtures.offered import Offered
from fixtures.redis_data import fill, fingerprint
from fixtures.redis_installation import RedisInstallation
from fixtures.redis_servers import RedisServer, running_redis


@pytest.fixture
def installation(redis_installation: RedisInstallation) -> RedisInstallation:
    return redis_installation


def saved(own: RedisServer) -> bytes:
    """As an operator finds it on the disk."""
    own.client().save()
    return (Path(own.directory) / "dump.rdb").read_bytes()


def imported(
    installation: RedisInstallation, addon: str, url: str, wanted: str = "completed"
) -> dict[str, object]:
    made = installation.api.post(f"{addon}/import", {"importUrl": url}).data
    return await_backup(installation.api, f"{addon}/backups/{made['id']}", wanted)


@pytest.mark.parametrize("flavour", ["redis", pytest.param("valkey", marks=pytest.mark.slow)])
def test_a_file_comes_back_whole(
    installation: RedisInstallation, offered: Offered, flavour: str
) -> None:
    addon = installation.manage_redis(flavour)
    with running_redis(flavour) as own:
        fill(own.client(), timed_fields=flavour == "valkey")
        before, file = fingerprint(own.client()), saved(own)
        attached = installation.attach(own)
        url = offered.offer("/some.bin", gzip.compress(file))
        backup = imported(installation, addon, url)
        assert backup["config"]["source"] == {"type": "externalDump"}  # type: ignore[index]
        assert backup["backupType"] == "snapshot"
        one = f"{addon}/backups/{backup['id']}"
        evidence = installation.api.get(f"{one}/evidence").data
        checks = {check["name"] for check in evidence["checks"] if check["passed"]}
        assert checks >= {"RDB checksum", "stock checker", "arrival"}
        installation.inside(addon).set("only", "here")
        installation.restore(one)
        assert fingerprint(installation.inside(addon)) == before
        kept = imported(installation, attached, url)
        refused = installation.restore_over(f"{attached}/backups/{kept['id']}")
        assert (refused["status"], "materialise" in refused["reason"]) == ("not-supported", True)
        assert fingerprint(own.client()) == before
    installation.api.delete(addon)


def test_an_upload_of_a_newer_format_is_refused_by_an_older_server(
    installation: RedisInstallation,
) -> None:
    addon = installation.manage_redis("redis")
    installation.inside(addon).set("mine", "kept")
    with running_redis("valkey") as own:
        own.client().set("a", 1)
        file = zstandard.compress(saved(own))
    announced = {"size": len(file), "sha256": hashlib.sha256(file).hexdigest()}
    upload = installation.api.post(f"{addon}/uploads", announced).data["id"]
    content = f"{addon}/uploads/{upload}/content"
    installation.api.ask("PUT", content, params={"offset": 0}, content=file, headers=OCTETS)
    made = installation.api.post(f"{addon}/import", {"uploadId": upload}).data["id"]
    backup = await_backup(installation.api, f"{addon}/backups/{made}")
    assert backup["config"]["source"] == {"type": "fileUpload"}
    refused = installation.restore_over(f"{addon}/backups/{made}")
    assert (refused["status"], "does not read" in refused["reason"]) == ("failed", True)
    assert installation.inside(addon).get("mine") == b"kept"
    installation.api.delete(addon)


def test_what_is_no_whole_file_is_refused_with_what_was_found(
    installation: RedisInstallation, offered: Offered
) -> None:
    addon = installation.manage_redis("redis")
    with running_redis("redis") as own:
        fill(own.client(), timed_fields=False)
        file = saved(own)
    middle = len(file) // 2
    wrong = {
        file[:middle]: "ends in the middle",
        file[:middle] + bytes([file[middle] ^ 1]) + file[middle + 1 :]: "RDB",
        file + b"*1\r\n": "goes on after its end",
        file[:-8] + bytes([file[-8] ^ 1]) + file[-7:]: "checksum",
        b"-- MySQL dump 10.13": "a dump of MySQL",
        b"SQLite format 3\0" + bytes(500): "an SQLite database",
        b"": "has to be an RDB",
    }
    for number, (body, reason) in enumerate(wrong.items()):
        failed = imported(installation, addon, offered.offer(f"/{number}", body), "failed")
        assert reason in str(failed["reason"]), number
    live = {"connectionString": "redis://127.0.0.1:1/0"}
    assert installation.api.post(f"{addon}/import", live).status == 409
    installation.api.delete(addon)
