"""One request and its answer: address, token, retries, envelopes, pages.

What is retried, and why that is safe: only a broken connection, three times, half a second
apart, as other clients of this API do. The server answers an identical request of the same
token within ten seconds with the first result, so a POST whose answer got lost is not executed
twice; one that was lost later than that is reported instead. An answer, whatever its status, is
never retried.
"""

import contextlib
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import metadata
from typing import cast
from urllib.parse import quote

import httpx

from holdfast.client.transport.errors import (
    Answer,
    ApiError,
    ServerFault,
    Unreachable,
    error_for,
    local_refusal,
)
from holdfast.kit.clock import Clock, SystemClock
from holdfast.kit.seal import Secret

Body = Mapping[str, object]
Params = Mapping[str, str | int]

PAGE = 100
_ATTEMPTS = 4
_APART = 0.5
_REPEATABLE_SECONDS = 8.0  # below the ten in which the server recognises a repeated POST
_REPEATABLE_LATE = frozenset({"GET", "DELETE", "PUT", "PATCH"})


@dataclass(frozen=True)
class Link:
    """How requests travel; the defaults are right outside of tests."""

    clock: Clock = field(default_factory=SystemClock)
    pause: Callable[[float], None] = time.sleep
    timeout: float = 30.0
    transport: httpx.BaseTransport | None = None


@dataclass(frozen=True)
class Envelope:
    data: object
    cursor: str | None


def user_agent() -> str:
    return f"holdfast-client/{metadata.version('holdfast')}"


def normalise_host(host: str) -> str:
    """`db.example.com/` to `https://db.example.com`; a base path is kept."""
    host = host.strip()
    host = (host if "://" in host else f"https://{host}").rstrip("/")
    try:
        url = httpx.URL(host)
    except httpx.InvalidURL as error:
        raise local_refusal(f"{host!r} is not the address of a server: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise local_refusal(f"{host!r} is not the address of a server: use http:// or https://")
    return host


def path_of(*segments: str) -> str:
    """`("projects", "a/b")` to `/v1/projects/a%2Fb`. Refuses what would address something else."""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise local_refusal(f"{segment!r} is not an identifier")
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)


@dataclass(frozen=True)
class Request:
    """`body` is sent as JSON, `content` as the bytes that it is."""

    method: str
    path: str
    params: Params | None = None
    body: Body | None = None
    content: bytes | None = None


class Address:
    """Which server, as whom; turns requests into those of the HTTP library."""

    def __init__(self, host: str, token: Secret | None, link: Link) -> None:
        self.host = normalise_host(host)
        self.token = token
        self.link = link
        self.timeout = httpx.Timeout(link.timeout, connect=10.0)

    def built(self, request: Request) -> httpx.Request:
        kind = "application/json" if request.content is None else "application/octet-stream"
        return httpx.Request(
            request.method,
            f"{self.host}{request.path}",
            params=request.params,
            json=request.body,
            content=request.content,
            headers={**_headers(), "Content-Type": kind, **self._rights()},
            extensions={"timeout": self.timeout.as_dict()},
        )

    def download(self, url: str, *, with_token: bool) -> httpx.Request:
        """A link carries its own right, so our token does not travel with it."""
        return httpx.Request(
            "GET",
            httpx.URL(self.host + "/").join(url),
            headers={
                **_headers(),
                "Accept-Encoding": "identity",
                **(self._rights() if with_token else {}),
            },
            extensions={"timeout": self.timeout.as_dict()},
        )

    def _rights(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token.reveal()}"}

    def tail_url(self, path: str, params: Params) -> str:
        """The same address, spoken to over a WebSocket."""
        url = httpx.URL(f"{self.host}{path}", params=params)
        return str(url.copy_with(scheme="wss" if url.scheme == "https" else "ws"))


def _headers() -> dict[str, str]:
    return {"User-Agent": user_agent(), "Accept": "application/json"}


class Turning:
    """Which page to ask for next, until there is none. `key` None: the list has no container.

    The end is an absent cursor, whatever `hasNextPage` says.
    """

    def __init__(self, path: str, key: str | None, params: Params | None) -> None:
        self._path, self._key = path, key
        self._asked: dict[str, str | int] = {"per_page": PAGE, **(params or {})}
        self._seen: set[str] = set()
        self.more = True

    @property
    def request(self) -> Request:
        return Request("GET", self._path, dict(self._asked))

    def take(self, page: Envelope) -> list[object]:
        self.more = bool(page.cursor)
        if page.cursor:
            if page.cursor in self._seen:
                problem = f"the pages of {self._path} never end: a cursor came back"
                raise ServerFault(Answer(200, problem))
            self._seen.add(page.cursor)
            self._asked["cursor"] = page.cursor
        return _listed(page.data, self._key)


class Transport(Address):
    """Carries requests out and waits for the answers."""

    def __init__(self, host: str, token: Secret | None, link: Link) -> None:
        super().__init__(host, token, link)
        self._http = httpx.Client(transport=link.transport)

    def close(self) -> None:
        self._http.close()

    def send(self, request: Request) -> Envelope:
        return opened(self._sent(self.built(request)))

    @contextlib.contextmanager
    def streamed(self, url: str, *, with_token: bool = False) -> Generator[httpx.Response]:
        request = self.download(url, with_token=with_token)
        response = self._sent(request, stream=True)
        try:
            if response.status_code != HTTPStatus.OK:
                response.read()
                raise not_started(response)
            with connection_errors(request):
                yield response
        finally:
            response.close()

    def _sent(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        tries = Tries(request, self.link.clock)
        while True:
            try:
                return self._http.send(request, stream=stream)
            except httpx.TransportError as error:
                self.link.pause(tries.pause_after(error))


class Tries:
    """Decides after each broken connection whether the request is sent again."""

    def __init__(self, request: httpx.Request, clock: Clock) -> None:
        self._request, self._clock = request, clock
        self._made = 0
        self._began = clock.monotonic()

    def pause_after(self, error: httpx.TransportError) -> float:
        """Seconds until the next try. Raises Unreachable when there is none."""
        self._made += 1
        waited = self._clock.monotonic() - self._began
        if self._made == _ATTEMPTS or not _repeatable(self._request, error, waited):
            raise unreachable(self._request, error) from error
        self._began = self._clock.monotonic() + _APART
        return _APART


def _repeatable(request: httpx.Request, error: httpx.TransportError, waited: float) -> bool:
    never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return never_sent or request.method in _REPEATABLE_LATE or waited < _REPEATABLE_SECONDS


def unreachable(request: httpx.Request, error: httpx.TransportError) -> Unreachable:
    where = f"{request.url.scheme}://{request.url.netloc.decode()}"
    what = str(error) or type(error).__name__
    return Unreachable(Answer(0, f"{where} cannot be reached: {what}"))


@contextlib.contextmanager
def connection_errors(request: httpx.Request) -> Generator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise unreachable(request, error) from error


def opened(response: httpx.Response) -> Envelope:
    """Takes `data` and the cursor out of an answer, or raises what it says went wrong."""
    try:
        parsed: object = response.json()
    except ValueError as error:
        raise _not_ours(response) from error
    document = cast("dict[str, object]", parsed) if isinstance(parsed, dict) else None
    if document is None:
        raise _not_ours(response)
    if not response.is_success:
        raise error_for(_error_answer(response, document))
    return Envelope(document.get("data", {}), _cursor(document.get("pagination")))


def not_started(response: httpx.Response) -> Exception:
    """What an answer says that was to be a file and is none; it has been read."""
    try:
        opened(response)
    except ApiError as error:
        return error
    return ServerFault(Answer(response.status_code, "the download did not start"))


def _not_ours(response: httpx.Response) -> Exception:
    if response.is_redirect:
        where = response.headers.get("location", "elsewhere")
        message = f"the server sends us to {where}: use that as the host"
    else:
        message = (
            f"the answer (HTTP {response.status_code}) is not JSON: is this a Holdfast server?"
        )
    return ServerFault(Answer(response.status_code, message))


def _error_answer(response: httpx.Response, document: Mapping[str, object]) -> Answer:
    found = document.get("error")
    error = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    details = error.get("details")
    return Answer(
        response.status_code,
        str(error.get("message") or f"HTTP {response.status_code} {response.reason_phrase}"),
        str(error["id"]) if error.get("id") else None,
        cast("dict[str, object]", details) if isinstance(details, dict) else {},
        _seconds(response.headers.get("retry-after")),
    )


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() else None


def _cursor(pagination: object) -> str | None:
    if not isinstance(pagination, dict):
        return None
    cursor = cast("dict[str, object]", pagination).get("cursor")
    return str(cursor) if cursor else None


def _listed(data: object, key: str | None) -> list[object]:
    if key is not None and isinstance(data, dict):
        data = cast("dict[str, object]", data).get(key)
    if not isinstance(data, list):
        raise ServerFault(Answer(200, f"the answer holds no list of {key or 'items'}"))
    return cast("list[object]", data)
