"""Signing in, accounts and set-up in a real browser, as a person does it."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, Page

from fixtures.chromium import Tab
from fixtures.dashboard import Shop, open_shop
from fixtures.holdfast import Server, start_holdfast
from fixtures.installation import installation_home
from fixtures.visitors import GOOD_PASSWORD, make_user
from holdfast.catalog.database.session import Catalog
from holdfast.kit.seal import Secret
from holdfast.usecases.access import cli_logins

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
FIRST_RUN_SECONDS = 120


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        shop.api.post("/projects", {"name": "Shop"})
        yield shop


@contextmanager
def stranger(browser: Browser, server: Server, **options: Any) -> Iterator[Tab]:
    """A tab without a session, at a name: browsers allow no passkeys at an address."""
    context = browser.new_context(**options)
    context.set_default_timeout(30_000)
    try:
        yield Tab(context.new_page(), server.url.replace("127.0.0.1", "localhost"))
    finally:
        context.close()


def sign_in(tab: Tab, name: str, path: str = "/account") -> None:
    tab.go(f"/signin?next={path}")
    fill_in(tab.page, name)
    tab.page.wait_for_url(f"{tab.url}{path}")


def fill_in(page: Page, name: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(GOOD_PASSWORD)
    page.locator("form[action='/signin'] button").click()


def test_a_passkey_is_made_and_signs_in(shop: Shop, chromium: Browser) -> None:
    name = make_user(shop.server)
    with stranger(chromium, shop.server, viewport=WIDE) as tab:
        page = tab.page
        devices = page.context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
        kind |= {"hasUserVerification": True, "isUserVerified": True}
        kind |= {"automaticPresenceSimulation": True}
        devices.send("WebAuthn.addVirtualAuthenticator", {"options": kind})
        sign_in(tab, name)
        page.get_by_label("Name of the passkey").fill("this laptop")
        page.get_by_role("button", name="Add a passkey").click()
        page.get_by_role("button", name="Remove the passkey this laptop").wait_for()
        page.context.clear_cookies()
        tab.go("/signin?next=/account")
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url(f"{tab.url}/account")
        assert page.get_by_role("heading", name=name).is_visible()
        assert "passkey" in page.locator("#sessions").inner_text()
        assert tab.said == []


@pytest.mark.slow
def test_an_app_is_set_up_and_its_code_asked_for(shop: Shop, chromium: Browser) -> None:
    name = make_user(shop.server)
    with stranger(chromium, shop.server, viewport=NARROW) as tab:
        page = tab.page
        sign_in(tab, name)
        page.get_by_role("link", name="Set it up").click()
        secret = re.sub(r"\s", "", page.locator("code.mono").first.inner_text())
        assert tab.barriers() == []
        page.locator("input[name=code]").fill(pyotp.TOTP(secret).now())
        page.locator("form[action='/account/codes'] button").click()
        codes = page.locator(".codes li")
        assert codes.count() == 10
        assert tab.barriers() == []
        code = codes.first.inner_text()
        page.context.clear_cookies()
        tab.go("/signin?next=/account")
        fill_in(page, name)
        page.get_by_label("Code of your authenticator app").fill(code)
        assert tab.barriers() == []
        page.get_by_role("button", name="Go on").click()
        page.wait_for_url(f"{tab.url}/account")
        assert tab.said == []


def waiting_command_line(shop: Shop) -> str:
    """The page of a command line that waits for a token."""
    catalog, link = Catalog(f"sqlite:///{shop.server.data_dir / 'holdfast.db'}"), Secret("")
    with catalog.write() as session:
        link = cli_logins.new_link()
        now = time.time_ns() // 1_000_000
        cli_logins.begin(session, link, "127.0.0.1", "holdfast/1.0 on a laptop", now)
    catalog.close()
    return f"/cli-login?sessionToken={link.reveal()}"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_page(shop: Shop, chromium: Browser, scheme: str, window: Any) -> None:
    owner = make_user(shop.server, role="owner")
    users = shop.api.get("/users", per_page=100).data["users"]
    guest = shop.api.post("/users", {"name": f"{owner} guest", "role": "default"}).data
    signed_out = ["/signin", "/signin?next=/proof", guest["passwordLink"].split("//", 1)[1]]
    signed_out[-1] = "/" + signed_out[-1].split("/", 1)[1]
    signed_in = ["/account", "/account/codes", "/access", "/access/invite", "/access/token"]
    signed_in += [f"/access/users/{users[0]['id']}", "/setup/first", waiting_command_line(shop)]
    problems: list[str] = []
    with stranger(chromium, shop.server, viewport=window, color_scheme=scheme) as tab:
        for path in signed_out:
            problems += wrong_with(tab, path)
        sign_in(tab, owner)
        for path in signed_in:
            problems += wrong_with(tab, path)
    assert problems == []


def wrong_with(tab: Tab, path: str) -> list[str]:
    tab.said.clear()
    tab.go(path)
    problems = [f"{path}: {said}" for said in [*tab.said, *tab.barriers()]]
    return problems + ([f"{path}: {tab.overflow} px too wide"] if tab.overflow > 0 else [])


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_session_that_ends_in_mid_form_loses_nothing(
    shop: Shop, chromium: Browser, scripts: bool
) -> None:
    owner = make_user(shop.server, role="owner")
    with stranger(chromium, shop.server, viewport=NARROW, java_script_enabled=scripts) as tab:
        page, guest = tab.page, f"{owner} guest"
        sign_in(tab, owner)
        tab.go("/access/invite")
        page.locator("#f-name").fill(guest)
        page.locator("#f-projects").fill("shop")
        for session in shop.api.get("/sessions", per_page=100).data["sessions"]:
            if session["by"] == owner:
                shop.api.delete(f"/sessions/{session['id']}")
        page.locator("form[action='/access/invite'] button").click()
        page.get_by_text("Your form is kept").wait_for()
        fill_in(page, owner)
        page.get_by_text("Nothing was changed yet").wait_for()
        page.get_by_role("button", name="Send it now").click()
        page.get_by_text("is invited").first.wait_for()
    users = shop.api.get("/users", per_page=100).data["users"]
    invited = next(user for user in users if user["name"] == guest)
    assert invited["projects"] == ["shop"]


@pytest.mark.slow
def test_with_the_keyboard_alone(shop: Shop, chromium: Browser) -> None:
    name = make_user(shop.server, role="owner")
    with stranger(chromium, shop.server, viewport=WIDE) as tab:
        page = tab.page
        tab.go("/signin?next=/access")
        assert page.evaluate("document.activeElement.id") == "name"
        page.keyboard.type(name)
        page.keyboard.press("Tab")
        page.keyboard.type(GOOD_PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{tab.url}/access")
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent.trim()") == "Invite":
                break
        page.keyboard.press("Enter")
        page.wait_for_url("**/access/invite")
        page.locator("#f-name").focus()
        page.keyboard.type(f"{name} guest")
        page.keyboard.press("Enter")
        page.get_by_text("is invited").first.wait_for()
        assert tab.said == []


@pytest.fixture
def fresh_server() -> Iterator[Server]:
    with installation_home() as home:
        (home / "files").mkdir()
        with sqlite3.connect(home / "files" / "shop.db") as database:
            database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER)")
            database.executemany("INSERT INTO orders (total) VALUES (?)", [(n,) for n in range(50)])
        database.close()
        server = start_holdfast(home, forked=True, HOLDFAST_SQLITE_ROOTS=str(home / "files"))
        yield server
        server.stop()


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_from_the_link_to_a_proven_backup(
    fresh_server: Server, chromium: Browser, scripts: bool
) -> None:
    lines = fresh_server.log.read_text().splitlines()
    link = next(json.loads(line)["link"] for line in lines if "first owner" in line)
    file = fresh_server.data_dir.parent / "files" / "shop.db"
    began = time.monotonic()
    with stranger(chromium, fresh_server, viewport=WIDE, java_script_enabled=scripts) as tab:
        page = tab.page
        page.set_default_timeout(FIRST_RUN_SECONDS * 1000)
        tab.go(link.removeprefix(fresh_server.url))
        if scripts:
            assert tab.barriers() == []
        page.get_by_label("Your name").fill("mara")
        page.get_by_label("Password").fill(GOOD_PASSWORD)
        page.get_by_role("button", name="Make me the owner").click()
        page.get_by_label("Connection string").fill(f"sqlite://{file}")
        page.get_by_label("Name", exact=True).fill("shop")
        page.get_by_role("button", name="Test the connection").click()
        page.get_by_text("It works: SQLite").wait_for()
        if scripts:
            assert tab.barriers() == []
        page.get_by_role("button", name="Take the first backup").click()
        page.wait_for_url("**/setup/run/**")
        page.evaluate("window.sameDocument = true")
        page.get_by_text("passed").wait_for()
        assert time.monotonic() - began < FIRST_RUN_SECONDS
        if scripts:
            assert page.evaluate("window.sameDocument") is True, "it follows without a reload"
            assert tab.barriers() == []
            assert tab.said == []
