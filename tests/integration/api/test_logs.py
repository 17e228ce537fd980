"""Logs by range, and by WebSocket tail in the frames the official clients speak."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from fixtures.attached import Attached
from fixtures.holdfast import Api

pytestmark = pytest.mark.sqlite_first


def log(api: Api, attached: Attached, backup: str, **query: Any) -> list[str]:
    lines = api.get(f"{attached.path}/backups/{backup}/logs", **query).data
    assert all(line.keys() == {"containerId", "log", "ts"} for line in lines)
    return [line["log"] for line in lines]


@pytest.fixture
def whole(api: Api, attached: Attached, backup: str) -> list[dict[str, str]]:
    return api.get(f"{attached.path}/backups/{backup}/logs", queryType="range").data


def test_a_range(api: Api, attached: Attached, backup: str, whole: list[dict[str, str]]) -> None:
    text = [line["log"] for line in whole]
    stamps = [line["ts"] for line in whole]
    assert text[-1] == "completed"
    assert stamps == sorted(stamps)
    assert log(api, attached, backup, lineLimit=2) == text[-2:]
    assert log(api, attached, backup, lineLimit=2, direction="forward") == text[:2]
    assert log(api, attached, backup, startTime=stamps[0], endTime=stamps[-1]) == text
    assert log(api, attached, backup, startTime="2100-01-01T00:00:00.000Z") == []
    assert log(api, attached, backup, endTime="2000-01-01T00:00:00Z") == []
    assert log(api, attached, backup, duration=3600) == text
    assert log(api, attached, backup, startTime=stamps[0], duration=3600) == text
    assert log(api, attached, backup, type="backup") == text


def test_filters_look_at_the_whole_log(api: Api, attached: Attached, backup: str) -> None:
    text = log(api, attached, backup)
    assert log(api, attached, backup, textIncludes=text[0], lineLimit=1) == [text[0]]
    assert text[0] not in log(api, attached, backup, textNotIncludes=text[0])
    assert log(api, attached, backup, regexIncludes="^comp.*ed$") == ["completed"]
    assert "completed" not in log(api, attached, backup, regexNotIncludes="^completed$")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"startTime": "yesterday"}, "startTime"),
        ({"endTime": "1e999"}, "endTime"),
        ({"lineLimit": "0"}, "lineLimit"),
        ({"lineLimit": "many"}, "lineLimit"),
        ({"duration": "-5"}, "duration"),
        ({"direction": "sideways"}, "direction"),
        ({"type": "cooking"}, "type"),
        ({"type": ["cooking", "backup"]}, "type"),
        ({"regexIncludes": "("}, "regexIncludes"),
        ({"regexIncludes": "a" * 300}, "regexIncludes"),
        ({"textIncludes": "a", "textNotIncludes": "b"}, "textNotIncludes"),
        (
            {
                "startTime": "2020-01-01T00:00:00Z",
                "endTime": "2020-01-01T00:00:00Z",
                "duration": "1",
            },
            "duration",
        ),
    ],
)
def test_a_bad_parameter_is_named(api: Api, query: dict[str, Any], field: str) -> None:
    project = api.project()
    answer = api.get(f"/projects/{project}/addons/a/logs", **query)
    assert (answer.status, list(answer.details)) == (400, [field])


def test_an_expression_that_explodes_is_refused(api: Api, attached: Attached, backup: str) -> None:
    """And nobody else waits for it."""
    path = f"{attached.path}/backups/{backup}/logs"
    with ThreadPoolExecutor(1) as aside:
        slow = aside.submit(api.get, path, regexIncludes=r"^([\w.:, ]+)+!$")
        began = time.monotonic()
        assert Api(api.url, api.token).get("/login").status == 200
        assert time.monotonic() - began < 1.5
        answer = slow.result(timeout=30)
    assert (answer.status, list(answer.details)) == (400, ["regex"])
    assert "too long" in answer.error["message"]


@contextmanager
def tail(api: Api, path: str, base: str = "/v1") -> Iterator[ClientConnection]:
    """A socket without an authorization header, as the official clients open it."""
    url = f"{api.url.replace('http', 'ws', 1)}{base}{path}?queryType=tail"
    with connect(url, open_timeout=60) as socket:
        yield socket


def init(token: object) -> str:
    auth = {"type": "apiToken", "apiToken": token}
    return json.dumps({"type": "init", "data": {"auth": auth}})


def frames(socket: ClientConnection) -> tuple[list[Any], int]:
    """Everything until the end, and the code it ended with."""
    got: list[Any] = []
    try:
        while True:
            got.append(json.loads(socket.recv(timeout=30)))
    except ConnectionClosed as closed:
        return got, closed.rcvd.code if closed.rcvd else 0


def test_a_tail_follows_a_backup_to_its_end(api: Api, attached: Attached) -> None:
    order = {"name": "Tailed", "backupType": "dump"}
    made = api.post(f"{attached.path}/backups", order).data["id"]
    with tail(api, f"{attached.path}/backups/{made}/logs") as socket:
        socket.send(init(api.token))
        got, code = frames(socket)
    assert got[0] == {"type": "init", "data": {"auth": "successful"}}
    assert {frame["type"] for frame in got[1:]} == {"log-lines"}
    lines = [line["log"] for frame in got[1:] for line in frame["data"]]
    assert lines == log(api, attached, made)
    assert code == 1000


@pytest.mark.parametrize("base", ["/v1", "//v1", "/v1/teams/t"])
def test_the_tail_of_something_over_ends_at_once(
    api: Api, attached: Attached, backup: str, base: str
) -> None:
    with tail(api, f"{attached.path}/backups/{backup}/logs", base) as socket:
        socket.send(init(api.token))
        got, code = frames(socket)
    assert got[-1]["data"][-1]["log"] == "completed"
    assert code == 1000


@pytest.mark.parametrize(
    "frame",
    [
        init("hft_wrong"),
        init(None),
        init(""),
        init("\ud800"),
        "nonsense",
        "[]",
        '"x"',
        "{}",
        '{"type":"init","data":null}',
        "[" * 50_000,
        b"\x00\x01",
    ],
)
def test_a_tail_without_a_good_token_is_told_so(
    api: Api, attached: Attached, frame: str | bytes
) -> None:
    with tail(api, f"{attached.path}/logs") as socket:
        socket.send(frame)
        (only,), code = frames(socket)
    assert only["type"] == "init"
    assert only["data"]["auth"] == "failed"
    assert only["data"]["message"]
    assert code == 1008


def test_a_tail_needs_the_permission(api: Api, attached: Attached, token_of: Any) -> None:
    with tail(api, f"{attached.path}/logs") as socket:
        socket.send(init(token_of(["Project > Addons > General > Read"]).token))
        (only,), _ = frames(socket)
    assert "View Instance Logs" in only["data"]["message"]


def test_a_tail_of_nothing_is_an_error_frame(api: Api, attached: Attached, token_of: Any) -> None:
    blind = token_of("owner", projects=[api.project()])
    for path, token in (
        (f"{attached.path}/backups/none/logs", api.token),
        (f"{attached.path}/logs", blind.token),
        (f"{attached.path}/logs?lineLimit=x", api.token),
    ):
        with connect(f"{api.url.replace('http', 'ws', 1)}/v1{path}", open_timeout=60) as socket:
            socket.send(init(token))
            got, _ = frames(socket)
        assert [frame["type"] for frame in got] == ["init", "error"]
        assert got[1]["data"]["message"]


@pytest.mark.parametrize("path", ["/projects", "/nowhere", "/projects/%00/addons/a/logs"])
def test_there_is_no_socket_elsewhere(api: Api, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused, tail(api, path):
        pass
    assert refused.value.response.status_code in (403, 404)
