"""Monitor routes (extension): pings that are expected from elsewhere."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from holdfast.api.places import Paging
from holdfast.api.reading import in_turn
from holdfast.catalog.alarms import monitors as rows
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import MonitorRow
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import NotFound
from holdfast.http import answers
from holdfast.http.auth import require_all_projects, requires
from holdfast.http.state import Api, State
from holdfast.http.writing import Writing
from holdfast.usecases.alarms import monitors as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.alarms import MonitorForm, MonitorPatch
from holdfast.views.alarms import monitors as views
from holdfast.views.shapes.alarms import MonitorList, MonitorView, NewMonitorView
from holdfast.views.shapes.base import Empty, Many, One

router = APIRouter(tags=["monitors"])

Known = Annotated[Caller, Depends(requires(Permission.NOTIFICATIONS_READ))]
KnownManager = Annotated[Caller, Depends(requires(Permission.NOTIFICATIONS_MANAGE))]


async def reader(caller: Known) -> Caller:
    require_all_projects(caller)
    return caller


async def manager(caller: KnownManager) -> Caller:
    require_all_projects(caller)
    return caller


Reader = Annotated[Caller, Depends(reader)]
Manager = Annotated[Caller, Depends(manager)]

MONITOR = "/monitors/{monitor_id}"


def _monitor_at(session: ReadSession, monitor_id: str) -> MonitorRow:
    monitor = rows.find(session, monitor_id)
    if monitor is None:
        raise NotFound(f"there is no monitor {monitor_id!r}")
    return monitor


def _base_of(api: Api, request: Request) -> str:
    return api.public_url or str(request.base_url).rstrip("/")  # as this caller reached us


@router.get("/monitors", response_model=Many[MonitorList])
@in_turn
def list_monitors(api: State, caller: Reader, page: Paging) -> Response:
    with api.catalog.read() as session:
        listed = rows.listed(session, page)
        items = [views.monitor_view(row) for row in listed.items]
    return answers.many(MonitorList(monitors=items), len(items), listed.cursor)


@router.post("/monitors", response_model=One[NewMonitorView])
def add_monitor(
    api: State, request: Request, writing: Writing, caller: Manager, form: MonitorForm
) -> Response:
    """The only answer with the URL to ping; so it is not kept for repeated posts."""

    def add(context: Context) -> NewMonitorView:
        row, key = verbs.add(context, form)
        return views.new_monitor_view(row, key, _base_of(api, request))

    return writing.change(caller, add)


@router.get(MONITOR, response_model=One[MonitorView])
@in_turn
def get_monitor(api: State, caller: Reader, monitor_id: str) -> Response:
    with api.catalog.read() as session:
        return answers.one(views.monitor_view(_monitor_at(session, monitor_id)))


@router.patch(MONITOR, response_model=One[MonitorView])
def patch_monitor(
    writing: Writing, caller: Manager, monitor_id: str, form: MonitorPatch
) -> Response:
    """What is left out stays. Another period or grace is waited for anew."""

    def patch(context: Context) -> MonitorView:
        row = _monitor_at(context.session, monitor_id)
        verbs.patch(context, row, form)
        return views.monitor_view(row)

    return writing.change(caller, patch)


@router.delete(MONITOR, response_model=One[Empty])
def remove_monitor(writing: Writing, caller: Manager, monitor_id: str) -> Response:
    """Its alarm is closed, and its URL means nothing any more."""
    return writing.undo(
        caller, lambda context: verbs.remove(context, _monitor_at(context.session, monitor_id))
    )


@router.post(f"{MONITOR}/renew", response_model=One[NewMonitorView])
def renew_monitor(
    api: State, request: Request, writing: Writing, caller: Manager, monitor_id: str
) -> Response:
    """Another URL to ping, in this answer only; the old one means nothing any more."""

    def renew(context: Context) -> NewMonitorView:
        row = _monitor_at(context.session, monitor_id)
        key = verbs.renew(context, row)
        return views.new_monitor_view(row, key, _base_of(api, request))

    return writing.change(caller, renew)
