"""D1 to D6 on a real S3 service."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from fakes.s3_quirks import quirky
from fixtures.attached import ROWS, Attached
from fixtures.holdfast import Api, Server, await_backup, await_restore, await_that, free_port, fresh
from fixtures.s3 import S3Server
from holdfast.stores.s3.driver import S3Store
from holdfast.stores.s3.options import Options

pytestmark = pytest.mark.sqlite_first

MASK = "********"


def keys(s3: S3Server, **more: str) -> dict[str, str]:
    given = {
        "accessKey": s3.access_key,
        "secretKey": s3.secret_key,
        "bucketName": "",
        "region": s3.region,
        "endpoint": s3.endpoint,
        **more,
    }
    return {**given, "bucketName": given["bucketName"] or s3.bucket()}


@pytest.fixture
def body(s3_server: S3Server) -> dict[str, Any]:
    credentials = keys(s3_server)
    return {"name": fresh("Offsite"), "type": "s3", "prefix": "hf/", "credentials": credentials}


@pytest.fixture
def offsite(api: Api, body: dict[str, Any]) -> str:
    return api.post("/backup-destinations", body).data["id"]


@pytest.mark.parametrize("name", ["Platform", "new"])
def test_words_of_our_own_addresses_are_no_names(api: Api, body: dict[str, Any], name: str) -> None:
    refused = api.post("/backup-destinations", {**body, "name": name})
    assert refused.status == 400
    assert "choose another" in refused.details["name"]


def test_two_destinations_may_not_share_a_place(api: Api, body: dict[str, Any]) -> None:
    first = api.post("/backup-destinations", body).data["id"]
    again = api.post("/backup-destinations", {**body, "name": fresh("Same place")})
    assert (again.status, list(again.details)) == (409, ["prefix"])
    assert first in again.error["message"]
    beside = {**body, "name": fresh("Beside"), "prefix": "other/"}
    second = api.post("/backup-destinations", beside).data["id"]
    assert (
        api.patch(f"/backup-destinations/{first}", {"credentials": body["credentials"]}).data == {}
    )
    for place in (first, second):
        assert api.delete(f"/backup-destinations/{place}").data == {}


def test_the_life_of_a_destination(server: Server, api: Api, body: dict[str, Any]) -> None:
    made = api.post("/backup-destinations", {**body, "description": "Far away"}).data
    assert made["id"] == body["name"].lower().replace(" ", "-")
    one = f"/backup-destinations/{made['id']}"
    assert api.get(one).data["credentials"] == body["credentials"]
    assert api.get(f"/backup-destinations/{body['name']}").data["id"] == made["id"]
    (listed,) = api.get("/backup-destinations", per_page=1).data["backupDestinations"]
    assert listed["id"] == made["id"]
    assert (listed["credentials"]["accessKey"], listed["credentials"]["secretKey"]) == (MASK, MASK)
    assert listed["credentials"]["bucketName"] == body["credentials"]["bucketName"]

    assert api.patch(one, {"name": "Renamed one"}).data == {}
    renamed = api.get(one).data
    assert (renamed["id"], renamed["name"]) == (made["id"], "Renamed one")
    assert renamed["credentials"] == body["credentials"]
    by_name = "/backup-destinations/Renamed one"
    assert api.patch(by_name, {"credentials": body["credentials"]}).data == {}
    assert api.get(f"{by_name}/backups").body == {
        "data": [],
        "pagination": {"hasNextPage": False, "count": 0},
    }
    assert api.delete(by_name).data == {}
    assert api.get(one).status == 404
    secret = body["credentials"]["secretKey"]
    assert secret not in server.log.read_text()
    for file in server.data_dir.glob("holdfast.db*"):
        assert secret.encode() not in file.read_bytes()


def test_a_taken_name_is_a_409(api: Api, body: dict[str, Any], offsite: str) -> None:
    other = {**body, "name": body["name"].upper(), "description": "Other"}
    assert api.post("/backup-destinations", other).status == 409


def test_an_identical_post_gets_the_first_answer(api: Api, body: dict[str, Any]) -> None:
    first, second = (api.post("/backup-destinations", body).body for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "ab"}, "name"),
        ({"name": "a_b"}, "name"),
        ({"name": "abc\n"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"description": "x" * 201}, "description"),
        ({"type": "gcs"}, "type"),
        ({"type": None}, "type"),
        ({"prefix": "no-slash"}, "prefix"),
        ({"prefix": "/abs/"}, "prefix"),
        ({"prefix": "a/b/"}, "prefix"),
        ({"prefix": "../"}, "prefix"),
        ({"prefix": None}, "prefix"),
        ({"credentials": None}, "credentials"),
        ({"bucket": "x"}, "bucket"),
    ],
)
def test_a_value_outside_its_pattern_is_named(api: Api, change: dict[str, Any], field: str) -> None:
    fine = {"accessKey": "a", "secretKey": "s", "bucketName": "bbb", "region": "r", "endpoint": "e"}
    body = {"name": "Fine", "type": "s3", "prefix": "", "credentials": fine}
    answer = api.post("/backup-destinations", {**body, **change})
    assert (answer.status, list(answer.details)) == (400, [field])


def test_missing_keys_are_all_named(api: Api) -> None:
    answer = api.post("/backup-destinations", {"name": "Example", "credentials": {"x": "y"}})
    inside = ("accessKey", "bucketName", "endpoint", "region", "secretKey", "x")
    assert sorted(answer.details) == sorted(
        [*(f"credentials.{k}" for k in inside), "prefix", "type"]
    )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"secretKey": "wrong-secret-key-0123456789"}, "."),
        ({"accessKey": "nobody"}, "."),
        ({"bucketName": "there-is-no-such-bucket"}, "."),
        ({"bucketName": "Not A Bucket;"}, "."),
        ({"endpoint": "http://127.0.0.1:1"}, "."),
        ({"endpoint": "no-such-host.invalid"}, "."),
        ({"endpoint": "file:///etc/passwd"}, "."),
    ],
)
def test_what_does_not_work_is_refused_with_the_reason(
    server: Server, api: Api, s3_server: S3Server, wrong: dict[str, str], says: str
) -> None:
    secrets = keys(s3_server, **wrong)
    body = {"name": fresh("Broken"), "type": "s3", "prefix": "", "credentials": secrets}
    answer = api.post("/backup-destinations", body)
    assert answer.status == 400
    assert all(field.startswith("credentials") for field in answer.details)
    assert re.search(says, answer.error["message"])
    assert secrets["secretKey"] not in str(answer.body)
    assert secrets["secretKey"] not in server.log.read_text()
    listed = api.get("/backup-destinations", per_page=100).data["backupDestinations"]
    assert body["name"] not in [each["name"] for each in listed]


def test_a_patch_is_probed_too(api: Api, body: dict[str, Any], offsite: str) -> None:
    one = f"/backup-destinations/{offsite}"
    broken = {**body["credentials"], "endpoint": f"http://127.0.0.1:{free_port()}"}
    assert api.patch(one, {"credentials": broken}).status == 400
    assert api.patch(one, {"credentials": {"accessKey": "only"}}).status == 400
    assert api.patch(one, {"prefix": "other/"}).details.keys() == {"prefix"}
    assert api.patch(one, {"type": "s3"}).details.keys() == {"type"}
    assert api.get(one).data["credentials"] == body["credentials"]


def test_a_dump_lives_at_its_destination(
    api: Api, attached: Attached, offsite: str, s3_server: S3Server, body: dict[str, Any]
) -> None:
    order = {"name": "Far", "backupType": "dump", "customDestinationId": offsite}
    made = api.post(f"{attached.path}/backups", order).data
    one = f"{attached.path}/backups/{made['id']}"
    assert await_backup(api, one)["customDestinationId"] == offsite

    def objects() -> list[str]:
        bucket = body["credentials"]["bucketName"]
        found = s3_server.client.list_objects_v2(Bucket=bucket)  # type: ignore[attr-defined]
        return [each["Key"] for each in found.get("Contents", [])]

    assert objects()
    assert all(key.startswith("hf/") for key in objects())
    (stored,) = api.get(f"/backup-destinations/{offsite}/backups").data
    assert stored["id"] == made["id"]
    assert stored["project"]["id"] == attached.project
    assert stored["addon"]["id"] == attached.addon
    assert stored["config"]["addonType"] == "postgresql"
    assert stored["config"]["source"] == {"type": "global"}
    assert isinstance(stored["config"]["size"], str)
    assert "expiredBy" not in stored

    attached.postgres.run("DELETE FROM things", attached.database)
    await_restore(api, one, api.post(f"{one}/restore").data["restoreId"])
    assert len(attached.rows()) == ROWS

    refused = api.delete(f"/backup-destinations/{offsite}")
    assert (refused.status, refused.details["backups"]) == (409, [made["id"]])
    assert api.delete(one, force="true").data == {}
    await_that(lambda: not objects())
    await_that(lambda: api.delete(f"/backup-destinations/{offsite}").status == 200)


def test_its_backups_are_listed_as_far_as_one_sees(
    api: Api, attach_one: Callable[..., Attached], offsite: str, token_of: Callable[..., Api]
) -> None:
    mine, other = attach_one(), attach_one()
    order = {"name": "Seen", "backupType": "dump", "customDestinationId": offsite}
    for each in (mine, other):
        made = api.post(f"{each.path}/backups", order).data["id"]
        await_backup(api, f"{each.path}/backups/{made}")
    path = f"/backup-destinations/{offsite}/backups"
    assert len(api.get(path).data) == 2
    restricted = token_of("default", projects=[mine.project])
    (seen,) = restricted.get(path).data
    assert seen["project"]["id"] == mine.project
    first = api.get(path, per_page=1)
    second = api.get(path, per_page=1, cursor=first.pagination["cursor"])
    assert [len(first.data), len(second.data)] == [1, 1]
    assert "cursor" not in second.pagination


def test_an_additional_copy_ends_with_its_backup(
    api: Api, attached: Attached, offsite: str
) -> None:
    """The copy that nobody will make says so at its destination."""
    more = [{"destinationId": offsite, "retentionTime": 3}]
    order = {"backupType": "snapshot", "retentionTime": 7, "additionalDestinations": more}
    order["maxRate"] = 32
    made = api.post(f"{attached.path}/backups", order).data
    assert made["config"]["additionalDestinations"] == [{**more[0], "type": "custom"}]
    one = f"{attached.path}/backups/{made['id']}"
    assert api.post(f"{one}/abort").data == {}
    over = await_backup(api, one, "aborted")
    assert [copy["status"] for copy in over["copies"]] == ["aborted"] * 2
    first, second = (datetime.fromisoformat(copy["expiresAt"]) for copy in over["copies"])
    assert first - second == timedelta(days=4)
    (stored,) = api.get(f"/backup-destinations/{offsite}/backups").data
    assert (stored["status"], stored["completedAt"]) == ("aborted", over["completedAt"])
    assert stored["expiredBy"] == round(second.timestamp() * 1000)
    assert api.delete(one).data == {}
    assert api.get(f"/backup-destinations/{offsite}/backups").data == []
    twice = {**order, "additionalDestinations": more * 2}
    refused = api.post(f"{attached.path}/backups", twice)
    assert refused.details.keys() == {"additionalDestinations[1].destinationId"}
    await_that(lambda: api.delete(f"/backup-destinations/{offsite}").status == 200)


def test_what_a_service_needs_is_found_out_and_shown(api: Api) -> None:
    with quirky("few") as service:
        keys_ = {"accessKey": "k" * 20, "secretKey": "s" * 40, "bucketName": "backups"}
        where = {**keys_, "region": "us-east-1", "endpoint": service.endpoint}
        body = {"name": fresh("Few"), "type": "s3", "prefix": "", "credentials": where}
        made = api.post("/backup-destinations", {**body, "checksum": "md5"}).data
        one = f"/backup-destinations/{made['id']}"
        shown = api.get(one).data
        assert (shown["maxParts"], shown["equalParts"]) == (1000, False)
        assert (shown["checksum"], shown["addressing"]) == ("md5", "auto")
        assert api.patch(one, {"maxParts": 500}).data == {}
        assert (api.get(one).data["maxParts"], api.get(one).data["checksum"]) == (500, "md5")
        refused = api.patch(one, {"maxParts": 5})
        assert (refused.status, list(refused.details)) == (400, ["maxParts"])
        api.delete(one)


def test_a_probe_says_what_does_not_work(api: Api) -> None:
    with quirky() as service:
        keys_ = {"accessKey": "k" * 20, "secretKey": "s" * 40, "bucketName": "backups"}
        where = {**keys_, "region": "us-east-1", "endpoint": service.endpoint}
        body = {"name": fresh("Probed"), "type": "s3", "prefix": "", "credentials": where}
        one = f"/backup-destinations/{api.post('/backup-destinations', body).data['id']}"
        probe = api.post(f"{one}/probe", {}).data
        assert probe["works"] is True
        assert "problem" not in probe
    probe = api.post(f"{one}/probe", {}).data
    assert probe["works"] is False
    assert probe["problem"]
    assert api.post("/platform-store/probe", {}).data["works"] is True
    api.delete(one)


def test_another_bucket_is_another_destination_unless_it_has_the_same_objects(
    server: Server, attached: Attached, body: dict[str, Any], s3_server: S3Server
) -> None:
    api = server.api()
    place = api.post("/backup-destinations", body).data["id"]
    one = f"/backup-destinations/{place}"
    backups = f"{attached.path}/backups"
    wish = {"backupType": "dump", "name": fresh("moved"), "customDestinationId": place}
    made = f"{backups}/{api.post(backups, wish).data['id']}"
    await_backup(api, made)

    elsewhere = keys(s3_server)
    refused = api.patch(one, {"credentials": elsewhere})
    assert (refused.status, list(refused.details)) == (400, ["credentials.bucketName"])
    assert "add it as a destination of its own" in refused.error["message"]
    assert api.get(one).data["credentials"] == body["credentials"]

    old, new = (
        S3Store(Options.model_validate(s3_server.options(bucket, prefix=body["prefix"])))
        for bucket in (body["credentials"]["bucketName"], elsewhere["bucketName"])
    )
    for stat in old.list("dumps/"):
        upload = new.begin(stat.key)
        upload.write(b"".join(old.get(stat.key)))
        upload.commit()
    assert api.patch(one, {"credentials": elsewhere}).data == {}
    assert api.delete(made, force="true").data == {}
    await_that(lambda: not list(new.list("dumps/")) or None)
    assert list(old.list("dumps/")) != [], "it is removed where the destination is now"
