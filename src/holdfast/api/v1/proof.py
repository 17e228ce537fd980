"""Extension: signed reports about protection, for auditors, and the key that verifies them."""

import asyncio
import base64
import threading
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from holdfast.api.late_answers import answer_late
from holdfast.api.places import Paging
from holdfast.api.reading import in_turn
from holdfast.catalog.proof import reports as rows
from holdfast.catalog.schema import Report
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import Conflict, NotFound
from holdfast.http import answers
from holdfast.http.auth import require_all_projects, requires
from holdfast.http.state import Api, State
from holdfast.http.writing import Writing
from holdfast.usecases.context import Context
from holdfast.usecases.forms.proof import ReportForm
from holdfast.usecases.proof import draft as drafts
from holdfast.usecases.proof import reports as verbs
from holdfast.usecases.proof.draft import Signed
from holdfast.views.proof import reports as views
from holdfast.views.proof.reports import ReportList, ReportView
from holdfast.views.shapes.base import Many, One

router = APIRouter(tags=["proof"])

Reader = Annotated[Caller, Depends(requires(Permission.AUDIT_READ))]
Number = Annotated[int, Path(ge=1, le=2**53, description="of the report")]

_at_work = threading.Lock()
"""One report at a time: it keeps a processor busy, and a thread of those that answer requests."""


class File(StrEnum):
    JSON = "json"
    HTML = "html"
    SIGNATURE = "sig"


_BYTES = "application/octet-stream"
"""Of all files: nothing of a report is shown, or run, as a page of this server."""
_ANY_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {_BYTES: {"schema": {"type": "string", "format": "binary"}}},
    }
}
_PEM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The key, as PEM.",
        "content": {"application/x-pem-file": {"schema": {"type": "string"}}},
    }
}


@router.post("/proof/reports", response_model=One[ReportView])
async def make_report(
    api: State, request: Request, writing: Writing, caller: Reader, form: ReportForm
) -> Response:
    """Makes and signs a report, and answers when it is stored: after seconds, or minutes for
    hundreds of thousands of backups. After five seconds the answer begins, with blanks; an error
    that comes then has its status in its body only. It is made also for a caller who leaves. 409
    while another one is being made."""
    if form.project_id is None:
        require_all_projects(caller)
    if not _at_work.acquire(blocking=False):
        raise Conflict("another report is being made; ask again when it is done")
    work = asyncio.ensure_future(run_in_threadpool(_make, api, writing, caller, form))
    work.add_done_callback(lambda _: _at_work.release())
    return await answer_late(request, work)


def _make(api: Api, writing: Writing, caller: Caller, form: ReportForm) -> Response:
    now = api.clock.now()
    with api.catalog.read() as session:
        scope = verbs.scope_of(session, caller, form, now)
        key = rows.private_key(session, api.services.sealer)
    lacks = verbs.limits(scope, now, api.policy.history_ms)
    order = verbs.Order(scope, form.project_id, caller, now, lacks)
    with api.catalog.read() as session:
        draft = drafts.draft(session, scope, order.project_id, now, api.data_dir)
    with closing(draft):
        while True:  # until no other report took the place meanwhile
            with api.catalog.read() as session:
                position = verbs.position(session, order.project_id)
            with closing(drafts.finish(draft, position, order.origin(), key)) as result:
                try:
                    return writing.create(caller, partial(_store, result, order))
                except verbs.Outrun:
                    continue


def _store(result: Signed, order: verbs.Order, context: Context) -> ReportView:
    return views.view(verbs.store(context, result, order))


@router.get("/proof/reports", response_model=Many[ReportList])
@in_turn
def list_reports(api: State, caller: Reader, page: Paging) -> Response:
    """The reports, newest first; a token of some projects sees those about one of them."""
    with api.catalog.read() as session:
        listed = rows.listed(session, caller, page)
        items = [views.view(report) for report in listed.items]
    return answers.many(ReportList(reports=items), len(items), listed.cursor)


@router.get("/proof/reports/{number}", response_model=One[ReportView])
@in_turn
def get_report(api: State, caller: Reader, number: Number) -> Response:
    return answers.one(views.view(_report(api, caller, number)))


@router.get("/proof/reports/{number}/{file}", response_class=StreamingResponse, responses=_ANY_FILE)
def get_report_file(api: State, caller: Reader, number: Number, file: File) -> Response:
    """A file of the report, byte for byte as it was signed."""
    report = _report(api, caller, number)
    headers = {
        "content-disposition": f'attachment; filename="report-{report.number}.{file}"',
        "x-content-type-options": "nosniff",
    }
    if file is File.SIGNATURE:
        body = base64.b64decode(report.signature)
        return Response(body, headers=headers, media_type=_BYTES)
    headers["content-length"] = str(report.size if file is File.JSON else report.html_size)
    return StreamingResponse(_parts(api, report.pk, file), headers=headers, media_type=_BYTES)


def _report(api: Api, caller: Caller, number: int) -> Report:
    with api.catalog.read() as session:
        report = rows.find(session, caller, number)
        if report is None:
            raise NotFound(f"there is no report {number}")
        session.expunge(report)
        return report


def _parts(api: Api, report_pk: int, file: File) -> Iterator[bytes]:
    """A session for each part: a slow reader keeps no connection."""
    position = 0
    while True:
        with api.catalog.read() as session:
            part = rows.part(session, report_pk, file, position)
        if part is None:
            return
        yield verbs.plain(part)
        position += 1


@router.get("/proof/key", response_class=Response, responses=_PEM)
@in_turn
def get_proof_key(api: State) -> Response:
    """The public key that verifies reports, as PEM; no token is needed."""
    with api.catalog.read() as session:
        pem = rows.public_key(session).pem
    return Response(pem, media_type="application/x-pem-file")
