"""Rows of sessions in browsers."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Select, bindparam, delete, or_, select, update

from holdfast.catalog import tokens
from holdfast.catalog.access import users
from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Token, User, WebSession
from holdfast.domain.access import Caller
from holdfast.domain.sign_in.sessions import IDLE_MS, LONGEST_MS, Lifetime
from holdfast.kit.seal import Secret


@dataclass(frozen=True, slots=True)
class Sitting:
    """A valid session: whose it is, and its instants. `user_pk` is None for a token's session."""

    pk: int
    id: str
    user_pk: int | None
    caller: Caller
    lifetime: Lifetime


def digest(cookie: Secret) -> str:
    return hashlib.sha256(cookie.reveal().encode()).hexdigest()


def sitting(session: ReadSession, session_digest: str, now: int) -> Sitting | None:
    """The session of a cookie; None if it is unknown or over, or its user or token no longer is."""
    row = session.scalar(_OF_DIGEST, {"digest": session_digest})
    if row is None:
        return None
    lifetime = Lifetime(row.created, row.proven, row.seen)
    if lifetime.is_over(now):
        return None
    if row.user_pk is None:
        caller = tokens.caller_of(session, row.token_id or "", now)
    else:
        user = users.of_pk(session, row.user_pk)
        caller = users.caller_of(session, user, now) if user is not None else None
    return Sitting(row.pk, row.id, row.user_pk, caller, lifetime) if caller else None


_OF_DIGEST = select(WebSession).where(WebSession.digest == bindparam("digest"))


def of_digest(session: ReadSession, session_digest: str) -> WebSession | None:
    return session.scalar(_OF_DIGEST, {"digest": session_digest})


def record_sight(session: WriteSession, entry: Sitting, now: int) -> None:
    session.execute(update(WebSession).where(WebSession.pk == entry.pk).values(seen=now))
    if entry.user_pk is not None:
        users.record_sight(session, entry.user_pk, now)
    else:
        tokens.used(session, entry.caller.token_id, now)


def forget_ended(session: WriteSession, now: int) -> None:
    """Deletes sessions that are over; their end needs no audit entry."""
    over = or_(WebSession.seen <= now - IDLE_MS, WebSession.created <= now - LONGEST_MS)
    session.execute(delete(WebSession).where(over))


def of_user(session: ReadSession, user_pk: int) -> list[WebSession]:
    """All sessions of a user, the oldest first."""
    rows = select(WebSession).where(WebSession.user_pk == user_pk).order_by(WebSession.pk)
    return list(session.scalars(rows))


def find(session: ReadSession, caller: Caller, session_id: str) -> WebSession | None:
    """The session, if the caller may see it."""
    return session.scalar(_visible(session, caller).where(WebSession.id == session_id))


def listed(session: ReadSession, caller: Caller, page: Page, now: int) -> Slice[WebSession]:
    living = _visible(session, caller).where(
        WebSession.seen > now - IDLE_MS, WebSession.created > now - LONGEST_MS
    )
    return take(session, living, WebSession.pk, page, "sessions")


def _visible(session: ReadSession, caller: Caller) -> Select[WebSession]:
    """A caller restricted to projects sees the sessions of users and tokens that it sees."""
    if caller.projects is None:
        return select(WebSession)
    reach = session.execute(select(User.pk, User.projects))
    within = [pk for pk, projects in reach if projects and caller.projects.issuperset(projects)]
    tokens_reach = session.execute(select(Token.id, Token.projects))
    token_ids = [
        token_id
        for token_id, projects in tokens_reach
        if projects and caller.projects.issuperset(projects)
    ]
    seen = or_(WebSession.user_pk.in_(within), WebSession.token_id.in_(token_ids))
    return select(WebSession).where(seen)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a session is: the name of a user or token, and the id of a user."""

    name: str
    user_id: str | None


def holders(session: ReadSession, rows: list[WebSession]) -> dict[int, Holder]:
    """Who holds each session, by the session's key."""
    user_pks, token_ids = {row.user_pk for row in rows}, {row.token_id for row in rows}
    user_rows = select(User.pk, User.name, User.id).where(User.pk.in_(user_pks))
    of_users = {pk: Holder(name, user_id) for pk, name, user_id in session.execute(user_rows)}
    token_rows = select(Token.id, Token.name).where(Token.id.in_(token_ids))
    of_tokens = {token_id: Holder(name, None) for token_id, name in session.execute(token_rows)}
    unknown = Holder("", None)
    return {
        row.pk: of_users.get(row.user_pk or 0) or of_tokens.get(row.token_id or "", unknown)
        for row in rows
    }
