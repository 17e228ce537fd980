"""The audit log over the API: who, from where, what, before and after; and who may read it."""

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.attached import Attached
from fixtures.holdfast import Api, Server, fresh
from holdfast.client import Client
from holdfast.domain.access import Permission
from holdfast.kit.seal import Secret

pytestmark = pytest.mark.sqlite_first

TokenOf = Callable[..., Api]


def entries(api: Api, **query: Any) -> list[dict[str, Any]]:
    return api.get("/audit-log", per_page=100, **query).data["entries"]


def test_a_change_is_told_with_who_where_what_before_and_after(api: Api) -> None:
    name = fresh("Audited")
    made = api.post("/projects", {"name": name}, headers={"x-request-id": f"made-{name[-8:]}"})
    project = made.data["id"]
    api.patch(f"/projects/{project}", {"description": "Second thoughts"})
    api.delete(f"/projects/{project}")
    gone, patched, first = entries(api, projectId=project)
    assert first["actor"] == {
        "tokenId": first["actor"]["tokenId"],
        "name": "owner",
        "role": "owner",
    }
    assert first["address"] == "127.0.0.1"
    assert first["requestId"] == f"made-{name[-8:]}" == made.headers["x-request-id"]
    assert [e["action"] for e in (first, patched, gone)] == [
        "create_project",
        "patch_project",
        "delete_project",
    ]
    assert first["object"] == {"kind": "project", "id": project, "project": project}
    assert "before" not in first
    assert first["after"]["name"] == name
    assert (patched["before"], patched["after"]) == ({}, {"description": "Second thoughts"})
    assert gone["after"].keys() == {"deleted"}


def test_what_was_refused_or_only_read_is_not_in_it(api: Api, token_of: TokenOf) -> None:
    project, reader = api.project(), token_of([Permission.PROJECT_READ])
    assert reader.patch(f"/projects/{project}", {"description": "No"}).status == 403
    assert api.patch(f"/projects/{project}", {"color": "no colour"}).status == 400
    assert api.post(f"/projects/{project}/addons", {"name": "x"}).status == 400
    assert reader.get(f"/projects/{project}").status == 200
    assert [e["action"] for e in entries(api, projectId=project)] == ["create_project"]


def test_a_repeated_post_is_one_change(api: Api) -> None:
    body = {"name": fresh("Once")}
    first, second = (api.post("/projects", body).data["id"] for _ in range(2))
    assert first == second
    assert len(entries(api, projectId=first)) == 1


def test_the_life_of_a_backup_is_in_it(api: Api, attached: Attached) -> None:
    backups = f"{attached.path}/backups"
    one = api.post(backups, {"name": "Kept", "backupType": "dump"}).data["id"]
    api.post(f"{backups}/{one}/retain")
    api.post(f"{backups}/{one}/abort")
    found = entries(api, addonId=attached.addon, kind="backup", objectId=one)
    actions = [e["action"] for e in found]
    assert actions[-2:] == ["retain_backup", "create_backup"]
    assert (found[-2]["before"], found[-2]["after"]) == ({"retained": False}, {"retained": True})
    assert {e["object"]["project"] for e in found} == {attached.project}
    if len(found) == 3:  # it was quick enough to be over already otherwise
        assert found[0]["action"] == "abort_backup"
        assert found[0]["after"]["status"] in ("aborting", "aborted")


def test_connection_strings_and_tokens_are_not_in_it(api: Api, attached: Attached) -> None:
    postgres = attached.postgres
    assert api.patch(
        attached.path, {"connectionString": postgres.url(attached.database)}
    ).status in (200, 409)
    made = api.post("/tokens", {"name": fresh("Secret"), "role": "default"}).data
    kit = api.post("/platform-store/recovery-kit").data
    text = str(entries(api))
    assert made["token"] not in text
    assert kit["passphrase"] not in text
    assert postgres.password not in text
    assert any(e["action"] == "platform_kit" for e in entries(api, kind="recovery-kit"))
    assert entries(api, kind="token", objectId=made["id"])[0]["after"]["role"] == "default"


def test_deleting_a_role_tells_of_each_token_that_ends(api: Api) -> None:
    role = api.post("/roles", {"name": fresh("Role"), "permissions": [Permission.TEAM_READ]}).data[
        "id"
    ]
    token = api.post("/tokens", {"name": fresh("Token"), "role": role}).data["id"]
    api.delete(f"/roles/{role}")
    (ended, _) = entries(api, kind="token", objectId=token)
    assert (ended["action"], [*ended["after"]]) == ("delete_role", ["revoked"])
    assert "after" not in entries(api, kind="role", objectId=role)[0]


def test_it_needs_a_permission_of_its_own(api: Api, token_of: TokenOf) -> None:
    assert token_of("default").get("/audit-log").status == 403
    assert token_of("admin").get("/audit-log").status == 200
    assert token_of([Permission.AUDIT_READ]).get("/audit-log").status == 200
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert api.ask(method, "/audit-log").status == 405


def test_a_token_of_one_project_sees_that_project(api: Api, token_of: TokenOf) -> None:
    mine, other = api.project(), api.project()
    limited = token_of("admin", projects=[mine])
    assert {e["object"].get("project") for e in entries(limited)} == {mine}
    assert entries(limited, projectId=other) == []


def test_filters_and_pages(api: Api) -> None:
    project = api.project()
    for number in range(4):
        api.patch(f"/projects/{project}", {"description": f"Number {number}"})
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/audit-log", projectId=project, per_page=2, **cursor)
        seen += [e["id"] for e in page.data["entries"]]
        if not page.pagination["hasNextPage"]:
            break
        cursor = {"cursor": page.pagination["cursor"]}
    whole = entries(api, projectId=project)
    assert seen == [e["id"] for e in whole]
    assert len(seen) == 5
    at = whole[2]["at"]
    assert whole[2] not in entries(api, projectId=project, endTime=at)
    assert whole[2] in entries(api, projectId=project, startTime=at)
    actor = whole[0]["actor"]
    for name in (actor["name"], actor["tokenId"]):
        assert entries(api, projectId=project, actor=name) == whole
    assert entries(api, projectId=project, actor="nobody") == []
    refused = api.get("/audit-log", startTime="yesterday", endTime="never")
    assert refused.details.keys() == {"startTime", "endTime"}


def test_the_client_and_the_command_line_read_it(
    server: Server,
    api: Api,
    fresh_holdfast: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = api.project()
    api.patch(f"/projects/{project}", {"description": "Told"})
    with Client(server.url, Secret(server.token)) as client:
        (newest, first) = client.audit.list({"projectId": project})
    assert (newest.action, first.action) == ("patch_project", "create_project")
    monkeypatch.setenv("HOLDFAST_HOST", server.url)
    monkeypatch.setenv("HOLDFAST_TOKEN", server.token)
    told = fresh_holdfast("audit", "list", "--project", project)
    assert told.status == 0
    assert "description: - -> Told" in told.out
    assert "127.0.0.1" in told.out
    listed = fresh_holdfast("audit", "list", "--project", project, "--limit", "1", "-o", "json")
    assert [e["action"] for e in listed.json] == ["patch_project"]
