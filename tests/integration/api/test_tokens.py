"""Who may do what: 401, 403, 404, and tokens that end."""

from collections.abc import Callable

import httpx
import pytest

from fixtures.holdfast import Api, Server, fresh
from holdfast.domain.access import Permission

pytestmark = pytest.mark.sqlite_first

TokenOf = Callable[..., Api]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer nope", "Basic eDp5", "hft_x"])
def test_without_a_valid_token_it_is_a_401(server: Server, header: str | None) -> None:
    headers = {"authorization": header} if header is not None else {}
    for path in ("/login", "/projects", "/addon-types", "/projects/x/addons/y/backups"):
        answer = httpx.get(f"{server.url}/v1{path}", headers=headers, timeout=60)
        assert answer.status_code == 401
        assert answer.json()["error"]["id"] == "unauthenticated"


def test_a_token_that_is_no_ascii_is_a_401(server: Server) -> None:
    headers = {"authorization": "Bearer ÿþ".encode("latin-1")}
    assert httpx.get(f"{server.url}/v1/login", headers=headers, timeout=60).status_code == 401


def test_login_takes_any_valid_token(api: Api, token_of: TokenOf) -> None:
    assert api.get("/login").body == {"data": {}}
    assert token_of([Permission.TEAM_READ]).get("/login").body == {"data": {}}


def test_a_revoked_token_is_a_401_and_stays_listed(api: Api, token_of: TokenOf) -> None:
    mine = token_of("default")
    newest = api.get("/tokens", per_page=1).data["tokens"][0]
    assert mine.get("/login").status == 200
    assert api.delete(f"/tokens/{newest['id']}").data == {}
    assert mine.get("/login").status == 401
    listed = api.get("/tokens", per_page=1).data["tokens"][0]
    assert "revokedAt" in listed
    assert "lastUsedAt" in listed
    assert "token" not in listed


def test_a_token_is_shown_once_and_kept_as_a_digest(server: Server, api: Api) -> None:
    made = api.post("/tokens", {"name": "Once", "role": "default"}).data
    assert made["token"].startswith("hft_")
    assert made["token"] not in str(api.get("/tokens").body)
    for file in server.data_dir.glob("holdfast.db*"):
        assert made["token"].encode() not in file.read_bytes()


def test_identical_posts_make_two_tokens(api: Api) -> None:
    bodies = [api.post("/tokens", {"name": "Twice", "role": "default"}).data for _ in range(2)]
    assert bodies[0]["token"] != bodies[1]["token"]


def test_an_expiring_token_says_until_when(api: Api) -> None:
    body = {"name": "Short", "role": "default", "expiresInDays": 1}
    made = api.post("/tokens", body).data
    assert made["expiresAt"][:10] > made["createdAt"][:10]


def test_default_may_not_delete_nor_touch_tokens(api: Api, token_of: TokenOf) -> None:
    mine, project = token_of("default"), api.project()
    answer = mine.delete(f"/projects/{project}")
    assert answer.status == 403
    assert Permission.PROJECT_DELETE in answer.error["message"]
    assert mine.get("/tokens").status == 403
    assert mine.post("/tokens", {"name": "x", "role": "default"}).status == 403


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/projects", Permission.PROJECT_READ),
        ("POST", "/projects", Permission.PROJECT_CREATE),
        ("PUT", "/projects", Permission.PROJECT_CREATE),
        ("GET", "/projects/p", Permission.PROJECT_READ),
        ("PATCH", "/projects/p", Permission.PROJECT_UPDATE),
        ("DELETE", "/projects/p", Permission.PROJECT_DELETE),
        ("GET", "/projects/p/addons", Permission.ADDON_READ),
        ("POST", "/projects/p/addons", Permission.ADDON_CREATE),
        ("PUT", "/projects/p/addons", Permission.ADDON_CREATE),
        ("GET", "/projects/p/addons/a", Permission.ADDON_READ),
        ("PATCH", "/projects/p/addons/a", Permission.ADDON_UPDATE),
        ("DELETE", "/projects/p/addons/a", Permission.ADDON_DELETE),
        ("POST", "/projects/p/addons/a/pause", Permission.ADDON_UPDATE),
        ("POST", "/projects/p/addons/a/resume", Permission.ADDON_UPDATE),
        ("POST", "/projects/p/addons/a/restart", Permission.ADDON_UPDATE),
        ("POST", "/projects/p/addons/a/reset", Permission.ADDON_DELETE),
        ("GET", "/projects/p/addons/a/credentials", Permission.ADDON_READ),
        ("GET", "/projects/p/addons/a/version", Permission.ADDON_READ),
        ("POST", "/projects/p/addons/a/version", Permission.ADDON_UPDATE),
        ("GET", "/projects/p/addons/a/containers", Permission.INSTANCES_VIEW),
        ("GET", "/projects/p/addons/a/logs", Permission.INSTANCE_LOGS),
        ("GET", "/projects/p/addons/a/backups", Permission.ADDON_READ),
        ("POST", "/projects/p/addons/a/backups", Permission.ADDON_UPDATE),
        ("GET", "/projects/p/addons/a/backups/b", Permission.ADDON_READ),
        ("DELETE", "/projects/p/addons/a/backups/b", Permission.ADDON_UPDATE),
        ("POST", "/projects/p/addons/a/backups/b/abort", Permission.ADDON_UPDATE),
        ("POST", "/projects/p/addons/a/backups/b/retain", Permission.ADDON_UPDATE),
        ("GET", "/projects/p/addons/a/backups/b/download-link", Permission.ADDON_READ),
        ("GET", "/projects/p/addons/a/backups/b/files", Permission.ADDON_READ),
        ("POST", "/projects/p/addons/a/backups/b/copies/d/retry", Permission.ADDON_UPDATE),
        ("POST", "/backup-destinations/d/recovery-kit", Permission.DESTINATION_UPDATE),
        ("POST", "/platform-store/recovery-kit", Permission.DESTINATION_UPDATE),
        ("POST", "/backup-destinations/d/probe", Permission.DESTINATION_UPDATE),
        ("POST", "/platform-store/probe", Permission.DESTINATION_UPDATE),
        ("POST", "/backup-destinations/d/adopt", Permission.DESTINATION_UPDATE),
        ("POST", "/platform-store/adopt", Permission.DESTINATION_UPDATE),
        ("GET", "/platform-store/backups", Permission.DESTINATION_READ),
        ("GET", "/projects/p/addons/a/backups/b/logs", Permission.INSTANCE_LOGS),
        ("POST", "/projects/p/addons/a/backups/b/restore", Permission.ADDON_UPDATE),
        ("GET", "/projects/p/addons/a/backups/b/restores", Permission.ADDON_READ),
        ("POST", "/projects/p/addons/a/backups/b/abort-restore", Permission.ADDON_UPDATE),
        ("GET", "/projects/p/addons/a/backups/b/restores/r/logs", Permission.INSTANCE_LOGS),
        ("GET", "/projects/p/addons/a/restores", Permission.ADDON_READ),
        ("GET", "/backup-destinations", Permission.DESTINATION_READ),
        ("POST", "/backup-destinations", Permission.DESTINATION_CREATE),
        ("GET", "/backup-destinations/d", Permission.DESTINATION_READ),
        ("PATCH", "/backup-destinations/d", Permission.DESTINATION_UPDATE),
        ("DELETE", "/backup-destinations/d", Permission.DESTINATION_DELETE),
        ("GET", "/backup-destinations/d/backups", Permission.DESTINATION_READ),
        ("GET", "/teams", Permission.TEAM_READ),
        ("GET", "/tokens", Permission.TOKENS_READ),
        ("POST", "/tokens", Permission.TOKENS_MANAGE),
    ],
)
def test_each_route_needs_its_permission(
    all_but: Callable[[Permission], Api], method: str, path: str, permission: Permission
) -> None:
    """A token with every other permission is refused, and told which one it lacks."""
    answer = all_but(permission).ask(method, path, {})
    assert answer.status == 403
    assert str(permission) in answer.error["message"]


@pytest.fixture(scope="module")
def all_but(server: Server) -> Callable[[Permission], Api]:
    made: dict[Permission, Api] = {}
    owner = server.api()

    def of(permission: Permission) -> Api:
        if permission not in made:
            others = [str(p) for p in Permission if p is not permission]
            role = owner.post("/roles", {"name": fresh("But"), "permissions": others}).data["id"]
            token = owner.post("/tokens", {"name": "But", "role": role}).data["token"]
            made[permission] = server.api(token)
        return made[permission]

    return of


def test_a_restricted_token_sees_its_projects_and_nothing_else(api: Api, token_of: TokenOf) -> None:
    mine, other = api.project("Mine"), api.project("Other")
    restricted = token_of("owner", projects=[mine])
    assert [p["id"] for p in restricted.get("/projects").data["projects"]] == [mine]
    assert restricted.get(f"/projects/{mine}").status == 200
    for method, path in (
        ("GET", f"/projects/{other}"),
        ("PATCH", f"/projects/{other}"),
        ("DELETE", f"/projects/{other}"),
        ("GET", f"/projects/{other}/addons"),
        ("GET", f"/projects/{other}/addons/a/backups"),
    ):
        answer = restricted.ask(method, path, {} if method == "PATCH" else ...)
        assert (answer.status, answer.error["id"]) == (404, "not-found")
    assert api.get(f"/projects/{other}").status == 200


def test_a_restricted_token_hands_on_no_more_than_it_has(api: Api, token_of: TokenOf) -> None:
    mine, other = api.project(), api.project()
    restricted = token_of("owner", projects=[mine])
    asked = {"name": "x", "role": "default", "projects": [other]}
    assert restricted.post("/tokens", asked).status == 400
    inherited = restricted.post("/tokens", {"name": "x", "role": "default"}).data
    assert inherited["projects"] == [mine]


def test_a_restricted_token_has_no_power_over_other_tokens(api: Api, token_of: TokenOf) -> None:
    restricted = token_of("owner", projects=[api.project()])
    stranger = api.post("/tokens", {"name": "Stranger", "role": "default"}).data
    assert restricted.delete(f"/tokens/{stranger['id']}").status == 404
    listed = restricted.get("/tokens", per_page=100).data["tokens"]
    assert stranger["id"] not in [token["id"] for token in listed]
    assert api.based("/v1").get("/login").status == 200


def test_nobody_gives_what_they_do_not_hold(token_of: TokenOf) -> None:
    mine = token_of([Permission.TOKENS_MANAGE, Permission.TOKENS_READ])
    assert mine.post("/tokens", {"name": "x", "role": "owner"}).status == 403
    role = {"name": fresh("Role"), "permissions": [Permission.PROJECT_DELETE]}
    assert mine.post("/roles", role).status == 403


def test_a_deleted_role_takes_its_tokens_with_it(api: Api) -> None:
    body = {"name": fresh("Gone"), "permissions": [Permission.PROJECT_READ]}
    role = api.post("/roles", body).data["id"]
    made = api.post("/tokens", {"name": "x", "role": role}).data["token"]
    mine = Api(api.url, made)
    assert mine.get("/projects").status == 200
    assert api.delete(f"/roles/{role}").data == {}
    assert mine.get("/projects").status == 401
    assert api.delete("/roles/owner").status == 409
    assert api.delete("/roles/never").status == 404


def test_a_role_is_changed_for_all_who_have_it(api: Api) -> None:
    body = {"name": fresh("Reader"), "permissions": [Permission.PROJECT_READ]}
    role = api.post("/roles", body).data["id"]
    reader = Api(api.url, api.post("/tokens", {"name": "x", "role": role}).data["token"])
    assert reader.get("/projects").status == 200
    changed = api.patch(f"/roles/{role}", {"permissions": [Permission.AUDIT_READ]}).data
    assert (changed["id"], changed["permissions"]) == (role, [Permission.AUDIT_READ])
    assert reader.get("/projects").status == 403
    assert api.patch(f"/roles/{role}", {"name": "Auditor"}).data["permissions"]
    assert api.patch("/roles/owner", {"name": "Boss"}).status == 409
    assert list(api.patch(f"/roles/{role}", {"permissions": ["Fly"]}).details) == ["permissions"]
    managers = {"name": fresh("Manager"), "permissions": [Permission.TOKENS_MANAGE]}
    manager = api.post("/roles", managers).data["id"]
    mine = Api(api.url, api.post("/tokens", {"name": "m", "role": manager}).data["token"])
    assert mine.patch(f"/roles/{role}", {"name": "Mine"}).status == 403
    more = {"permissions": [Permission.TOKENS_MANAGE, Permission.AUDIT_READ]}
    assert mine.patch(f"/roles/{manager}", more).status == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "default"}, "name"),
        ({"name": "x", "role": "no-such"}, "role"),
        ({"name": "x", "role": "default", "expiresInDays": 0}, "expiresInDays"),
        ({"name": "x", "role": "default", "projects": ["none"]}, "projects[0]"),
        ({"name": "x", "role": "default", "project": ["misspelt"]}, "project"),
    ],
)
def test_a_bad_token_order_names_the_field(api: Api, body: dict[str, object], field: str) -> None:
    answer = api.post("/tokens", body)
    assert (answer.status, list(answer.details)) == (400, [field])


def test_unknown_permissions_and_taken_names_are_refused(api: Api) -> None:
    answer = api.post("/roles", {"name": fresh("Role"), "permissions": ["Fly"]})
    assert (answer.status, list(answer.details)) == (400, ["permissions"])
    assert (
        api.post("/roles", {"name": "Owner", "permissions": [Permission.PROJECT_READ]}).status
        == 409
    )
