"""Rate limits: told on every answer, and enforced; those of tokens and those of addresses."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from fixtures.bodies import BILLING
from fixtures.connecting import opened, rest_of
from fixtures.holdfast import Api, Server, await_that, through_proxy
from fixtures.installation import Installation, installation_home, running

TAIL = "/v1/projects/p/addons/a/logs"


@pytest.fixture
def strict(request: pytest.FixtureRequest) -> Iterator[Server]:
    """With the settings that the test's `parametrize` says."""
    settings: dict[str, str] = getattr(request, "param", {})
    with installation_home() as home, running(Installation(home, settings)) as installation:
        yield installation.server


def of(**settings: str) -> pytest.MarkDecorator:
    named = {f"HOLDFAST_{name.upper()}": value for name, value in settings.items()}
    return pytest.mark.parametrize("strict", [named], indirect=True, ids=["strict"])


@of(rate_limit="5")
def test_a_token_past_its_limit_is_a_429_that_says_when_to_come_back(strict: Server) -> None:
    other = Api(strict.url, "another token")
    api = strict.api()
    for used in range(1, 6):
        answer = api.get("/login")
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit"] == "5"
        assert answer.headers["x-ratelimit-remaining"] == str(5 - used)
        assert 3000 < int(answer.headers["x-ratelimit-reset"]) <= 3600
    refused = api.get("/login")
    assert refused.status == 429
    assert refused.headers["retry-after"] == refused.headers["x-ratelimit-reset"]
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert "try again in" in refused.error["message"]
    assert other.get("/login").status == 401, "others are not concerned"
    prober = Api(strict.url, None, base="")
    assert all(prober.raw("GET", "/healthz").status_code == 200 for _ in range(10))


@of(guess_limit="3", address_limit="12")
def test_guessing_and_asking_without_a_token_end_for_the_address_alone(strict: Server) -> None:
    api = strict.api()
    assert api.get("/login").status == 200
    guesses = [Api(strict.url, f"guess-{n}").get("/login").status for n in range(5)]
    assert guesses == [401, 401, 401, 429, 429]
    with_spare = api.post("/tokens", {"name": "Spare", "role": "default"}).data["token"]
    assert Api(strict.url, with_spare).get("/login").status == 429, "not known here yet"
    nobody = Api(strict.url, None)
    answers = [nobody.get("/login") for _ in range(10)]
    assert {each.status for each in answers} == {401, 429}
    assert answers[-1].headers["retry-after"]
    assert api.get("/login").status == 200, "who was known before goes on working"
    for behind, status in (("127.0.0.1", 429), ("203.0.113.9", 401)):
        answer = through_proxy(nobody, {"for": behind}).get("/login")
        assert answer.status == status, "the client's address is counted, not its proxy's"
    for path in ("/healthz", "/readyz"):
        probes = [httpx.get(f"{strict.url}{path}", timeout=60) for _ in range(15)]
        assert {probe.status_code for probe in probes} == {200}
        quickest = min(probe.elapsed.total_seconds() for probe in probes[-3:])
        assert quickest < 1, "probes do not wait as refused callers do"


@contextmanager
def tailing(url: str, token: str) -> Iterator[ClientConnection]:
    """A live log whose token was sent."""
    with connect(url, open_timeout=60, close_timeout=60) as socket:
        auth = {"type": "apiToken", "apiToken": token}
        socket.send(json.dumps({"type": "init", "data": {"auth": auth}}))
        yield socket


def said(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(socket.recv(60))["data"]


@of(guess_limit="2")
def test_tokens_in_frames_are_guesses_too(strict: Server) -> None:
    messages = []
    for number in range(3):
        with tailing(strict.url.replace("http", "ws") + TAIL, f"guess {number}") as socket:
            messages.append(said(socket)["message"])
    assert ["too many wrong tokens" in each for each in messages] == [False, False, True]
    assert Api(strict.url, "guess 4").get("/login").status == 429


@pytest.fixture
def live_log(strict: Server) -> str:
    """Where the log of a managed server is followed; it has no end."""
    api = strict.api()
    project = api.project("P")
    body = {"name": "Ours", "type": "postgresql", "billing": BILLING}
    addon = api.post(f"/projects/{project}/addons", body).data["id"]
    return f"{strict.url.replace('http', 'ws')}/v1/projects/{project}/addons/{addon}/logs"


def closing_code(socket: ClientConnection) -> int | None:
    """Of a socket that the server closes."""
    try:
        while True:
            socket.recv(60)
    except ConnectionClosed as ended:
        return ended.rcvd.code if ended.rcvd else None


@of(tails="3", tails_per_token="2")
def test_live_logs_are_capped_in_all_and_for_each_token(strict: Server, live_log: str) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            assert (
                said(stack.enter_context(tailing(live_log, strict.token)))["auth"] == "successful"
            )
        with tailing(live_log, strict.token) as third:
            assert closing_code(third) == 1013
        await_that(lambda: _has_room(live_log))
        stack.enter_context(connect(live_log, open_timeout=60))  # has not said who it is yet
        with pytest.raises(InvalidStatus) as refused, connect(live_log, open_timeout=60):
            pass
        assert refused.value.response.status_code == 503
        assert json.loads(refused.value.response.body)["error"]["id"] == "tails.full"
    await_that(lambda: _has_room(live_log))


@pytest.mark.slow
def test_who_follows_a_log_and_says_nothing_is_hung_up_on(strict: Server, live_log: str) -> None:
    with connect(live_log, open_timeout=60) as socket:
        assert said(socket) == {"auth": "failed", "message": "no token was sent in time"}
        assert closing_code(socket) == 1008


@pytest.mark.slow
def test_who_follows_a_log_and_answers_no_ping_is_hung_up_on(strict: Server, live_log: str) -> None:
    auth = {"type": "apiToken", "apiToken": strict.token}
    text = json.dumps({"type": "init", "data": {"auth": auth}}).encode().ljust(200)
    frame = b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text  # masked with zeros
    path = urlsplit(live_log).path
    ask = f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    with opened(strict.url) as connection:
        connection.sendall((ask + key).encode())
        assert b" 101 " in connection.recv(65536)
        connection.sendall(frame)
        assert b"successful" in rest_of(connection)  # returns: it was closed


def _has_room(url: str) -> bool:
    try:
        with connect(url, open_timeout=60):
            return True
    except InvalidStatus:
        return False


@of(tails_per_token="2")
def test_a_live_log_that_ended_makes_room(strict: Server, live_log: str) -> None:
    for _ in range(5):

        def works() -> bool:
            with tailing(live_log, strict.token) as socket:
                return said(socket).get("auth") == "successful" and not _is_full(socket)

        await_that(works)


def _is_full(socket: ClientConnection) -> bool:
    socket.close()
    return socket.close_code == 1013
