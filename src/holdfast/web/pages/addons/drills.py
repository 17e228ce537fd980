"""One drill: what was restored, what was found; the plan of drills, and the questions they ask."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.catalog import drills
from holdfast.domain.access import Permission
from holdfast.domain.errors import NotFound
from holdfast.domain.operation import OVER, Kind
from holdfast.http.auth import check
from holdfast.http.state import of
from holdfast.web import live, logs
from holdfast.web.forms import Form
from holdfast.web.frame import frame_of
from holdfast.web.pages.addons.addon import Place, place, together
from holdfast.web.rendering import show
from holdfast.web.session import Posting, Viewer, Viewing
from holdfast.web.showing import steps

router = APIRouter()

_DRILL = "/p/{project}/{addon}/drills/{drill}"
_PLAN = "/p/{project}/{addon}/proof"
_PLAN_FIELDS = ("scheduled", "afterBackup", "compareContent")
_SPARE = 2
"""Empty questions at the end of the form, so that some can be added without scripts."""


@router.get(_DRILL)
async def show_drill(
    request: Request, viewer: Viewing, project: str, addon: str, drill: str
) -> Response:
    at = place(request, viewer.caller, project, addon)
    return await _page(request, viewer, at, drill, Form(known=("note",)))


async def _page(
    request: Request, viewer: Viewer, at: Place, drill: str, form: Form, status: int = 200
) -> Response:
    view, shown = await together(at.view(), at.calls.get(at.path("drills", drill)))
    api = of(request)

    def read() -> tuple[str, logs.Log | None]:
        with api.catalog.read() as session:
            row = drills.find(session, at.row(session, viewer.caller).pk, drill)
            operation = row.operation if row is not None else ""
            return operation, logs.read(session, operation, viewer)

    operation, log = await api.turns.run(read)
    server: dict[str, Any] | None = None
    if "keptUntil" in shown:
        answer = await at.calls.ask("GET", at.path("drills", drill, "server"))
        server = answer.record or None
    context = {
        "at": at,
        "view": view,
        "drill": shown,
        "is_over": shown["status"] in OVER,
        "steps": steps.states(Kind.DRILL, None, shown["status"]),
        "server": server,
        "operation": operation,
        "log": log,
        "form": form,
    }
    page = at.page("Drill", live=live.topics(at.topic, f"operation/{operation}"))
    frame = await frame_of(request, viewer)
    return show(request, "addons/drill.html", page, frame, context, status)


@router.get(f"{_DRILL}/log")
async def log_stream(
    request: Request, viewer: Viewing, project: str, addon: str, drill: str
) -> Response:
    check(viewer.caller, Permission.INSTANCE_LOGS)
    at, api = place(request, viewer.caller, project, addon), of(request)

    def find() -> str:
        with api.catalog.read() as session:
            row = drills.find(session, at.row(session, viewer.caller).pk, drill)
            if row is None:
                raise NotFound(f"there is no drill {drill!r}")
            return row.operation

    return logs.follow(request, viewer, await api.turns.run(find))


@router.post(f"{_DRILL}/abort")
async def abort(
    request: Request, posted: Posting, project: str, addon: str, drill: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    return await _act(request, posted.viewer, at, drill, "abort", {})


@router.post(f"{_DRILL}/release")
async def release(
    request: Request, posted: Posting, project: str, addon: str, drill: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    return await _act(request, posted.viewer, at, drill, "release", {})


@router.post(f"{_DRILL}/opinions")
async def give_opinion(
    request: Request, posted: Posting, project: str, addon: str, drill: str
) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, ("note",))
    body = {"passed": form.value("passed") == "yes", "note": form.value("note")}
    return await _act(request, posted.viewer, at, drill, "opinions", body)


async def _act(
    request: Request, viewer: Viewer, at: Place, drill: str, verb: str, body: dict[str, Any]
) -> Response:
    answer = await at.calls.ask("POST", at.path("drills", drill, verb), body)
    if not answer.ok:
        form = Form(known=("note",)).refuse(answer)
        return await _page(request, viewer, at, drill, form, answer.status)
    return RedirectResponse(f"{at.url}/drills/{drill}", 303)


@router.get(_PLAN)
async def plan(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    at = place(request, viewer.caller, project, addon)
    return await _plan_page(request, viewer, at, Form(known=_PLAN_FIELDS))


async def _plan_page(
    request: Request, viewer: Viewer, at: Place, form: Form, status: int = 200
) -> Response:
    view, chosen, assertions = await together(
        at.view(), at.calls.get(at.path("drill-plan")), at.calls.get(at.path("assertions"))
    )
    questions: list[dict[str, Any]] = assertions["assertions"]
    if not form.values:
        form.values = {name: "on" if chosen[name] else "" for name in _PLAN_FIELDS}
        for number, question in enumerate(questions):
            for name, value in question.items():
                form.values[f"assertions[{number}].{name}"] = str(value)
    filled = sum(1 for name, text in form.values.items() if name.endswith(".text") and text)
    rows = max(len(questions), filled) + _SPARE
    form.known = (
        *_PLAN_FIELDS,
        *(f"assertions[{n}].{f}" for n in range(rows) for f in ("name", "text", "seconds")),
    )
    context = {"at": at, "view": view, "form": form, "rows": rows}
    frame = await frame_of(request, viewer)
    page = at.page("Plan and questions")
    return show(request, "addons/drill_plan.html", page, frame, context, status)


@router.post(_PLAN)
async def put_plan(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, _PLAN_FIELDS)
    body = {name: form.on(name) for name in _PLAN_FIELDS}
    answer = await at.calls.ask("PUT", at.path("drill-plan"), body)
    if not answer.ok:
        return await _plan_page(request, posted.viewer, at, form.refuse(answer), answer.status)
    return RedirectResponse(f"{at.url}/proof", 303)


@router.post(f"{_PLAN}/questions")
async def put_questions(request: Request, posted: Posting, project: str, addon: str) -> Response:
    """Replaces the questions; rows without a text are left out."""
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form)
    numbers = [
        number
        for number in range(len(form.values))
        if form.value(f"assertions[{number}].text") or form.value(f"assertions[{number}].name")
    ]
    questions = [_question(form, number) for number in numbers]
    answer = await at.calls.ask("PUT", at.path("assertions"), {"assertions": questions})
    if not answer.ok:
        return await _plan_page(request, posted.viewer, at, form.refuse(answer), answer.status)
    return RedirectResponse(f"{at.url}/proof", 303)


def _question(form: Form, number: int) -> dict[str, Any]:
    prefix = f"assertions[{number}]"
    question: dict[str, Any] = {
        "name": form.value(f"{prefix}.name"),
        "text": form.value(f"{prefix}.text"),
    }
    seconds = form.number(f"{prefix}.seconds")
    if seconds is not None:
        question["seconds"] = seconds
    if form.value(f"{prefix}.database"):
        question["database"] = form.value(f"{prefix}.database")
    return question
