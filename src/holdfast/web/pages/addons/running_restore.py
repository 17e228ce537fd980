"""One restore: how far it is, what it came to, and how to go back."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.catalog import addons, backups, projects, restores
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Restore
from holdfast.catalog.work import operations
from holdfast.domain.access import Permission
from holdfast.domain.errors import NotFound
from holdfast.domain.operation import OVER, Kind
from holdfast.http.auth import check
from holdfast.http.state import of
from holdfast.views import restores as views
from holdfast.web import live, logs
from holdfast.web.forms import Form
from holdfast.web.frame import frame_of
from holdfast.web.pages.addons.addon import Place, place
from holdfast.web.pages.addons.speed import curve_of
from holdfast.web.rendering import show
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh
from holdfast.web.showing import steps

router = APIRouter()

_RESTORE = "/p/{project}/{addon}/restores/{restore}"


@router.get(_RESTORE)
async def show_restore(
    request: Request, viewer: Viewing, project: str, addon: str, restore: str
) -> Response:
    at = place(request, viewer.caller, project, addon)
    return await _page(request, viewer, at, restore, Form(known=("typed",)))


async def _page(
    request: Request, viewer: Viewer, at: Place, restore: str, form: Form, status: int = 200
) -> Response:
    check(viewer.caller, Permission.ADDON_READ)
    api = of(request)

    def read() -> dict[str, Any]:
        with api.catalog.read() as session:
            row = _find(session, viewer, at, restore)
            operation = operations.get(session, row.operation)
            backup = backups.get(session, row.backup_pk)
            origin = addons.get(session, backup.addon_pk)
            owner = projects.get(session, origin.project_pk)
            progress = (operation.progress if operation else None) or {}
            return {
                "restore": views.views(session, [row])[0],
                "is_over": row.status in OVER,
                "log": logs.read(session, row.operation, viewer),
                "operation": row.operation,
                "steps": steps.states(Kind(operation.kind), operation.step, operation.status)
                if operation
                else [],
                "started": operation.started if operation else None,
                "ended": operation.ended if operation else None,
                "bytes": int(progress.get("bytes") or 0),
                "expected": progress.get("expected"),
                "source": Place(at.calls, owner.id, origin.id),
                "taken": backup.created,
                "is_undo": row.undoes is not None,
            }

    facts = await api.turns.run(read)
    shown, operation = facts["restore"], facts["operation"]
    curve = None if facts["is_over"] else await curve_of(request, viewer, at, operation)
    report: dict[str, Any] = shown.report or {}
    context: dict[str, Any] = {
        **facts,
        "at": at,
        "view": await at.view(),
        "report": report,
        "differences": report.get("differences") or [],
        "skipped": report.get("skipped") or [],
        "curve": curve,
        "form": form,
    }
    topics = live.topics(at.topic, f"operation/{operation}", f"rate/{operation}")
    title = "Put back" if facts["is_undo"] else "Restore"
    page = at.page(title, live=topics)
    frame = await frame_of(request, viewer)
    return show(request, "addons/running_restore.html", page, frame, context, status)


def _find(session: ReadSession, viewer: Viewer, at: Place, restore: str) -> Restore:
    addon = at.row(session, viewer.caller)
    row = restores.find(session, restore)
    if row is None or row.addon_pk != addon.pk:
        raise NotFound(f"there is no restore {restore!r} of addon {at.addon!r}")
    return row


async def _backup_path(request: Request, viewer: Viewer, at: Place, restore: str) -> Any:
    """The API's route of the restored backup, as this addon sees it, and where it is from."""
    api = of(request)

    def read() -> tuple[str, dict[str, str]]:
        with api.catalog.read() as session:
            row = _find(session, viewer, at, restore)
            backup = backups.get(session, row.backup_pk)
            origin = addons.get(session, backup.addon_pk)
            owner = projects.get(session, origin.project_pk)
            elsewhere = (owner.id, origin.id) != (at.project, at.addon)
            query = {"sourceProjectId": owner.id, "sourceAddonId": origin.id}
            return backup.id, query if elsewhere else {}

    return await api.turns.run(read)


@router.get(f"{_RESTORE}/log")
async def log_stream(
    request: Request, viewer: Viewing, project: str, addon: str, restore: str
) -> Response:
    check(viewer.caller, Permission.INSTANCE_LOGS)
    at, api = place(request, viewer.caller, project, addon), of(request)

    def find() -> str:
        with api.catalog.read() as session:
            return _find(session, viewer, at, restore).operation

    return logs.follow(request, viewer, await api.turns.run(find))


@router.post(f"{_RESTORE}/abort")
async def abort(
    request: Request, posted: Posting, project: str, addon: str, restore: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    backup, query = await _backup_path(request, posted.viewer, at, restore)
    path = at.path("backups", backup, "abort-restore")
    answer = await at.calls.ask("POST", path, {"restoreId": restore}, query)
    if not answer.ok:
        form = Form(known=("typed",)).refuse(answer)
        return await _page(request, posted.viewer, at, restore, form, answer.status)
    return RedirectResponse(f"{at.url}/restores/{restore}", 303)


@router.post(f"{_RESTORE}/undo")
async def undo(
    request: Request, posted: Posting, project: str, addon: str, restore: str
) -> Response:
    """Puts the old data back; what is there now goes."""
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, ("typed",))
    if form.value("typed") != addon:
        problem = f"type {addon} to put its old data back; nothing was changed"
        refused = form.fail(problem, typed=problem)
        return await _page(request, posted.viewer, at, restore, refused, 400)
    require_fresh(request, posted.viewer, posted.form)
    backup, query = await _backup_path(request, posted.viewer, at, restore)
    path = at.path("backups", backup, "undo-restore")
    answer = await at.calls.ask("POST", path, {"restoreId": restore}, query)
    if not answer.ok:
        return await _page(request, posted.viewer, at, restore, form.refuse(answer), answer.status)
    return RedirectResponse(f"{at.url}/restores/{answer.data['restoreId']}", 303)
