"""Codes, recovery codes, links to passwords, fresh sign-ins, and guesses."""

import os
import re
import subprocess
import sys
import time

import pyotp
import pytest

from fixtures.holdfast import HOLDFAST, Api, Server
from fixtures.visitors import GOOD_PASSWORD, Visitor, hidden, make_user
from holdfast.http.limits.bounds import Bounds
from holdfast.http.limits.sign_ins import SignIns
from holdfast.http.limits.throttle import Throttle
from holdfast.kit.clock import SystemClock

pytestmark = pytest.mark.sqlite_first
_CODE = re.compile(r"<li><code>([0-9a-z-]{19})</code></li>")
OTHER_PASSWORD = "zwoelf graue moewen lachen"


def enable_codes(visitor: Visitor) -> tuple[pyotp.TOTP, list[str]]:
    page = visitor.get("/account/codes").text
    secret = re.search(r'<code class="mono">([A-Z2-7 ]+)</code>', page)
    assert secret
    assert "<svg" in page
    assert "style=" not in page
    totp = pyotp.TOTP(secret[1].replace(" ", ""))
    wrong = visitor.act("/account/codes", sealed=hidden(page, "sealed"), code="000000")
    assert wrong.status_code == 400
    done = visitor.act("/account/codes", sealed=hidden(wrong.text, "sealed"), code=totp.now())
    assert done.status_code == 200
    return totp, _CODE.findall(done.text)


def test_a_code_is_asked_for_and_works_once(server: Server, api: Api, visitor: Visitor) -> None:
    name = make_user(server)
    visitor.sign_in(name)
    totp, codes = enable_codes(visitor)
    assert len(codes) == 10
    other = Visitor(server)
    page = other.sign_in(name)
    assert "One more thing" in page.text
    assert not other.is_signed_in
    pending = hidden(page.text, "pending")
    used = totp.now()
    assert other.post("/signin/code", pending=pending, code=used).status_code == 401
    later = totp.generate_otp(int(time.time()) // 30 + 1)
    assert other.post("/signin/code", pending=pending, code=later).status_code == 303
    assert other.is_signed_in
    third = Visitor(server)
    assert third.post("/signin/code", pending=pending, code=later).status_code == 401
    assert third.post("/signin/code", pending=pending, code=codes[0]).status_code == 303
    assert third.post("/signin/code", pending=pending, code=codes[0]).status_code == 401
    assert third.post("/signin/code", pending=f"{pending[:-1]}x", code=codes[1]).status_code == 401
    methods = {each["method"] for each in api.get("/sessions").data["sessions"]}
    assert {"password, code", "password, recovery code"} <= methods


def test_one_form_may_have_password_and_code(server: Server, visitor: Visitor) -> None:
    name = make_user(server)
    visitor.sign_in(name)
    _, codes = enable_codes(visitor)
    assert Visitor(server).sign_in(name, code=codes[3]).status_code == 303
    assert Visitor(server).sign_in(name, "wrong password here", code=codes[4]).status_code == 401


def test_a_link_sets_a_password_once(server: Server, api: Api, visitor: Visitor) -> None:
    name = f"{make_user(server)} b"
    user = api.post("/users", {"name": name, "role": "default"}).data
    link = user["passwordLink"].removeprefix(server.url)
    page = visitor.get(link).text
    assert name in page
    key = hidden(page, "key")
    weak = {"password": "password1234", "repeated": "password1234"}
    assert visitor.post("/welcome", key=key, **weak).status_code == 400
    two = {"password": OTHER_PASSWORD, "repeated": GOOD_PASSWORD}
    assert visitor.post("/welcome", key=key, **two).status_code == 400
    good = {"password": OTHER_PASSWORD, "repeated": OTHER_PASSWORD}
    assert visitor.post("/welcome", key=key, **good).status_code == 303
    assert visitor.is_signed_in
    again = Visitor(server).post("/welcome", key=key, **good)
    assert again.status_code == 400
    assert Visitor(server).sign_in(name, OTHER_PASSWORD).status_code == 303


def test_a_changed_password_ends_other_sessions(server: Server, visitor: Visitor) -> None:
    name = make_user(server)
    visitor.sign_in(name)
    other = Visitor(server)
    other.sign_in(name)
    new = {"new_password": OTHER_PASSWORD, "repeated_password": OTHER_PASSWORD}
    wrong = visitor.act("/account/password", present_password="not it at all", **new)
    assert wrong.status_code == 400
    assert "not your present one" in wrong.text
    changed = visitor.act("/account/password", present_password=GOOD_PASSWORD, **new)
    assert changed.status_code == 303
    assert visitor.is_signed_in
    assert not other.is_signed_in
    assert Visitor(server).sign_in(name).status_code == 401


def test_an_operator_resets_a_password_in_the_data_directory(
    server: Server, visitor: Visitor
) -> None:
    name = make_user(server)
    visitor.sign_in(name)
    reset = [HOLDFAST, "user", "reset-password", name, "--force", "--password-file", "-"]
    environment = {**os.environ, "HOLDFAST_DATABASE_URL": server.database_url}
    done = subprocess.run(
        [sys.executable, *reset, "--data-dir", str(server.data_dir), "-o", "json"],
        input=OTHER_PASSWORD,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert OTHER_PASSWORD not in done.stdout + done.stderr
    assert not visitor.is_signed_in
    assert visitor.sign_in(name).status_code == 401
    assert visitor.sign_in(name, OTHER_PASSWORD).status_code == 303


def test_the_access_page_invites_and_revokes(server: Server, api: Api, visitor: Visitor) -> None:
    owner = make_user(server, role="owner")
    visitor.sign_in(owner)
    page = visitor.get("/access").text
    assert owner in page
    guest = f"{owner} guest"
    invited = visitor.act(
        "/access/invite", name=guest, role="default", projects="", expiresInDays=""
    )
    assert "/welcome?key=" in invited.text
    made = visitor.act("/access/token", name="from the page", role="default", expiresInDays="7")
    token = re.search(r"hft_[\w-]+", made.text)
    assert token
    assert server.api(token[0]).get("/login").status == 200
    listed = api.get("/tokens", per_page=1).data["tokens"][0]
    assert visitor.act(f"/access/tokens/{listed['id']}/revoke").status_code == 303
    assert server.api(token[0]).get("/login").status == 401
    user = next(u for u in api.get("/users", per_page=100).data["users"] if u["name"] == guest)
    refused = visitor.act(f"/access/users/{user['id']}/delete", typed="other")
    assert refused.status_code == 400
    assert visitor.act(f"/access/users/{user['id']}/delete", typed=guest).status_code == 303
    entries = api.get("/audit-log", actor=owner).data["entries"]
    assert {"create_user", "create_token", "revoke_token", "delete_user"} <= {
        entry["action"] for entry in entries
    }


def test_guesses_slow_down_others_and_lock_nobody_out() -> None:
    clock = SystemClock()
    attempts = SignIns(Throttle(Bounds(), clock), clock)
    for number in range(12):
        attempts.failed("mara", f"198.51.100.{number}", None)
    assert attempts.wait_of("Mara ") == 16
    assert attempts.wait_of("tomas") == 0
    assert attempts.is_trusted("device")
    for _ in range(5):
        attempts.failed("tomas", "198.51.100.1", "device")
    assert not attempts.is_trusted("device"), "a known browser that guesses is one no longer"
    assert attempts.wait_of("tomas") == 0
    attempts.succeeded("mara")
    assert attempts.wait_of("mara") == 0
