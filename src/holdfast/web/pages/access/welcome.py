"""Choosing a password by a link that an owner, or the operator, made."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from holdfast.catalog.access import users
from holdfast.catalog.schema import User
from holdfast.domain.access import Caller
from holdfast.domain.errors import Forbidden, Invalid, Refused, Unauthenticated
from holdfast.http.arrival import address_of
from holdfast.http.limits.throttle import digest_of
from holdfast.http.state import of
from holdfast.http.writing import Writer
from holdfast.kit.seal import Secret
from holdfast.usecases.access import users as verbs
from holdfast.usecases.context import Context
from holdfast.web.pages.access.sign_in import only_single
from holdfast.web.session import read_form, require_private, require_same_origin
from holdfast.web.sign_in.entering import Entry, enter, show_door
from holdfast.web.sign_in.going_on import GoingOn

router = APIRouter()

_USED = "This link was used already, or is too old. Ask for another one."


@router.get("/welcome")
async def welcome(request: Request) -> Response:
    _require_allowed(request)
    key = Secret(request.query_params.get("key", ""))
    user, _ = await _user_of(request, key)
    return _show(request, key, user)


@router.post("/welcome")
async def choose_password(request: Request) -> Response:
    """Sets the password and signs the user in. A second factor is asked for at the next time."""
    require_same_origin(request)
    require_private(request)
    form = await read_form(request)
    _require_allowed(request)
    key, password = Secret(str(form.get("key", ""))), Secret(str(form.get("password", "")))
    user, caller = await _user_of(request, key)
    if user is None or caller is None:
        return _show(request, key, None)
    try:
        if password != Secret(str(form.get("repeated", ""))):
            raise Invalid("the two are not the same")
        verbs.require_good(password, user.name)
    except Invalid as error:
        return _show(request, key, user, f"{error.message[:1].upper()}{error.message[1:]}.")
    hashed = await run_in_threadpool(of(request).hasher.hash, password)

    def choose(context: Context) -> None:
        row = users.of_link(context.session, verbs.digest_of_link(key), context.now)
        if row is None:
            raise Unauthenticated(_USED)
        verbs.set_password(context, row, hashed)

    await run_in_threadpool(Writer(of(request), request).run, caller, choose)
    if user.sealed_totp is not None:
        return show_door(request, "access/onward.html", "The password is set", path="/signin")
    return await enter(request, Entry(caller, user, "link"), GoingOn())


def _require_allowed(request: Request) -> None:
    """Raises Forbidden where single sign-on is the only way in."""
    if only_single(request):
        raise Forbidden(f"there are no passwords here; sign in with {only_single(request)}")


async def _user_of(request: Request, key: Secret) -> tuple[User | None, Caller | None]:
    """The user of the link. Wrong keys count as wrong tokens do."""
    api, address = of(request), address_of(request)
    now = api.clock.now()
    api.throttle.check_guesses(address)

    def read() -> tuple[User | None, Caller | None]:
        with api.catalog.read() as session:
            user = users.of_link(session, verbs.digest_of_link(key), now)
            return user, users.caller_of(session, user, now) if user is not None else None

    user, caller = await api.turns.run(read)
    if user is None:
        api.throttle.wrong(digest_of(key.reveal()), address)
    return user, caller


def _show(request: Request, key: Secret, user: User | None, problem: str = "") -> Response:
    return show_door(
        request,
        "access/welcome.html",
        "Choose a password" if user is not None else "Nothing to choose",
        400 if problem else 200 if user is not None else Refused.status,
        key=key.reveal(),
        user_name=user.name if user is not None else "",
        lead=f"for {user.name}" if user is not None else "",
        problem=problem or ("" if user is not None else _USED),
    )
