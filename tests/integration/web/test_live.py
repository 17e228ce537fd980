"""Live pages: hints and log lines come as they happen, to those who may see them, and end."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from fixtures.dashboard import SAME_ORIGIN, Shop, Visitor, open_shop
from fixtures.holdfast import Api
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Addon, Operation


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop(HOLDFAST_TAILS_PER_TOKEN="3") as shop:
        shop.api.post("/projects", {"name": "Shop"})
        shop.api.post("/projects", {"name": "Other"})
        shop.attach("shop", "orders")
        shop.attach("other", "hidden")
        yield shop


Event = tuple[str, str, str]
"""Name, data and id."""


@contextmanager
def events_of(visitor: Visitor, path: str, **headers: str) -> Iterator[Iterator[Event]]:
    """The events of a stream, which is given up at the end."""
    with visitor.http.stream("GET", path, headers=headers, timeout=60) as response:
        assert response.status_code == 200, response.status_code
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _events(response)


def _events(response: httpx.Response) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], fields.get("data", ""), fields.pop("id", "")
            fields = {}


def test_a_page_is_told_what_changed(shop: Shop) -> None:
    visitor = shop.visitor()
    with events_of(visitor, "/live?of=addon/shop/orders,fleet") as events:
        assert next(events)[0] == "ping"
        assert next(each for each in _changes(shop, events) if "addon/shop/orders" in each)


def _changes(shop: Shop, events: Iterator[Event]) -> Iterator[str]:
    """What is told after a backup was begun; the first look comes a moment after the first ping."""
    time.sleep(2)
    shop.back_up("/projects/shop/addons/orders")
    for name, data, _ in events:
        if name == "changed":
            yield data


def test_nothing_is_told_of_what_a_member_may_not_see(shop: Shop) -> None:
    token = shop.api.post("/tokens", {"name": "m", "role": "default", "projects": ["shop"]}).data
    member = shop.visitor(Api(shop.server.url, token["token"]))
    with events_of(member, "/live?of=addon/other/hidden,addon/shop/orders") as events:
        assert next(events)[0] == "ping"
        time.sleep(2)
        shop.back_up("/projects/other/addons/hidden")
        shop.back_up("/projects/shop/addons/orders")
        data = next(data for name, data, _ in events if name == "changed")
    assert data == "addon/shop/orders"


def test_a_log_goes_on_after_the_last_line(shop: Shop) -> None:
    visitor = shop.visitor()
    backup = shop.back_up("/projects/shop/addons/orders")
    path = f"/p/shop/orders/backups/{backup}/log"
    with events_of(visitor, path) as events:
        lines = list(events)
    assert lines[-1][0] == "end"
    texts = [json.loads(data)["text"] for name, data, _ in lines if name == "line"]
    assert texts[0] == "looking at the database"
    assert texts[-1] == "completed"
    third = lines[2][2]
    with events_of(visitor, path, **{"last-event-id": third}) as events:
        again = [json.loads(data)["text"] for name, data, _ in events if name == "line"]
    assert again == texts[3:]


def test_streams_count_as_live_logs(shop: Shop) -> None:
    visitor = shop.visitor()
    with (
        events_of(visitor, "/live?of=fleet") as one,
        events_of(visitor, "/live?of=fleet") as two,
        events_of(visitor, "/live?of=fleet") as three,
    ):
        assert {next(one)[0], next(two)[0], next(three)[0]} == {"ping"}
        assert visitor.get("/live?of=fleet").status == 503
    assert visitor.get("/").status == 200


def test_open_pages_do_not_keep_the_server_from_ending() -> None:
    with open_shop() as shop:
        visitor = shop.visitor()
        with events_of(visitor, "/live?of=fleet") as events:
            assert next(events)[0] == "ping"
            began = time.monotonic()
            assert shop.server.stop() == 0
            assert time.monotonic() - began < 9, "it waited for the page"
            assert [name for name, _, _ in events if name != "ping"] == []


def test_a_stream_needs_a_session(shop: Shop) -> None:
    stranger = httpx.get(f"{shop.server.url}/live?of=fleet", headers=SAME_ORIGIN)
    assert stranger.status_code != 200


def test_the_throughput_of_what_runs_is_a_picture(shop: Shop) -> None:
    visitor, op = shop.visitor(), secrets.token_hex(12)
    catalog = Catalog(f"sqlite:///{shop.server.data_dir / 'holdfast.db'}")
    now = time.time_ns() // 1_000_000
    with catalog.write() as session:
        addon = session.query(Addon).filter(Addon.id == "orders").one()
        values: dict[str, Any] = {"lane": "any", "priority": 5, "fence": 1, "attempt": 1}
        values |= {"arguments": {}, "record": {}, "created": now - 10_000, "started": now - 10_000}
        progress = {"bytes": 50_000_000, "expected": 100_000_000}
        row = Operation(
            id=op, addon_pk=addon.pk, kind="backup", status="running", progress=progress, **values
        )
        session.add(row)
    catalog.close()
    part = visitor.get(f"/p/shop/orders/speed/{op}", **{"hx-request": "1", "hx-target": "speed"})
    assert part.html.strip().startswith('<div id="speed"')
    assert "MB/s now" in part.text
    assert "<title" in part.html
    assert visitor.get(f"/p/other/hidden/speed/{op}").status == 404
    listed = visitor.get("/alarms/count").response.json()
    assert listed["icon"].startswith("data:image/svg+xml,")
