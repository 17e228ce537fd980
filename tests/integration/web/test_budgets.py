"""How much a browser loads for a page, with 2,000 databases and nothing in its cache."""

import asyncio
import gzip
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select

from fixtures.dashboard import COOKIE
from fixtures.schema import put_sqlite
from holdfast import settings
from holdfast.bootstrap import Parts, make_owner
from holdfast.bootstrap.listener import build_door
from holdfast.catalog.access import web_sessions
from holdfast.catalog.database.session import CatalogClash
from holdfast.catalog.schema import Addon, Project, ProtectionRow, Token, WebSession
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.web.pages import overview

ADDONS, PROJECTS = 2000, 40
PAGE_BYTES = 100_000
STATIC_BYTES = {"tokens": 1_500, "more": 1_500, "htmx": 25_000}
DAY, HOUR = 86_400_000, 3_600_000
WORDS = ("orders", "ledger", "stock", "users", "events", "mail", "search")
KINDS = ("postgresql", "mysql", "redis", "sqlite")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """An installation without processes that has 2,000 addons, a hundred of them in trouble."""
    home: Path = tmp_path_factory.mktemp("fleet")
    put_sqlite(home / "holdfast.db")
    parts = Parts(settings.load({"data_dir": home}))
    assert parts.master
    make_owner(parts)
    now = time.time_ns() // 1_000_000
    with parts.catalog.write() as session:
        session.execute(insert(Project), [project(number, now) for number in range(PROJECTS)])
        session.execute(insert(Addon), [addon(number, now) for number in range(ADDONS)])
        keys = session.scalars(select(Addon.pk)).all()
        rows = [protection(key, number, now) for number, key in enumerate(keys)]
        session.execute(insert(ProtectionRow), rows)
        token = session.scalars(select(Token)).one()
        session.execute(insert(WebSession), [browser(token.id, now)])
    yield parts
    parts.catalog.close()


def project(number: int, now: int) -> dict[str, Any]:
    name = f"project-{number}"
    return {"pk": number + 1, "id": name, "name": name, "created": now, "updated": now}


def addon(number: int, now: int) -> dict[str, Any]:
    name = f"{WORDS[number % 7]}-{WORDS[number // 7 % 7]}-{number}"
    return {
        "uid": ids.uid(), "project_pk": number % PROJECTS + 1, "id": name, "name": name,
        "kind": KINDS[number % 4], "version": f"{14 + number % 4}.3", "managed": False,
        "desired": "running", "status": "running", "host": "h", "port": 1, "user": "u",
        "database": "d", "options": {}, "sealed_password": "", "tags": [], "spec": {},
        "created": now - 60 * DAY, "updated": now,
    }  # fmt: skip


def protection(key: int, number: int, now: int) -> dict[str, Any]:
    today = now - now % DAY
    days = [
        {"start": today - day * DAY, "due": 24, "good": 24 - (number + day) % 7 // 6,
         "failed": (number + day) % 7 // 6, "missed": 0}
        for day in range(13, -1, -1)
    ]  # fmt: skip
    old = 48 if number % 20 == 0 else 0
    return {
        "addon_pk": key, "created": now - 60 * DAY, "planned": now - 60 * DAY,
        "longest_gap_ms": HOUR, "next_due": now + number * 1000, "first_good": now - 50 * DAY,
        "last_good": now - old * HOUR - number * 1000, "places": 1, "lost": 0,
        "proven": now - number % 25 * DAY, "proof_ms": number * 1000, "bytes": number * 10**9,
        "days": days,
    }  # fmt: skip


def browser(token_id: str, now: int) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(12), "digest": web_sessions.digest(Secret("cookie")),
        "token_id": token_id, "method": "token", "address": "127.0.0.1", "program": "a test",
        "created": now, "proven": now, "seen": now,
    }  # fmt: skip


def fetch(parts: Parts, *paths: str) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=build_door(parts))
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1",
            cookies={COOKIE: "cookie"},
            headers={"accept": "text/html"},
        ) as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(ask())


def sent(response: httpx.Response) -> int:
    """Bytes on the wire, with headers."""
    body = int(response.headers["content-length"])
    return body + sum(len(name) + len(value) + 4 for name, value in response.headers.raw)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/?state=protected",
        "/?view=table",
        "/?state=protected&view=table",
        "/proof",
        "/projects",
    ],
)
def test_a_page_is_small(fleet: Parts, path: str) -> None:
    (page,) = fetch(fleet, path)
    assert page.status_code == 200
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    loaded = [page, *fetch(fleet, *files)]
    assert all(each.status_code == 200 for each in loaded)
    assert all(each.headers.get("content-encoding") == "gzip" for each in loaded)
    assert sum(map(sent, loaded)) <= PAGE_BYTES


def test_every_tile_can_be_shown(fleet: Parts) -> None:
    (page,) = fetch(fleet, "/?state=protected")
    assert page.text.count('class="tile') == ADDONS - ADDONS // 20
    assert len(gzip.compress(page.content, 5)) <= 44_000


def test_projects_without_trouble_are_a_line_each(fleet: Parts) -> None:
    (page,) = fetch(fleet, "/")
    trouble = ADDONS // 20
    assert page.text.count('class="tile') == trouble
    assert page.text.count('class="quiet-line') == PROJECTS - 2
    assert f"{ADDONS - trouble} of {ADDONS} databases are protected" in page.text


def test_two_changes_at_once_are_a_page_in_words(
    fleet: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clash(*_: object) -> None:
        raise CatalogClash("INSERT", {}, Exception("UNIQUE constraint failed"))

    monkeypatch.setattr(overview.views, "fleet", clash)
    (page,) = fetch(fleet, "/")
    assert page.status_code == 409
    assert "Another change came first" in page.text


def test_files_are_small(fleet: Parts) -> None:
    (page,) = fetch(fleet, "/")
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    for name, most in STATIC_BYTES.items():
        (file,) = (each for each in files if each.rpartition("/")[2].startswith(name))
        assert int(fetch(fleet, file)[0].headers["content-length"]) <= most, file


def test_a_part_is_smaller_than_its_page(fleet: Parts) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=build_door(fleet))
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1",
            cookies={COOKIE: "cookie"},
            headers={"accept": "text/html"},
        ) as client:
            return await client.get("/", headers={"hx-request": "true", "hx-target": "top"})

    part = asyncio.run(ask())
    assert part.text.strip().startswith('<div id="top"')
    assert int(part.headers["content-length"]) < 4_000
