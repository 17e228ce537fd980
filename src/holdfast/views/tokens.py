"""Makes the API's views of tokens and roles; never a token's value or digest."""

from holdfast.catalog import tokens
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Role, Token
from holdfast.domain.access import BUILT_IN
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.views.shapes.others import RoleView, TokenView


def view(token: Token) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        role=token.role,
        projects=token.projects,
        created_at=rfc3339(token.created),
        expires_at=rfc3339_if(token.expires),
        last_used_at=rfc3339_if(token.last_used),
        revoked_at=rfc3339_if(token.revoked),
    )


def role_view(role: Role) -> RoleView:
    return RoleView(id=role.id, name=role.name, permissions=role.permissions, built_in=False)


def roles(session: ReadSession) -> list[RoleView]:
    built_in = [
        RoleView(id=name, name=name, permissions=sorted(permissions), built_in=True)
        for name, permissions in BUILT_IN.items()
    ]
    return built_in + [role_view(role) for role in tokens.roles(session)]
