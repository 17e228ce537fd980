"""Connections: how large, how slow and how many; each refusal is our envelope."""

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.connecting import opened, refusal, rest_of
from fixtures.holdfast import Api, Server, await_that, fresh
from fixtures.installation import Installation, installation_home, running

pytestmark = pytest.mark.sqlite_first

HEAD = b"GET /v1/login HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    """Impatient, and with room for ten connections."""
    settings = {
        "HOLDFAST_HEAD_TIMEOUT": "1",
        "HOLDFAST_BODY_TIMEOUT": "1",
        "HOLDFAST_IDLE_TIMEOUT": "1",
        "HOLDFAST_READER_TIMEOUT": "1",
        "HOLDFAST_CONNECTIONS": "10",
        "HOLDFAST_CONNECTIONS_PER_ADDRESS": "6",
        "HOLDFAST_TRUSTED_PROXIES": "127.0.0.9/32",
        "HOLDFAST_LOG_LEVEL": "DEBUG",
    }
    with installation_home() as home, running(Installation(home, settings)) as installation:
        yield installation.server


def answer_to(url: str, request: bytes) -> bytes:
    with opened(url) as connection:
        with contextlib.suppress(ConnectionError):  # refused before all of it was there
            connection.sendall(request)
        return rest_of(connection)


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + b"X-Big: " + b"a" * 40_000 + b"\r\n\r\n",
        HEAD + b"X-Endless: " + b"a" * 1_000_000,
        HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(101)) + b"\r\n",
        b"GET /v1/" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/" + b"a" * 1_000_000,
    ],
)
def test_headers_that_are_too_large_or_too_many_are_a_431(server: Server, request_: bytes) -> None:
    assert refusal(answer_to(server.url, request_))[0] == 431


@pytest.mark.parametrize(
    "request_", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_http_is_a_400(server: Server, request_: bytes) -> None:
    assert refusal(answer_to(server.url, request_ + b"\r\n" * 8))[0] == 400


def test_a_chunked_body_of_framing_is_refused(server: Server, api: Api) -> None:
    head = f"POST /v1/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n"
    start = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"1;" + b"x" * 1000 + b"\r\n \r\n"
    assert refusal(answer_to(server.url, start + chunk * 400))[0] == 400
    endless = start + b"1\r\n \r\n0\r\n" + b"X-Trailer: " + b"y" * 400_000
    assert refusal(answer_to(server.url, endless))[0] in (400, 431)


def test_a_short_chunked_body_is_read(server: Server, api: Api) -> None:
    head = f"POST /v1/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n"
    start = head.encode() + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    pieces = b"".join(b"1\r\n%c\r\n" % each for each in b'{"name": "x"}')
    answer = answer_to(server.url, start + pieces + b"0\r\n\r\n")
    assert b"400 Bad Request" in answer
    assert b"must have at least 3 characters" in answer


def test_slow_headers_are_a_408_and_silence_is_hung_up_on(strict: Server) -> None:
    with opened(strict.url) as connection:
        connection.sendall(HEAD)
        assert refusal(rest_of(connection))[0] == 408
    with opened(strict.url) as connection:
        assert rest_of(connection) == b""


def test_blank_lines_do_not_keep_a_connection(strict: Server) -> None:
    with opened(strict.url) as connection:
        connection.sendall(HEAD + b"\r\n")
        answered = connection.recv(65536)
        assert b" 401 " in answered
        connection.sendall(b"\r\n")
        rest_of(connection)  # returns: it was closed


def test_a_slow_body_is_a_408_and_changes_nothing(strict: Server) -> None:
    api = strict.api()
    head = f"POST /v1/projects HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n"
    with opened(strict.url) as connection:
        connection.sendall(head.encode() + b'Content-Length: 20\r\n\r\n{"name": "Slow')
        assert refusal(rest_of(connection))[0] == 408
    assert api.get("/projects/slow").status == 404
    with opened(strict.url) as connection:  # answered before its body came
        connection.sendall(HEAD.replace(b"GET", b"PUT") + b"Content-Length: 20\r\n\r\n{")
        rest_of(connection)  # returns: it is not kept for the rest


def test_an_idle_connection_is_closed(strict: Server) -> None:
    with opened(strict.url) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert b" 401 " in rest_of(connection)


def test_a_reader_that_stops_is_hung_up_on(strict: Server) -> None:
    """The document is larger than what sockets hold for a reader with a small window."""
    place = strict.url.removeprefix("http://").split(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(60)
        connection.connect((place[0], int(place[1])))
        token = strict.token.encode()
        ask = b"GET /v1/swagger-json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
        connection.sendall(ask % token * 200)
        await_that(lambda: not _is_open(connection))


def _is_open(connection: socket.socket) -> bool:
    """Without reading what waits: only a hang-up counts."""
    try:
        connection.send(b" ")
    except (ConnectionError, BlockingIOError):
        return False
    return True


def test_connections_are_counted_by_address_and_in_all(strict: Server) -> None:
    api = strict.api()
    await_that(lambda: api.get("/login").status == 200)

    def filled(address: str, count: int) -> tuple[list[socket.socket], list[bytes]]:
        place = strict.url.removeprefix("http://").split(":")
        made, refused = [], []
        for _ in range(count):
            connection = socket.socket()
            connection.settimeout(60)
            connection.bind((address, 0))
            connection.connect((place[0], int(place[1])))
            made.append(connection)
        for connection in made:
            answer = rest_of(connection)  # those that are let in are closed in silence
            refused += [answer] if answer else []
        return made, refused

    api.http.close()
    for address, count, status in (("127.0.0.5", 8, 429), ("127.0.0.9", 12, 503)):

        def full(address: str = address, count: int = count, status: int = status) -> bool:
            made, refused = filled(address, count)
            for connection in made:
                connection.close()
            return bool(refused) and {refusal(each)[0] for each in refused} == {status}

        await_that(full)
    with_room = strict.api()
    await_that(lambda: with_room.raw("GET", "/login").status_code == 200)


def test_cross_origin_requests_get_no_leave(api: Api) -> None:
    headers = {"origin": "https://elsewhere.example", "access-control-request-method": "POST"}
    for method in ("OPTIONS", "GET", "POST"):
        answer = api.raw(method, "/projects", headers=headers)
        assert not any(name.startswith("access-control-") for name in answer.headers)
    assert api.raw("OPTIONS", "/projects", headers=headers).status_code == 405


def test_every_answer_has_the_name_of_its_request(server: Server, api: Api) -> None:
    assert api.get("/projects", page="x").headers["x-request-id"]
    assert Api(server.url, None).get("/projects").headers["x-request-id"]
    for path in ("/healthz", "/readyz", "/nowhere"):
        assert Api(server.url, None, base="").raw("GET", path).headers["x-request-id"]
    named = api.raw("GET", "/login", headers={"x-request-id": "mine-42"})
    assert named.headers["x-request-id"] == "mine-42"


def test_what_is_logged_of_a_request_has_its_name(strict: Server) -> None:
    name = fresh("asked").replace(" ", "-")
    strict.api().raw("GET", "/projects", headers={"x-request-id": name})

    def lines() -> list[dict[str, Any]]:
        written = [json.loads(line) for line in strict.log.read_text().splitlines()]
        return [line for line in written if line.get("request") == name]

    (line,) = await_that(lines)
    assert (line["event"], line["path"], line["status"]) == ("answered", "/v1/projects", 200)
