"""Log routes of addons, backups and restores: by range, and live over a WebSocket."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, WebSocket
from starlette.responses import Response

from holdfast.api.live_log import Feed, serve_tail
from holdfast.api.logging_query import DESCRIBED, parse_log_query
from holdfast.api.places import AtAddon, From
from holdfast.api.v1.addons.addons import ADDON
from holdfast.api.v1.backups.backups import BACKUP
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon
from holdfast.catalog.work import journal
from holdfast.domain.access import Caller, Permission
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import Api, State, of
from holdfast.usecases.toolbox import SERVER_LOG, home_of
from holdfast.views.containers import container_name
from holdfast.views.logs import MAX_LINES, LogQuery, operation_lines, server_lines
from holdfast.views.shapes.base import Many
from holdfast.views.shapes.others import LogLine

router = APIRouter(tags=["logs"])

Viewer = Annotated[Caller, Depends(requires(Permission.INSTANCE_LOGS))]
RESTORE_LOGS = f"{BACKUP}/restores/{{restore_id}}/logs"


def log_query(request: Request, api: State) -> LogQuery:
    return parse_log_query(request.query_params, api.clock.now())


Query = Annotated[LogQuery, Depends(log_query)]


def _answer(lines: list[LogLine]) -> Response:
    return answers.rows(lines, None)


def _of_addon(api: Api, addon: Addon, query: LogQuery) -> list[LogLine]:
    """Reads the server's log; only managed servers have one, on the machine that runs them."""
    log = home_of(api.data_dir, addon.uid) / SERVER_LOG
    return server_lines(log, container_name(addon), query) if addon.managed else []


def _of_operation(session: ReadSession, operation: str, query: LogQuery) -> list[LogLine]:
    limit = MAX_LINES if query.filters else query.limit
    window = journal.Window(query.start, query.end, 0, limit, query.backward)
    return operation_lines(journal.read(session, operation, window), operation, query)


def operation_log(session: ReadSession, operation: str, query: LogQuery) -> Response:
    return _answer(_of_operation(session, operation, query))


@router.get(f"{ADDON}/logs", response_model=Many[list[LogLine]], openapi_extra=DESCRIBED)
def addon_logs(api: State, caller: Viewer, query: Query, at: AtAddon) -> Response:
    with api.catalog.read() as session:
        return _answer(_of_addon(api, at.addon(session, caller), query))


@router.get(f"{BACKUP}/logs", response_model=Many[list[LogLine]], openapi_extra=DESCRIBED)
def backup_logs(api: State, caller: Viewer, query: Query, origin: From) -> Response:
    with api.catalog.read() as session:
        backup = origin.backup(session, caller)
        return operation_log(session, backup.operation or "", query)


@router.get(RESTORE_LOGS, response_model=Many[list[LogLine]], openapi_extra=DESCRIBED)
def restore_logs(
    api: State, caller: Viewer, query: Query, origin: From, restore_id: str
) -> Response:
    with api.catalog.read() as session:
        restore = origin.restore(session, caller, restore_id)
        return operation_log(session, restore.operation, query)


@router.websocket(f"{ADDON}/logs")
async def tail_addon(socket: WebSocket, at: AtAddon) -> None:
    def find(caller: Caller, query: LogQuery) -> Feed:
        api = of(socket)
        with api.catalog.read() as session:
            addon = at.addon(session, caller)
            session.expunge(addon)
        return Feed.of_server(lambda page: _of_addon(api, addon, page), query)

    await serve_tail(socket, find)


@router.websocket(f"{BACKUP}/logs")
async def tail_backup(socket: WebSocket, origin: From) -> None:
    def find(caller: Caller, query: LogQuery) -> Feed:
        api = of(socket)
        with api.catalog.read() as session:
            backup = origin.backup(session, caller)
        return Feed.of_operation(api.catalog, backup.operation or "", query)

    await serve_tail(socket, find)


@router.websocket(RESTORE_LOGS)
async def tail_restore(socket: WebSocket, origin: From, restore_id: str) -> None:
    def find(caller: Caller, query: LogQuery) -> Feed:
        api = of(socket)
        with api.catalog.read() as session:
            restore = origin.restore(session, caller, restore_id)
        return Feed.of_operation(api.catalog, restore.operation, query)

    await serve_tail(socket, find)
