"""Routes of browsers' sessions (extension): list and end them."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from holdfast.api.places import Paging
from holdfast.api.reading import in_turn
from holdfast.catalog.access import web_sessions as rows
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import NotFound
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases.access import sessions as verbs
from holdfast.usecases.context import Context
from holdfast.views.access.users import session_views
from holdfast.views.shapes.access import SessionList
from holdfast.views.shapes.base import Empty, Many, One

router = APIRouter(tags=["users and sessions"])

Reader = Annotated[Caller, Depends(requires(Permission.TOKENS_READ))]
Manager = Annotated[Caller, Depends(requires(Permission.TOKENS_MANAGE))]


@router.get("/sessions", response_model=Many[SessionList])
@in_turn
def list_sessions(api: State, caller: Reader, page: Paging) -> Response:
    with api.catalog.read() as session:
        listed = rows.listed(session, caller, page, api.clock.now())
        items = session_views(session, listed.items)
    return answers.many(SessionList(sessions=items), len(items), listed.cursor)


@router.delete("/sessions/{session_id}", response_model=One[Empty])
def end_session(writing: Writing, caller: Manager, session_id: str) -> Response:
    def end(context: Context) -> None:
        row = rows.find(context.session, caller, session_id)
        if row is None:
            raise NotFound(f"there is no session {session_id!r}")
        verbs.end(context, row)

    return writing.undo(caller, end)
