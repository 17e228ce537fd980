"""Every page in a real browser: light and dark, wide and narrow, silent, and without barriers."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser

from fixtures.chromium import open_tab
from fixtures.dashboard import Shop, open_shop
from fixtures.holdfast import await_backup, await_that

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
FIXED = [
    "/",
    "/?view=table",
    "/find?q=orders",
    "/projects",
    "/projects/shop",
    "/addons/new",
    "/addons/new?how=managed",
    "/addons/new?fork=shop/orders",
    "/proof",
    "/retention",
    "/retention?addon=shop/orders",
    "/retention?addon=shop/orders&old=7&new=3",
    "/places",
    "/places/new",
    "/alarms",
    "/alarms?show=settled",
    "/channels/new",
    "/monitors",
    "/stores/platform",
    "/stores/platform/adopt",
    "/access",
    "/access/roles",
    "/access/roles/owner",
    "/activity",
    "/settings",
    "/nowhere",
    "/p/shop/orders",
    "/p/shop/orders?range=24h",
    "/p/shop/orders/edit",
    "/p/shop/orders/connect",
    "/p/shop/orders/objective",
    "/p/shop/orders/delete",
    "/p/shop/orders/moments",
    "/p/shop/orders/import",
    "/p/shop/orders/proof",
    "/p/shop/orders/backups/new",
    "/p/shop/orders/schedules/new",
    "/p/shop/orders/restore",
    "/p/shop/empty",
    "/p/shop/empty/restore",
]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        project = shop.api.post("/projects", {"name": "Shop"}).data["id"]
        orders = shop.attach(project, "orders")
        scheduling = {"interval": "hourly", "minute": [0, 30]}
        schedule = {"backupType": "dump", "scheduling": scheduling, "retentionTime": 7}
        shop.api.post(f"{orders}/backup-schedules", schedule)
        dump = shop.back_up(orders)
        shop.back_up(orders, "snapshot")
        shop.installation.restore(f"{orders}/backups/{dump}")
        drill = shop.api.post(f"{orders}/drills", {}).data["drillId"]
        await_that(lambda: "verdict" in shop.api.get(f"{orders}/drills/{drill}").data)
        gone = shop.attach(project, "gone")
        shop.api.post(f"{gone}/backup-schedules", schedule)
        shop.file_of["gone"].unlink()
        shop.api.post(f"{gone}/backups", {"backupType": "dump"})
        await_that(lambda: shop.api.get("/alarms", open=True).data["alarms"])
        empty = shop.attach(project, "empty")
        shop.api.patch(empty, {"tags": ["sample", "nightly"], "description": "Made-up data"})
        monitor = {"name": "Berlin", "everySeconds": 60, "graceSeconds": 300}
        ping = shop.api.post("/monitors", monitor).data["pingUrl"]
        httpx.post(f"{ping}/fail", content=b"the disk is full")
        yield shop


def of_things(shop: Shop) -> list[str]:
    """Pages of things that have ids of their own."""
    orders = "/projects/shop/addons/orders"
    (schedule,) = shop.api.get(f"{orders}/backup-schedules").data["schedules"]
    backups = shop.api.get(f"{orders}/backups").data["backups"]
    (drill,) = shop.api.get(f"{orders}/drills").data["drills"]
    (restore,) = shop.api.get(f"{orders}/restores").data["restores"]
    failed = shop.api.get("/projects/shop/addons/gone/backups").data["backups"][0]
    return [
        f"/p/shop/orders/schedules/{schedule['id']}",
        *(f"/p/shop/orders/backups/{backup['id']}" for backup in backups[:2]),
        f"/p/shop/orders/drills/{drill['id']}",
        f"/p/shop/orders/restores/{restore['id']}",
        f"/p/shop/orders/restore/check?backup={backups[-1]['id']}&where=here",
        f"/p/shop/gone/backups/{failed['id']}",
        *(f"/monitors/{monitor['id']}" for monitor in shop.api.get("/monitors").data["monitors"]),
    ]


def look(shop: Shop, browser: Browser, paths: list[str], **options: object) -> list[str]:
    """What is wrong with some pages."""
    problems: list[str] = []
    with open_tab(browser, shop, **options) as tab:
        for path in paths:
            tab.said.clear()
            tab.go(path)
            problems += [
                f"{path}: {said}" for said in tab.said if path != "/nowhere" or "404" not in said
            ]
            if tab.overflow > 0:
                problems.append(f"{path}: {tab.overflow} px too wide")
            problems += [f"{path}: {barrier}" for barrier in tab.barriers()]
    return problems


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_page(shop: Shop, chromium: Browser, scheme: str, window: dict[str, int]) -> None:
    paths = FIXED + of_things(shop)
    assert look(shop, chromium, paths, color_scheme=scheme, viewport=window) == []


def test_a_quick_walk(shop: Shop, chromium: Browser) -> None:
    paths = ["/", "/p/shop/orders", "/alarms", *of_things(shop)[:2]]
    assert look(shop, chromium, paths, color_scheme="dark", viewport=NARROW) == []


@pytest.mark.slow
def test_keys(shop: Shop, chromium: Browser) -> None:
    with open_tab(chromium, shop, viewport=WIDE) as tab:
        page = tab.page
        tab.go("/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "To the content"
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "q"
        page.keyboard.type("order")
        page.keyboard.press("Enter")
        page.wait_for_url("**/find?q=order")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("g")
        page.keyboard.press("o")
        page.wait_for_url(f"{tab.url}/")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**/p/shop/**")
        page.keyboard.press("?")
        assert page.locator("#keys").is_visible()
        page.locator("[data-keys-off]").click()
        page.keyboard.press("?")
        assert not page.locator("#keys").is_visible()


@pytest.mark.slow
def test_light_or_dark_is_remembered(shop: Shop, chromium: Browser) -> None:
    with open_tab(chromium, shop, viewport=WIDE, color_scheme="light") as tab:
        tab.go("/")
        tab.page.locator("[data-theme-switch]").click()
        assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"
        tab.go("/proof")
        assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.slow
def test_a_page_shows_what_happens_without_being_loaded_again(
    shop: Shop, chromium: Browser
) -> None:
    with open_tab(chromium, shop, viewport=WIDE) as tab:
        tab.go("/p/shop/empty")
        assert "There is no backup yet" in tab.page.content()
        tab.page.wait_for_selector("#pulse[data-state=live]")
        tab.page.evaluate("window.sameDocument = true")
        tab.page.wait_for_timeout(1500)  # the first look of the stream is behind us
        backup = shop.back_up("/projects/shop/addons/empty")
        tab.page.wait_for_selector(f"#points a[href$='{backup}']")
        assert tab.page.evaluate("window.sameDocument") is True
        assert tab.said == []


@pytest.mark.slow
def test_a_restore_from_the_overview_to_its_end(shop: Shop, chromium: Browser) -> None:
    with open_tab(chromium, shop, viewport=WIDE) as tab:
        page = tab.page
        tab.go("/")
        page.locator(".tile", has_text="orders").click()
        page.get_by_role("link", name="Restore…").click()
        page.get_by_text("In place of orders").click()
        page.get_by_role("button", name="Check it first").click()
        button = page.get_by_role("button", name="Replace the data of orders")
        assert button.is_disabled()
        page.locator("#f-typed").fill("order")
        assert button.is_disabled()
        page.locator("#f-typed").fill("orders")
        button.click()
        page.wait_for_url("**/restores/*")
        page.get_by_text("has the data of").wait_for()
        assert tab.said == []


@pytest.mark.slow
def test_without_scripts_everything_is_there(shop: Shop, chromium: Browser) -> None:
    with open_tab(chromium, shop, viewport=NARROW, java_script_enabled=False) as tab:
        page = tab.page
        tab.go("/p/shop/orders")
        page.get_by_role("button", name="Back up now").click()
        page.wait_for_url("**/backups/*")
        tab.go("/")
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("link", name="Retention").click()
        page.wait_for_url("**/retention")
        page.locator("[data-theme-switch]").click()
        page.wait_for_url("**/retention")
        assert page.locator("html[data-theme=dark]").count() == 1


@pytest.mark.slow
def test_a_file_is_sent_by_the_browser_and_imported(shop: Shop, chromium: Browser) -> None:
    with open_tab(chromium, shop, viewport=NARROW) as tab:
        page = tab.page
        tab.go("/p/shop/empty/import")
        page.locator("#f-file").set_input_files(shop.file_of["empty"])
        page.get_by_role("button", name="Import").click()
        page.wait_for_url("**/p/shop/empty/backups/*")
        backup = page.url.rpartition("/")[2]
        await_backup(shop.api, f"/projects/shop/addons/empty/backups/{backup}")
        assert tab.said == []


@pytest.mark.slow
def test_the_title_counts_alarms_as_they_come_and_go(shop: Shop, chromium: Browser) -> None:
    with open_tab(chromium, shop, viewport=WIDE) as tab:
        page = tab.page
        tab.go("/p/shop/orders")
        page.wait_for_selector("#pulse[data-state=live]")
        page.wait_for_timeout(1500)  # the first look of the stream is behind us
        before = page.title()
        monitor = {"name": "Paris", "everySeconds": 60, "graceSeconds": 300}
        ping = shop.api.post("/monitors", monitor).data["pingUrl"]
        httpx.post(f"{ping}/fail")
        await_that(lambda: page.title() != before)
        badge = page.locator(".side a[href='/alarms'] .count").inner_text()
        assert page.title().startswith(f"({badge.split()[0]}) ")
        assert "d0382e" in (page.locator("link[rel=icon]").get_attribute("href") or "")
        httpx.post(ping)
        await_that(lambda: page.title() == before)
        assert tab.said == []
