"""Sends a request and reads its answer: address, token, retries, envelopes, pages.

Only a broken connection is retried, three times, half a second apart, as other clients of this API
do. That is safe: the server answers a POST with the same key within ten seconds with the first
result, so one whose answer got lost is not executed twice; a later loss is reported instead. Two
that are meant, however soon after each other, have keys of their own. An answer is never retried,
whatever its status.
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
from holdfast.kit import ids
from holdfast.kit.clock import Clock, SystemClock
from holdfast.kit.seal import Secret

Body = Mapping[str, object]
Params = Mapping[str, str | int]

PAGE = 100
_MAX_ATTEMPTS = 4
_PAUSE_SECONDS = 0.5
_REPEATABLE_SECONDS = 8.0  # below the ten in which the server recognises a repeated POST
_REPEATABLE_LATE = frozenset({"GET", "DELETE", "PUT", "PATCH"})


@dataclass(frozen=True)
class Link:
    """Clock, pauses, timeout and transport of requests; the defaults are right outside of tests."""

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
    """Returns `https://db.example.com` for `db.example.com/`; a base path is kept."""
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
    """Returns `/v1/projects/a%2Fb` for `("projects", "a/b")`; refuses empty and dot segments."""
    for segment in segments:
        if segment in ("", ".", ".."):
            raise local_refusal(f"{segment!r} is not an identifier")
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)


@dataclass(frozen=True)
class Request:
    """A request. `body` is sent as JSON, `content` as it is. `seconds`: how long the answer may
    take; None: as long as any. `key` tells a repetition of this request from another that asks for
    the same once more."""

    method: str
    path: str
    params: Params | None = None
    body: Body | None = None
    content: bytes | None = None
    seconds: float | None = None
    key: str = field(default_factory=ids.hex24, compare=False)


class Address:
    """A server and a token; makes requests of the HTTP library."""

    def __init__(self, host: str, token: Secret | None, link: Link) -> None:
        self.host = normalise_host(host)
        self.token = token
        self.link = link
        self.timeout = httpx.Timeout(link.timeout, connect=10.0)

    def built(self, request: Request) -> httpx.Request:
        kind = "application/json" if request.content is None else "application/octet-stream"
        timeout = self.timeout.as_dict()
        if request.seconds is not None:
            timeout["read"] = request.seconds
        key = {"Idempotency-Key": request.key} if request.method == "POST" else {}
        return httpx.Request(
            request.method,
            f"{self.host}{request.path}",
            params=request.params,
            json=request.body,
            content=request.content,
            headers={**_headers(), "Content-Type": kind, **key, **self._authorization()},
            extensions={"timeout": timeout},
        )

    def download(self, url: str, *, with_token: bool) -> httpx.Request:
        """Makes the request for a download; a signed link needs no token, so none is sent."""
        return httpx.Request(
            "GET",
            httpx.URL(self.host + "/").join(url),
            headers={
                **_headers(),
                "Accept-Encoding": "identity",
                **(self._authorization() if with_token else {}),
            },
            extensions={"timeout": self.timeout.as_dict()},
        )

    def _authorization(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token.reveal()}"}

    def tail_url(self, path: str, params: Params) -> str:
        """Returns the address of a WebSocket on the same server."""
        url = httpx.URL(f"{self.host}{path}", params=params)
        return str(url.copy_with(scheme="wss" if url.scheme == "https" else "ws"))


def _headers() -> dict[str, str]:
    return {"User-Agent": user_agent(), "Accept": "application/json"}


class Pager:
    """Asks for page after page. `key` names the list in the data; None: the data is the list.

    The end is an absent cursor, whatever `hasNextPage` says.
    """

    def __init__(self, path: str, key: str | None, params: Params | None) -> None:
        self._path, self._key = path, key
        self._params: dict[str, str | int] = {"per_page": PAGE, **(params or {})}
        self._cursors: set[str] = set()
        self.more = True

    @property
    def request(self) -> Request:
        return Request("GET", self._path, dict(self._params))

    def take(self, page: Envelope) -> list[object]:
        self.more = bool(page.cursor)
        if page.cursor:
            if page.cursor in self._cursors:
                problem = f"the pages of {self._path} never end: a cursor came back"
                raise ServerFault(Answer(200, problem))
            self._cursors.add(page.cursor)
            self._params["cursor"] = page.cursor
        items = page.data
        if self._key is not None and isinstance(items, dict):
            items = cast("dict[str, object]", items).get(self._key)
        if not isinstance(items, list):
            problem = f"the answer holds no list of {self._key or 'items'}"
            raise ServerFault(Answer(200, problem))
        return cast("list[object]", items)


class Transport(Address):
    """Sends requests and waits for the answers."""

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
        retries = Retries(request, self.link.clock)
        while True:
            try:
                return self._http.send(request, stream=stream)
            except httpx.TransportError as error:
                self.link.pause(retries.pause_after(error))


class Retries:
    """Decides after each broken connection whether the request is sent again."""

    def __init__(self, request: httpx.Request, clock: Clock) -> None:
        self._request, self._clock = request, clock
        self._attempts = 0
        self._began = clock.monotonic()

    def pause_after(self, error: httpx.TransportError) -> float:
        """Returns seconds until the next attempt. Raises Unreachable when there is none."""
        self._attempts += 1
        waited = self._clock.monotonic() - self._began
        never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        harmless = never_sent or self._request.method in _REPEATABLE_LATE
        repeatable = harmless or waited < _REPEATABLE_SECONDS
        if self._attempts == _MAX_ATTEMPTS or not repeatable:
            raise unreachable(self._request, error) from error
        self._began = self._clock.monotonic() + _PAUSE_SECONDS
        return _PAUSE_SECONDS


def unreachable(request: httpx.Request, error: httpx.TransportError) -> Unreachable:
    address = f"{request.url.scheme}://{request.url.netloc.decode()}"
    reason = str(error) or type(error).__name__
    return Unreachable(Answer(0, f"{address} cannot be reached: {reason}"))


@contextlib.contextmanager
def connection_errors(request: httpx.Request) -> Generator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise unreachable(request, error) from error


def opened(response: httpx.Response) -> Envelope:
    """Returns `data` and the cursor of an answer, or raises the error in it."""
    try:
        parsed: object = response.json()
    except ValueError as problem:
        raise _not_ours(response) from problem
    document = cast("dict[str, object]", parsed) if isinstance(parsed, dict) else None
    if document is None:
        raise _not_ours(response)
    if not response.is_success or "error" in document:  # one that came after its answer had begun
        value = document.get("error")
        error = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        details = error.get("details")
        retry_after = response.headers.get("retry-after")
        late = error.get("status") if response.is_success else None
        answer = Answer(
            late if isinstance(late, int) else response.status_code,
            str(error.get("message") or f"HTTP {response.status_code} {response.reason_phrase}"),
            str(error["id"]) if error.get("id") else None,
            cast("dict[str, object]", details) if isinstance(details, dict) else {},
            float(retry_after) if retry_after and retry_after.isdecimal() else None,
        )
        raise error_for(answer)
    pagination = document.get("pagination")
    cursor = (
        cast("dict[str, object]", pagination).get("cursor")
        if isinstance(pagination, dict)
        else None
    )
    return Envelope(document.get("data", {}), str(cursor) if cursor else None)


def not_started(response: httpx.Response) -> Exception:
    """Returns the error for an answer (read already) that should have been a file."""
    try:
        opened(response)
    except ApiError as error:
        return error
    return ServerFault(Answer(response.status_code, "the download did not start"))


def _not_ours(response: httpx.Response) -> Exception:
    if response.is_redirect:
        location = response.headers.get("location", "elsewhere")
        message = f"the server sends us to {location}: use that as the host"
    else:
        message = (
            f"the answer (HTTP {response.status_code}) is not JSON: is this a Holdfast server?"
        )
    return ServerFault(Answer(response.status_code, message))
