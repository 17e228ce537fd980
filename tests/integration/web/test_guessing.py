"""What is taken once, also by several at a time, and what is not guessed, forged or replayed."""

import html
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest

from fixtures.authenticator import Authenticator, encode
from fixtures.dashboard import COOKIE, open_session
from fixtures.holdfast import Api, Server, start_holdfast
from fixtures.visitors import GOOD_PASSWORD, Visitor, hidden, make_user
from holdfast.catalog.access import web_sessions
from holdfast.catalog.database.session import Catalog
from holdfast.kit.seal import Secret

pytestmark = pytest.mark.sqlite_first
_OPTIONS = re.compile(r'data-options="([^"]+)"')
_CODE = re.compile(r"<li><code>([0-9a-z-]{19})</code></li>")
EVIL = '{"path":"/access/invite","fields":[["role","owner"]],"secrets":[],"form":true}'


@pytest.fixture
def second(server: Server) -> Iterator[Server]:
    """Another process with the same catalogue."""
    other = start_holdfast(server.data_dir.parent, **database_of(server))
    yield other
    other.stop()


def database_of(server: Server) -> dict[str, str]:
    return {"HOLDFAST_DATABASE_URL": server.database_url} if server.database_url else {}


def enable_codes(visitor: Visitor) -> tuple[pyotp.TOTP, list[str]]:
    page = visitor.get("/account/codes").text
    secret = re.search(r'<code class="mono">([A-Z2-7 ]+)</code>', page)
    assert secret
    totp = pyotp.TOTP(secret[1].replace(" ", ""))
    done = visitor.act("/account/codes", sealed=hidden(page, "sealed"), code=totp.now())
    return totp, _CODE.findall(done.text)


def options_of(visitor: Visitor, path: str) -> str:
    match = _OPTIONS.search(visitor.get(path).text)
    assert match
    return html.unescape(match[1])


def named(server: Server) -> Visitor:
    """A browser that calls the server by a name: passkeys need one."""
    visitor = Visitor(server)
    visitor.http.base_url = f"http://localhost:{visitor.http.base_url.port}"
    return visitor


def test_a_link_brings_no_form_along(server: Server, visitor: Visitor) -> None:
    page = visitor.http.get("/signin", params={"going_on": EVIL, "next": "/proof"}).text
    assert "Your form is kept" not in page
    assert json.loads(hidden(page, "going_on"))["path"] == "/proof"


@pytest.mark.parametrize("back", ["https://x//evil.example", "//evil.example", "/\\evil.example"])
def test_a_form_goes_back_to_our_pages_only(server: Server, visitor: Visitor, back: str) -> None:
    visitor.sign_in_with_token(server.token)
    answer = visitor.post("/theme", csrf=visitor.csrf("/"), theme="dark", back=back)
    assert answer.headers["location"] == "/"


def test_a_made_up_code_does_not_spare_the_wait(server: Server) -> None:
    name = make_user(server)
    for _ in range(5):
        assert Visitor(server).sign_in(name, "wrong wrong wrong", code="123456").status_code == 401
    began = time.monotonic()
    assert Visitor(server).sign_in(name, "wrong wrong wrong", code="123456").status_code == 401
    assert time.monotonic() - began >= 1


def test_a_recovery_code_is_taken_once_by_many_at_a_time(server: Server, visitor: Visitor) -> None:
    name = make_user(server)
    visitor.sign_in(name)
    _, codes = enable_codes(visitor)
    pages = [Visitor(server).sign_in(name) for _ in range(4)]
    pending = [hidden(page.text, "pending") for page in pages]

    def send(value: str) -> int:
        return Visitor(server).post("/signin/code", pending=value, code=codes[0]).status_code

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(send, pending)) == [303, 401, 401, 401]


def test_a_code_is_taken_once_by_all_processes(
    server: Server, second: Server, visitor: Visitor
) -> None:
    name = make_user(server)
    visitor.sign_in(name)
    totp, _ = enable_codes(visitor)
    code = totp.generate_otp(int(time.time()) // 30 + 1)
    pending = hidden(Visitor(server).sign_in(name).text, "pending")
    assert Visitor(server).post("/signin/code", pending=pending, code=code).status_code == 303
    assert Visitor(second).post("/signin/code", pending=pending, code=code).status_code == 401


def test_a_passkey_signs_in_and_its_answer_is_taken_once_by_all_processes(
    server: Server, second: Server
) -> None:
    visitor = named(server)
    visitor.sign_in(make_user(server))
    origin = str(visitor.http.base_url).rstrip("/")
    authenticator = Authenticator(origin)
    made = authenticator.create(options_of(visitor, "/account"))
    assert visitor.act("/account/passkeys", name="key", passkey=made).status_code == 303
    again = visitor.act("/account/passkeys", name="key", passkey=made)
    assert again.status_code in (400, 401), "its challenge was answered"
    answer = authenticator.answer(options_of(named(server), "/signin"))
    first, replayed, elsewhere = named(server), named(server), named(second)
    assert first.post("/signin/passkey", passkey=answer).status_code == 303
    assert first.is_signed_in
    assert replayed.post("/signin/passkey", passkey=answer).status_code == 401
    elsewhere.http.headers["host"] = origin.removeprefix("http://")
    assert elsewhere.post("/signin/passkey", passkey=answer).status_code == 401
    foreign = Authenticator(origin, credential=authenticator.credential)
    forged = foreign.answer(options_of(named(server), "/signin"))
    assert named(server).post("/signin/passkey", passkey=forged).status_code == 401


@pytest.mark.parametrize(
    "client", [b"[]", b"5", b'{"challenge": 5}', b'{"challenge": "\xc3\xbf"}', b"\xff", b"null"]
)
def test_answers_that_no_browser_makes_are_refused(server: Server, client: bytes) -> None:
    visitor = named(server)
    visitor.sign_in(make_user(server))
    authenticator = Authenticator(str(visitor.http.base_url).rstrip("/"))
    made = authenticator.create(options_of(visitor, "/account"))
    assert visitor.act("/account/passkeys", name="key", passkey=made).status_code == 303
    answer = json.loads(authenticator.answer(options_of(named(server), "/signin")))
    answers = [dict(answer, response=dict(answer["response"], clientDataJSON=encode(client)))]
    answers += [dict(answer, response=response) for response in (None, [], {"clientDataJSON": 5})]
    answers += [dict(answer, response=dict(answer["response"], authenticatorData="AA"))]
    for odd in answers:
        sent = named(server).post("/signin/passkey", passkey=json.dumps(odd))
        assert sent.status_code == 401, odd
        refused = visitor.act("/account/passkeys", name="odd", passkey=json.dumps(odd))
        assert refused.status_code in (400, 401), odd


def test_an_open_page_does_not_keep_its_session(server: Server, api: Api) -> None:
    cookie = open_session(server, api)
    url = server.database_url or f"sqlite:///{server.data_dir / 'holdfast.db'}"
    catalog, digest = Catalog(url), web_sessions.digest(Secret(cookie))

    def seen() -> int:
        with catalog.read() as session:
            row = web_sessions.of_digest(session, digest)
            assert row is not None
            return row.seen

    with catalog.write() as session:
        row = web_sessions.of_digest(session, digest)
        assert row is not None
        row.seen = before = row.seen - 3_600_000
    visitor = Visitor(server)
    visitor.http.cookies.set(COOKIE, cookie)
    assert visitor.get("/", **{"hx-request": "true"}).status_code == 200
    with visitor.http.stream("GET", "/live", headers={"accept": "text/event-stream"}) as stream:
        assert stream.status_code == 200
    assert seen() == before
    assert visitor.get("/").status_code == 200
    assert seen() > before
    catalog.close()


def test_secrets_are_on_no_page_nor_in_a_file_for_others(server: Server, visitor: Visitor) -> None:
    visitor.sign_in_with_token(server.token)
    paths = ["/settings", "/settings/support.json", "/settings?format=csv", "/access"]
    paths += [f"/access?format=json&of={name}" for name in ("users", "tokens", "sessions")]
    cookie = visitor.http.cookies[COOKIE]
    key = (server.data_dir / "master.key").read_text().strip()
    for path in paths:
        answer = visitor.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "no-store"
        for secret in (server.token, cookie, key, GOOD_PASSWORD, "argon2id"):
            assert secret not in answer.text, path
    lines = json.loads(visitor.get("/settings/support.json").text)["settings"]
    assert str(server.data_dir) not in str(lines)
    assert "127.0.0.9" not in str(lines)
