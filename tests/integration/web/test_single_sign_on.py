"""Single sign-on with a certified provider: who gets in, as what, and what goes wrong."""

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fixtures.holdfast import await_that
from fixtures.sso import Sso, running_sso
from fixtures.visitors import GOOD_PASSWORD, Visitor, make_user


def account_of(sso: Sso, login: str, *groups: str, **claims: Any) -> str:
    """Makes an account at the provider."""
    sso.provider.accounts(**{login: {"preferred_username": login, "groups": groups, **claims}})
    return login


def user_of(sso: Sso, name: str) -> dict[str, Any]:
    users = sso.server.api().get("/users", per_page=100).data["users"]
    return next(user for user in users if user["name"] == name)


def test_a_first_sign_in_makes_the_user_and_groups_decide_its_role(sso: Sso) -> None:
    visitor = Visitor(sso.server)
    answer = sso.sign_in(visitor, account_of(sso, "tomas", "other", "staff"))
    assert answer.status_code == 200, answer.text[-1500:]
    assert '<meta http-equiv="refresh" content="0; url=/">' in answer.text
    assert visitor.is_signed_in
    user = user_of(sso, "tomas")
    assert user["role"] == "admin"
    assert user["signsInWith"] == ["single sign-on"]
    assert user["provider"] == sso.provider.issuer


def test_the_role_follows_the_groups_at_each_sign_in(sso: Sso) -> None:
    visitor = Visitor(sso.server)
    sso.sign_in(visitor, account_of(sso, "nora", "dba"))
    assert user_of(sso, "nora")["role"] == "owner"
    sso.sign_in(visitor, account_of(sso, "nora", "some"))
    user = user_of(sso, "nora")
    assert (user["role"], user["projects"]) == ("default", ["shop"])
    answer = sso.sign_in(Visitor(sso.server), account_of(sso, "nora", "none of them"))
    assert answer.status_code == 401
    assert "None of your groups at Keycloak may sign in here." in answer.text


def test_its_users_make_no_way_in_of_their_own(sso: Sso) -> None:
    visitor = Visitor(sso.server)
    sso.sign_in(visitor, account_of(sso, "mila", "staff"))
    new = {"new_password": GOOD_PASSWORD, "repeated_password": GOOD_PASSWORD}
    assert visitor.act("/account/password", **new).status_code == 400
    assert visitor.act("/account/passkeys", name="key", passkey="{}").status_code == 400
    assert visitor.get("/account/codes").status_code == 400
    assert user_of(sso, "mila")["signsInWith"] == ["single sign-on"]


def test_a_name_that_is_taken_opens_nothing(sso: Sso) -> None:
    local = make_user(sso.server, role="owner")
    visitor = Visitor(sso.server)
    sso.sign_in(visitor, account_of(sso, "imposter", "some", preferred_username=local))
    assert "single sign-on" not in user_of(sso, local)["signsInWith"]
    assert user_of(sso, "imposter")["role"] == "default"


def test_a_disabled_user_stays_out(sso: Sso) -> None:
    visitor = Visitor(sso.server)
    sso.sign_in(visitor, account_of(sso, "gone", "staff"))
    sso.server.api().patch(f"/users/{user_of(sso, 'gone')['id']}", {"disabled": True})
    assert not visitor.is_signed_in
    answer = sso.sign_in(visitor, "gone")
    assert answer.status_code == 401
    assert "may not sign in" in answer.text


def test_the_request_has_pkce_state_and_nonce_and_its_cookie_is_narrow(sso: Sso) -> None:
    visitor = Visitor(sso.server)
    page = visitor.post("/signin/single")
    cookie = page.headers["set-cookie"]
    assert "Path=/signin/callback" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=600" in cookie
    query = parse_qs(urlsplit(sso.begin(visitor)).query)
    assert query["code_challenge_method"] == ["S256"]
    for name in ("state", "nonce", "code_challenge"):
        assert len(query[name][0]) >= 32
        assert query[name][0] not in cookie


def test_an_answer_is_taken_once_and_by_the_browser_that_asked(sso: Sso) -> None:
    visitor, other = Visitor(sso.server), Visitor(sso.server)
    callback = sso.come_back(sso.begin(visitor), account_of(sso, "once", "staff"))
    assert "did not begin in this browser" in html.unescape(other.get(callback).text)
    sso.begin(other)
    assert "to another sign-in" in other.get(callback).text
    assert visitor.get(callback).status_code == 200
    assert visitor.get(callback).status_code == 401


def test_the_provider_says_no_in_words(sso: Sso) -> None:
    visitor = Visitor(sso.server)
    state = parse_qs(urlsplit(sso.begin(visitor)).query)["state"][0]
    answer = visitor.get(f"/signin/callback?error=access_denied&state={state}")
    assert answer.status_code == 401
    assert "Keycloak refused: access_denied" in answer.text


def test_a_form_is_kept_on_the_way(sso: Sso) -> None:
    visitor = Visitor(sso.server)
    page = visitor.post("/theme", theme="dark", back="/?state=risk")
    going_on = re.search(r'name="going_on" value="([^"]+)"', page.text)
    assert going_on
    login = account_of(sso, "formful", "staff")
    answer = sso.sign_in(visitor, login, going_on=html.unescape(going_on[1]))
    assert "Your form is still here" in answer.text
    assert 'value="/?state=risk"' in answer.text


def test_signing_out_here_leads_to_signing_out_there(sso: Sso) -> None:
    visitor = Visitor(sso.server)
    sso.sign_in(visitor, account_of(sso, "leaver", "staff"))
    page = visitor.act("/signout").text
    url = re.search(r'content="0; url=([^"]+)"', page)
    assert url
    query = parse_qs(urlsplit(html.unescape(url[1])).query)
    assert query["post_logout_redirect_uri"] == [f"{sso.server.url}/signin"]
    assert query["id_token_hint"][0].count(".") == 2
    assert not visitor.is_signed_in


def test_its_keys_may_change_and_it_may_be_away() -> None:
    with running_sso() as sso:
        login = account_of(sso, "steady", "dba")
        assert sso.sign_in(Visitor(sso.server), login).status_code == 200
        visitor = Visitor(sso.server)
        callback = sso.come_back(sso.begin(visitor), login)
        sso.provider.stop()
        away = visitor.get(callback)
        assert away.status_code == 401
        assert "does not answer" in away.text
        sso.provider.start(sso.server.url)
        await_that(lambda: sso.sign_in(Visitor(sso.server), login).status_code == 200)


def test_a_wrong_issuer_is_named() -> None:
    with running_sso() as sso:
        sso.server.stop()
        issuer = sso.provider.issuer.replace("127.0.0.1", "localhost")
        with running_sso(HOLDFAST_OIDC_ISSUER=issuer) as other:
            answer = Visitor(other.server).post("/signin/single")
            assert answer.status_code == 503
            assert "calls itself" in answer.text
            assert sso.provider.issuer in answer.text


def test_nothing_else_may_be_allowed() -> None:
    with running_sso(HOLDFAST_OIDC_ONLY="1") as sso:
        visitor = Visitor(sso.server)
        name = make_user(sso.server)
        page = visitor.get("/signin").text
        assert 'name="password"' not in page
        assert visitor.sign_in(name).status_code == 403
        assert visitor.sign_in_with_token(sso.server.token).status_code == 403
        assert visitor.get("/welcome?key=any").status_code == 403
        assert visitor.get("/setup?key=any").status_code == 404
        assert "first owner" not in sso.server.log.read_text()
        assert sso.sign_in(visitor, account_of(sso, "only", "dba")).status_code == 200
