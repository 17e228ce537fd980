"""Token and role rows."""

import hashlib
from dataclasses import dataclass, replace

from sqlalchemy import Select, bindparam, select, update

from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Role, Token, User
from holdfast.domain.access import BUILT_IN, Caller
from holdfast.kit.seal import Secret

_USED_EVERY_MS = 60_000


@dataclass(frozen=True)
class Holder:
    """The caller of a valid token. `stale`: the time of its last use should be updated."""

    caller: Caller
    stale: bool
    expires: int | None


def digest(token: Secret) -> str:
    return hashlib.sha256(token.reveal().encode()).hexdigest()


def find(session: ReadSession, caller: Caller, token_id: str) -> Token | None:
    return session.scalar(_visible(session, caller).where(Token.id == token_id))


def _visible(session: ReadSession, caller: Caller) -> Select[Token]:
    """A caller restricted to projects sees only tokens that reach no further than it does."""
    if caller.projects is None:
        return select(Token)
    reach = session.execute(select(Token.pk, Token.projects))
    within = [pk for pk, projects in reach if projects and caller.projects.issuperset(projects)]
    return select(Token).where(Token.pk.in_(within))


def holder(session: ReadSession, token: Secret, now: int) -> Holder | None:
    """The holder of a token; None if it is unknown, expired, revoked or its role is gone."""
    row = session.scalar(_OF_DIGEST, {"digest": digest(token)})
    caller = _caller(session, row, now)
    if row is None or caller is None:
        return None
    stale = row.last_used is None or abs(now - row.last_used) > _USED_EVERY_MS
    return Holder(caller, stale, row.expires)


_OF_DIGEST = select(Token).where(Token.digest == bindparam("digest"))


def caller_of(session: ReadSession, token_id: str, now: int) -> Caller | None:
    """The caller that a token stands for now; None if it is invalid, see `holder`."""
    return _caller(session, session.scalar(select(Token).where(Token.id == token_id)), now)


def _caller(session: ReadSession, row: Token | None, now: int) -> Caller | None:
    if row is None or row.revoked is not None or (row.expires or now + 1) <= now:
        return None
    permissions = permissions_of(session, row.role)
    if permissions is None:
        return None
    projects = frozenset(row.projects) if row.projects is not None else None
    caller = Caller(row.id, row.name, row.role, permissions, projects)
    if row.user_id is None:
        return caller
    # A user's token does no more than the user may do now.
    user = session.scalar(select(User).where(User.id == row.user_id))
    own_permissions = permissions_of(session, user.role) if user is not None else None
    if user is None or own_permissions is None or not user.may_sign_in(now):
        return None
    if user.projects is not None:
        reach = frozenset(user.projects)
        projects = reach if projects is None else reach & projects
    return replace(caller, permissions=permissions & own_permissions, projects=projects)


def permissions_of(session: ReadSession, role: str) -> frozenset[str] | None:
    if role in BUILT_IN:
        return frozenset(BUILT_IN[role])
    row = session.scalar(select(Role).where(Role.id == role))
    return frozenset(row.permissions) if row else None


def used(session: WriteSession, token_id: str, now: int) -> None:
    session.execute(update(Token).where(Token.id == token_id).values(last_used=now))


def any_token(session: ReadSession) -> bool:
    return session.scalar(select(Token.pk).limit(1)) is not None


def find_role(session: ReadSession, role_id: str) -> Role | None:
    return session.scalar(select(Role).where(Role.id == role_id))


def revoke_of_role(session: WriteSession, role: str, now: int) -> None:
    """Revokes all tokens of a role, one by one so that each is in the audit log."""
    for token in session.scalars(select(Token).where(Token.role == role, Token.revoked.is_(None))):
        token.revoked = now


def listed(session: ReadSession, caller: Caller, page: Page) -> Slice[Token]:
    return take(session, _visible(session, caller), Token.pk, page, "tokens")


def roles(session: ReadSession) -> list[Role]:
    return list(session.scalars(select(Role).order_by(Role.pk)))
