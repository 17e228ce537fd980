"""Users of a single sign-on provider: made at their first sign-in, judged anew at each."""

from collections.abc import Collection
from dataclasses import dataclass

from holdfast.catalog import tokens
from holdfast.catalog.access import users
from holdfast.catalog.schema import User
from holdfast.domain.errors import Unauthenticated
from holdfast.domain.sign_in.groups import Grant
from holdfast.usecases.access.users import new_user
from holdfast.usecases.context import Context


@dataclass(frozen=True)
class Introduction:
    """What the provider says of a user."""

    issuer: str
    subject: str
    names: Collection[str]
    """What they may be called, the best name first."""


def admit(context: Context, introduction: Introduction, grant: Grant) -> User:
    """The user, new or with the role that their groups have now.

    A user is known by issuer and subject alone: a name that is given anew, or taken from another
    user, opens nothing. Raises Unauthenticated for one who was disabled here.
    """
    if tokens.permissions_of(context.session, grant.role) is None:
        raise Unauthenticated(f"there is no role {grant.role!r}, which your group should have")
    user = users.of_subject(context.session, introduction.issuer, introduction.subject)
    if user is None:
        names = [name.strip()[:100] for name in introduction.names if name.strip()]
        names = names or [introduction.subject[:100]]
        numbered = (f"{names[0]} {number}" for number in range(2, 10_000))
        free = (n for n in (*names, *numbered) if users.of_name(context.session, n) is None)
        name = next(free, None)
        if name is None:
            raise Unauthenticated("there is no free name for this user")
        user = new_user(name, grant.role, context.now)
        user.issuer, user.subject = introduction.issuer, introduction.subject
        context.session.add(user)
    if not user.may_sign_in(context.now):
        raise Unauthenticated("this user may not sign in here")
    user.role = grant.role
    user.projects = sorted(grant.projects) if grant.projects is not None else None
    context.session.flush()
    return user
