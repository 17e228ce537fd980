"""The asyncio client: the same descriptions of calls, awaited."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from fakes.scripted_api import Reply, ScriptedApi
from fixtures.http_api import TOKEN
from holdfast.client import (
    AsyncClient,
    Client,
    Conflict,
    NotFound,
    Patience,
    ServerFault,
    TimedOut,
    Unreachable,
)
from holdfast.kit.seal import Secret
from unit.client.test_client_logs import LINE, WELCOME, frames, socket_server

T = TypeVar("T")
BACKUPS = "/v1/projects/p/addons/a/backups"
AT_ONCE = Patience(first=0.01, longest=0.01)


def carried_out(url: str, work: Callable[[AsyncClient], Awaitable[T]]) -> T:
    async def run() -> T:
        async with AsyncClient(url, TOKEN) as client:
            return await work(client)

    return asyncio.run(run())


def test_a_call(scripted: ScriptedApi) -> None:
    scripted.data("POST", BACKUPS, {"id": "b", "status": "scheduled"})

    async def work(client: AsyncClient) -> str:
        return (await client.backups.create("p", "a", {"backupType": "dump"})).status

    assert carried_out(scripted.url, work) == "scheduled"
    (asked,) = scripted.asked
    assert asked.json == {"backupType": "dump"}
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["content-type"] == "application/json"


def test_a_call_of_two_requests(scripted: ScriptedApi) -> None:
    path = "/v1/projects/p/addons/a"
    scripted.data("PATCH", path, {})
    scripted.data("GET", path, {"id": "a", "description": "new"})

    async def work(client: AsyncClient) -> str | None:
        return (await client.addons.update("p", "a", {"description": "new"})).description

    assert carried_out(scripted.url, work) == "new"
    assert [asked.method for asked in scripted.asked] == ["PATCH", "GET"]


def test_a_list_is_asked_for_page_by_page(scripted: ScriptedApi) -> None:
    more = {"hasNextPage": True, "count": 1, "cursor": "0" * 24}
    scripted.data("GET", "/v1/projects", {"projects": [{"id": "one"}]}, pagination=more)
    scripted.data("GET", "/v1/projects", {"projects": [{"id": "two"}]})

    async def work(client: AsyncClient) -> list[str]:
        return [each.id async for each in client.projects.list()]

    assert carried_out(scripted.url, work) == ["one", "two"]
    assert [asked.query.get("cursor") for asked in scripted.asked] == [None, "0" * 24]


def test_pages_that_go_in_circles_end(scripted: ScriptedApi) -> None:
    more = {"hasNextPage": True, "count": 1, "cursor": "0" * 24}
    scripted.data("GET", "/v1/projects", {"projects": []}, pagination=more)

    async def work(client: AsyncClient) -> list[str]:
        return [each.id async for each in client.projects.list()]

    with pytest.raises(ServerFault, match="never end"):
        carried_out(scripted.url, work)


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (409, Conflict), (500, ServerFault)])
def test_errors_are_exceptions(scripted: ScriptedApi, status: int, kind: type[Exception]) -> None:
    scripted.error("GET", "/v1/about", status, "said so")
    with pytest.raises(kind, match="said so"):
        carried_out(scripted.url, lambda client: client.about())


def test_a_broken_connection_is_tried_again(scripted: ScriptedApi) -> None:
    scripted.drop("GET", "/v1/about")
    scripted.data("GET", "/v1/about", {"version": "1"})
    assert carried_out(scripted.url, lambda client: client.about()).version == "1"


def test_nobody_there_is_said_in_words() -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        carried_out("http://127.0.0.1:1", lambda client: client.about())


def test_a_wait_goes_through_outages_to_the_end(scripted: ScriptedApi) -> None:
    scripted.data("GET", f"{BACKUPS}/b", {"id": "b", "status": "in-progress"})
    scripted.error("GET", f"{BACKUPS}/b", 503, "restarting")
    scripted.data("GET", f"{BACKUPS}/b", {"id": "b", "status": "completed"})
    seen: list[str] = []

    async def work(client: AsyncClient) -> str:
        ended = await client.wait_for_backup(
            "p", "a", "b", AT_ONCE, lambda backup: seen.append(backup.status)
        )
        return ended.status

    assert carried_out(scripted.url, work) == "completed"
    assert seen == ["in-progress", "completed"]


def test_a_wait_ends_when_its_time_is_over(scripted: ScriptedApi) -> None:
    scripted.data("GET", f"{BACKUPS}/b", {"id": "b", "status": "in-progress"})
    patience = Patience(timeout=0.05, first=0.01, longest=0.01)
    with pytest.raises(TimedOut):
        carried_out(scripted.url, lambda c: c.wait_for_backup("p", "a", "b", patience))


def test_a_restore_is_found_on_any_page(scripted: ScriptedApi) -> None:
    path = "/v1/projects/p/addons/a/restores"
    more = {"hasNextPage": True, "count": 1, "cursor": "1" * 24}
    first = {"restores": [{"id": "x", "status": "failed"}]}
    scripted.data("GET", path, first, pagination=more)
    scripted.data("GET", path, {"restores": [{"id": "r", "status": "completed"}]})

    async def work(client: AsyncClient) -> str:
        return (await client.wait_for_restore("p", "a", "r", AT_ONCE)).status

    assert carried_out(scripted.url, work) == "completed"


def test_an_adoption_goes_on_where_it_stopped(scripted: ScriptedApi) -> None:
    path = "/v1/platform-store/adopt"
    scripted.data("POST", path, {"backups": [{"id": "one"}], "next": "shop/orders"})
    scripted.data("POST", path, {"backups": [{"id": "two"}]})

    async def work(client: AsyncClient) -> list[str]:
        found = client.destinations.adopt(None, Secret("kit"))
        return [each.id async for adopted in found for each in adopted.backups]

    assert carried_out(scripted.url, work) == ["one", "two"]
    sent = [asked.json for asked in scripted.asked]
    assert sent == [{"passphrase": "kit"}, {"passphrase": "kit", "after": "shop/orders"}]


def test_a_download_is_whole_or_an_error(scripted: ScriptedApi) -> None:
    scripted.data("GET", f"{BACKUPS}/b/download-link", {"downloadLink": "/files/b.tar"})
    scripted.raw("GET", "/files/b.tar", Reply(200, b"bytes"))
    scripted.raw("GET", "/files/b.tar", Reply(200, b"bytes", announced=9))

    async def work(client: AsyncClient) -> bytes:
        async with client.backups.download("p", "a", "b") as coming:
            return b"".join([chunk async for chunk in coming.chunks()])

    assert carried_out(scripted.url, work) == b"bytes"
    assert "authorization" not in scripted.of("GET", "/files/b.tar")[0].headers
    with pytest.raises((ServerFault, Unreachable)):
        carried_out(scripted.url, work)


def test_a_refused_download_says_why(scripted: ScriptedApi) -> None:
    scripted.error("GET", f"{BACKUPS}/b/files", 409, "a dump has no files")

    async def work(client: AsyncClient) -> None:
        async with client.backups.files("p", "a", "b"):
            raise AssertionError("it was opened")

    with pytest.raises(Conflict, match="no files"):
        carried_out(scripted.url, work)


def test_live_logs() -> None:
    lines = {"type": "log-lines", "data": [LINE, LINE]}

    async def work(client: AsyncClient) -> list[str]:
        return [line.log async for line in client.backups.tail("p", "a", "b")]

    with socket_server(frames(WELCOME, lines)) as url:
        assert carried_out(url, work) == ["hello", "hello"]
    with (
        socket_server(frames({"type": "error", "data": {"message": "lost"}})) as url,
        pytest.raises(ServerFault, match="lost"),
    ):
        carried_out(url, work)


def members(noun: Any) -> dict[str, inspect.Signature]:
    """Its public calls, with what they take."""
    return {
        name: inspect.signature(getattr(noun, name))
        for name in dir(noun)
        if not name.startswith("_") and callable(getattr(noun, name)) and name != "runner"
    }


def test_both_clients_have_the_same_calls() -> None:
    blocking, awaited = Client("http://h"), AsyncClient("http://h")
    nouns = [name for name, value in vars(blocking).items() if name != "runner"]
    assert len(nouns) == 20
    for noun in nouns:
        one, other = members(getattr(blocking, noun)), members(getattr(awaited, noun))
        assert one.keys() == other.keys(), noun
        for name in one:
            assert list(one[name].parameters) == list(other[name].parameters), (noun, name)
    blocking.close()
