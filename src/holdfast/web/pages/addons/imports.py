"""Imports: makes a backup of another server, or of a file that is fetched."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.web.forms import Form, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.pages.addons.addon import Place, place
from holdfast.web.pages.addons.backup import form_context
from holdfast.web.rendering import show
from holdfast.web.session import Posting, Viewer, Viewing

router = APIRouter()

_FIELDS = (
    "connectionString",
    "importAllDatabases",
    "importUrl",
    "uploadId",
    "name",
    "compressionType",
    "customDestinationId",
)


@router.get("/p/{project}/{addon}/import")
async def new(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    at = place(request, viewer.caller, project, addon)
    return await _page(request, viewer, at, Form(known=_FIELDS))


async def _page(
    request: Request, viewer: Viewer, at: Place, form: Form, status: int = 200
) -> Response:
    context = await form_context(at, form)
    frame = await frame_of(request, viewer)
    return show(request, "addons/import.html", at.page("Import"), frame, context, status)


@router.post("/p/{project}/{addon}/import")
async def create(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, _FIELDS)
    body = without_empty(
        {
            "connectionString": form.value("connectionString"),
            "importUrl": form.value("importUrl"),
            "uploadId": form.value("uploadId"),
            "importAllDatabases": form.on("importAllDatabases") or None,
            "name": form.value("name"),
            "compressionType": form.value("compressionType"),
            "customDestinationId": form.value("customDestinationId"),
        }
    )
    answer = await at.calls.ask("POST", at.path("import"), body)
    if not answer.ok:
        return await _page(request, posted.viewer, at, form.refuse(answer), answer.status)
    return RedirectResponse(f"{at.url}/backups/{answer.data['id']}", 303)
