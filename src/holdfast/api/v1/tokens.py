"""Token and role routes: an extension, as the v1 API has none."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from holdfast.api.places import Paging
from holdfast.api.reading import in_turn
from holdfast.catalog import tokens as rows
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Role
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import Conflict, NotFound
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases import tokens as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import TokenForm
from holdfast.usecases.forms.users import RoleForm, RolePatch
from holdfast.views import tokens as views
from holdfast.views.shapes.base import Empty, Many, One
from holdfast.views.shapes.others import RoleList, RoleView, TokenList, TokenView

router = APIRouter(tags=["tokens and roles"])

Reader = Annotated[Caller, Depends(requires(Permission.TOKENS_READ))]
Manager = Annotated[Caller, Depends(requires(Permission.TOKENS_MANAGE))]


@router.get("/tokens", response_model=Many[TokenList])
@in_turn
def list_tokens(api: State, caller: Reader, page: Paging) -> Response:
    with api.catalog.read() as session:
        listed = rows.listed(session, caller, page)
        items = [views.view(token) for token in listed.items]
    return answers.many(TokenList(tokens=items), len(items), listed.cursor)


@router.post("/tokens", response_model=One[TokenView])
def create_token(writing: Writing, caller: Manager, form: TokenForm) -> Response:
    """The only answer with the token itself; so it is not kept for repeated posts."""

    def create(context: Context) -> TokenView:
        row, token = verbs.create(context, form)
        return views.view(row).model_copy(update={"token": token.reveal()})

    return writing.change(caller, create)


@router.delete("/tokens/{token_id}", response_model=One[Empty])
def revoke_token(writing: Writing, caller: Manager, token_id: str) -> Response:
    def revoke(context: Context) -> None:
        token = rows.find(context.session, caller, token_id)
        if token is None:
            raise NotFound(f"there is no token {token_id!r}")
        verbs.revoke(context, token)

    return writing.undo(caller, revoke)


@router.get("/roles", response_model=Many[RoleList])
@in_turn
def list_roles(api: State, caller: Reader) -> Response:
    with api.catalog.read() as session:
        items = views.roles(session)
    return answers.many(RoleList(roles=items), len(items), None)


@router.post("/roles", response_model=One[RoleView])
def create_role(writing: Writing, caller: Manager, form: RoleForm) -> Response:
    return writing.create(caller, lambda context: views.role_view(verbs.create_role(context, form)))


def _role_at(session: ReadSession, role_id: str, done: str) -> Role:
    role = rows.find_role(session, role_id)
    if role is None and role_id in views.BUILT_IN:
        raise Conflict(f"the role {role_id!r} is built in and cannot be {done}")
    if role is None:
        raise NotFound(f"there is no role {role_id!r}")
    return role


@router.patch("/roles/{role_id}", response_model=One[RoleView])
def patch_role(writing: Writing, caller: Manager, role_id: str, form: RolePatch) -> Response:
    """What is left out stays. Counts at once for all tokens and users of the role."""

    def patch(context: Context) -> RoleView:
        role = _role_at(context.session, role_id, "changed")
        return views.role_view(verbs.change_role(context, role, form))

    return writing.change(caller, patch)


@router.delete("/roles/{role_id}", response_model=One[Empty])
def delete_role(writing: Writing, caller: Manager, role_id: str) -> Response:
    def delete(context: Context) -> None:
        verbs.delete_role(context, _role_at(context.session, role_id, "deleted"))

    return writing.undo(caller, delete)
