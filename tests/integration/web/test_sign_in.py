"""Signing in and out over HTTP, and what a session is good for."""

import html
import re
from typing import Any

import httpx
import pytest

from fixtures.holdfast import Api, Server
from fixtures.visitors import GOOD_PASSWORD, Visitor, hidden, make_user

pytestmark = pytest.mark.sqlite_first


def test_a_page_needs_a_session_and_goes_on_afterwards(server: Server, visitor: Visitor) -> None:
    answer = visitor.get("/?state=risk")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/signin?next=%2F%3Fstate%3Drisk"
    assert "Sign in" in visitor.get(answer.headers["location"]).text
    signed = visitor.post("/signin/token", token=server.token, next="/?state=risk")
    assert signed.status_code == 303
    assert signed.headers["location"] == "/?state=risk"
    assert visitor.get("/").status_code == 200


def test_an_htmx_request_is_told_to_go_to_the_sign_in(visitor: Visitor) -> None:
    answer = visitor.get("/", **{"hx-request": "true"})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"].startswith("/signin")


def test_a_link_from_another_site_reloads_itself_once(server: Server, visitor: Visitor) -> None:
    strange = {"sec-fetch-site": "cross-site"}
    page = visitor.get("/?state=risk", **strange)
    assert page.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/?state=risk">' in page.text


def test_the_cookie_is_opaque_and_strict(server: Server, visitor: Visitor) -> None:
    answer = visitor.sign_in_with_token(server.token)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("holdfast=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert server.token not in cookie
    value = visitor.http.cookies["holdfast"]
    for file in server.data_dir.glob("holdfast.db*"):
        assert value.encode() not in file.read_bytes()


def test_a_session_of_a_token_ends_with_it(server: Server, api: Api, visitor: Visitor) -> None:
    token = api.post("/tokens", {"name": "Browser", "role": "default"}).data
    assert visitor.sign_in_with_token(token["token"]).status_code == 303
    assert visitor.get("/").status_code == 200
    api.delete(f"/tokens/{token['id']}")
    assert visitor.get("/").status_code == 303


def test_a_wrong_token_is_refused_in_words(visitor: Visitor) -> None:
    answer = visitor.sign_in_with_token("hft_wrong")
    assert answer.status_code == 401
    assert "unknown, expired or revoked" in answer.text
    assert "hft_wrong" not in answer.text


def test_name_and_password(server: Server, visitor: Visitor) -> None:
    name = make_user(server)
    answer = visitor.sign_in(name.upper())
    assert answer.status_code == 303
    page = visitor.get("/account").text
    assert name in page


@pytest.mark.parametrize("next_path", ["//evil.example/", "https://evil.example", "/\\evil", "x"])
def test_it_never_leads_elsewhere(server: Server, visitor: Visitor, next_path: str) -> None:
    answer = visitor.post("/signin/token", token=server.token, next=next_path)
    assert answer.headers["location"] == "/"


def test_unknown_names_and_wrong_passwords_are_answered_alike(
    server: Server, visitor: Visitor
) -> None:
    name = make_user(server)
    wrong = visitor.sign_in(name, "not the password at all")
    unknown = visitor.sign_in("no such user", "not the password at all")
    assert wrong.status_code == unknown.status_code == 401
    assert _without_what_differs(wrong, name) == _without_what_differs(unknown, "no such user")


def _without_what_differs(answer: httpx.Response, name: str) -> str:
    text = html.unescape(answer.text).replace(name, "NAME")
    return re.sub(r'data-options="[^>]*>|value="[0-9a-f]{64}"', "", text)


def test_a_disabled_or_expired_user_cannot_sign_in_nor_go_on(
    server: Server, api: Api, visitor: Visitor
) -> None:
    name = make_user(server)
    user = next(u for u in api.get("/users", per_page=100).data["users"] if u["name"] == name)
    visitor.sign_in(name)
    assert visitor.is_signed_in
    api.patch(f"/users/{user['id']}", {"disabled": True})
    assert not visitor.is_signed_in
    assert visitor.sign_in(name).status_code == 401


def test_signing_out_ends_the_session_itself(server: Server, visitor: Visitor) -> None:
    visitor.sign_in(make_user(server))
    cookie = visitor.http.cookies["holdfast"]
    answer = visitor.act("/signout")
    assert answer.status_code == 303
    visitor.http.cookies.set("holdfast", cookie)
    assert not visitor.is_signed_in


def test_signing_in_makes_a_new_session(server: Server, visitor: Visitor) -> None:
    name = make_user(server)
    visitor.sign_in(name)
    first = visitor.http.cookies["holdfast"]
    visitor.sign_in(name)
    second = visitor.http.cookies["holdfast"]
    assert first != second
    old = Visitor(server)
    old.http.cookies.set("holdfast", first)
    assert not old.is_signed_in


def test_sessions_are_listed_and_ended(server: Server, api: Api, visitor: Visitor) -> None:
    name = make_user(server)
    visitor.sign_in(name)
    mine = [each for each in _sessions(api) if each["by"] == name]
    assert len(mine) == 1
    assert mine[0]["method"] == "password"
    assert mine[0]["program"] == "Visitor/1.0"
    assert mine[0]["address"] == "127.0.0.1"
    assert api.delete(f"/sessions/{mine[0]['id']}").status == 200
    assert not visitor.is_signed_in
    assert api.delete(f"/sessions/{mine[0]['id']}").status == 404


def _sessions(api: Api) -> list[dict[str, Any]]:
    return api.get("/sessions", per_page=100).data["sessions"]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": ""},
    ],
)
def test_forms_of_other_sites_are_refused(
    server: Server, visitor: Visitor, headers: dict[str, str]
) -> None:
    visitor.sign_in(make_user(server))
    csrf = visitor.csrf()
    assert visitor.post("/signout", headers, csrf=csrf).status_code == 403
    assert visitor.post("/signin", headers, name="x", password="y").status_code == 403
    assert visitor.is_signed_in


def test_without_fetch_metadata_the_origin_decides(server: Server) -> None:
    old = Visitor(server)
    del old.http.headers["sec-fetch-site"]
    foreign, own = {"origin": "https://evil.example"}, {"origin": server.url}
    assert old.post("/signin/token", foreign, token=server.token).status_code == 403
    assert old.post("/signin/token", {}, token=server.token).status_code == 403
    assert old.post("/signin/token", {"origin": "null"}, token=server.token).status_code == 403
    assert old.post("/signin/token", own, token=server.token).status_code == 303


@pytest.mark.parametrize("csrf", ["", "0" * 64, "ÿ"])
def test_without_the_sessions_token_nothing_is_changed(
    server: Server, visitor: Visitor, csrf: str
) -> None:
    visitor.sign_in(make_user(server))
    assert visitor.post("/signout", csrf=csrf).status_code == 403
    assert visitor.is_signed_in


def test_the_api_takes_no_cookie_and_pages_no_token(server: Server, visitor: Visitor) -> None:
    visitor.sign_in_with_token(server.token)
    assert visitor.get("/v1/login").status_code == 401
    stranger = Visitor(server, authorization=f"Bearer {server.token}")
    assert stranger.get("/").status_code == 303


def test_a_form_that_outlived_its_session_is_kept(server: Server, api: Api) -> None:
    visitor = Visitor(server)
    name = make_user(server)
    visitor.sign_in(name)
    csrf = visitor.csrf()
    (mine,) = [each for each in _sessions(api) if each["by"] == name]
    api.delete(f"/sessions/{mine['id']}")
    fields = {"theme": "dark", "back": "/?x=<b>&y=1", "new_password": "a secret of mine"}
    fields["connectionString"] = "postgresql://shop:another-secret@db/shop"
    answer = visitor.post("/theme", csrf=csrf, **fields)
    assert answer.status_code == 401
    assert "Your form is kept" in answer.text
    assert "a secret of mine" not in answer.text
    assert "another-secret" not in answer.text
    going_on = hidden(answer.text, "going_on")
    resumed = visitor.sign_in(name, going_on=going_on)
    assert resumed.status_code == 200
    assert 'action="/theme"' in resumed.text
    assert hidden(resumed.text, "back") == "/?x=<b>&y=1"
    assert hidden(resumed.text, "new_password") == ""
    sent = visitor.post("/theme", csrf=hidden(resumed.text, "csrf"), theme="dark", back="/")
    assert sent.status_code == 303


def test_a_user_cannot_sign_in_over_plain_http_from_elsewhere(server: Server) -> None:
    distant = Visitor(server, host="backup.example.com")
    answer = distant.sign_in_with_token(server.token)
    assert answer.status_code == 400
    assert "needs https" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_form_is_bounded(server: Server, visitor: Visitor) -> None:
    assert visitor.post("/signin", name="x" * (1 << 21)).status_code == 413
    many = "&".join(f"a{number}=1" for number in range(3000))
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert visitor.http.post("/signin", content=many, headers=headers).status_code == 400


def test_what_users_do_is_in_the_audit_log_by_their_names(
    server: Server, api: Api, visitor: Visitor
) -> None:
    name = make_user(server)
    visitor.sign_in(name)
    visitor.act("/signout")
    entries = api.get("/audit-log", actor=name).data["entries"]
    assert [entry["action"] for entry in entries] == ["sign_out", "sign_in"]
    assert entries[1]["object"]["kind"] == "session"
    assert GOOD_PASSWORD not in str(entries)
    assert GOOD_PASSWORD not in server.log.read_text()
