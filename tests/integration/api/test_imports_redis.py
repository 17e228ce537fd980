"""RDB files through the API: stored as snapshots, restored into servers that read them."""

import gzip
import hashlib
from pathlib import Path

import pytest
import zstandard

from fixtures.holdfast import await_backup
from fixtures.offered import Offered
from fixtures.redis_data import fill, fingerprint
from fixtures.redis_room import Room
from fixtures.redis_servers import RedisServer, running_redis


def saved(own: RedisServer) -> bytes:
    """As an operator finds it on the disk."""
    own.client().save()
    return (Path(own.directory) / "dump.rdb").read_bytes()


def imported(room: Room, addon: str, url: str, wanted: str = "completed") -> dict[str, object]:
    made = room.api.post(f"{addon}/import", {"importUrl": url}).data
    return await_backup(room.api, f"{addon}/backups/{made['id']}", wanted)


@pytest.mark.parametrize("flavour", ["redis", pytest.param("valkey", marks=pytest.mark.slow)])
def test_a_file_comes_back_whole(redis_room: Room, offered: Offered, flavour: str) -> None:
    room, addon = redis_room, redis_room.managed(flavour)
    with running_redis(flavour) as own:
        fill(own.client(), timed_fields=flavour == "valkey")
        before, file = fingerprint(own.client()), saved(own)
        attached = room.attached(own)
        url = offered.offer("/some.bin", gzip.compress(file))
        backup = imported(room, addon, url)
        assert backup["config"]["source"] == {"type": "externalDump"}  # type: ignore[index]
        assert backup["backupType"] == "snapshot"
        one = f"{addon}/backups/{backup['id']}"
        evidence = room.api.get(f"{one}/evidence").data
        checks = {check["name"] for check in evidence["checks"] if check["passed"]}
        assert checks >= {"RDB checksum", "stock checker", "arrival"}
        room.inside(addon).set("only", "here")
        room.restore(one)
        assert fingerprint(room.inside(addon)) == before
        kept = imported(room, attached, url)
        refused = room.restore_ended(f"{attached}/backups/{kept['id']}")
        assert (refused["status"], "materialise" in refused["reason"]) == ("not-supported", True)
        assert fingerprint(own.client()) == before
    room.api.delete(addon)


def test_an_upload_of_a_newer_format_is_refused_by_an_older_server(redis_room: Room) -> None:
    room, addon = redis_room, redis_room.managed("redis")
    room.inside(addon).set("mine", "kept")
    with running_redis("valkey") as own:
        own.client().set("a", 1)
        file = zstandard.compress(saved(own))
    announced = {"size": len(file), "sha256": hashlib.sha256(file).hexdigest()}
    upload = room.api.post(f"{addon}/uploads", announced).data["id"]
    room.api.ask("PUT", f"{addon}/uploads/{upload}/content", params={"offset": 0}, content=file,
                 headers={"content-type": "application/octet-stream"})  # fmt: skip
    made = room.api.post(f"{addon}/import", {"uploadId": upload}).data["id"]
    backup = await_backup(room.api, f"{addon}/backups/{made}")
    assert backup["config"]["source"] == {"type": "fileUpload"}
    refused = room.restore_ended(f"{addon}/backups/{made}")
    assert (refused["status"], "does not read" in refused["reason"]) == ("failed", True)
    assert room.inside(addon).get("mine") == b"kept"
    room.api.delete(addon)


def test_what_is_no_whole_file_is_refused_with_what_was_found(
    redis_room: Room, offered: Offered
) -> None:
    room, addon = redis_room, redis_room.managed("redis")
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
        failed = imported(room, addon, offered.offer(f"/{number}", body), "failed")
        assert reason in str(failed["reason"]), number
    live = {"connectionString": "redis://127.0.0.1:1/0"}
    assert room.api.post(f"{addon}/import", live).status == 409
    room.api.delete(addon)
