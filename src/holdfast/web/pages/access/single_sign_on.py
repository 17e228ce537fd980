"""Signing in at a single sign-on provider, and coming back.

What the browser has to bring back is in a cookie of its own, for ten minutes and for the callback
alone. It is Lax, because the provider's redirect comes from another site.
"""

import json
from functools import partial

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from holdfast.catalog.access import users
from holdfast.catalog.schema import User
from holdfast.domain.access import Caller
from holdfast.domain.errors import Failure, NotFound, SealBroken, Unauthenticated
from holdfast.domain.sign_in.groups import grant_of
from holdfast.domain.sign_in.sessions import FRESH_MS
from holdfast.http.arrival import address_of
from holdfast.http.state import of
from holdfast.http.writing import Writer
from holdfast.kit.seal import Secret
from holdfast.kit.sign_in.oidc import LEEWAY_SECONDS, Handshake, Identity
from holdfast.usecases.access import single_sign_on as verbs
from holdfast.usecases.access.single_sign_on import Introduction
from holdfast.usecases.context import Context
from holdfast.web.pages.access.sign_in import base_url, read_door_form, sentence, show_sign_in
from holdfast.web.session import is_encrypted
from holdfast.web.sign_in.entering import Entry, enter, show_onward
from holdfast.web.sign_in.going_on import GoingOn
from holdfast.web.sign_in.parts import SingleSignOn, parts_of

router = APIRouter()

_PATH = "/signin/callback"
_SECONDS = 600
_SEAL = "single sign-on"
_NEWCOMER = Caller("single-sign-on", "single sign-on", "", frozenset(), None)
"""Who makes a user that signs in for the first time, as the audit log names it."""


@router.post("/signin/single")
async def begin(request: Request) -> Response:
    """Leads to the provider, by a page: a form may not be answered by another site's address."""
    form = await read_door_form(request)
    going_on, single, handshake = GoingOn.of_form(form), _single(request), Handshake()
    again = bool(form.get("again"))
    newer = FRESH_MS // 1000 if again else None
    try:
        url = await run_in_threadpool(
            single.provider.authorization_url, handshake, f"{base_url(request)}{_PATH}", newer
        )
    except Failure as error:
        return show_sign_in(request, going_on, sentence(error), 503, again=again)
    document = {
        "state": handshake.state,
        "nonce": handshake.nonce,
        "verifier": handshake.verifier,
        "until": of(request).clock.now() + _SECONDS * 1000,
        "again": again,
        "stash": parts_of(request).stash.put(going_on),
        "path": going_on.path,
    }
    response = show_onward(request, url, f"To {single.title}")
    sealed = of(request).services.sealer.seal(Secret(json.dumps(document)), _SEAL)
    response.set_cookie(
        _cookie(request),
        sealed,
        max_age=_SECONDS,
        path=_PATH,
        secure=is_encrypted(request),
        httponly=True,
        samesite="lax",
    )
    return response


@router.get(_PATH)
async def come_back(request: Request) -> Response:
    """Takes the provider's answer, makes or updates the user, and opens the session."""
    single = _single(request)
    going_on, entry, problem = GoingOn(), None, ""
    try:
        document = _memory(request)
        going_on = parts_of(request).stash.take(str(document["stash"]))
        going_on = going_on if going_on.path != "/" else GoingOn(str(document["path"]))
        identity = await _identify(request, single, document)
        entry = await _admit(request, single, identity)
    except Failure as error:
        problem = sentence(error)
        if isinstance(error, Unauthenticated):  # not when the provider is away
            of(request).throttle.wrong("single sign-on", address_of(request))
    if entry is None:
        response = show_sign_in(request, going_on, problem, 401)
    else:
        response = await enter(request, entry, going_on, onward=True)
    response.delete_cookie(
        _cookie(request), path=_PATH, secure=is_encrypted(request), httponly=True, samesite="lax"
    )
    return response


async def _identify(
    request: Request, single: SingleSignOn, document: dict[str, object]
) -> Identity:
    """Checks that this browser began the sign-in, and asks the provider who it is."""
    of(request).throttle.check_guesses(address_of(request))
    query = request.query_params
    if Secret(query.get("state", "")) != Secret(str(document["state"])):
        raise Unauthenticated("this answer is to another sign-in; please begin again")
    if query.get("error"):
        reason = query.get("error_description") or query["error"]
        raise Unauthenticated(f"{single.title} refused: {reason[:200]}")
    if query.get("iss", single.provider.issuer).rstrip("/") != single.provider.issuer:
        raise Unauthenticated("the answer is from another provider")
    handshake = Handshake(*(str(document[name]) for name in ("state", "nonce", "verifier")))
    redirect_uri = f"{base_url(request)}{_PATH}"
    code = query.get("code", "")
    identity = await run_in_threadpool(single.provider.identify, code, handshake, redirect_uri)
    if document["again"]:
        _require_new(request, identity)
    return identity


def _require_new(request: Request, identity: Identity) -> None:
    """Raises Unauthenticated when the user did not show the provider anew who they are."""
    at, now = identity.claims.get("auth_time"), of(request).clock.now() // 1000
    oldest = now - FRESH_MS // 1000 - LEEWAY_SECONDS
    if not isinstance(at, int | float) or at < oldest:
        raise Unauthenticated("the provider did not ask you again who you are")


async def _admit(request: Request, single: SingleSignOn, identity: Identity) -> Entry:
    grant = grant_of(single.grants, identity.texts(single.groups_claim))
    if grant is None:
        raise Unauthenticated(f"none of your groups at {single.title} may sign in here")
    claims = (single.name_claim, "email", "name", "sub")
    names = [name for claim in claims for name in identity.texts(claim)]
    introduction = Introduction(single.provider.issuer, identity.subject, names)
    writer = Writer(of(request), request)

    def admit(context: Context) -> tuple[User, Caller | None]:
        user = verbs.admit(context, introduction, grant)
        return user, users.caller_of(context.session, user, context.now)

    user, caller = await run_in_threadpool(partial(writer.run, _NEWCOMER, admit))
    if caller is None:
        raise Unauthenticated("this user may not sign in here")
    return Entry(caller, user, "single sign-on", identity.id_token)


def _memory(request: Request) -> dict[str, object]:
    """What was remembered when the sign-in began. Raises Unauthenticated."""
    sealed = request.cookies.get(_cookie(request), "")
    try:
        text = of(request).services.sealer.open(sealed, _SEAL)
    except SealBroken as error:
        raise Unauthenticated("this sign-in did not begin in this browser") from error
    document: dict[str, object] = json.loads(text.reveal())
    if int(str(document["until"])) < of(request).clock.now():
        raise Unauthenticated("that took too long; please begin again")
    return document


def _cookie(request: Request) -> str:
    return "__Secure-holdfast-single" if is_encrypted(request) else "holdfast-single"


def _single(request: Request) -> SingleSignOn:
    single = parts_of(request).single
    if single is None:
        raise NotFound("there is no single sign-on here")
    return single
