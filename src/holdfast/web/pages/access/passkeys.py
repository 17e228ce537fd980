"""Signing in with a passkey, which is two factors in one."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from holdfast.catalog.access import passkeys as rows
from holdfast.catalog.access import users
from holdfast.catalog.schema import Passkey, User
from holdfast.domain.access import Caller
from holdfast.domain.errors import Refused, Unauthenticated
from holdfast.http.arrival import address_of
from holdfast.http.limits.throttle import digest_of
from holdfast.http.state import of
from holdfast.http.writing import Writer
from holdfast.usecases.context import Context
from holdfast.web.pages.access.sign_in import (
    read_door_form,
    refuse_if_single_only,
    sentence,
    show_sign_in,
)
from holdfast.web.sign_in import passkeys
from holdfast.web.sign_in.entering import Entry, enter
from holdfast.web.sign_in.going_on import GoingOn

router = APIRouter()


@router.post("/signin/passkey")
async def sign_in_with_passkey(request: Request) -> Response:
    form = await read_door_form(request)
    going_on, answer = GoingOn.of_form(form), str(form.get("passkey", ""))
    api, address = of(request), address_of(request)
    if refusal := refuse_if_single_only(request, going_on):
        return refusal
    try:
        api.throttle.check_guesses(address)
        user, caller, passkey = await _find(request, passkeys.credential_of(answer))
        count = await run_in_threadpool(passkeys.sign_count_of, request, passkey, answer)

        def use(context: Context) -> None:
            row = context.session.get_one(Passkey, passkey.pk)
            if (row.sign_count, row.last_used) != (passkey.sign_count, passkey.last_used):
                raise Unauthenticated("the passkey was used elsewhere at the same time")
            row.sign_count, row.last_used = count, context.now

        await run_in_threadpool(Writer(api, request).run, caller, use)
    except Unauthenticated as error:
        api.throttle.wrong(digest_of(answer), address)
        return show_sign_in(request, going_on, sentence(error), 401)
    except Refused as error:
        return show_sign_in(request, going_on, sentence(error), error.status)
    return await enter(request, Entry(caller, user, "passkey"), going_on)


async def _find(request: Request, credential: str) -> tuple[User, Caller, Passkey]:
    api = of(request)
    now = api.clock.now()

    def read() -> tuple[User, Caller, Passkey]:
        with api.catalog.read() as session:
            passkey = rows.of_credential(session, credential)
            user = users.of_pk(session, passkey.user_pk) if passkey is not None else None
            caller = users.caller_of(session, user, now) if user is not None else None
            if passkey is None or user is None or caller is None:
                raise Unauthenticated("this passkey is not known here")
            return user, caller, passkey

    return await api.turns.run(read)
