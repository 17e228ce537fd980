"""Signing in with a password, with a code, or with an API token; and signing out."""

from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from holdfast.catalog.access import users, web_sessions
from holdfast.catalog.schema import User
from holdfast.domain.access import Caller
from holdfast.domain.errors import Failure, Refused, Temporary, Unauthenticated
from holdfast.http.arrival import address_of
from holdfast.http.limits.throttle import digest_of
from holdfast.http.state import of
from holdfast.http.writing import Writer
from holdfast.kit.seal import Secret
from holdfast.usecases.access import second_factors, sessions
from holdfast.usecases.context import Context
from holdfast.web.session import (
    Posting,
    clear_cookie,
    cookie_in,
    read_form,
    require_private,
    require_same_origin,
    viewer_of,
)
from holdfast.web.sign_in import passkeys
from holdfast.web.sign_in.entering import Entry, enter, show_door, show_onward
from holdfast.web.sign_in.going_on import GoingOn, safe_path
from holdfast.web.sign_in.parts import parts_of

router = APIRouter()

_WRONG = "The name and the password do not fit together."
_CODE_MS = 5 * 60_000
"""For how long a password that was right waits for its code."""


@dataclass(frozen=True)
class _Candidate:
    """The user of a name, if there is one, and whether this browser is one of theirs."""

    user: User | None
    caller: Caller | None
    device: str | None


@router.get("/signin")
async def sign_in_page(request: Request) -> Response:
    query = request.query_params
    viewer = await viewer_of(request)
    going_on = GoingOn(safe_path(query.get("next", "/")))  # a form comes from our page alone
    if viewer is not None and not query.get("again"):
        return RedirectResponse(going_on.path, 303)
    return show_sign_in(request, going_on, again=viewer is not None)


def show_sign_in(
    request: Request,
    going_on: GoingOn,
    problem: str = "",
    status: int = 200,
    name: str = "",
    *,
    again: bool = False,
) -> Response:
    """The sign-in page. `again`: the viewer is signed in, and shows once more who they are."""
    parts = parts_of(request)
    title = "Confirm that it is you" if again else "Sign in"
    return show_door(
        request,
        "access/sign_in.html",
        title,
        status,
        going_on=going_on,
        problem=problem,
        name=name,
        again=again,
        single=parts.single,
        passkey=passkeys.request_options(request),
    )


@router.post("/signin")
async def sign_in(request: Request) -> Response:
    """Takes name and password, and a code if it came along."""
    form = await read_door_form(request)
    going_on = GoingOn.of_form(form)
    name, code = str(form.get("name", "")).strip(), str(form.get("code", "")).strip()
    password = Secret(str(form.get("password", "")))
    refuse = partial(show_sign_in, request, going_on, name=name)
    if refusal := refuse_if_single_only(request, going_on, name):
        return refusal
    parts, address = parts_of(request), address_of(request)
    try:
        candidate = await _find(request, name)
        device = candidate.device
        trusted = device is not None and parts.attempts.is_trusted(device)
        hurried = trusted or await _is_code_right(request, candidate.user, code)
        await parts.attempts.admit(name, address, hurried=hurried)
        stored = candidate.user.password_hash if candidate.user is not None else None
        fits = await of(request).hasher.verify(stored, password)
    except (Refused, Temporary) as error:
        return refuse(sentence(error), getattr(error, "status", 503))
    if not fits or candidate.user is None or candidate.caller is None:
        parts.attempts.failed(name, address, device if trusted else None)
        return refuse(_WRONG, 401)
    if candidate.user.sealed_totp is None:
        parts.attempts.succeeded(name)
        return await enter(request, Entry(candidate.caller, candidate.user, "password"), going_on)
    if code:
        return await _enter_with_code(request, candidate.user, candidate.caller, code, going_on)
    return _ask_code(request, candidate.user, going_on)


async def _is_code_right(request: Request, user: User | None, code: str) -> bool:
    """Whether the code would be accepted now. Who has one is not guessing, and does not wait."""
    api = of(request)
    if user is None or user.sealed_totp is None or not code:
        return False

    def check() -> bool:
        with api.catalog.read() as session:
            return second_factors.is_right(
                session, api.services.sealer, user, code, api.clock.now()
            )

    return await api.turns.run(check)


def _ask_code(request: Request, user: User, going_on: GoingOn, problem: str = "") -> Response:
    """The page for the code. What it brings back says that the password was right just now."""
    expires = of(request).clock.now() + _CODE_MS
    signature = parts_of(request).signer.sign(_right_password(user), expires)
    return show_door(
        request,
        "access/code.html",
        "One more thing",
        401 if problem else 200,
        going_on=going_on,
        problem=problem,
        pending=f"{user.id}.{expires}.{signature}",
    )


def _right_password(user: User) -> str:
    return f"right password|{user.id}|{user.password_set}"


@router.post("/signin/code")
async def sign_in_with_code(request: Request) -> Response:
    """Takes the code of a user whose password was right a moment ago."""
    form = await read_door_form(request)
    going_on = GoingOn.of_form(form)
    user_id, _, signed = str(form.get("pending", "")).partition(".")
    expires, _, signature = signed.partition(".")
    now = of(request).clock.now()

    def find() -> tuple[User, Caller] | None:
        with of(request).catalog.read() as session:
            user = users.of_id(session, user_id)
            caller = users.caller_of(session, user, now) if user is not None else None
            return (user, caller) if user is not None and caller is not None else None

    found = await of(request).turns.run(find)
    until = int(expires) if expires.isascii() and expires.isdigit() else 0
    signer = parts_of(request).signer
    if found is None or not signer.valid(_right_password(found[0]), until, signature, now):
        return show_sign_in(request, going_on, "That took too long: please begin again.", 401)
    return await _enter_with_code(request, *found, str(form.get("code", "")), going_on)


async def _enter_with_code(
    request: Request, user: User, caller: Caller, code: str, going_on: GoingOn
) -> Response:
    parts, address, key = parts_of(request), address_of(request), f"code|{user.id}"

    def accept(context: Context) -> str | None:
        row = users.of_pk(context.session, user.pk)
        return second_factors.accept_code(context, row, code) if row is not None else None

    try:
        await parts.attempts.admit(key, address, hurried=False)
        method = await run_in_threadpool(Writer(of(request), request).run, caller, accept)
    except (Refused, Temporary) as error:
        return _ask_code(request, user, going_on, sentence(error))
    if method is None:
        parts.attempts.failed(key, address, None)
        problem = "That code is wrong, or was used already. Codes change every 30 seconds."
        return _ask_code(request, user, going_on, problem)
    parts.attempts.succeeded(key)
    parts.attempts.succeeded(user.name)
    return await enter(request, Entry(caller, user, f"password, {method}"), going_on)


@router.post("/signin/token")
async def sign_in_with_token(request: Request) -> Response:
    """Exchanges an API token for a session with its rights, which ends with the token."""
    form = await read_door_form(request)
    going_on, api, address = GoingOn.of_form(form), of(request), address_of(request)
    token = Secret(str(form.get("token", "")).strip())
    if refusal := refuse_if_single_only(request, going_on):
        return refusal
    try:
        api.throttle.check_guesses(address)
        caller = await api.callers.of(token)
    except Unauthenticated as error:
        api.throttle.wrong(digest_of(token.reveal()), address)
        return show_sign_in(request, going_on, sentence(error), 401)
    except Refused as error:
        return show_sign_in(request, going_on, sentence(error), error.status)
    return await enter(request, Entry(caller, None, "token"), going_on)


@router.post("/signout")
async def sign_out(request: Request, posted: Posting) -> Response:
    """Ends the session here, and at the single sign-on provider if it began there."""
    cookie = cookie_in(request.scope) or ""

    def end(context: Context) -> Secret | None:
        row = web_sessions.of_digest(context.session, web_sessions.digest(Secret(cookie)))
        if row is None:
            return None
        id_token = sessions.id_token_of(context, row)
        sessions.end(context, row)
        return id_token

    writer = Writer(of(request), request)
    id_token = await run_in_threadpool(writer.run, posted.viewer.caller, end)
    single, url = parts_of(request).single, None
    if id_token is not None and single is not None:
        back = f"{base_url(request)}/signin"
        try:
            url = await run_in_threadpool(single.provider.end_session_url, id_token, back)
        except Temporary:
            url = None  # it is over here; the provider may keep its own
    response: Response = RedirectResponse("/signin", 303)
    if url is not None:
        response = show_onward(request, url, "Signing out")
    clear_cookie(request, response)
    return response


def base_url(request: Request) -> str:
    """How browsers reach us, for links that others follow."""
    return of(request).public_url or f"{request.url.scheme}://{request.url.netloc}"


async def read_door_form(request: Request) -> FormData:
    """The form of a browser without a session, so without a CSRF token: its own word counts."""
    require_same_origin(request)
    require_private(request)
    return await read_form(request)


def only_single(request: Request) -> str:
    """The name of the provider, if there is no other way in."""
    single = parts_of(request).single
    return single.title if single is not None and single.alone else ""


def refuse_if_single_only(request: Request, going_on: GoingOn, name: str = "") -> Response | None:
    """The sign-in page again where single sign-on is the only way in; None where it is not."""
    title = only_single(request)
    if not title:
        return None
    return show_sign_in(request, going_on, f"Sign in with {title}.", 403, name)


async def _find(request: Request, name: str) -> _Candidate:
    """Looks the name up, in the same way whether there is such a user or not."""
    api = of(request)
    now = api.clock.now()

    def read() -> tuple[User | None, Caller | None]:
        with api.catalog.read() as session:
            user = users.of_name(session, name)
            return user, users.caller_of(session, user, now) if user is not None else None

    user, caller = await api.turns.run(read)
    device = parts_of(request).devices.device_of(request, user, now) if user is not None else None
    return _Candidate(user, caller, device)


def sentence(error: Failure) -> str:
    """The failure as pages show it."""
    return f"{error.message[:1].upper()}{error.message[1:]}."
