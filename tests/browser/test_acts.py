"""What people do on the pages, in a real browser: each act from its form to what it changed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, expect

from fixtures.chromium import Tab, open_tab
from fixtures.dashboard import Shop, open_shop
from fixtures.holdfast import Api, await_backup, await_that
from fixtures.sso import Sso

pytestmark = pytest.mark.slow

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
REFUSED = "status of 400 (Bad Request)"
ORDERS = "/projects/shop/addons/orders"
SCHEDULE = {
    "backupType": "dump",
    "retentionTime": 7,
    "scheduling": {"interval": "hourly", "minute": [0]},
}


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        shop.api.post("/projects", {"name": "Shop"})
        shop.attach("shop", "orders")
        shop.back_up(ORDERS)
        yield shop


@pytest.fixture
def tab(shop: Shop, chromium: Browser) -> Iterator[Tab]:
    """Fails the test when the console says more than that a form was refused."""
    with open_tab(chromium, shop, viewport=WIDE) as tab:
        tab.page.set_default_timeout(60_000)
        yield tab
        assert [said for said in tab.said if REFUSED not in said] == []


def test_a_backup_that_waits_is_aborted(shop: Shop, tab: Tab) -> None:
    with closing(sqlite3.connect(shop.file_of["orders"], isolation_level=None)) as blocker:
        blocker.execute("BEGIN EXCLUSIVE")
        tab.go("/p/shop/orders")
        tab.page.get_by_role("button", name="Back up now").first.click()
        tab.page.wait_for_url("**/backups/*")
        tab.page.get_by_role("button", name="Abort").click()
        expect(tab.page.locator("#head .badge").first).to_have_text("Aborted", timeout=60_000)
    newest = shop.api.get(f"{ORDERS}/backups").data["backups"][0]
    assert newest["status"] == "aborted"


def test_a_drill_is_followed_to_its_verdict(tab: Tab) -> None:
    tab.go("/p/shop/orders")
    tab.page.get_by_role("button", name="Drill now").first.click()
    tab.page.wait_for_url("**/drills/*")
    tab.page.evaluate("window.sameDocument = true")
    tab.page.get_by_text("passed").first.wait_for()
    assert tab.page.evaluate("window.sameDocument") is True


def test_a_destination_that_does_not_answer_is_not_added(shop: Shop, tab: Tab) -> None:
    page = tab.page
    tab.go("/places/new")
    for name, value in (
        ("name", "Berlin"),
        ("credentials.endpoint", "http://127.0.0.1:9"),
        ("credentials.bucketName", "backups"),
        ("credentials.region", "eu"),
        ("credentials.accessKey", "AKIA"),
        ("credentials.secretKey", "do-not-show-me"),
        ("prefix", "shop"),
    ):
        page.locator(f"[name='{name}']").fill(value)
    page.get_by_role("button", name="Probe and add it").click()
    page.locator(".note.bad, .hint.bad").first.wait_for()
    assert page.locator("[name=name]").input_value() == "Berlin"
    assert "do-not-show-me" not in page.content()
    assert "Berlin" not in str(shop.api.get("/backup-destinations").data)


def test_a_schedule_with_a_bad_minute_says_so_beside_it(shop: Shop, tab: Tab) -> None:
    page = tab.page
    tab.go("/p/shop/orders/schedules/new")
    page.locator("[name='scheduling.minute']").fill("0, 75")
    page.locator("[name=retentionTime]").fill("7")
    page.get_by_role("button", name="Add the schedule").click()
    page.locator(".hint.bad").first.wait_for()
    assert page.locator("[name='scheduling.minute']").input_value() == "0, 75"
    assert shop.api.get(f"{ORDERS}/backup-schedules").data["schedules"] == []
    page.locator("[name='scheduling.minute']").fill("0, 45")
    page.get_by_role("button", name="Add the schedule").click()

    def minutes() -> list[list[int]]:
        listed = shop.api.get(f"{ORDERS}/backup-schedules").data["schedules"]
        return [schedule["scheduling"]["minute"] for schedule in listed]

    await_that(minutes)
    assert minutes() == [[0, 45]]


def test_another_retention_is_looked_at_before_it_is_saved(shop: Shop, tab: Tab) -> None:
    addon = shop.attach("shop", "kept")
    body = {"backupType": "dump", "retentionTime": 7}
    backup = shop.api.post(f"{addon}/backups", body).data["id"]
    await_backup(shop.api, f"{addon}/backups/{backup}")
    before = shop.api.get(f"{addon}/backups/{backup}").data
    tab.go("/retention?addon=shop/kept")
    form = tab.page.locator("section[aria-labelledby=wi] form")
    form.locator("[name=new]").fill("3")
    form.get_by_role("button").click()
    tab.page.wait_for_url("**new=3*")
    tab.page.get_by_text("would expire at once").wait_for()
    assert shop.api.get(f"{addon}/backups/{backup}").data == before


def test_an_alarm_is_taken(shop: Shop, tab: Tab) -> None:
    addon = shop.attach("shop", "gone")
    shop.api.post(f"{addon}/backup-schedules", SCHEDULE)
    shop.file_of["gone"].unlink()
    shop.api.post(f"{addon}/backups", {"backupType": "dump"})

    def alarms() -> list[str]:
        listed = shop.api.get("/alarms", open=True).data["alarms"]
        return [alarm.get("acknowledgedBy", "") for alarm in listed if alarm["addonId"] == "gone"]

    await_that(alarms)
    tab.go("/alarms")
    tab.page.get_by_role("button", name="I take shop/gone").first.click()
    await_that(lambda: any(alarms()))


def test_a_token_is_shown_once_and_revoked(shop: Shop, tab: Tab) -> None:
    page = tab.page
    tab.go("/access/token")
    page.locator("#f-name").fill("deploys")
    page.get_by_role("button", name="Make the token").click()
    shown = page.locator("code", has_text="hft_").first
    shown.wait_for()
    api = Api(shop.server.url, shown.inner_text().strip())
    assert api.get("/projects").status == 200
    tab.go("/access")
    assert api.token not in page.content()
    page.get_by_role("button", name="Revoke the token deploys").click()
    await_that(lambda: api.get("/projects").status == 401)


def test_two_people_at_once(shop: Shop, tab: Tab, chromium: Browser) -> None:
    """Each sees what the other did, and who comes second is told, not overwritten."""
    addon = shop.attach("shop", "shared")
    tab.go("/p/shop/shared")
    tab.page.wait_for_selector("#pulse[data-state=live]")
    with open_tab(chromium, shop, viewport=NARROW) as second:
        second.go("/p/shop/shared/schedules/new")
        tab.go("/p/shop/shared/delete")
        tab.page.locator("form[action$='/delete'] [name=typed]").fill("shared")
        tab.page.locator("form[action$='/delete'] button").click()
        await_that(lambda: shop.api.get(addon).status == 404)
        second.page.locator("[name=retentionTime]").fill("7")
        second.page.get_by_role("button", name="Add the schedule").click()
        second.page.get_by_role("heading", name="There is no such page").wait_for()
    with open_tab(chromium, shop, viewport=NARROW) as second:
        second.go("/p/shop/orders")
        second.page.wait_for_selector("#pulse[data-state=live]", state="attached")
        tab.go("/p/shop/orders")
        tab.page.get_by_role("button", name="Back up now").first.click()
        tab.page.wait_for_url("**/backups/*")
        backup = tab.page.url.rpartition("/")[2]
        second.page.wait_for_selector(f"#points a[href$='{backup}']")


def test_a_revoked_session_hears_nothing_more(shop: Shop, chromium: Browser) -> None:
    made = shop.api.post("/tokens", {"name": "leaver", "role": "owner"}).data
    leaver = Api(shop.server.url, made["token"])
    with open_tab(chromium, shop, leaver, viewport=WIDE) as tab:
        tab.go("/p/shop/orders")
        tab.page.wait_for_selector("#pulse[data-state=live]")
        shop.api.delete(f"/tokens/{made['id']}")
        tab.page.wait_for_url("**/signin?**", timeout=120_000)


def test_single_sign_on_through_the_provider(sso: Sso, chromium: Browser) -> None:
    context = chromium.new_context(viewport=NARROW)
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto(f"{sso.server.url}/signin?next=/account")
    page.get_by_role("button", name="Keycloak").click()
    page.wait_for_url(f"{sso.provider.issuer}/**")
    page.locator("[name=login]").fill("mara")
    page.locator("[name=password]").fill("any")
    page.locator("button[type=submit], input[type=submit]").first.click()
    if page.url.startswith(sso.provider.issuer):
        page.locator("button[type=submit], input[type=submit]").first.click()
    page.wait_for_url(f"{sso.server.url}/account")
    page.get_by_role("heading", name="mara").wait_for()
    context.close()
