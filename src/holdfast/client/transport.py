"""One request and its answer: address, token, retries, envelopes, pages.

What is retried, and why that is safe: only a broken connection, three times, half a second
apart, as other clients of this API do. The server answers an identical request of the same
token within ten seconds with the first result, so a POST whose answer got lost is not executed
twice; one that was lost later than that is reported instead. An answer, whatever its status, is
never retried.
"""

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import metadata
from typing import cast
from urllib.parse import quote

import httpx

from holdfast.client.errors import Answer, ServerFault, Unreachable, error_for, local_refusal
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


class Transport:
    def __init__(self, host: str, token: Secret | None, link: Link) -> None:
        self.host = normalise_host(host)
        self.token = token
        self.link = link
        self._http = httpx.Client(
            timeout=httpx.Timeout(link.timeout, connect=10.0),
            headers={"User-Agent": user_agent(), "Accept": "application/json"},
            transport=link.transport,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Params | None = None) -> object:
        return self.call("GET", path, params=params).data

    def post(self, path: str, body: Body | None = None, params: Params | None = None) -> object:
        return self.call("POST", path, params=params, body=body).data

    def patch(self, path: str, body: Body) -> object:
        return self.call("PATCH", path, body=body).data

    def put(self, path: str, content: bytes, params: Params | None = None) -> object:
        """Bytes as they are. The same bytes at the same place may be sent again."""
        headers = {"Content-Type": "application/octet-stream", **self._rights()}
        request = self._http.build_request(
            "PUT", f"{self.host}{path}", params=params, content=content, headers=headers
        )
        return _opened(self._sent(request)).data

    def delete(self, path: str, params: Params | None = None) -> None:
        self.call("DELETE", path, params=params)

    def call(
        self, method: str, path: str, *, params: Params | None = None, body: Body | None = None
    ) -> Envelope:
        headers = {"Content-Type": "application/json", **self._rights()}
        request = self._http.build_request(
            method, f"{self.host}{path}", params=params, json=body, headers=headers
        )
        return _opened(self._sent(request))

    def _rights(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token.reveal()}"}

    def items(self, path: str, key: str | None, params: Params | None = None) -> Iterator[object]:
        """Every item of a list, page after page. `key` None: the list has no container.

        The end is an absent cursor, whatever `hasNextPage` says.
        """
        asked: dict[str, str | int] = {"per_page": PAGE, **(params or {})}
        seen: set[str] = set()
        while True:
            page = self.call("GET", path, params=asked)
            yield from _listed(page.data, key)
            if not page.cursor:
                return
            if page.cursor in seen:
                raise ServerFault(Answer(200, f"the pages of {path} never end: a cursor came back"))
            seen.add(page.cursor)
            asked["cursor"] = page.cursor

    def tail_url(self, path: str, params: Params) -> str:
        """The same address, spoken to over a WebSocket."""
        url = httpx.URL(f"{self.host}{path}", params=params)
        return str(url.copy_with(scheme="wss" if url.scheme == "https" else "ws"))

    @contextlib.contextmanager
    def streamed(self, url: str, *, with_token: bool = False) -> Generator[httpx.Response]:
        """A download. A link carries its own right, so our token does not travel with it."""
        target = httpx.URL(self.host + "/").join(url)
        headers = {"Accept-Encoding": "identity", **(self._rights() if with_token else {})}
        request = self._http.build_request("GET", target, headers=headers)
        response = self._sent(request, stream=True)
        try:
            if response.status_code != HTTPStatus.OK:
                response.read()
                _opened(response)
                raise ServerFault(Answer(response.status_code, "the download did not start"))
            with _connection_errors(request):
                yield response
        finally:
            response.close()

    def _sent(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        for attempt in range(1, _ATTEMPTS + 1):
            began = self.link.clock.monotonic()
            try:
                return self._http.send(request, stream=stream)
            except httpx.TransportError as error:
                waited = self.link.clock.monotonic() - began
                if attempt == _ATTEMPTS or not _repeatable(request, error, waited):
                    raise _unreachable(request, error) from error
            self.link.pause(_APART)
        raise AssertionError("the last attempt returns or raises")


def _repeatable(request: httpx.Request, error: httpx.TransportError, waited: float) -> bool:
    never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return never_sent or request.method in _REPEATABLE_LATE or waited < _REPEATABLE_SECONDS


def _unreachable(request: httpx.Request, error: httpx.TransportError) -> Unreachable:
    where = f"{request.url.scheme}://{request.url.netloc.decode()}"
    what = str(error) or type(error).__name__
    return Unreachable(Answer(0, f"{where} cannot be reached: {what}"))


@contextlib.contextmanager
def _connection_errors(request: httpx.Request) -> Generator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise _unreachable(request, error) from error


def _opened(response: httpx.Response) -> Envelope:
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
