"""What pages do to an installation rather than to one database: monitors, roles, stores, files."""

import csv
import io
import json
import re
from collections.abc import Iterator

import httpx
import pytest

from fakes.s3_quirks import quirky
from fixtures.dashboard import SAME_ORIGIN, Shop, Visitor, open_shop
from fixtures.holdfast import await_backup, fresh


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        shop.api.post("/projects", {"name": "Shop"})
        yield shop


@pytest.fixture(scope="module")
def owner(shop: Shop) -> Visitor:
    return shop.visitor()


def test_a_monitor_from_its_first_ping_to_its_removal(shop: Shop, owner: Visitor) -> None:
    name = fresh("Nightly")
    form = owner.get("/monitors")
    bad = owner.send(form, "/monitors", name=name, everySeconds="soon")
    assert bad.status == 400
    assert "is no time such as" in bad.text
    assert f'value="{name}"' in bad.html
    added = owner.send(bad, "/monitors", everySeconds="1d", graceSeconds="4h")
    (address,) = set(re.findall(r"http://[^<\s]+/ping/hfp_[\w-]+", added.text.replace("/$?", "")))
    (page,) = re.findall('class="btn main" href="(/monitors/[^"]+)"', added.html)
    assert "Not pinged yet" in owner.get(page).text
    assert httpx.post(f"{address}/3", content=b"the disk is full").status_code == 200
    failed = owner.get(page)
    assert "the disk is full" in failed.text
    assert address not in failed.text
    listed = owner.get("/alarms")
    assert name in listed.text
    rows = list(csv.DictReader(io.StringIO(owner.get("/alarms?of=monitors&format=csv").html)))
    assert [row["state"] for row in rows if row["name"] == name] == ["failed"]
    changed = owner.send(failed, page, everySeconds="90s")
    assert "every 1 min 30 s" in owner.follow(changed).text
    assert address not in owner.send(owner.get(page), f"{page}/renew").text
    assert httpx.post(address).status_code == 404
    assert owner.send(owner.get(page), f"{page}/delete").status == 303
    assert owner.get(page).status == 404


def test_messages_are_a_file(shop: Shop, owner: Visitor) -> None:
    channel = {"name": fresh("C"), "kind": "webhook", "settings": {"url": "http://127.0.0.1:9/"}}
    made = shop.api.post("/channels", channel).data
    shop.api.post(f"/channels/{made['id']}/test", {})
    messages = json.loads(owner.get("/alarms?of=deliveries&format=json").html)
    assert made["id"] in {message["channel"] for message in messages}
    assert messages[0]["attempts"]
    channels = list(csv.DictReader(io.StringIO(owner.get("/alarms?of=channels&format=csv").html)))
    assert made["id"] in {row["id"] for row in channels}


def test_a_role_is_made_changed_and_deleted(shop: Shop, owner: Visitor) -> None:
    read, update = "Project > Addons > General > Read", "Project > Addons > General > Update"
    name = fresh("Reader")
    nothing = owner.send(owner.get("/access/roles"), "/access/roles", name=name)
    assert nothing.status == 400
    made = owner.send(nothing, "/access/roles", permissions=[read])
    assert name in owner.follow(made).text
    (role,) = [r for r in shop.api.get("/roles").data["roles"] if r["name"] == name]
    assert role["permissions"] == [read]
    page = f"/access/roles/{role['id']}"
    assert owner.send(owner.get(page), page, permissions=[read, update]).status == 303
    (role,) = [r for r in shop.api.get("/roles").data["roles"] if r["name"] == name]
    assert role["permissions"] == [read, update]
    assert owner.send(owner.get(page), f"{page}/delete", typed="else").status == 400
    assert owner.send(owner.get(page), f"{page}/delete", typed=role["id"]).status == 303
    assert owner.get(page).status == 404
    assert "built in" in owner.get("/access/roles/owner").text
    assert "owner" in owner.get("/access?of=roles&format=csv").html


def test_all_deletions_are_stopped_and_let_go_on(shop: Shop, owner: Visitor) -> None:
    why = "a schedule was wrong"
    page = owner.get("/retention")
    refused = owner.send(page, "/retention/hold", reason="")
    assert (refused.status, "Nothing was changed" in refused.text) == (400, True)
    held = owner.follow(owner.send(page, "/retention/hold", reason=why))
    assert "All deletions are stopped." in held.text
    assert "A schedule was wrong." in held.text
    assert shop.api.get("/retention/hold").data["reason"] == why
    released = owner.follow(owner.send(held, "/retention/release"))
    assert "Nothing goes before" in released.text


def test_a_store_is_probed_before_and_after_it_is_gone(shop: Shop, owner: Visitor) -> None:
    with quirky() as service:
        keys = {"accessKey": "k" * 20, "secretKey": "s" * 40, "bucketName": "backups"}
        credentials = {**keys, "region": "us-east-1", "endpoint": service.endpoint}
        body = {"name": fresh("Off"), "type": "s3", "prefix": "", "credentials": credentials}
        store = f"/stores/{shop.api.post('/backup-destinations', body).data['id']}"
        assert "It works." in owner.send(owner.get(store), f"{store}/probe").text
    assert "It does not work:" in owner.send(owner.get(store), f"{store}/probe").text
    assert "It works." in owner.send(owner.get("/stores/platform"), "/stores/platform/probe").text
    assert owner.get("/stores/nowhere").status == 404


def test_a_store_is_looked_at_for_backups_to_adopt(shop: Shop, owner: Visitor) -> None:
    orders = shop.attach("shop", fresh("orders").replace(" ", "-"))
    backup = shop.back_up(orders)
    assert backup in {
        row["id"] for row in json.loads(owner.get("/stores/platform?format=json").html)
    }
    listed = owner.get("/stores/platform")
    assert f"/{backup}" in " ".join(listed.read.links)
    uid = shop.api.get(f"{orders}/backups/{backup}").data["uid"]
    assert f"From {uid} ." in owner.get(f"/addons/new?fork={uid}").text
    form = owner.get("/stores/platform/adopt")
    assert "Everything there is known already" in (owner.send(form, "/stores/platform/adopt").text)
    tired = shop.visitor(minutes_ago=30)
    answer = tired.send(form, "/stores/platform/adopt", csrf=tired.csrf)
    assert answer.status != 303 or "/signin" in answer.response.headers["location"]
    assert owner.get("/places?of=findings&format=csv").status == 200


def test_a_file_is_uploaded_in_parts_and_imported(shop: Shop, owner: Visitor) -> None:
    name = fresh("books").replace(" ", "-")
    addon = shop.attach("shop", name)
    page = addon.replace("/projects/", "/p/", 1).replace("/addons/", "/", 1)
    content = shop.file_of[name].read_bytes()
    begun = owner.post(f"{page}/uploads", {"size": str(len(content))}).response.json()
    half = len(content) // 2
    put = f"{page}/uploads/{begun['id']}/content"

    def send(start: int, end: int, **headers: str) -> httpx.Response:
        fields = {**SAME_ORIGIN, "x-csrf-token": owner.csrf, **headers}
        part = content[start:end]
        return owner.http.put(put, content=part, params={"offset": start}, headers=fields)

    assert send(0, half, **{"x-csrf-token": "x"}).status_code == 403
    assert send(0, half, **{"sec-fetch-site": "cross-site"}).status_code == 403
    assert send(0, half).json()["received"] == half
    assert send(half + 1, len(content)).status_code == 409
    assert owner.get(f"{page}/uploads/{begun['id']}").response.json()["received"] == half
    assert send(half, len(content)).json()["received"] == len(content)
    imported = owner.send(owner.get(f"{page}/import"), f"{page}/import", uploadId=begun["id"])
    backup = await_backup(
        shop.api, f"{addon}/backups/{imported.response.headers['location'].rpartition('/')[2]}"
    )
    assert backup["status"] == "completed"
