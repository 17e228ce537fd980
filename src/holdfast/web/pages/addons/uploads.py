"""Uploads of files to import: a script of ours sends them in parts, which go on to the API."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from holdfast.domain.errors import Invalid
from holdfast.web.forms import Form, without_empty
from holdfast.web.in_process import Answer, hand_on
from holdfast.web.pages.addons.addon import place
from holdfast.web.session import Posting, Viewing, require_csrf, require_same_origin

router = APIRouter()

_UPLOADS = "/p/{project}/{addon}/uploads"


def _answer(answer: Answer) -> Response:
    """The upload, or the API's sentence."""
    if answer.ok:
        return JSONResponse(answer.data)
    return JSONResponse({"message": answer.message}, status_code=answer.status)


@router.post(_UPLOADS)
async def begin(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    body = without_empty({"size": Form.of(posted.form).number("size")})
    return _answer(await at.calls.ask("POST", at.path("uploads"), body))


@router.get(f"{_UPLOADS}/{{upload}}")
async def show_upload(
    request: Request, viewer: Viewing, project: str, addon: str, upload: str
) -> Response:
    """How much has arrived, to go on after a broken connection."""
    at = place(request, viewer.caller, project, addon)
    return _answer(await at.calls.ask("GET", at.path("uploads", upload)))


@router.put(f"{_UPLOADS}/{{upload}}/content")
async def put_part(
    request: Request,
    viewer: Viewing,
    project: str,
    addon: str,
    upload: str,
    offset: Annotated[int, Query(ge=0)],
) -> Response:
    """Hands one part on as it arrives; the API limits, stores and checks it."""
    require_same_origin(request)
    require_csrf(viewer, request.headers)
    if not request.headers.get("content-length", "").isdigit():
        raise Invalid("a part says how long it is")
    at = place(request, viewer.caller, project, addon)
    path = at.path("uploads", upload, "content")
    return _answer(await hand_on(viewer.caller, path, {"offset": offset}, origin=request))
