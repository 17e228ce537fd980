"""Requests, answers, errors, retries and pages, against a real socket."""

import pytest

from fakes.scripted_api import Reply, ScriptedApi
from fixtures.http_api import TOKEN, PausingClock
from holdfast.client import (
    ApiError,
    Client,
    Conflict,
    Invalid,
    Link,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerFault,
    Unauthenticated,
    Unreachable,
)
from holdfast.client.transport.transport import normalise_host
from holdfast.kit.seal import Secret

PROJECTS = "/v1/projects"
ADDON = "/v1/projects/p/addons/a"


def page(api: ScriptedApi, ids: list[str], cursor: str | None, *, more: bool) -> None:
    pagination: dict[str, object] = {"hasNextPage": more, "count": len(ids)}
    if cursor is not None:
        pagination["cursor"] = cursor
    api.data("GET", PROJECTS, {"projects": [{"id": i} for i in ids]}, pagination=pagination)


def test_every_request_carries_the_token_and_says_json(
    scripted: ScriptedApi, api_client: Client
) -> None:
    scripted.data("GET", "/v1/login", {})
    scripted.data("POST", f"{ADDON}/pause", {})
    api_client.login()
    api_client.addons.pause("p", "a")
    login, pause = scripted.asked
    assert login.headers["authorization"] == f"Bearer {TOKEN}"
    assert login.headers["content-type"] == "application/json"
    assert pause.headers["content-length"] == "0"
    assert pause.headers["content-type"] == "application/json"


def test_a_list_follows_cursors_until_there_is_none(
    scripted: ScriptedApi, api_client: Client
) -> None:
    page(scripted, ["a", "b"], "c" * 24, more=True)
    page(scripted, ["c"], None, more=False)
    assert [p.id for p in api_client.projects.list()] == ["a", "b", "c"]
    first, second = scripted.asked
    assert first.query == {"per_page": "100"}
    assert second.query == {"per_page": "100", "cursor": "c" * 24}


def test_an_absent_cursor_ends_the_list_whatever_has_next_page_says(
    scripted: ScriptedApi, api_client: Client
) -> None:
    page(scripted, ["a"], None, more=True)
    assert [p.id for p in api_client.projects.list()] == ["a"]
    assert len(scripted.asked) == 1


def test_an_empty_list_is_one_request(scripted: ScriptedApi, api_client: Client) -> None:
    page(scripted, [], None, more=False)
    assert list(api_client.projects.list()) == []
    assert len(scripted.asked) == 1


def test_a_cursor_that_comes_back_is_an_error_not_a_loop(
    scripted: ScriptedApi, api_client: Client
) -> None:
    page(scripted, ["a"], "c" * 24, more=True)
    with pytest.raises(ServerFault, match="never end"):
        list(api_client.projects.list())
    assert len(scripted.asked) == 2


def test_a_bare_array_of_one_is_one_item(scripted: ScriptedApi, api_client: Client) -> None:
    path = "/v1/backup-destinations/Off%20site/backups"
    scripted.data("GET", path, [{"id": "x", "config": {"size": "7"}}], pagination={"count": 1})
    (backup,) = api_client.destinations.backups("Off site")
    assert (backup.id, backup.config.size) == ("x", "7")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Unauthenticated),
        (403, PermissionDenied),
        (404, NotFound),
        (405, Invalid),
        (409, Conflict),
        (413, Invalid),
        (429, RateLimited),
        (500, ServerFault),
        (503, ServerFault),
    ],
)
def test_each_status_is_its_own_error_and_is_not_retried(
    scripted: ScriptedApi, api_client: Client, status: int, kind: type[ApiError]
) -> None:
    details = {"name": "is too short"}
    scripted.error("POST", PROJECTS, status, "a sentence", id="code", details=details)
    with pytest.raises(kind) as caught:
        api_client.projects.create({"name": "x"})
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.message, error.id) == (status, "a sentence", "code")
    assert error.details == details
    assert error.retry_after == (1.0 if status == 429 else None)
    assert len(scripted.asked) == 1


def test_a_broken_connection_is_tried_again_half_a_second_apart(
    scripted: ScriptedApi, api_client: Client, pausing_clock: PausingClock
) -> None:
    for _ in range(3):
        scripted.drop("POST", PROJECTS)
    scripted.data("POST", PROJECTS, {"id": "x", "name": "X"})
    assert api_client.projects.create({"name": "X"}).id == "x"
    assert [asked.json for asked in scripted.asked] == [{"name": "X"}] * 4
    assert pausing_clock.passed == 1.5
    scripted.data("POST", PROJECTS, {"id": "x", "name": "X"})
    api_client.projects.create({"name": "X"})
    keys = [asked.headers["idempotency-key"] for asked in scripted.asked]
    assert keys[0] == keys[3] != keys[4], "a repetition is told from another call"


def test_four_broken_connections_are_unreachable(scripted: ScriptedApi, api_client: Client) -> None:
    scripted.drop("GET", "/v1/login")
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1"):
        api_client.login()
    assert len(scripted.asked) == 4


class SlowClock(PausingClock):
    """Every look at the clock finds ten seconds gone."""

    def monotonic(self) -> float:
        self.passed += 10.0
        return self.passed


def test_a_post_lost_after_the_repeat_window_is_not_sent_twice(scripted: ScriptedApi) -> None:
    scripted.drop("POST", PROJECTS)
    scripted.drop("GET", "/v1/login")
    clock = SlowClock()
    with Client(scripted.url, Secret(TOKEN), Link(clock=clock, pause=clock.pause)) as client:
        with pytest.raises(Unreachable):
            client.projects.create({"name": "X"})
        with pytest.raises(Unreachable):
            client.login()
    assert len(scripted.of("POST", PROJECTS)) == 1
    assert len(scripted.of("GET", "/v1/login")) == 4


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(200, b"<html>"), "is this a Holdfast server"),
        (Reply(204, b""), "not JSON"),
        (Reply(200, b"[1]"), "not JSON"),
        (Reply(302, b"", {"Location": "https://elsewhere/"}), "https://elsewhere/"),
        (Reply(502, b'{"detail": "bad gateway"}'), "HTTP 502"),
    ],
)
def test_what_does_not_speak_the_api_is_named(
    scripted: ScriptedApi, api_client: Client, reply: Reply, sentence: str
) -> None:
    scripted.raw("GET", "/v1/about", reply)
    with pytest.raises(ServerFault, match=sentence):
        api_client.about()


def test_an_object_without_its_id_is_the_servers_fault(
    scripted: ScriptedApi, api_client: Client
) -> None:
    scripted.data("GET", f"{PROJECTS}/x", {"name": "X"})
    with pytest.raises(ServerFault, match="Project is not understood: id"):
        api_client.projects.get("x")


def test_unknown_fields_are_kept(scripted: ScriptedApi, api_client: Client) -> None:
    sent = {"id": "x", "name": "X", "createdAt": "2026-01-20T11:19:53.175Z", "mood": {"a": [1]}}
    scripted.data("GET", f"{PROJECTS}/x", sent)
    assert api_client.projects.get("x").document() == sent


def test_identifiers_are_escaped_and_never_lead_elsewhere(
    scripted: ScriptedApi, api_client: Client
) -> None:
    scripted.data("GET", "/v1/projects/a%2Fb%3Fc%20d", {"id": "x"})
    assert api_client.projects.get("a/b?c d").id == "x"
    for bad in ("", ".", ".."):
        with pytest.raises(Invalid):
            api_client.projects.delete(bad)
    assert not [asked for asked in scripted.asked if asked.method == "DELETE"]


def test_hosts() -> None:
    assert normalise_host("backup.example.com/") == "https://backup.example.com"
    assert normalise_host("http://h:1/base/") == "http://h:1/base"
    for bad in ("ftp://h", "http://", "http://h:port"):
        with pytest.raises(Invalid):
            normalise_host(bad)
