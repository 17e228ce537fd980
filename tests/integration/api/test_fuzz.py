"""Nonsense in every place that a caller can reach: bodies, headers, cursors, paths and WebSocket
frames. Never a fault of ours, a hang, a trace or a secret in the answer. The same in every run."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from fixtures.fuzzed import PATIENCE, Fuzzed

FEW = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

FIELDS = [
    "name", "type", "version", "billing", "connectionString", "backupSchedules", "scheduling",
    "interval", "minute", "hour", "day", "backupType", "retentionTime", "compressionType",
    "additionalDestinations", "destinationId", "customDestinationId", "credentials", "importUrl",
    "restoreId", "projects", "permissions", "role", "share", "size", "sha256", "description",
]  # fmt: skip
ODD = [
    "", " ", "\ud800", "\u202e", "\U0001f4be" * 40, "a\nb", "-x", "--help", "../../etc/passwd",
    "'; DROP TABLE tokens; --", "$(id)", "${7*7}", "{{7*7}}", "postgresql://u:p@localhost:1/d",
    "hourly", "dump", "snapshot", "2025-01-01T00:00:00Z", "9" * 400, "a" * 70_000,
]  # fmt: skip
WORDS = st.sampled_from(ODD) | st.text(max_size=40)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -1, 0, 2**63, 2**53 + 1])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | WORDS, inner, max_size=6)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8)

CREATING = [
    ("POST", "/projects"), ("PUT", "/projects"), ("PATCH", "/projects/{project_id}"),
    ("POST", "{projects}/addons"), ("PUT", "{projects}/addons"), ("PATCH", "{addon}"),
    ("POST", "{addon}/backups"), ("POST", "{addon}/backup-schedules"), ("POST", "{addon}/import"),
    ("POST", "{addon}/uploads"), ("POST", "{addon}/prune"), ("POST", "{addon}/version"),
    ("PATCH", "{addon}/backup-schedules/{schedule_id}"),
    ("POST", "{addon}/backups/{backup_id}/restore"),
    ("POST", "{addon}/backups/{backup_id}/abort-restore"), ("POST", "/backup-destinations"),
    ("POST", "/tokens"), ("POST", "/roles"), ("POST", "/retention/audits"),
]  # fmt: skip


def placed(path: str, known_ids: dict[str, str]) -> str:
    projects = "/projects/{project_id}".format(**known_ids)
    addon = projects + "/addons/{addon_id}".format(**known_ids)
    return "/v1" + path.format(projects=projects, addon=addon, **known_ids)


@pytest.mark.parametrize(("method", "path"), CREATING)
def test_odd_bodies(fuzzed: Fuzzed, known_ids: dict[str, str], method: str, path: str) -> None:
    target = placed(path, known_ids).encode()

    @settings(FEW, max_examples=15)
    @given(OBJECTS | JSON)
    def send(body: Any) -> None:
        text = json.dumps(body).encode()
        answer = fuzzed.ask(method.encode(), target, body=text)
        assert answer.status in (200, 400, 404, 409, 413), answer
        assert answer.is_json

    send()
    fuzzed.require_sound()


def test_bodies_that_are_no_json(fuzzed: Fuzzed) -> None:
    @FEW
    @given(st.binary(min_size=1, max_size=200))
    def send(body: bytes) -> None:
        answer = fuzzed.ask(b"POST", b"/v1/projects", body=body)
        assert (answer.status, answer.is_json) == (400, True)

    send()
    fuzzed.require_sound()


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 50_000,
        b"[" * 200_000,
        b'{"name":' + b"9" * 100_000 + b"}",
        b'{"name":1e999999}',
        b'{"name":NaN}',
        b'{"name":"\\ud800"}',
        b'{"name":"a","name":"b"}',
        b'{"__proto__":{"name":"x"},"constructor":1}',
        b"\xef\xbb\xbf{}",
        '{"name":"x"}'.encode("utf-16"),
    ],
)
def test_well_known_bombs(fuzzed: Fuzzed, body: bytes) -> None:
    answer = fuzzed.ask(b"POST", b"/v1/projects", body=body)
    assert (answer.status, answer.is_json) == (400, True)
    fuzzed.require_sound()


SEGMENTS = [
    b"%2F", b"a%2Fb", b"..", b".", b"%2e%2e", b"%2e%2e%2f%2e%2e", b"..%2f..%2fetc%2fpasswd",
    b"%00", b"%ff", b"%c0%ae", b"%", b"%zz", b"%25", b"%252e", b"a" * 7000, b";x=1", b"~", b"*",
    b"%0d%0aX: 1", b"%E2%80%AE", b"\xff\xfe", b"\xc3\xa9", b"a%20b", b"$(id)", b"'--", b"|", b"{}",
]  # fmt: skip
PLACES = [
    b"/v1/projects/@", b"/v1/projects/@/addons/@", b"/v1/projects/@/addons/@/backups/@",
    b"/v1/teams/@/projects/@", b"/v1/backup-destinations/@", b"/v1/downloads/@/@",
    b"/v1/stored-backups/@", b"/v1/@", b"/@", b"@",
]  # fmt: skip


def require_place(fuzzed: Fuzzed, method: bytes, target: bytes) -> None:
    answer = fuzzed.ask(method, target)
    assert answer.status in (400, 403, 404, 405), (target, answer)
    unparsable = answer.body == b"Invalid HTTP request received."
    assert unparsable or answer.is_json, (target, answer)


@pytest.mark.parametrize("place", PLACES)
def test_odd_path_segments(fuzzed: Fuzzed, place: bytes) -> None:
    for segment in SEGMENTS:
        for method in (b"GET", b"DELETE"):
            require_place(fuzzed, method, place.replace(b"@", segment))
    fuzzed.require_sound()


def test_any_path_segment(fuzzed: Fuzzed) -> None:
    @FEW
    @given(st.binary(min_size=1, max_size=60), st.sampled_from(PLACES))
    def send(segment: bytes, place: bytes) -> None:
        require_place(
            fuzzed, b"GET", place.replace(b"@", b"x" + quote_from_bytes(segment).encode())
        )

    send()
    fuzzed.require_sound()


def test_a_segment_never_reaches_something_else(fuzzed: Fuzzed, known_ids: dict[str, str]) -> None:
    """Dots and encoded slashes are part of a name, not steps in a tree."""
    project, addon = known_ids["project_id"], known_ids["addon_id"]
    assert fuzzed.ask(b"GET", f"/v1/projects/{project}/addons/{addon}".encode()).status == 200
    for target in (
        f"/v1/projects/x/../{project}",
        f"/v1/projects/x/%2e%2e/{project}",
        f"/v1/projects/{project}%2Faddons%2F{addon}",
        f"/v1/projects/{project}/addons/x%2F..%2F{addon}",
        f"/v1/projects/{project}/addons/{addon}%00",
        f"/v1/projects/{project}/addons/{addon}%20",
    ):
        assert fuzzed.ask(b"GET", target.encode()).status == 404, target


@pytest.mark.parametrize("name", ["cursor", "per_page", "page"])
def test_odd_paging(fuzzed: Fuzzed, name: str) -> None:
    @FEW
    @given(WORDS | st.integers().map(str) | st.from_regex(r"[0-9a-f]{24}", fullmatch=True))
    def send(value: str) -> None:
        text = quote(value[:4000], errors="replace")
        for path in ("/v1/projects", "/v1/tokens", "/v1/retention/deletions"):
            answer = fuzzed.ask(b"GET", f"{path}?{name}={text}".encode())
            assert answer.status in (200, 400, 404), (value, answer)
            assert answer.is_json

    send()
    fuzzed.require_sound()


def test_odd_queries(fuzzed: Fuzzed, known_ids: dict[str, str]) -> None:
    base = placed("{addon}", known_ids)
    keys = ["startTime", "endTime", "duration", "lineLimit", "direction", "type", "regexIncludes"]

    @FEW
    @given(st.dictionaries(st.sampled_from(keys) | WORDS, WORDS, max_size=5))
    def send(query: dict[str, str]) -> None:
        pairs = [
            f"{quote(k[:90], errors='replace')}={quote(v[:900], errors='replace')}"
            for k, v in query.items()
        ]
        answer = fuzzed.ask(b"GET", f"{base}/logs?{'&'.join(pairs)}".encode())
        assert answer.status in (200, 400, 404), (query, answer)
        assert answer.is_json

    send()
    fuzzed.require_sound()


HEADER_NAMES = [
    b"Authorization", b"Content-Type", b"Accept", b"Range", b"If-None-Match", b"Idempotency-Key",
    b"X-Forwarded-For", b"X-Request-Id", b"Transfer-Encoding", b"Cookie", b"Expect", b"Upgrade",
    b"Accept-Encoding", b"Origin", b"Content-Encoding",
]  # fmt: skip


def test_odd_headers(fuzzed: Fuzzed) -> None:
    value = st.binary(max_size=80).map(lambda b: b.translate(None, b"\r\n\x00"))

    @FEW
    @given(st.sampled_from(HEADER_NAMES), value, st.sampled_from([b"GET", b"POST"]))
    def send(name: bytes, value: bytes, method: bytes) -> None:
        head = method + b" /v1/projects HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        answer = fuzzed.send(head + name + b": " + value + b"\r\n\r\n")
        fuzzed.require_harmless(answer.data)
        assert 200 <= answer.status < 500 or answer.data == b"", (name, value, answer)

    send()
    fuzzed.require_sound()


@pytest.mark.parametrize(
    "authorization",
    [
        b"", b"Bearer", b"Bearer ", b"bearer x y", b"Basic aGZ0OnB3", b"Bearer \xff\xfe",
        b"Bearer " + b"a" * 6000, b"Bearer hft_", b"Bearer null", b"Bearer ' OR 1=1 --",
    ],
)  # fmt: skip
def test_odd_tokens_are_a_401(fuzzed: Fuzzed, authorization: bytes) -> None:
    head = b"GET /v1/projects HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    request = head + b"Authorization: " + authorization + b"\r\n\r\n"
    answer = fuzzed.send(request, no_more=False)
    fuzzed.require_harmless(answer.data)
    assert (answer.status, answer.is_json) == (401, True)
    assert authorization.strip()[7:].strip() in (b"", b"null") or authorization not in answer.body


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET", b"GET /v1/projects", b"GET /v1/projects HTTP/9.9", b"\x16\x03\x01\x02\x00",
        b"G\x00T /v1/projects HTTP/1.1", b"PRI * HTTP/2.0", b"GET http://other.example/ HTTP/1.1",
        b"CONNECT other.example:443 HTTP/1.1", b"get /v1/projects HTTP/1.1",
        b"GET /v1/projects\r\nX HTTP/1.1", b"A" * 70_000,
    ],
)  # fmt: skip
def test_what_is_hardly_http(fuzzed: Fuzzed, request_line: bytes) -> None:
    answer = fuzzed.send(request_line + b"\r\nHost: x\r\n\r\n")
    fuzzed.require_harmless(answer.data)
    assert answer.status in (0, 400, 401, 404, 405, 431), answer
    fuzzed.require_sound()


def test_lengths_that_lie(fuzzed: Fuzzed) -> None:
    head = b"POST /v1/projects HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "
    head += fuzzed.server.token.encode()
    for lie in (
        b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: two",
        b"Content-Length: 2\r\nContent-Length: 3", b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2", b"Content-Length: 900",
    ):  # fmt: skip
        for body in (b"{}", b"ZZ\r\n{}\r\n0\r\n\r\n", b"5\r\n{}"):
            answer = fuzzed.send(head + b"\r\n" + lie + b"\r\n\r\n" + body)
            fuzzed.require_harmless(answer.data)
            assert answer.status in (0, 400, 413), (lie, body, answer)
    fuzzed.require_sound()


FRAMES: list[str | bytes] = [
    "", "{}", "[]", "null", "3", '"text"', "{", "\x00", "\U0001f4be", "a" * 60_000, b"", b"\xff",
    '{"type":"init"}', '{"type":"init","data":null}', '{"type":"init","data":{"auth":[]}}',
    '{"type":"init","data":{"auth":{"apiToken":null}}}',
    '{"type":"init","data":{"auth":{"apiToken":{"a":1}}}}',
    '{"type":"init","data":{"auth":{"apiToken":"hft_wrong"}}}',
    '{"type":"init","data":{"auth":{"apiToken":"\\ud800"}}}', "[" * 60_000,
    '{"type":"init","data":' + "9" * 10_000 + "}",
]  # fmt: skip


@pytest.fixture
def tailing(fuzzed: Fuzzed, known_ids: dict[str, str]) -> Callable[[str], ClientConnection]:
    def open_tail(query: str = "queryType=tail") -> ClientConnection:
        path = placed("{addon}/logs", known_ids)
        return connect(
            f"ws{fuzzed.server.url[4:]}{path}?{query}", open_timeout=PATIENCE, close_timeout=1
        )

    return open_tail


@pytest.mark.parametrize("frame", FRAMES, ids=range(len(FRAMES)))
def test_odd_first_frames(
    fuzzed: Fuzzed, tailing: Callable[..., ClientConnection], frame: str | bytes
) -> None:
    """They are told that they are not welcome, and the socket is closed."""
    with tailing() as socket:
        socket.send(frame)
        answer = json.loads(socket.recv(PATIENCE))
        assert (answer["type"], answer["data"]["auth"]) == ("init", "failed")
        assert answer["data"]["message"]
        fuzzed.require_harmless(json.dumps(answer).encode())
        with pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)
    fuzzed.require_sound()


def welcome(fuzzed: Fuzzed, socket: ClientConnection) -> None:
    auth = {"auth": {"type": "apiToken", "apiToken": fuzzed.server.token}}
    socket.send(json.dumps({"type": "init", "data": auth}))
    assert json.loads(socket.recv(PATIENCE)) == {"type": "init", "data": {"auth": "successful"}}


def test_odd_later_frames_mean_nothing(
    fuzzed: Fuzzed, tailing: Callable[..., ClientConnection]
) -> None:
    with tailing() as socket:
        welcome(fuzzed, socket)
        for frame in FRAMES:
            socket.send(frame)
        assert socket.ping().wait(PATIENCE), "it no longer answers"
    fuzzed.require_sound()


def test_a_frame_that_is_too_large_ends_the_socket(
    fuzzed: Fuzzed, tailing: Callable[..., ClientConnection]
) -> None:
    with tailing() as socket:
        welcome(fuzzed, socket)
        socket.send("a" * 70_000)
        with pytest.raises(ConnectionClosed) as ended:
            socket.recv(PATIENCE)
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1009
    fuzzed.require_sound()


@pytest.mark.parametrize("garbage", [b"\xff" * 200, b"\x81\xfe\xff\xff", b"\x88\x00", b"\x8f\x80"])
def test_what_is_no_frame_at_all(
    fuzzed: Fuzzed, tailing: Callable[..., ClientConnection], garbage: bytes
) -> None:
    with tailing() as socket:
        welcome(fuzzed, socket)
        socket.socket.sendall(garbage)
    fuzzed.require_sound()


def test_odd_queries_of_a_tail_are_an_error_frame(
    fuzzed: Fuzzed, tailing: Callable[..., ClientConnection]
) -> None:
    for query in ("lineLimit=%FF", "startTime=soon", "regexIncludes=(", "type=%F0%9F%92%BE"):
        with tailing(query) as socket:
            welcome(fuzzed, socket)
            answer = json.loads(socket.recv(PATIENCE))
            assert answer["type"] == "error"
            assert answer["data"]["message"]
    fuzzed.require_sound()
