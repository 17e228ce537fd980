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
    fields = {"csrf": hidden(page, "csrf"), "plan": "daily", "place": "here", "prove": "on"}
    fields["project"] = "Default"
    file = server.data_dir.parent / "files" / "shop.db"
    wrong = visitor.post(
        "/setup/first", name="Shop", connectionString=f"sqlite://{file}x", **fields
    )
    assert wrong.status_code == 400
    assert "password" not in wrong.text or "sqlite" in wrong.text
    begun = visitor.post("/setup/first", name="Shop", connectionString=f"sqlite://{file}", **fields)
    assert begun.status_code == 303, begun.text[-2000:]
    run = begun.headers["location"]
    assert "by itself" in visitor.get(run).text or "The proof" in visitor.get(run).text
    await_that(lambda: "passed" in visitor.get(run).text, why=lambda: visitor.get(run).text[-3000:])
    users = server.api().get("/users").data["users"]
    assert [(user["name"], user["role"]) for user in users] == [("mara", "owner")]
    schedules = server.api().get("/projects/default/addons/shop/backup-schedules").data
    assert "daily" in str(schedules)
