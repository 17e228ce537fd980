"""User routes: an extension, as the v1 API has none. Who manages tokens manages users."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from holdfast.api.places import Paging
from holdfast.api.reading import in_turn
from holdfast.catalog.access import users as rows
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import User
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import NotFound
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import Api, State
from holdfast.http.writing import Writing
from holdfast.kit.seal import Secret
from holdfast.usecases.access import users as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.users import ResetForm, UserForm, UserPatch
from holdfast.views.access import users as views
from holdfast.views.shapes.access import UserList, UserView
from holdfast.views.shapes.base import Empty, Many, One

router = APIRouter(tags=["users and sessions"])

Reader = Annotated[Caller, Depends(requires(Permission.TOKENS_READ))]
Manager = Annotated[Caller, Depends(requires(Permission.TOKENS_MANAGE))]


@router.get("/users", response_model=Many[UserList])
@in_turn
def list_users(api: State, caller: Reader, page: Paging) -> Response:
    with api.catalog.read() as session:
        listed = rows.listed(session, caller, page)
        items = views.user_views(session, listed.items)
    return answers.many(UserList(users=items), len(items), listed.cursor)


@router.post("/users", response_model=One[UserView])
def create_user(
    writing: Writing, request: Request, api: State, caller: Manager, form: UserForm
) -> Response:
    """The answer may have a link that chooses the password, so it is not kept."""
    password_hash = None
    if form.password is not None:
        password = Secret(form.password.get_secret_value())
        verbs.require_good(password, form.name)
        password_hash = api.hasher.hash(password)

    def create(context: Context) -> UserView:
        user, key = verbs.create(context, form, password_hash)
        return _with_link(api, request, context.session, user, key)

    return writing.change(caller, create)


@router.get("/users/{user_id}", response_model=One[UserView])
@in_turn
def get_user(api: State, caller: Reader, user_id: str) -> Response:
    with api.catalog.read() as session:
        (view,) = views.user_views(session, [_find(session, caller, user_id)])
    return answers.one(view)


@router.patch("/users/{user_id}", response_model=One[UserView])
def patch_user(writing: Writing, caller: Manager, user_id: str, form: UserPatch) -> Response:
    def change(context: Context) -> UserView:
        user = _find(context.session, caller, user_id)
        verbs.change(context, user, form)
        return views.user_views(context.session, [user])[0]

    return writing.change(caller, change)


@router.delete("/users/{user_id}", response_model=One[Empty])
def delete_user(writing: Writing, caller: Manager, user_id: str) -> Response:
    """Deletes the user, ends their sessions and revokes the tokens that were given to them."""

    def delete(context: Context) -> None:
        verbs.delete(context, _find(context.session, caller, user_id))

    return writing.undo(caller, delete)


@router.post("/users/{user_id}/reset-password", response_model=One[UserView])
def reset_password(
    writing: Writing, request: Request, api: State, caller: Manager, user_id: str, form: ResetForm
) -> Response:
    """Ends the user's password and sessions; the answer has a link to choose another one."""

    def reset(context: Context) -> UserView:
        user = _find(context.session, caller, user_id)
        key = verbs.reset(context, user, second_factors=form.second_factors)
        return _with_link(api, request, context.session, user, key)

    return writing.change(caller, reset)


def _find(session: ReadSession, caller: Caller, user_id: str) -> User:
    user = rows.find(session, caller, user_id)
    if user is None:
        raise NotFound(f"there is no user {user_id!r}")
    return user


def _with_link(
    api: Api, request: Request, session: ReadSession, user: User, key: Secret
) -> UserView:
    (view,) = views.user_views(session, [user])
    if not key.reveal():
        return view
    base = api.public_url or f"{request.url.scheme}://{request.url.netloc}"
    return view.model_copy(update={"password_link": f"{base}/welcome?key={quote(key.reveal())}"})
