"""B1 to B5, B7: the orders that are refused, repeated, aborted and deleted."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixtures.attached import Attached
from fixtures.fleet import files_below
from fixtures.holdfast import Api, Server, await_backup, await_that, fresh

DUMP = {"backupType": "dump"}


def test_a_backup_object_is_complete(api: Api, attached: Attached, backup: str) -> None:
    shown = api.get(f"{attached.path}/backups/{backup}").data
    assert shown["id"] == "good-one"
    assert shown["name"] == "Good one"
    assert re.fullmatch("[0-9a-f-]{36}", shown["uid"])
    assert shown["config"]["source"] == {"type": "sameAddon"}
    assert re.fullmatch("[1-9][0-9]*", shown["config"]["size"])
    assert shown["config"]["compressionType"] == "zstd"
    assert shown["createdAt"] <= shown["completedAt"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["completedAt"])
    (listed,) = api.get(f"{attached.path}/backups").data["backups"]
    assert listed == shown


def test_evidence_is_what_completed_was_derived_from(
    api: Api, attached: Attached, backup: str
) -> None:
    evidence = api.get(f"{attached.path}/backups/{backup}/evidence").data
    assert re.fullmatch("[0-9a-f]{64}", evidence["manifestSha256"])
    assert "things" in str(evidence)


def test_a_name_of_ours_holds_the_date(api: Api, attached: Attached) -> None:
    made = api.post(f"{attached.path}/backups", DUMP).data
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", made["name"])
    assert re.fullmatch("[a-z0-9-]+", made["id"])
    assert "completedAt" not in made
    assert made["config"]["size"] == "0"
    assert made["config"]["compressionType"] == "gz"


def test_a_snapshot_is_the_default_and_no_dump(api: Api, attached: Attached) -> None:
    """The default of the reference. It is never dressed up as something it is not."""
    made = api.post(f"{attached.path}/backups").data
    assert made["backupType"] == "snapshot"
    over = await_backup(api, f"{attached.path}/backups/{made['id']}")
    assert "compressionType" not in over["config"]
    assert api.get(f"{attached.path}/backups/{made['id']}/download-link").status == 409


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"name": "ab"}, ["name"]),
        ({"name": "a" * 40}, ["name"]),
        ({"name": "a.b.c"}, ["name"]),
        ({"name": "a_b"}, ["name"]),
        ({"name": "a  b"}, ["name"]),
        ({"name": "-abc"}, ["name"]),
        ({"name": "abc\n"}, ["name"]),
        ({"name": "$(id)"}, ["name"]),
        ({"name": "a; rm -rf x"}, ["name"]),
        ({"name": "../../../etc"}, ["name"]),
        ({"name": 7}, ["name"]),
        ({"backupType": "full"}, ["backupType"]),
        ({"backupType": 1}, ["backupType"]),
        ({**DUMP, "compressionType": "xz"}, ["compressionType"]),
        ({**DUMP, "customDestinationId": "no"}, ["customDestinationId"]),
        ({**DUMP, "customDestinationId": "a b c"}, ["customDestinationId"]),
        ({**DUMP, "customDestinationId": "none-such"}, ["customDestinationId"]),
        ({"customDestinationId": "some-where"}, ["customDestinationId"]),
        (
            {**DUMP, "additionalDestinations": [{"destinationId": "abc", "type": "custom"}]},
            ["additionalDestinations"],
        ),
        (
            {"additionalDestinations": [{"retentionTime": 7}]},
            ["additionalDestinations[0].destinationId"],
        ),
        (
            {"additionalDestinations": [{"destinationId": "abc", "retentionTime": 121}]},
            ["additionalDestinations[0].retentionTime"],
        ),
        (
            {"additionalDestinations": [{"destinationId": "none-such"}]},
            ["additionalDestinations[0].destinationId"],
        ),
        ({"additionalDestinations": "abc"}, ["additionalDestinations"]),
        ({**DUMP, "compresionType": "zstd"}, ["compresionType"]),
        ({"backup_type": "dump"}, ["backup_type"]),
        ({"name": "!", "backupType": "x", "y": 1}, ["backupType", "name", "y"]),
    ],
)
def test_a_bad_order_names_every_field(
    api: Api, nothing_in_it: Attached, body: dict[str, Any], fields: list[str]
) -> None:
    answer = api.post(f"{nothing_in_it.path}/backups", body)
    assert (answer.status, sorted(answer.details)) == (400, fields)
    assert api.get(f"{nothing_in_it.path}/backups").data["backups"] == []


_kept: dict[str, Attached] = {}


@pytest.fixture
def nothing_in_it(server: Server, attach_one: Callable[..., Attached]) -> Attached:
    """One addon for all refused orders."""
    if server.url not in _kept:
        _kept[server.url] = attach_one()
    return _kept[server.url]


@pytest.mark.parametrize("name", ["2025-01-20 11:19:53", "a/b:c d-e", "Nightly", "x" * 39, "1 2 3"])
def test_names_within_the_pattern_make_plain_ids(api: Api, attached: Attached, name: str) -> None:
    made = api.post(f"{attached.path}/backups", {"name": name}).data
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", made["id"])
    assert api.get(f"{attached.path}/backups/{made['id']}").data["name"] == name


def test_an_identical_post_gets_the_first_answer(api: Api, attached: Attached) -> None:
    body = {"name": "Same"}
    first, second = (api.post(f"{attached.path}/backups", body).body for _ in range(2))
    assert first == second
    other = api.post(f"{attached.path}/backups", {"name": "same"}).data
    assert other["id"] == "same-2"
    assert len(api.get(f"{attached.path}/backups").data["backups"]) == 2


def test_what_another_token_posts_is_not_a_repetition(
    api: Api, attached: Attached, token_of: Callable[..., Api]
) -> None:
    made = [
        each.post(f"{attached.path}/backups", {"name": "Twice"}).data["id"]
        for each in (api, token_of("default"))
    ]
    assert made == ["twice", "twice-2"]


def test_a_key_of_the_clients_own_decides(api: Api, attached: Attached) -> None:
    def post(key: str) -> str:
        headers = {"idempotency-key": key}
        return api.post(f"{attached.path}/backups", {"name": "Key"}, headers=headers).data["id"]

    assert [post("one"), post("one"), post("two")] == ["key", "key", "key-2"]


def test_after_a_delete_the_same_post_means_a_new_one(api: Api, attached: Attached) -> None:
    body = {**DUMP, "name": "Again"}
    first = api.post(f"{attached.path}/backups", body).data["id"]
    await_backup(api, f"{attached.path}/backups/{first}")
    assert api.delete(f"{attached.path}/backups/{first}", force="true").data == {}
    second = api.post(f"{attached.path}/backups", body).data["id"]
    assert second == "again-2"
    assert [b["id"] for b in api.get(f"{attached.path}/backups").data["backups"]] == [second]


def test_after_an_abort_too(api: Api, attached: Attached) -> None:
    path = f"{attached.path}/backups"
    api.post(path, {**DUMP, "name": "Before"})
    first = api.post(path, {**DUMP, "name": "Wanted"}).data["id"]
    assert api.post(f"{path}/{first}/abort").data == {}
    assert api.post(path, {**DUMP, "name": "Wanted"}).data["id"] == "wanted-2"


def test_aborting_what_waits_what_runs_and_what_is_over(api: Api, attached: Attached) -> None:
    path = f"{attached.path}/backups"
    first = api.post(path, {**DUMP, "name": "Running"}).data["id"]
    second = api.post(path, {**DUMP, "name": "Waiting"}).data["id"]
    assert api.delete(f"{path}/{second}").status == 409
    assert api.post(f"{path}/{second}/abort").data == {}
    assert api.get(f"{path}/{second}").data["status"] == "aborted"
    await_that(lambda: api.get(f"{path}/{first}").data["status"] != "scheduled")
    answer = api.post(f"{path}/{first}/abort")
    if answer.status == 200:
        assert await_that(_over(api, f"{path}/{first}")) in ("aborted", "completed")
    for backup in (first, second):
        again = api.post(f"{path}/{backup}/abort")
        assert (again.status, again.error["id"]) == (409, "conflict")


def _over(api: Api, path: str) -> Callable[[], str | None]:
    def status() -> str | None:
        now = api.get(path).data["status"]
        return None if now in ("scheduled", "in-progress", "aborting") else now

    return status


def test_an_unknown_backup_is_a_404_everywhere(api: Api, attached: Attached) -> None:
    one = f"{attached.path}/backups/none"
    for method, path in (
        ("GET", one),
        ("DELETE", one),
        ("POST", f"{one}/abort"),
        ("POST", f"{one}/retain"),
        ("POST", f"{one}/restore"),
        ("GET", f"{one}/restores"),
        ("GET", f"{one}/logs"),
        ("GET", f"{one}/download-link"),
        ("GET", f"{one}/evidence"),
        ("GET", f"{one}/restores/{'0' * 24}/logs"),
    ):
        assert api.ask(method, path).status == 404
    body = {"restoreId": "0" * 24}
    assert api.post(f"{one}/abort-restore", body).status == 404


def test_a_deleted_backups_objects_go(server: Server, api: Api, attached: Attached) -> None:
    made = api.post(f"{attached.path}/backups", {**DUMP, "name": fresh("Goes")}).data
    one = f"{attached.path}/backups/{made['id']}"
    await_backup(api, one)

    def objects() -> list[Path]:
        stored = files_below(server.data_dir / "store")
        return [path for path in stored if made["uid"] in str(path)]

    assert objects()
    assert api.delete(one, force="true").data == {}
    await_that(lambda: not objects())
    assert api.get(one).status == 404


def test_the_last_good_backup_goes_only_by_force(api: Api, attached: Attached, backup: str) -> None:
    """Aborted ones beside it do not count; another good one does."""
    path = f"{attached.path}/backups"
    failed = api.post(path, {"name": "No good", "maxRate": 32}).data["id"]
    assert api.post(f"{path}/{failed}/abort").data == {}
    await_backup(api, f"{path}/{failed}", "aborted")
    for query in ({}, {"force": "false"}):
        refused = api.delete(f"{path}/{backup}", **query)
        assert refused.status == 409
        assert "last good backup" in refused.error["message"]
        assert list(refused.details) == ["force"]
    assert api.delete(f"{path}/{backup}", force="perhaps").details.keys() == {"force"}
    assert api.delete(f"{path}/{failed}").data == {}
    good = api.post(path, {**DUMP, "name": "Another"}).data["id"]
    await_backup(api, f"{path}/{good}")
    assert api.delete(f"{path}/{backup}").data == {}
    assert api.delete(f"{path}/{good}").status == 409
    assert api.delete(f"{path}/{good}", force="true").data == {}
    assert api.get(path).data["backups"] == []


def test_a_backup_may_be_given_a_retention(api: Api, attached: Attached) -> None:
    path = f"{attached.path}/backups"
    made = api.post(path, {**DUMP, "name": "For a week", "retentionTime": 7}).data
    taken = datetime.fromisoformat(made["createdAt"])
    assert datetime.fromisoformat(made["expiresAt"]) == taken + timedelta(days=7)
    assert "schedules" not in made
    (copy,) = made["copies"]
    assert copy == {"status": "scheduled", "size": "0", "expiresAt": made["expiresAt"]}
    over = await_backup(api, f"{path}/{made['id']}")
    read = over["copies"][0].pop("readAt")
    assert datetime.fromisoformat(read) >= taken
    assert over["copies"] == [{**copy, "status": "completed", "size": over["config"]["size"]}]
    api.post(f"{path}/{made['id']}/retain")
    kept = api.get(f"{path}/{made['id']}").data
    assert (kept["retained"], "expiresAt" in kept) == (True, False)
    assert "expiresAt" not in kept["copies"][0]
    for wrong in (0, 121, "7", 7.5, True):
        answer = api.post(path, {**DUMP, "retentionTime": wrong})
        assert (answer.status, list(answer.details)) == (400, ["retentionTime"])


def test_a_stored_backup_goes_by_its_uid_also_without_its_addon(
    api: Api, attached: Attached, backup: str, token_of: Callable[..., Api]
) -> None:
    uid = api.get(f"{attached.path}/backups/{backup}").data["uid"]
    api.delete(attached.path)
    one = f"/stored-backups/{uid}"
    stranger = token_of("owner", projects=[api.project()])
    assert stranger.delete(one, force="true").status == 404
    assert token_of(["Project > Addons > General > Read"]).delete(one).status == 403
    assert api.delete(one).status == 409
    assert api.delete(one, force="true").data == {}
    assert api.delete(one, force="true").status == 404
    assert api.delete("/stored-backups/none").status == 404
