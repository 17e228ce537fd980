"""User rows, and the caller that a user is."""

from sqlalchemy import Select, func, select, update

from holdfast.catalog import tokens
from holdfast.catalog.access import passkeys
from holdfast.catalog.database.page import Page, Slice, take
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Token, User, WebSession
from holdfast.domain.access import Caller


def fold(name: str) -> str:
    """The form in which names are unique."""
    return name.strip().casefold()


def find(session: ReadSession, caller: Caller, user_id: str) -> User | None:
    """The user, if the caller may see it."""
    return session.scalar(_visible(session, caller).where(User.id == user_id))


def of_name(session: ReadSession, name: str) -> User | None:
    return session.scalar(select(User).where(User.folded_name == fold(name)))


def of_id(session: ReadSession, user_id: str) -> User | None:
    return session.scalar(select(User).where(User.id == user_id))


def of_pk(session: ReadSession, pk: int) -> User | None:
    return session.get(User, pk)


def of_link(session: ReadSession, link_digest: str, now: int) -> User | None:
    """The user whose password this link sets; None for one that is used, or too old."""
    row = session.scalar(select(User).where(User.link_digest == link_digest))
    return row if row is not None and (row.link_expires or 0) > now else None


def of_subject(session: ReadSession, issuer: str, subject: str) -> User | None:
    return session.scalar(select(User).where(User.issuer == issuer, User.subject == subject))


def any_user(session: ReadSession) -> bool:
    return session.scalar(select(User.pk).limit(1)) is not None


def names_of_role(session: ReadSession, role: str) -> list[str]:
    return list(session.scalars(select(User.name).where(User.role == role).limit(5)))


def other_owners(session: ReadSession, user: User, now: int) -> int:
    """How many further users are owners who can sign in."""
    owners = select(func.count()).select_from(User).where(User.role == "owner", User.pk != user.pk)
    living = owners.where(User.disabled.is_(None), User.projects.is_(None))
    return session.scalar(living.where((User.expires.is_(None)) | (User.expires > now))) or 0


def _visible(session: ReadSession, caller: Caller) -> Select[User]:
    """A caller restricted to projects sees only users who reach no further than it does."""
    if caller.projects is None:
        return select(User)
    reach = session.execute(select(User.pk, User.projects))
    within = [pk for pk, projects in reach if projects and caller.projects.issuperset(projects)]
    return select(User).where(User.pk.in_(within))


def listed(session: ReadSession, caller: Caller, page: Page) -> Slice[User]:
    return take(session, _visible(session, caller), User.pk, page, "users")


def caller_of(session: ReadSession, user: User, now: int) -> Caller | None:
    """The caller that the user is; None for one who may not sign in, or whose role is gone."""
    if not user.may_sign_in(now):
        return None
    permissions = tokens.permissions_of(session, user.role)
    if permissions is None:
        return None
    projects = frozenset(user.projects) if user.projects is not None else None
    return Caller(user.id, user.name, user.role, permissions, projects)


def record_sight(session: WriteSession, user_pk: int, now: int) -> None:
    session.execute(update(User).where(User.pk == user_pk).values(last_seen=now))


def remove(session: WriteSession, user: User, now: int) -> None:
    """Deletes the user with all they sign in with, and revokes the tokens given to them."""
    for row in session.scalars(select(WebSession).where(WebSession.user_pk == user.pk)):
        session.delete(row)
    passkeys.forget_all(session, user.pk)
    passkeys.forget_codes(session, user.pk)
    tokens = select(Token).where(Token.user_id == user.id, Token.revoked.is_(None))
    for token in session.scalars(tokens):
        token.revoked = now
    session.flush()
    session.delete(user)
