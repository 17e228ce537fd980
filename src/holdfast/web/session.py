"""Who looks at a page: the cookie, the session behind it, and the check of everything posted.

A cookie alone only reads. Whatever changes something also needs the session's CSRF token, and a
browser's word that the request came from a page of ours.
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Scope

from holdfast.catalog.access import web_sessions
from holdfast.catalog.access.web_sessions import Sitting
from holdfast.catalog.database.session import Catalog
from holdfast.domain.access import Caller
from holdfast.domain.errors import Forbidden, Invalid, TooLarge, Unauthenticated
from holdfast.domain.sign_in.sessions import LONGEST_MS
from holdfast.http.edition_cache import EditionCache
from holdfast.http.limits.rates import AUTHENTICATED
from holdfast.http.limits.turns import Turns
from holdfast.http.state import State, of
from holdfast.kit.clock import Clock
from holdfast.kit.seal import Secret

TLS_COOKIE = "__Host-holdfast"
LOCAL_COOKIE = "holdfast"
"""Over plain http, on loopback only: the browser does not take the other one there."""
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
EVENT_STREAM = "text/event-stream"
MAX_FORM_BYTES = 1 << 20
MAX_FIELDS = 2000
_SECRET_FIELDS = frozenset({CSRF_FIELD, "password", "token", "code", "secret", "uri"})
_SECRET_ENDINGS = ("password", "secret", "token", "passphrase", "key", "uri", "connectionstring")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Viewer:
    """The signed-in caller. `fresh`: they showed who they are within the last ten minutes."""

    caller: Caller
    session_id: str
    csrf: str
    fresh: bool
    user_pk: int | None = None
    """None for a session that an API token opened."""


@dataclass(frozen=True)
class Posted:
    viewer: Viewer
    form: FormData


class SignInNeeded(Unauthenticated):
    """Please sign in."""

    code = "sign-in-needed"

    def __init__(self, path: str, form: FormData | None = None) -> None:
        """`path` is the page to go on with, `form` what was about to be sent to it."""
        super().__init__()
        self.path = path
        self.fields = carried_fields(form) if form is not None else None
        self.secrets = secret_fields(form) if form is not None else []


class FreshSignInNeeded(SignInNeeded):
    """Please confirm that it is you."""

    code = "fresh-sign-in-needed"


def is_encrypted(connection: HTTPConnection) -> bool:
    return connection.url.scheme in ("https", "wss")


def is_loopback(connection: HTTPConnection) -> bool:
    """Whether the browser thinks that it talks to its own machine, through a tunnel or not."""
    return (connection.url.hostname or "") in _LOOPBACK


def cookie_in(scope: Scope) -> str | None:
    """The session's cookie, under the name that fits the connection."""
    connection = HTTPConnection(scope)
    if is_encrypted(connection):
        return connection.cookies.get(TLS_COOKIE)
    return connection.cookies.get(LOCAL_COOKIE) if is_loopback(connection) else None


def credential_in(scope: Scope) -> str | None:
    """The digest of the cookie, by which requests are counted."""
    cookie = cookie_in(scope)
    return web_sessions.digest(Secret(cookie)) if cookie else None


def set_cookie(request: Request, response: Response, cookie: Secret) -> None:
    """Gives the browser its session. Raises Invalid where others could read it on the way."""
    require_private(request)
    response.set_cookie(
        TLS_COOKIE if is_encrypted(request) else LOCAL_COOKIE,
        cookie.reveal(),
        max_age=LONGEST_MS // 1000,
        path="/",
        secure=is_encrypted(request),
        httponly=True,
        samesite="strict",
    )


def clear_cookie(request: Request, response: Response) -> None:
    name = TLS_COOKIE if is_encrypted(request) else LOCAL_COOKIE
    secure = is_encrypted(request)
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")


def require_private(request: Request) -> None:
    """Raises Invalid for plain http from elsewhere than this machine."""
    if not is_encrypted(request) and not is_loopback(request):
        raise Invalid(
            "signing in needs https: set HOLDFAST_TLS_CERTIFICATE and HOLDFAST_TLS_KEY, or name the"
            " proxy in HOLDFAST_TRUSTED_PROXIES"
        )


def csrf_of(cookie: str) -> str:
    """The token that proves that a form was made for this session."""
    return hashlib.sha256(f"csrf|{cookie}".encode()).hexdigest()


class Sessions:
    """Sessions by cookie. For the event loop's thread."""

    def __init__(self, catalog: Catalog, clock: Clock, turns: Turns) -> None:
        def is_valid(sitting: Sitting | None, now: int) -> bool:
            lifetime = sitting.lifetime if sitting else None
            return lifetime is not None and not lifetime.is_over(now) and not lifetime.is_stale(now)

        self._catalog = catalog
        self._cache = EditionCache(catalog, clock, turns, is_valid)

    async def of(self, cookie: str, *, is_used: bool = True) -> Sitting | None:
        """The session. `is_used`: by its user, so that it goes on; a page that is merely open asks
        without."""
        digest = web_sessions.digest(Secret(cookie))
        return await self._cache.get(digest, partial(self._look_up, digest, is_used=is_used))

    def _look_up(self, digest: str, now: int, *, is_used: bool) -> Sitting | None:
        with self._catalog.read() as session:
            sitting = web_sessions.sitting(session, digest, now)
        if is_used and sitting is not None and sitting.lifetime.is_stale(now):
            with self._catalog.write() as session:
                web_sessions.record_sight(session, sitting, now)
        return sitting


def sessions_of(request: Request) -> Sessions:
    """The sessions of this process, made at the first request."""
    state = request.app.state
    if not hasattr(state, "sessions"):
        api = of(request)
        state.sessions = Sessions(api.catalog, api.clock, api.turns)
    sessions: Sessions = state.sessions
    return sessions


def is_used(request: Request) -> bool:
    """Whether a person asks. An open page asks by itself, for news and for its parts that changed:
    that keeps no session, or one that is left alone would never end."""
    by_itself = "hx-request" in request.headers or request.headers.get("accept") == EVENT_STREAM
    return request.method != "GET" or not by_itself


async def viewer_of(request: Request) -> Viewer | None:
    """The viewer, or None without a valid session."""
    cookie = cookie_in(request.scope)
    sitting = await sessions_of(request).of(cookie, is_used=is_used(request)) if cookie else None
    if cookie is None or sitting is None:
        return None
    request.scope["state"][AUTHENTICATED] = True
    return Viewer(
        sitting.caller,
        sitting.id,
        csrf_of(cookie),
        sitting.lifetime.is_fresh(of(request).clock.now()),
        sitting.user_pk,
    )


async def require_viewer(request: Request) -> Viewer:
    viewer = await viewer_of(request)
    if viewer is None:
        raise SignInNeeded(path_of(request))
    return viewer


Viewing = Annotated[Viewer, Depends(require_viewer)]


def path_of(request: Request) -> str:
    """The page to go on with after signing in: path and query."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


async def read_form(request: Request) -> FormData:
    """Reads an ordinary form; files are uploaded by routes of their own."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in ("application/x-www-form-urlencoded", ""):
        raise Invalid("a form is application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise TooLarge(f"a form has at most {MAX_FORM_BYTES >> 10} KiB")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Invalid("the form is not well-formed") from error
    texts: list[tuple[str, str | UploadFile]] = [*fields]
    return FormData(texts)


def require_same_origin(request: Request) -> None:
    """Raises Forbidden unless the browser says that a page of ours sent the request."""
    site = request.headers.get("sec-fetch-site")
    if site is None:
        origin = urlsplit(request.headers.get("origin", ""))
        ours = (request.url.scheme, request.url.netloc)
        if (origin.scheme, origin.netloc) == ours:
            return
    elif site == "same-origin":
        return
    raise Forbidden("this did not come from a page of this dashboard")


def require_csrf(viewer: Viewer, headers: Headers, form: FormData | None = None) -> None:
    """Raises Forbidden without the session's CSRF token, in the header or the form."""
    value = headers.get(CSRF_HEADER) or str(form.get(CSRF_FIELD, "") if form is not None else "")
    if Secret(value) != Secret(viewer.csrf):
        raise Forbidden("the form is too old or from elsewhere: go back, reload it and try again")


async def require_posted(request: Request, _: State) -> Posted:
    """Checks where a form came from, and that it was made for this session."""
    require_same_origin(request)
    form = await read_form(request)
    viewer = await viewer_of(request)
    if viewer is None:
        raise SignInNeeded(path_of(request), form)
    require_csrf(viewer, request.headers, form)
    return Posted(viewer, form)


Posting = Annotated[Posted, Depends(require_posted)]


def require_fresh(request: Request, viewer: Viewer, form: FormData | None = None) -> None:
    """Raises FreshSignInNeeded for one who signed in longer ago than ten minutes."""
    if not viewer.fresh:
        raise FreshSignInNeeded(path_of(request), form)


def carried_fields(form: FormData) -> list[tuple[str, str]]:
    """The fields that outlive a new sign-in: all but secrets."""
    return [
        (name, value)
        for name, value in form.multi_items()
        if isinstance(value, str) and not is_secret(name)
    ]


def secret_fields(form: FormData) -> list[str]:
    """The names of fields that have to be typed again."""
    return [name for name in form if is_secret(name) and name != CSRF_FIELD]


def is_secret(name: str) -> bool:
    return name in _SECRET_FIELDS or name.lower().endswith(_SECRET_ENDINGS)
