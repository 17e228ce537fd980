"""Every page that a link leads to is there, says what is true, and is sent as it should be."""

import csv
import io
import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest

from fixtures.catalogs import put_postgres
from fixtures.dashboard import Shop, Visitor, open_shop
from fixtures.debian_postgres import Database
from fixtures.holdfast import Api, await_that, fresh
from holdfast.web.security import CONTENT_POLICY

DAILY = {"interval": "daily", "minute": [0], "hour": [2]}


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """One project with a database that has a dump, a snapshot, a schedule, a drill and a restore,
    and one that has nothing. The parameter is the catalogue's kind."""
    environment: dict[str, str] = {}
    if request.param == "postgresql":
        catalogue: Database = request.getfixturevalue("debian_postgres")
        environment["HOLDFAST_DATABASE_URL"] = put_postgres(catalogue)
    with open_shop(**environment) as shop:
        project = shop.api.post("/projects", {"name": "Shop"}).data["id"]
        orders = shop.attach(project, "orders")
        schedule = {"backupType": "dump", "scheduling": DAILY, "retentionTime": 7}
        shop.api.post(f"{orders}/backup-schedules", schedule)
        dump = shop.back_up(orders)
        shop.back_up(orders, "snapshot")
        shop.installation.restore(f"{orders}/backups/{dump}")
        drill = shop.api.post(f"{orders}/drills", {}).data["drillId"]
        await_that(lambda: "verdict" in shop.api.get(f"{orders}/drills/{drill}").data)
        shop.attach(project, "empty")
        yield shop


@pytest.fixture(scope="module")
def owner(shop: Shop) -> Visitor:
    return shop.visitor()


def own_links(visitor: Visitor, page: str) -> set[str]:
    """Addresses of the dashboard that a page leads to, without their fragments."""
    shown = visitor.get(page)
    links = {urljoin(page, link).partition("#")[0] for link in shown.read.links}
    return {link for link in links if link.startswith("/") and not link.startswith("//")}


OTHERS = ("/signin", "/signout", "/access", "/account", "/setup", "/static/")
"""Pages that tests of signing in look at."""


def test_every_link_leads_somewhere(owner: Visitor) -> None:
    waiting, seen = ["/"], {"/"}
    kinds: set[str] = set()
    while waiting:
        page = waiting.pop()
        shown = owner.get(page)
        if page.endswith("/download"):
            assert shown.status == 303
            continue
        assert shown.status == 200, f"{page}: {shown.status} {shown.text[-300:]}"
        if not shown.response.headers["content-type"].startswith("text/html"):
            continue
        reader = shown.read
        assert len(reader.ids) == len(set(reader.ids)), f"{page} has an id twice: {reader.ids}"
        assert shown.html.count("<h1") == 1, page
        assert " style=" not in shown.html, page
        assert "<title>" in shown.html, page
        kinds.add(urlsplit(page).path)
        for link in own_links(owner, page) - seen:
            # Of pages that differ by their query alone a few of each kind will do.
            alike = [each for each in seen if urlsplit(each).path == urlsplit(link).path]
            if len(alike) < 8 and not link.startswith(OTHERS):
                seen.add(link)
                waiting.append(link)
    assert len(kinds) > 25, sorted(kinds)


def test_answers_carry_the_headers_of_the_design(owner: Visitor) -> None:
    for path in ("/", "/nowhere", "/static/nothing.css"):
        headers = owner.get(path).response.headers
        assert headers["content-security-policy"] == CONTENT_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"):
        assert rule in CONTENT_POLICY
    assert "unsafe" not in CONTENT_POLICY


def test_files_have_hashed_names_and_never_change(owner: Visitor) -> None:
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', owner.get("/").html)
    assert len(files) >= 5
    for file in files:
        response = owner.get(file).response
        assert "immutable" in response.headers["cache-control"]
        assert response.headers["content-encoding"] == "gzip"
        assert re.search(r"\.[0-9a-f]{12}\.(css|js)$", file)


def test_the_overview_says_what_is_wrong(owner: Visitor) -> None:
    text = owner.get("/").text
    assert "1 of 2 databases is protected" in text
    assert "without a plan" in text
    assert "Nothing is scheduled: no backup will be taken." in text


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ("?state=no+plan", {"empty"}),
        ("?state=protected", {"orders"}),
        ("?q=ord", {"orders"}),
        ("?engine=postgresql", set()),
        ("?project=shop", {"orders", "empty"}),
    ],
)
def test_filters_are_in_the_address(owner: Visitor, filters: str, names: set[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(owner.get(f"/{filters}&format=csv").html)))
    assert {row["database"] for row in rows} == names
    wall = owner.get(f"/{filters}").html
    tiles = re.findall(r'class="tile[^"]*" href="/p/shop/([^"]+)"', wall)
    assert set(tiles) == names


def test_a_backup_shows_its_evidence(shop: Shop, owner: Visitor) -> None:
    backups = shop.api.get("/projects/shop/addons/orders/backups").data["backups"]
    for backup in backups:
        evidence = shop.api.get(f"/projects/shop/addons/orders/backups/{backup['id']}/evidence")
        shown = owner.get(f"/p/shop/orders/backups/{backup['id']}").text
        count = len(evidence.data["checks"])
        assert f"Good: {count} of {count} checks" in shown
        assert all(check["name"] in shown for check in evidence.data["checks"])


def test_a_name_that_is_markup_is_text(shop: Shop, owner: Visitor) -> None:
    shop.api.patch("/projects/shop", {"description": "Data, and words"})
    answer = owner.get("/find?q=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in answer.html
    assert "&lt;script&gt;alert(1)" in answer.html


def test_a_page_that_is_not_there_says_what_to_do(owner: Visitor) -> None:
    shown = owner.get("/p/shop/nothing")
    assert shown.status == 404
    assert "there is no addon 'nothing' in project 'shop'" in shown.text.lower()
    assert shown.response.headers["x-request-id"] in shown.text


def test_a_part_is_sent_alone(owner: Visitor) -> None:
    whole = owner.get("/p/shop/orders")
    part = owner.get("/p/shop/orders", **{"hx-request": "true", "hx-target": "points"})
    assert part.html.strip().startswith('<section class="panel" id="points"')
    assert part.html.strip() in whole.html
    unknown = owner.get("/p/shop/orders", **{"hx-request": "true", "hx-target": "nothing"})
    assert "<html" in unknown.html


def test_a_member_sees_their_projects_only(shop: Shop) -> None:
    shop.api.post("/projects", {"name": fresh("Secret")})
    other = shop.api.post("/projects", {"name": "Elsewhere"}).data["id"]
    shop.attach(other, "hidden")
    token = shop.api.post("/tokens", {"name": "m", "role": "default", "projects": ["shop"]}).data
    member = shop.visitor(Api(shop.server.url, token["token"]))
    for page in ("/", "/projects", "/proof", "/find?q=hidden", "/settings", "/places"):
        shown = member.get(page)
        assert shown.status == 200, page
        assert "/p/elsewhere" not in shown.html, page
        assert "Elsewhere" not in shown.text, page
    assert member.get("/p/elsewhere/hidden").status == 404
    assert member.get("/activity").status == 403
    assert member.get("/settings/support.json").status == 403
    assert "HOLDFAST_DATA_DIR" not in member.get("/settings").html


def test_without_the_setting_there_are_no_pages() -> None:
    with open_shop(HOLDFAST_DASHBOARD="0") as shop:
        answer = shop.api.http.get(f"{shop.server.url}/")
        assert answer.status_code == 404
        assert answer.json()["error"]["message"].startswith("there is no such route")


def test_without_a_session_there_is_no_page(shop: Shop) -> None:
    stranger = Visitor(shop.server.url, "made-up")
    for page in ("/", "/p/shop/orders", "/activity", "/live?of=fleet", "/settings/support.json"):
        assert stranger.get(page).status != 200, page
