"""One's own account: password, authenticator app, passkeys, recovery codes, sessions."""

from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from holdfast.catalog.access import passkeys as passkey_rows
from holdfast.catalog.access import users, web_sessions
from holdfast.catalog.schema import Passkey, User, WebSession
from holdfast.domain.errors import Invalid, NotFound
from holdfast.http.arrival import address_of
from holdfast.http.state import of
from holdfast.http.writing import Writer
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.kit.sign_in import one_time_codes
from holdfast.usecases.access import second_factors, sessions
from holdfast.usecases.access import users as verbs
from holdfast.usecases.context import Context
from holdfast.web.forms import Form
from holdfast.web.frame import frame_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh
from holdfast.web.sign_in import passkeys
from holdfast.web.sign_in.parts import parts_of

router = APIRouter()

_TITLE = "Your account"
_NO_ACCOUNT = "an API token has no account; sign in as a user"


@dataclass(frozen=True)
class _Account:
    """What the page shows. `user` None: the session is an API token's."""

    user: User | None
    passkeys: list[Passkey] = field(default_factory=list[Passkey])
    sessions: list[WebSession] = field(default_factory=list[WebSession])
    codes: int = 0


@router.get("/account")
async def account(request: Request, viewer: Viewing) -> Response:
    return await _show(request, viewer)


async def _show(request: Request, viewer: Viewer, form: Form | None = None) -> Response:
    entry = await _read(request, viewer)
    options = ""
    if entry.user is not None:
        options = passkeys.creation_options(request, entry.user, entry.passkeys)
    context = {
        "account": entry,
        "viewer": viewer,
        "options": options,
        "form": form or Form(),
        "min_characters": 12,
        "single": parts_of(request).single,
    }
    return await _page(request, viewer, "access/account.html", context, 400 if form else 200)


async def _page(
    request: Request, viewer: Viewer, template: str, context: dict[str, Any], status: int = 200
) -> Response:
    frame = await frame_of(request, viewer)
    return show(request, template, Page(_TITLE, "account"), frame, context, status)


async def _read(request: Request, viewer: Viewer) -> _Account:
    user_pk = viewer.user_pk

    def read() -> _Account:
        with of(request).catalog.read() as session:
            user = users.of_pk(session, user_pk) if user_pk is not None else None
            if user is None:
                return _Account(None)
            keys = passkey_rows.of_user(session, user.pk)
            listed = web_sessions.of_user(session, user.pk)[::-1]
            return _Account(user, keys, listed, passkey_rows.unused_codes(session, user.pk))

    return await of(request).turns.run(read)


@router.post("/account/password")
async def change_password(request: Request, posted: Posting) -> Response:
    """Takes the present password and a new one; ends all other sessions."""
    viewer, form = posted.viewer, posted.form
    user = await _own_user(request, viewer)
    if user.password_hash is None:
        require_fresh(request, viewer, form)  # there is no present password to ask for
    password = Secret(str(form.get("new_password", "")))
    try:
        await _require_present(request, user, Secret(str(form.get("present_password", ""))))
        if password != Secret(str(form.get("repeated_password", ""))):
            raise Invalid("the two are not the same", {"repeated_password": "is another one"})
        verbs.require_good(password, user.name)
    except Invalid as error:
        problems = {"new_password" if n == "password" else n: t for n, t in error.details.items()}
        return await _show(request, viewer, Form().fail(error.message, **problems))
    hashed = await run_in_threadpool(of(request).hasher.hash, password)

    def change(context: Context) -> None:
        row = _own(context, viewer)
        verbs.set_password(context, row, hashed)
        sessions.end_others(context, row, but=viewer.session_id)

    await _run(request, viewer, change)
    answer = _back("password")
    renewed = await _user(request, viewer)
    parts_of(request).devices.mark(request, answer, renewed, of(request).clock.now())
    return answer


async def _require_present(request: Request, user: User, password: Secret) -> None:
    """Raises Invalid for a wrong password, which counts as a wrong sign-in does."""
    attempts, address = parts_of(request).attempts, address_of(request)
    if user.password_hash is None:
        return
    await attempts.admit(user.name, address, hurried=True)
    if not await of(request).hasher.verify(user.password_hash, password):
        attempts.failed(user.name, address, None)
        problem = "is not your present one"
        raise Invalid(f"that password {problem}", {"present_password": problem})


@router.get("/account/codes")
async def begin_codes(request: Request, viewer: Viewing) -> Response:
    require_fresh(request, viewer)
    user = await _own_user(request, viewer)
    return await _show_codes(request, viewer, user, one_time_codes.new_secret(), Form())


async def _show_codes(
    request: Request, viewer: Viewer, user: User, secret: Secret, form: Form
) -> Response:
    """The page with the QR code. The secret comes back sealed: it is not kept before it works."""
    host = request.url.hostname or ""
    sealed = of(request).services.sealer.seal(secret, f"new codes of {user.id}")
    plain = secret.reveal()
    context = {
        "qr": one_time_codes.qr_svg(one_time_codes.app_uri(secret, user.name, host)),
        "typed_secret": " ".join(plain[start : start + 4] for start in range(0, len(plain), 4)),
        "sealed": sealed,
        "form": form,
    }
    return await _page(
        request, viewer, "access/authenticator.html", context, 400 if form.message else 200
    )


@router.post("/account/codes")
async def enable_codes(request: Request, posted: Posting) -> Response:
    viewer, form = posted.viewer, posted.form
    require_fresh(request, viewer, form)
    user = await _own_user(request, viewer)
    sealer, sealed = of(request).services.sealer, str(form.get("sealed", ""))
    secret = sealer.open(sealed, f"new codes of {user.id}")

    def enable(context: Context) -> list[Secret]:
        row = _own(context, viewer)
        codes = second_factors.enable_codes(context, row, secret, str(form.get("code", "")))
        sessions.end_others(context, row, but=viewer.session_id)
        return codes

    try:
        codes = await _run(request, viewer, enable)
    except Invalid as error:
        form_again = Form().fail(error.message, **error.details)
        return await _show_codes(request, viewer, user, secret, form_again)
    return await _show_recovery(request, viewer, codes)


@router.post("/account/recovery-codes")
async def make_recovery_codes(request: Request, posted: Posting) -> Response:
    require_fresh(request, posted.viewer, posted.form)

    def make(context: Context) -> list[Secret]:
        user = _own(context, posted.viewer)
        if user.sealed_totp is None:
            raise Invalid("recovery codes stand in for an authenticator app, and there is none")
        return second_factors.make_recovery_codes(context, user)

    codes = await _run(request, posted.viewer, make)
    return await _show_recovery(request, posted.viewer, codes)


async def _show_recovery(request: Request, viewer: Viewer, codes: list[Secret]) -> Response:
    context = {"codes": [code.reveal() for code in codes]}
    return await _page(request, viewer, "access/recovery.html", context)


@router.post("/account/codes/disable")
async def disable_codes(request: Request, posted: Posting) -> Response:
    require_fresh(request, posted.viewer, posted.form)

    def disable(context: Context) -> None:
        second_factors.disable_codes(context, _own(context, posted.viewer))

    await _run(request, posted.viewer, disable)
    return _back("codes")


@router.post("/account/passkeys")
async def add_passkey(request: Request, posted: Posting) -> Response:
    viewer, form = posted.viewer, posted.form
    require_fresh(request, viewer, FormData([("name", str(form.get("name", "")))]))
    user = await _own_user(request, viewer)
    name = str(form.get("name", "")).strip()[:60] or "Passkey"
    now = of(request).clock.now()
    try:
        passkey = passkeys.registered(request, user, str(form.get("passkey", "")), name, now)
    except Invalid as error:
        return await _show(request, viewer, Form().fail(error.message, **error.details))

    def add(context: Context) -> None:
        if passkey_rows.of_credential(context.session, passkey.credential) is not None:
            raise Invalid("this passkey is known already")
        passkey.id = ids.hex24()
        passkey.credential_digest = passkey_rows.digest_of(passkey.credential)
        context.session.add(passkey)

    await _run(request, viewer, add)
    return _back("passkeys")


@router.post("/account/passkeys/{passkey_id}/delete")
async def delete_passkey(request: Request, posted: Posting, passkey_id: str) -> Response:
    require_fresh(request, posted.viewer, posted.form)

    def delete(context: Context) -> None:
        user = _own(context, posted.viewer)
        for passkey in passkey_rows.of_user(context.session, user.pk):
            if passkey.id == passkey_id:
                second_factors.remove_passkey(context, passkey)
                return
        raise NotFound("there is no such passkey of yours")

    await _run(request, posted.viewer, delete)
    return _back("passkeys")


@router.post("/account/sessions/end-others")
async def end_other_sessions(request: Request, posted: Posting) -> Response:
    def end(context: Context) -> None:
        sessions.end_others(context, _own(context, posted.viewer), but=posted.viewer.session_id)

    await _run(request, posted.viewer, end)
    return _back("sessions")


@router.post("/account/sessions/{session_id}/end")
async def end_own_session(request: Request, posted: Posting, session_id: str) -> Response:
    def end(context: Context) -> None:
        user = _own(context, posted.viewer)
        for row in web_sessions.of_user(context.session, user.pk):
            if row.id == session_id:
                sessions.end(context, row)
                return
        raise NotFound("there is no such session of yours")

    await _run(request, posted.viewer, end)
    return _back("sessions")


def _back(section: str) -> Response:
    return RedirectResponse(f"/account#{section}", 303)


async def _user(request: Request, viewer: Viewer) -> User:
    """The user of the session. Raises Invalid for a token's session."""
    entry = await _read(request, viewer)
    if entry.user is None:
        raise Invalid(_NO_ACCOUNT)
    return entry.user


async def _own_user(request: Request, viewer: Viewer) -> User:
    """The user, who may choose what to sign in with. Raises Invalid for the provider's users: who
    leaves their groups should not keep a way in that they made themselves."""
    user = await _user(request, viewer)
    if user.issuer is not None and user.password_hash is None:
        raise Invalid("you sign in with single sign-on; an owner can give you a password")
    return user


def _own(context: Context, viewer: Viewer) -> User:
    user = users.of_pk(context.session, viewer.user_pk) if viewer.user_pk is not None else None
    if user is None:
        raise Invalid(_NO_ACCOUNT)
    return user


async def _run(request: Request, viewer: Viewer, work: Any) -> Any:
    return await run_in_threadpool(Writer(of(request), request).run, viewer.caller, work)
