"""Users: create, change, delete, reset. A caller gives, and reaches, no more than it may itself."""

import hashlib

from holdfast.catalog import tokens
from holdfast.catalog.access import passkeys, users, web_sessions
from holdfast.catalog.schema import User
from holdfast.domain.errors import Conflict, Forbidden, Invalid
from holdfast.domain.sign_in import passwords
from holdfast.domain.units import DAY_MS, HOUR_MS
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.usecases.access import sessions
from holdfast.usecases.context import Context
from holdfast.usecases.forms.users import UserForm, UserPatch
from holdfast.usecases.tokens import visible_projects

INVITATION_MS = 7 * DAY_MS
RESET_MS = 24 * HOUR_MS


def require_good(password: Secret, name: str) -> None:
    """Raises Invalid for a password that is guessed too easily."""
    problem = passwords.problem_of(password.reveal(), name)
    if problem is not None:
        raise Invalid(f"the password {problem}", {"password": problem})


def digest_of_link(key: Secret) -> str:
    return hashlib.sha256(f"link|{key.reveal()}".encode()).hexdigest()


def create(context: Context, form: UserForm, password_hash: str | None) -> tuple[User, Secret]:
    """Returns the user and the key of a link that sets the password, unless there is one."""
    _require_role(context, form.role)
    if users.of_name(context.session, form.name) is not None:
        problem = f"there is a user {form.name!r} already"
        raise Conflict(problem, {"name": problem})
    user = new_user(form.name, form.role, context.now)
    user.projects = visible_projects(context, form.projects)
    user.expires = context.now + form.expires_in_days * DAY_MS if form.expires_in_days else None
    context.session.add(user)
    context.session.flush()
    if password_hash is not None:
        set_password(context, user, password_hash)
    return user, Secret("") if password_hash is not None else make_link(context, user)


def new_user(name: str, role: str, now: int) -> User:
    return User(id=ids.hex24(), name=name, folded_name=users.fold(name), role=role, created=now)


def make_link(context: Context, user: User, lasting_ms: int = INVITATION_MS) -> Secret:
    """Makes the one link that sets the user's password; an earlier one is worth nothing then."""
    key = Secret(ids.cookie())
    user.link_digest = digest_of_link(key)
    user.link_expires = context.now + lasting_ms
    return key


def set_password(context: Context, user: User, password_hash: str) -> None:
    user.password_hash = password_hash
    user.password_set = context.now
    user.link_digest = user.link_expires = None


def change(context: Context, user: User, form: UserPatch) -> None:
    """Changes what the request names. Tokens that were given to the user follow."""
    require_reach(context, user)
    was_owner = _is_owner(user, context.now)
    if form.role is not None:
        _require_role(context, form.role)
        user.role = form.role
    if form.projects is not None:
        user.projects = visible_projects(context, form.projects or None)
    if form.expires_in_days is not None:
        user.expires = context.now + form.expires_in_days * DAY_MS
    if form.disabled is not None:
        user.disabled = (user.disabled or context.now) if form.disabled else None
        if form.disabled:
            sessions.end_others(context, user)
    if was_owner and not _is_owner(user, context.now):
        _require_other_owner(context, user)


def delete(context: Context, user: User) -> None:
    require_reach(context, user)
    if _is_owner(user, context.now):
        _require_other_owner(context, user)
    users.remove(context.session, user, context.now)


def reset(context: Context, user: User, *, second_factors: bool) -> Secret:
    """Ends the user's sessions and password, and returns the key of a link to choose another."""
    require_reach(context, user)
    user.password_hash = user.password_set = None
    if second_factors:
        user.sealed_totp = user.totp_step = None
        passkeys.forget_all(context.session, user.pk)
        passkeys.forget_codes(context.session, user.pk)
    for row in web_sessions.of_user(context.session, user.pk):
        context.session.delete(row)
    return make_link(context, user, RESET_MS)


def require_reach(context: Context, user: User) -> None:
    """Raises Forbidden for a user who may do what the caller may not: who resets a password could
    sign in with it."""
    permissions = tokens.permissions_of(context.session, user.role) or frozenset()
    own = context.caller.projects
    within = own is None or (user.projects is not None and own.issuperset(user.projects))
    if not (permissions <= context.caller.permissions and within):
        raise Forbidden("the user holds permissions that the caller does not hold")


def _require_role(context: Context, role: str) -> None:
    permissions = tokens.permissions_of(context.session, role)
    if permissions is None:
        raise Invalid(f"there is no role {role!r}", {"role": f"unknown role {role!r}"})
    if not permissions <= context.caller.permissions:
        raise Forbidden("a user cannot be given permissions that the caller does not hold")


def _is_owner(user: User, now: int) -> bool:
    return user.role == "owner" and user.projects is None and user.may_sign_in(now)


def _require_other_owner(context: Context, user: User) -> None:
    if not users.other_owners(context.session, user, context.now):
        raise Conflict(f"{user.name!r} is the only owner; make another one first")
