"""Tokens and roles: create, revoke, delete. A token's value is shown once and kept as a digest."""

from holdfast.catalog import projects, tokens
from holdfast.catalog.access import users
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import Role, Token
from holdfast.domain.access import BUILT_IN, unknown_permissions
from holdfast.domain.errors import Conflict, Forbidden, Invalid
from holdfast.domain.naming import slug
from holdfast.domain.units import DAY_MS
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import TokenForm
from holdfast.usecases.forms.users import RoleForm, RolePatch


def ensure_owner(session: WriteSession, chosen: Secret | None, now: int) -> Secret | None:
    """Adds an owner token at the first start, `chosen` or a new one; None: nothing was added.

    A `chosen` token that is not known yet is added at any start, so that a locked-out operator gets
    back in.
    """
    if chosen is None and tokens.any_token(session):
        return None
    token = chosen or Secret(ids.token())
    if tokens.holder(session, token, now) is not None:
        return None
    session.add(_row("owner", "owner", token, now))
    return token


def _row(name: str, role: str, token: Secret, now: int) -> Token:
    return Token(id=ids.hex24(), name=name, digest=tokens.digest(token), role=role, created=now)


def create(context: Context, form: TokenForm) -> tuple[Token, Secret]:
    permissions = tokens.permissions_of(context.session, form.role)
    if permissions is None:
        raise Invalid(f"there is no role {form.role!r}", {"role": f"unknown role {form.role!r}"})
    if not permissions <= context.caller.permissions:
        raise Forbidden("a token cannot be given permissions that its creator does not hold")
    visible = visible_projects(context, form.projects)
    token = Secret(ids.token())
    row = _row(form.name, form.role, token, context.now)
    row.projects = visible
    row.expires = context.now + form.expires_in_days * DAY_MS if form.expires_in_days else None
    context.session.add(row)
    context.session.flush()
    return row, token


def visible_projects(context: Context, project_ids: list[str] | None) -> list[str] | None:
    """The projects of a new token or user. A restricted caller passes on only those it sees."""
    own = context.caller.projects
    if project_ids is None:
        return sorted(own) if own is not None else None
    for index, project in enumerate(project_ids):
        row = projects.find(context.session, project)
        if row is None or not context.caller.sees(project):
            problem = f"there is no project {project!r}"
            raise Invalid(problem, {f"projects[{index}]": problem})
    return project_ids


def revoke(context: Context, token: Token) -> None:
    token.revoked = token.revoked or context.now


def _require_all_projects(context: Context) -> None:
    if context.caller.projects is not None:
        raise Forbidden("roles concern all projects, and the token is restricted to some")


def create_role(context: Context, form: RoleForm) -> Role:
    _require_all_projects(context)
    identifier = slug(form.name)
    if identifier in BUILT_IN or tokens.find_role(context.session, identifier) is not None:
        raise Conflict(f"a role {identifier!r} exists already")
    _require_grantable(context, form.permissions)
    role = Role(
        id=identifier,
        name=form.name,
        permissions=sorted(set(form.permissions)),
        created=context.now,
    )
    context.session.add(role)
    context.session.flush()
    return role


def _require_grantable(context: Context, permissions: list[str]) -> None:
    unknown = unknown_permissions(permissions)
    if unknown:
        raise Invalid("unknown permissions", {"permissions": f"unknown: {', '.join(unknown)}"})
    if not set(permissions) <= context.caller.permissions:
        raise Forbidden("a role cannot hold permissions that its creator does not hold")


def change_role(context: Context, role: Role, form: RolePatch) -> Role:
    """Changes a role at once for all who have it; its id stays, which tokens and users name."""
    _require_all_projects(context)
    if not set(role.permissions) <= context.caller.permissions:
        raise Forbidden("the role holds permissions that the caller does not hold")
    if form.permissions is not None:
        _require_grantable(context, form.permissions)
        role.permissions = sorted(set(form.permissions))
    role.name = form.name or role.name
    context.session.flush()
    return role


def delete_role(context: Context, role: Role) -> None:
    """Deletes the role and revokes its tokens. Raises Conflict while users have it."""
    _require_all_projects(context)
    names = users.names_of_role(context.session, role.id)
    if names:
        raise Conflict(f"the role is that of {', '.join(names)}; give them another one first")
    tokens.revoke_of_role(context.session, role.id, context.now)
    context.session.delete(role)
