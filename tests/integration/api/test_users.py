"""Users over the API: their life, who may reach whom, and what the audit log says."""

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.holdfast import Api, Server, fresh
from holdfast.domain.access import Permission

pytestmark = pytest.mark.sqlite_first

TokenOf = Callable[..., Api]
GOOD = "anker sieben lampe rost"


def make_user(api: Api, **fields: Any) -> dict[str, Any]:
    body = {"name": fresh("user"), "role": "default", **fields}
    answer = api.post("/users", body)
    assert answer.status == 200, answer.body
    return answer.data


def test_the_life_of_a_user(server: Server, api: Api) -> None:
    user = make_user(api)
    assert user["passwordLink"].startswith(f"{server.url}/welcome?key=")
    assert user["signsInWith"] == []
    assert any(each["id"] == user["id"] for each in api.get("/users").data["users"])
    shown = api.get(f"/users/{user['id']}").data
    assert "passwordLink" not in shown
    changed = api.patch(f"/users/{user['id']}", {"role": "admin", "expiresInDays": 3}).data
    assert changed["role"] == "admin"
    assert "expiresAt" in changed
    assert "disabledAt" in api.patch(f"/users/{user['id']}", {"disabled": True}).data
    assert "disabledAt" not in api.patch(f"/users/{user['id']}", {"disabled": False}).data
    reset = api.post(f"/users/{user['id']}/reset-password", {}).data
    assert reset["passwordLink"] != user["passwordLink"]
    assert api.delete(f"/users/{user['id']}").status == 200
    assert api.get(f"/users/{user['id']}").status == 404


def test_a_password_is_kept_as_a_hash_and_shown_nowhere(server: Server, api: Api) -> None:
    user = make_user(api, password=GOOD)
    assert "passwordLink" not in user
    assert user["signsInWith"] == ["password"]
    assert GOOD not in str(api.get("/audit-log").body)
    for file in server.data_dir.glob("holdfast.db*"):
        assert GOOD.encode() not in file.read_bytes()
        assert b"$argon2id$" in file.read_bytes() or file.suffix != ".db-wal"


@pytest.mark.parametrize("password", ["short", "password1234", "abcabcabcabc"])
def test_a_guessable_password_is_refused_next_to_its_field(api: Api, password: str) -> None:
    body = {"name": fresh("user"), "role": "default", "password": password}
    answer = api.post("/users", body)
    assert answer.status == 400
    assert "password" in answer.body["error"]["details"]
    assert password not in str(answer.body)


def test_names_are_taken_without_regard_to_case(api: Api) -> None:
    user = make_user(api)
    answer = api.post("/users", {"name": user["name"].upper(), "role": "default"})
    assert answer.status == 409


def test_what_one_may_not_do_one_can_neither_give_nor_reach(api: Api, token_of: TokenOf) -> None:
    manager = token_of([Permission.TOKENS_READ, Permission.TOKENS_MANAGE])
    owner = make_user(api, role="owner")
    assert manager.post("/users", {"name": fresh("u"), "role": "owner"}).status == 403
    assert manager.patch(f"/users/{owner['id']}", {"disabled": True}).status == 403
    assert manager.post(f"/users/{owner['id']}/reset-password", {}).status == 403
    assert manager.delete(f"/users/{owner['id']}").status == 403
    assert token_of("default").get("/users").status == 403
    assert token_of("admin").get("/users").status == 200
    assert token_of("admin").post("/users", {"name": "x", "role": "default"}).status == 403
    api.delete(f"/users/{owner['id']}")


def test_a_user_of_some_projects_is_seen_by_those_who_see_them(api: Api, token_of: TokenOf) -> None:
    project = api.post("/projects", {"name": fresh("P")}).data["id"]
    theirs = make_user(api, projects=[project])
    others = make_user(api)
    manager = token_of("owner", projects=[project])
    ids = [user["id"] for user in manager.get("/users").data["users"]]
    assert theirs["id"] in ids
    assert others["id"] not in ids
    assert manager.get(f"/users/{others['id']}").status == 404
    assert manager.post("/users", {"name": fresh("u"), "role": "owner"}).data["projects"] == [
        project
    ]


def test_the_last_owner_stays(api: Api) -> None:
    last = make_user(api, role="owner")
    for user in api.get("/users", per_page=100).data["users"]:
        if user["role"] == "owner" and user["id"] != last["id"]:
            api.delete(f"/users/{user['id']}")
    for answer in (
        api.delete(f"/users/{last['id']}"),
        api.patch(f"/users/{last['id']}", {"disabled": True}),
        api.patch(f"/users/{last['id']}", {"role": "admin"}),
    ):
        assert answer.status == 409
        assert "only owner" in answer.body["error"]["message"]
    other = make_user(api, role="owner")
    assert api.delete(f"/users/{last['id']}").status == 200
    assert api.get(f"/users/{other['id']}").status == 200


def test_a_role_in_use_stays(api: Api) -> None:
    role = api.post(
        "/roles", {"name": fresh("R"), "permissions": ["Project > Addons > General > Read"]}
    )
    user = make_user(api, role=role.data["id"])
    assert api.delete(f"/roles/{role.data['id']}").status == 409
    api.delete(f"/users/{user['id']}")
    assert api.delete(f"/roles/{role.data['id']}").status == 200


def test_every_change_is_in_the_audit_log_without_secrets(api: Api) -> None:
    user = make_user(api, password=GOOD)
    api.post(f"/users/{user['id']}/reset-password", {})
    api.delete(f"/users/{user['id']}")
    entries = api.get("/audit-log", objectId=user["id"]).data["entries"]
    actions = [entry["action"] for entry in entries]
    assert actions == ["delete_user", "reset_password", "create_user"]
    assert "argon2" not in str(entries)
