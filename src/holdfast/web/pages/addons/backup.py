"""One backup: may I trust it? And everything that is done to one."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.catalog import backups
from holdfast.domain.access import Permission
from holdfast.domain.errors import NotFound
from holdfast.domain.operation import OVER
from holdfast.http.auth import check
from holdfast.http.state import of
from holdfast.web import live, logs
from holdfast.web.forms import Form, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.pages.addons.addon import Place, place, together
from holdfast.web.pages.addons.speed import curve_of
from holdfast.web.rendering import show
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh
from holdfast.web.showing import evidence
from holdfast.web.showing.words import day_time

router = APIRouter()

_BACKUP = "/p/{project}/{addon}/backups/{backup}"
_FIELDS = (
    "backupType",
    "compressionType",
    "name",
    "retentionTime",
    "customDestinationId",
    "maxRate",
)


@router.post("/p/{project}/{addon}/backups")
async def create(request: Request, posted: Posting, project: str, addon: str) -> Response:
    """Takes a backup now. Without a type: a dump where the engine has dumps, else a snapshot."""
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, _FIELDS)
    view = await at.view()
    features = await at.features(view["type"])
    kind = form.value("backupType") or ("dump" if features["backupsDump"] else "snapshot")
    body = without_empty(
        {
            "backupType": kind,
            "compressionType": form.value("compressionType") if kind == "dump" else "",
            "name": form.value("name"),
            "retentionTime": form.number("retentionTime"),
            "customDestinationId": form.value("customDestinationId") if kind == "dump" else "",
            "maxRate": form.number("maxRate") if kind == "snapshot" else None,
        }
    )
    answer = await at.calls.ask("POST", at.path("backups"), body)
    if not answer.ok:
        return await _new_page(request, posted.viewer, at, form.refuse(answer), answer.status)
    return RedirectResponse(f"{at.url}/backups/{answer.data['id']}", 303)


@router.get("/p/{project}/{addon}/backups/new")
async def new(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    at = place(request, viewer.caller, project, addon)
    return await _new_page(request, viewer, at, Form.of(dict(request.query_params), _FIELDS))


async def _new_page(
    request: Request, viewer: Viewer, at: Place, form: Form, status: int = 200
) -> Response:
    context = await form_context(at, form)
    page = at.page("Back up now")
    return show(
        request, "addons/backup_new.html", page, await frame_of(request, viewer), context, status
    )


async def form_context(at: Place, form: Form) -> dict[str, Any]:
    """What forms show that ask how a backup of the addon is taken, planned or brought in.

    `destinations` are for a select, the installation's own first.
    """
    view = await at.view()
    answer = await at.calls.ask("GET", "/v1/backup-destinations", query={"per_page": 100})
    rows = answer.items("backupDestinations")
    return {
        "at": at,
        "view": view,
        "form": form,
        "features": await at.features(view["type"]),
        "destinations": [
            ("", "this installation"),
            *((row["id"], row["name"]) for row in rows),
        ],
    }


@router.get(_BACKUP)
async def show_backup(
    request: Request, viewer: Viewing, project: str, addon: str, backup: str
) -> Response:
    at = place(request, viewer.caller, project, addon)
    return await _page(request, viewer, at, backup, Form(known=("typed",)))


async def _page(
    request: Request, viewer: Viewer, at: Place, backup: str, form: Form, status: int = 200
) -> Response:
    view, shown, proofs, plan, restores = await together(
        at.view(),
        at.calls.get(at.path("backups", backup)),
        at.calls.ask("GET", at.path("backups", backup, "evidence")),
        at.calls.ask("GET", at.path("retention-plan")),
        at.calls.get(at.path("backups", backup, "restores"), per_page=10),
    )
    proof: dict[str, Any] = proofs.record
    api = of(request)

    def read_log() -> tuple[str, logs.Log | None]:
        with api.catalog.read() as session:
            row = backups.find(session, at.row(session, viewer.caller).pk, backup)
            operation = (row.operation if row is not None else None) or ""
            return operation, logs.read(session, operation, viewer)

    operation, log = await api.turns.run(read_log)
    is_over = shown["status"] in OVER
    curve = None if is_over else await curve_of(request, viewer, at, operation)
    planned: list[dict[str, Any]] = plan.items("copies")
    title = day_time(shown["createdAt"])
    context: dict[str, Any] = {
        "at": at,
        "view": view,
        "backup": shown,
        "is_over": is_over,
        "curve": curve,
        "proof": proof,
        "summed": evidence.summed(proof.get("checks", ())),
        "stock": evidence.stock_commands(view["type"], proof.get("members", ())),
        "planned": [copy for copy in planned if copy["backupId"] == backup],
        "restores": restores["restores"],
        "operation": operation,
        "log": log,
        "form": form,
    }
    topics = live.topics(at.topic, f"operation/{operation}", f"rate/{operation}")
    page = at.page(title, live=topics)
    frame = await frame_of(request, viewer)
    return show(request, "addons/backup.html", page, frame, context, status)


@router.get(f"{_BACKUP}/log")
async def log_stream(
    request: Request, viewer: Viewing, project: str, addon: str, backup: str
) -> Response:
    check(viewer.caller, Permission.INSTANCE_LOGS)
    at, api = place(request, viewer.caller, project, addon), of(request)

    def find() -> str:
        with api.catalog.read() as session:
            row = backups.find(session, at.row(session, viewer.caller).pk, backup)
            if row is None:
                raise NotFound(f"there is no backup {backup!r}")
            return row.operation or ""

    return logs.follow(request, viewer, await api.turns.run(find))


@router.get(f"{_BACKUP}/download")
async def download(
    request: Request, viewer: Viewing, project: str, addon: str, backup: str
) -> Response:
    """Goes to a link that opens this one backup for an hour."""
    at = place(request, viewer.caller, project, addon)
    link = await at.calls.get(at.path("backups", backup, "download-link"))
    return RedirectResponse(link["downloadLink"], 303)


@router.post(f"{_BACKUP}/delete")
async def delete(
    request: Request, posted: Posting, project: str, addon: str, backup: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, ("typed",))
    if form.value("typed") != backup:
        problem = f"type {backup} to delete it; nothing was deleted"
        return await _page(
            request, posted.viewer, at, backup, form.fail(problem, typed=problem), 400
        )
    require_fresh(request, posted.viewer, posted.form)
    answer = await at.calls.ask(
        "DELETE", at.path("backups", backup), query={"force": form.on("force")}
    )
    if not answer.ok:
        return await _page(request, posted.viewer, at, backup, form.refuse(answer), answer.status)
    return RedirectResponse(f"{at.url}#pts", 303)


@router.post(f"{_BACKUP}/copies/{{destination}}/retry")
async def retry_copy(
    request: Request, posted: Posting, project: str, addon: str, backup: str, destination: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    path = at.path("backups", backup, "copies", destination, "retry")
    return await _act(request, posted.viewer, at, backup, path)


@router.post(f"{_BACKUP}/abort")
async def abort(
    request: Request, posted: Posting, project: str, addon: str, backup: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    return await _act(request, posted.viewer, at, backup, at.path("backups", backup, "abort"))


@router.post(f"{_BACKUP}/retain")
async def retain(
    request: Request, posted: Posting, project: str, addon: str, backup: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    return await _act(request, posted.viewer, at, backup, at.path("backups", backup, "retain"))


@router.post(f"{_BACKUP}/repair")
async def repair(
    request: Request, posted: Posting, project: str, addon: str, backup: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    return await _act(request, posted.viewer, at, backup, at.path("backups", backup, "repair"))


async def _act(request: Request, viewer: Viewer, at: Place, backup: str, path: str) -> Response:
    """Calls a verb of one backup; its refusal is shown above the backup."""
    answer = await at.calls.ask("POST", path, {})
    if not answer.ok:
        form = Form(known=("typed",)).refuse(answer)
        return await _page(request, viewer, at, backup, form, answer.status)
    return RedirectResponse(f"{at.url}/backups/{backup}", 303)
