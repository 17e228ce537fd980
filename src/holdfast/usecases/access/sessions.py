"""Sessions of browsers: open, prove again, end. The cookie's value is kept as a digest."""

from dataclasses import dataclass

from holdfast.catalog.access import web_sessions
from holdfast.catalog.schema import User, WebSession
from holdfast.domain.access import Caller
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.usecases.context import Context

MAX_SESSIONS = 50
"""Of a user; with one more the oldest ends, so that the table stays small."""
_PROGRAM_CHARACTERS = 200


@dataclass(frozen=True)
class Visit:
    """Where a sign-in came from, and how: `password`, `password, code`, `passkey`, `token`, ..."""

    method: str
    address: str
    program: str


def open_session(
    context: Context, user: User | None, visit: Visit, id_token: Secret | None = None
) -> Secret:
    """Opens a session of the user, or of the caller's token, and returns its cookie."""
    web_sessions.forget_ended(context.session, context.now)
    if user is not None:
        for row in web_sessions.of_user(context.session, user.pk)[: -MAX_SESSIONS + 1]:
            context.session.delete(row)
        user.last_seen = context.now
    cookie = Secret(ids.cookie())
    row = WebSession(
        id=ids.hex24(),
        digest=web_sessions.digest(cookie),
        user_pk=user.pk if user is not None else None,
        token_id=context.caller.token_id if user is None else None,
        method=visit.method,
        address=visit.address,
        program=visit.program[:_PROGRAM_CHARACTERS],
        created=context.now,
        proven=context.now,
        seen=context.now,
    )
    if id_token is not None:
        row.sealed_id_token = context.services.sealer.seal(id_token, f"session {row.id}")
    context.session.add(row)
    context.session.flush()
    return cookie


def id_token_of(context: Context, row: WebSession) -> Secret | None:
    """What the single sign-on provider said at sign-in; it is told so at sign-out."""
    if row.sealed_id_token is None:
        return None
    return context.services.sealer.open(row.sealed_id_token, f"session {row.id}")


def end(context: Context, row: WebSession) -> None:
    context.session.delete(row)


def end_others(context: Context, user: User, but: str | None = None) -> None:
    """Ends all sessions of the user except the one with the id `but`."""
    for row in web_sessions.of_user(context.session, user.pk):
        if row.id != but:
            context.session.delete(row)


def is_own(caller: Caller, row: WebSession, user: User | None) -> bool:
    """Whether the session is one of the caller's."""
    return caller.token_id == (user.id if user is not None else row.token_id)
