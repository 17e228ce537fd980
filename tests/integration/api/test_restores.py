"""R1 to R4: restores into the same addon and another one, what is refused, and who sees what."""

from collections.abc import Callable

import pytest

from fixtures.attached import ROWS, Attached, Own
from fixtures.holdfast import Api, await_backup, await_restore, await_that

NOWHERE = {"restoreId": "0" * 24}


def test_a_restore_brings_the_rows_back(api: Api, attached: Attached, backup: str) -> None:
    one, before = f"{attached.path}/backups/{backup}", attached.rows()
    attached.postgres.run("UPDATE things SET what = 'ruined'", attached.database)
    started = api.post(f"{one}/restore").data
    assert started.keys() == {"restoreId"}
    found = await_restore(api, one, started["restoreId"])
    assert found.keys() >= {"id", "backupId", "status", "restoreTimestamp", "completedAt"}
    assert found["report"]["rows"] == ROWS
    assert attached.rows() == before

    last = api.get(one).data["lastRestore"]
    assert last == {
        "restoreTimestamp": found["restoreTimestamp"],
        "status": "completed",
        "completedAt": found["completedAt"],
    }
    (of_addon,) = api.get(f"{attached.path}/restores").data["restores"]
    assert of_addon == found
    logs = api.get(f"{one}/restores/{found['id']}/logs").data
    assert logs[-1]["log"] == "completed"
    assert api.post(f"{one}/abort-restore", {"restoreId": found["id"]}).status == 409
    assert api.post(f"{one}/abort-restore", NOWHERE).status == 404


def test_an_identical_restore_is_the_same_one(api: Api, attached: Attached, backup: str) -> None:
    one = f"{attached.path}/backups/{backup}"
    first, second = (api.post(f"{one}/restore").data for _ in range(2))
    assert first == second
    refused = api.delete(one, force="true")
    assert (refused.status, "being restored" in refused.error["message"]) == (409, True)
    await_restore(api, one, first["restoreId"])
    assert len(api.get(f"{one}/restores").data["restores"]) == 1


def test_a_waiting_restore_can_be_aborted(api: Api, attached: Attached, backup: str) -> None:
    one, before = f"{attached.path}/backups/{backup}", attached.rows()
    order = {"backupType": "dump", "name": "In the way"}
    running = api.post(f"{attached.path}/backups", order).data["id"]
    started = api.post(f"{one}/restore").data
    assert api.post(f"{one}/abort-restore", started).data == {}
    assert api.get(f"{one}/restores").data["restores"][0]["status"] == "aborted"
    await_backup(api, f"{attached.path}/backups/{running}")
    assert attached.rows() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "restoreId"),
        ({"restoreId": "x"}, "restoreId"),
        ({"restoreId": "G" * 24}, "restoreId"),
        ({"restoreId": "0" * 24 + "\n"}, "restoreId"),
        ({"restoreId": 5}, "restoreId"),
        ({**NOWHERE, "force": True}, "force"),
    ],
)
def test_a_bad_abort_names_the_field(api: Api, body: dict[str, object], field: str) -> None:
    answer = api.post("/projects/p/addons/a/backups/b/abort-restore", body)
    assert (answer.status, list(answer.details)) == (400, [field])


def test_only_completed_backups_can_be_restored(api: Api, attached: Attached) -> None:
    snapshot = api.post(f"{attached.path}/backups", {"maxRate": 32}).data["id"]
    one = f"{attached.path}/backups/{snapshot}"
    assert api.post(f"{one}/restore").status == 409
    assert api.post(f"{one}/abort").data == {}
    await_backup(api, one, "aborted")
    assert api.post(f"{one}/restore").status == 409


def test_a_backup_of_another_addon(
    api: Api,
    attached: Attached,
    backup: str,
    attach_one: Callable[..., Attached],
    empty_postgres: Own,
) -> None:
    """Also after its own addon is gone: the backup is found through what it was called."""
    target = attach_one(own=empty_postgres)
    one = f"{target.path}/backups/{backup}"
    origin = {"sourceProjectId": attached.project, "sourceAddonId": attached.addon}
    assert api.post(f"{one}/restore").status == 404, "without its origin it is not known here"
    started = api.post(f"{one}/restore", params=origin).data["restoreId"]
    await_restore(api, one, started, **origin)
    count = "SELECT count(*) FROM things"
    assert empty_postgres.postgres.run(count, attached.database) == [(ROWS,)]

    logs = api.get(f"{one}/restores/{started}/logs")
    assert logs.data[-1]["log"] == "completed", "the official client names no origin here"
    assert api.get(f"{one}/restores/{started}/logs", **origin).body == logs.body
    assert api.get(f"{one}/logs", **origin).data[-1]["log"] == "completed"

    assert api.delete(attached.path).data == {}
    again = api.post(f"{one}/restore", params=origin).data["restoreId"]
    await_restore(api, one, again, **origin)


def test_an_origin_out_of_sight_is_a_404(
    api: Api,
    attached: Attached,
    backup: str,
    attach_one: Callable[..., Attached],
    token_of: Callable[..., Api],
    empty_postgres: Own,
) -> None:
    target = attach_one(own=empty_postgres)
    restricted = token_of("owner", projects=[target.project])
    one = f"{target.path}/backups/{backup}"
    origin = {"sourceProjectId": attached.project, "sourceAddonId": attached.addon}
    assert restricted.post(f"{one}/restore", params=origin).status == 404
    assert restricted.get(f"{one}/restores", **origin).status == 404
    assert restricted.get(f"{one}/logs", **origin).status == 404
    assert api.get(f"{one}/restores", **origin).data == {"restores": []}


@pytest.mark.parametrize("wrong", ["%00", "no-such", "$(id)", "x" * 300])
def test_an_unknown_origin_is_a_404(api: Api, attached: Attached, backup: str, wrong: str) -> None:
    path = f"{attached.path}/backups/{backup}/restore?sourceProjectId={wrong}&sourceAddonId={wrong}"
    assert api.post(path).status == 404


def test_a_restore_that_is_refused_leaves_the_target_alone(
    api: Api,
    attached: Attached,
    backup: str,
    attach_one: Callable[..., Attached],
    empty_postgres: Own,
) -> None:
    """The user's password changed since it was attached: the restore fails, and says why."""
    postgres = empty_postgres.postgres
    postgres.run("DROP ROLE IF EXISTS changing")
    postgres.run("CREATE ROLE changing SUPERUSER LOGIN PASSWORD 'one'")
    body = {
        "name": "Changing",
        "type": "postgresql",
        "connectionString": postgres.url("postgres", "changing", "one"),
    }
    project = api.project()
    target = api.post(f"/projects/{project}/addons", body).data["id"]
    postgres.run("ALTER ROLE changing PASSWORD 'two'")
    one = f"/projects/{project}/addons/{target}/backups/{backup}"
    origin = {"sourceProjectId": attached.project, "sourceAddonId": attached.addon}
    started = api.post(f"{one}/restore", params=origin).data["restoreId"]

    def over() -> str | None:
        (found,) = api.get(f"/projects/{project}/addons/{target}/restores").data["restores"]
        return found.get("reason") if found["status"] == "failed" else None

    assert "password" in await_that(over)
    logs = api.get(f"{one}/restores/{started}/logs", **origin).data
    assert "password" in logs[-1]["log"]


def test_an_addon_without_archive_has_no_window(api: Api, attached: Attached) -> None:
    assert api.get(f"{attached.path}/pitr-window").data == {"hasValidWindow": False}
    refused = api.post(f"{attached.path}/pitr", {"targetTimestamp": "2026-01-20T11:19:53Z"})
    assert refused.status == 409
    words = "this addon keeps no archive; restore a backup instead"
    assert refused.error["message"] == words
    assert api.get(f"{attached.path}/archive").status == 404
    assert api.delete(f"{attached.path}/archive").status == 409
