"""Logs by range, and the tail's frames on a real WebSocket."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from fakes.scripted_api import ScriptedApi
from fixtures.http_api import TOKEN
from holdfast.client import (
    Client,
    LogQuery,
    NotFound,
    ServerFault,
    Unauthenticated,
    Unreachable,
)
from holdfast.kit.seal import Secret

LOGS = "/v1/projects/p/addons/a/backups/b/logs"
LINE = {"containerId": "c", "log": "hello", "ts": "2026-01-20T11:19:53.175Z"}
WELCOME = {"type": "init", "data": {"auth": "successful"}}

Play = Callable[[ServerConnection], None]
Check = Callable[[ServerConnection, Request], Response | None]


@contextmanager
def socket_server(play: Play, check: Check | None = None) -> Iterator[str]:
    with serve(play, "127.0.0.1", 0, process_request=check) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def frames(*sent: object) -> Play:
    def play(socket: ServerConnection) -> None:
        socket.recv()
        for frame in sent:
            socket.send(json.dumps(frame))

    return play


def tailed(url: str, query: LogQuery | None = None) -> list[str]:
    with Client(url, Secret(TOKEN)) as client:
        return [line.log for line in client.backups.tail("p", "a", "b", query)]


def test_a_range_asks_for_what_was_wanted(scripted: ScriptedApi, api_client: Client) -> None:
    scripted.data("GET", LOGS, [LINE])
    query = LogQuery(start="2026-01-20T11:00:00.000Z", lines=5, contains="a b&c")
    (line,) = api_client.backups.logs("p", "a", "b", query)
    assert line.document() == LINE
    assert scripted.asked[0].query == {
        "queryType": "range",
        "startTime": "2026-01-20T11:00:00.000Z",
        "lineLimit": "5",
        "textIncludes": "a b&c",
    }


def test_a_tail_introduces_itself_in_the_first_frame_and_ends_with_the_socket() -> None:
    heard: list[object] = []

    def play(socket: ServerConnection) -> None:
        assert socket.request is not None
        heard.append((socket.request.path, socket.request.headers.get("Authorization")))
        heard.append(json.loads(socket.recv()))
        socket.send(json.dumps(WELCOME))
        socket.send(json.dumps({"type": "log-lines", "data": [LINE, {**LINE, "log": "2"}]}))
        socket.close(1011)

    with socket_server(play) as url:
        assert tailed(url, LogQuery(lines=3)) == ["hello", "2"]
    auth = {"type": "apiToken", "apiToken": TOKEN}
    assert heard == [
        (f"{LOGS}?queryType=tail&lineLimit=3", None),
        {"type": "init", "data": {"auth": auth}},
    ]


@pytest.mark.parametrize(
    ("frame", "kind", "sentence"),
    [
        (
            {"type": "init", "data": {"auth": "failed", "message": "no such token"}},
            Unauthenticated,
            "no such token",
        ),
        ({"type": "error", "data": {"message": "the disk is full"}}, ServerFault, "disk is full"),
        ({"type": "ping"}, ServerFault, "unknown frame 'ping'"),
    ],
)
def test_frames_that_end_a_tail(frame: object, kind: type[Exception], sentence: str) -> None:
    with socket_server(frames(frame)) as url, pytest.raises(kind, match=sentence):
        tailed(url)


def test_a_refused_upgrade_is_the_error_of_its_status() -> None:
    def refuse(socket: ServerConnection, _: Request) -> Response:
        return socket.respond(HTTPStatus.NOT_FOUND, "no such backup")

    with socket_server(frames(), refuse) as url, pytest.raises(NotFound):
        tailed(url)


def test_nobody_there() -> None:
    with socket_server(frames()) as url:
        pass
    with pytest.raises(Unreachable):
        tailed(url)
