"""`make screenshots`: pictures of the dashboard's main pages with the sample fleet.

They are written into `docs/screenshots`, light and dark, on a desk and on a phone, for people to
look at; the README shows some of them.
"""

import argparse
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from demo.place import place
from demo.sample import fill_sample
from demo.screen import Screen
from demo.server import Server

CHROMIUM = "/usr/bin/chromium"
OFFLINE = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
"""Chromium asks nothing of other hosts, and runs as root where tests do."""
_JPEG_QUALITY = 60
_SETTINGS = {
    "HOLDFAST_AUDIT_EVERY": "0",  # the backups of the sample fleet have no bytes
    "HOLDFAST_READ_WITHIN": "0",
    "HOLDFAST_DRILLS": "0",
}


@dataclass(frozen=True)
class _Picture:
    """`name` of the file; `path` of the page; `dark` or light; `phone` or desk."""

    name: str
    path: str
    dark: bool = False
    phone: bool = False


PICTURES = (
    _Picture("overview", "/"),
    _Picture("overview-dark", "/", dark=True),
    _Picture("overview-phone", "/", phone=True),
    _Picture("database", "/p/web-shop/orders"),
    _Picture("database-dark", "/p/web-shop/orders", dark=True),
    _Picture("restore", "/p/web-shop/orders/restore"),
    _Picture("proof", "/proof", dark=True),
    _Picture("retention", "/retention"),
    _Picture("alarms", "/alarms"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("docs/screenshots"))
    chosen, screen = parser.parse_args(), Screen()
    chosen.to.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        home = stack.enter_context(place(None, 0, keep=False))
        with screen.step("Making up a sample fleet"):
            fill_sample(home)
        server = Server(home, settings=_SETTINGS)
        stack.callback(server.stop)
        server.start()
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OFFLINE))
        stack.callback(browser.close)
        with screen.step(f"{len(PICTURES)} pictures") as step:
            for picture in PICTURES:
                _take(browser, server, picture, chosen.to)
            step.result = f"in {chosen.to}"


def _take(browser: Browser, server: Server, picture: _Picture, directory: Path) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844} if picture.phone else {"width": 1280, "height": 800},
        color_scheme="dark" if picture.dark else "light",
    )
    page = context.new_page()
    page.goto(f"{server.url}/signin")
    page.get_by_text("Use an API token").click()
    page.locator("input[name=token]").fill(server.token_file.read_text().strip())
    page.locator("input[name=token]").press("Enter")
    page.wait_for_url(f"{server.url}/")
    page.goto(f"{server.url}{picture.path}", wait_until="load")
    page.screenshot(
        path=directory / f"{picture.name}.jpg", type="jpeg", quality=_JPEG_QUALITY, scale="css"
    )
    context.close()


if __name__ == "__main__":
    main()
