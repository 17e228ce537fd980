"""The first run: the printed link, the owner, the first backup and its proof."""

import json
import sqlite3
from collections.abc import Iterator

import pytest

from fixtures.holdfast import Server, await_that, start_holdfast
from fixtures.installation import installation_home
from fixtures.visitors import GOOD_PASSWORD, Visitor, hidden


@pytest.fixture
def fresh_server() -> Iterator[Server]:
    with installation_home() as home:
        (home / "files").mkdir()
        with sqlite3.connect(home / "files" / "shop.db") as database:
            database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER)")
            database.executemany("INSERT INTO orders (total) VALUES (?)", [(n,) for n in range(50)])
        database.close()
        server = start_holdfast(home, forked=True, HOLDFAST_SQLITE_ROOTS=str(home / "files"))
        try:
            yield server
        finally:
            server.stop()


def link_of(server: Server) -> str:
    for line in server.log.read_text().splitlines():
        if "first owner" in line:
            return str(json.loads(line)["link"]).removeprefix(server.url)
    raise AssertionError(server.log.read_text())


def test_from_the_link_to_a_proven_backup(fresh_server: Server) -> None:
    server, visitor = fresh_server, Visitor(fresh_server)
    link = link_of(server)
    assert visitor.get("/setup?key=1.2").status_code == 404
    key = hidden(visitor.get(link).text, "key")
    weak = visitor.post("/setup", key=key, name="mara", password="password1234")
    assert weak.status_code == 400
    made = visitor.post("/setup", key=key, name="mara", password=GOOD_PASSWORD)
    assert made.headers["location"] == "/setup/first"
    assert Visitor(server).get(link).status_code == 404, "the link works once"
    late = Visitor(server).post("/setup", key=key, name="eve", password=GOOD_PASSWORD)
    assert late.status_code == 404
    page = visitor.get("/setup/first").text
    fields = {"csrf": hidden(page, "csrf"), "plan": "daily", "place": "here", "drill": "on"}
    fields["project"] = "Default"
    file = server.data_dir.parent / "files" / "shop.db"
    wrong = visitor.post(
        "/setup/first", name="Shop", connectionString=f"sqlite://{file}x", **fields
    )
    assert wrong.status_code == 400
    assert "password" not in wrong.text or "sqlite" in wrong.text
    string = f"sqlite://{file}"
    tried = visitor.post("/setup/first/test", connectionString=f"{string}x", **fields)
    assert (tried.status_code, "shop.dbx" in tried.text) == (400, True)
    htmx = {"hx-request": "true", "hx-target": "tested"}
    part = visitor.post("/setup/first/test", htmx, connectionString=string, **fields)
    assert part.text.strip().startswith('<div id="tested"')
    assert f"It works: SQLite {sqlite3.sqlite_version}" in part.text
    tested = visitor.post("/setup/first/test", connectionString=string, name="Shop", **fields)
    assert "It works" in tested.text
    assert string not in tested.text, "secrets go into no page"
    fields |= {"name": hidden(tested.text, "name"), "sealed": hidden(tested.text, "sealed")}
    bucket = {"place": "bucket", "endpoint": "http://127.0.0.1:9", "bucketName": "backups"}
    bucket |= {"region": "here", "accessKey": "a" * 20, "secretKey": "s" * 40}
    away = visitor.post("/setup/first", **{**fields, **bucket})
    assert (away.status_code, "does not work" in away.text) == (400, True)
    begun = visitor.post("/setup/first", connectionString="", **fields)
    assert begun.status_code == 303, begun.text[-2000:]
    run = begun.headers["location"]
    assert "The proof" in visitor.get(run).text
    await_that(lambda: "passed" in visitor.get(run).text, why=lambda: visitor.get(run).text[-3000:])
    users = server.api().get("/users").data["users"]
    assert [(user["name"], user["role"]) for user in users] == [("mara", "owner")]
    schedules = server.api().get("/projects/default/addons/shop/backup-schedules").data
    assert "daily" in str(schedules)
    plan = server.api().get("/projects/default/addons/shop/drill-plan").data
    assert (plan["scheduled"], plan["afterBackup"]) == (True, False), "only the first is drilled"
    drills = server.api().get("/projects/default/addons/shop/drills").data["drills"]
    assert [drill["cause"] for drill in drills] == ["backup"]


def test_the_sample_is_backed_up_and_proven(fresh_server: Server) -> None:
    visitor = Visitor(fresh_server)
    key = hidden(visitor.get(link_of(fresh_server)).text, "key")
    visitor.post("/setup", key=key, name="mara", password=GOOD_PASSWORD)
    csrf = hidden(visitor.get("/setup/first").text, "csrf")
    fields = {"csrf": csrf, "project": "Default", "plan": "daily", "drill": "on"}
    begun = visitor.post("/setup/first", how="sample", name="Shop", connectionString="", **fields)
    assert begun.status_code == 303, begun.text[-2000:]
    run = begun.headers["location"]
    await_that(lambda: "passed" in visitor.get(run).text, why=lambda: visitor.get(run).text[-3000:])
    assert fresh_server.api().get("/projects/default/addons/shop").data["tags"] == ["sample"]


def test_a_managed_database_is_made_backed_up_and_proven(fresh_server: Server) -> None:
    visitor = Visitor(fresh_server)
    key = hidden(visitor.get(link_of(fresh_server)).text, "key")
    visitor.post("/setup", key=key, name="mara", password=GOOD_PASSWORD)
    page = visitor.get("/setup/first").text
    assert 'value="managed"' in page
    fields = {"csrf": hidden(page, "csrf"), "project": "Default", "plan": "none", "name": "Cache"}
    nothing = visitor.post("/setup/first", how="attach", connectionString="", **fields)
    assert (nothing.status_code, "f-connectionString-p" in nothing.text) == (400, True)
    begun = visitor.post("/setup/first", how="managed", type="redis", drill="on", **fields)
    assert begun.status_code == 303, begun.text[-2000:]
    run = begun.headers["location"]
    await_that(lambda: "passed" in visitor.get(run).text, why=lambda: visitor.get(run).text[-3000:])
