"""Proof: does it really come back, and how long does it take? And evidence for auditors."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.domain.access import Permission
from holdfast.domain.units import DAY_MS
from holdfast.http.auth import check
from holdfast.http.state import of
from holdfast.views.dashboard import proofs as views
from holdfast.views.dashboard.proofs import Proven, Trial
from holdfast.web.forms import Form, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls, path_of, relay
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewer, Viewing
from holdfast.web.showing import exports

router = APIRouter()

_TRIALS = 100
_CHARTED = 20
_FIELDS = ("from", "to", "projectId")


@router.get("/proof")
async def proof(request: Request, viewer: Viewing) -> Response:
    return await _page(request, viewer, Form(known=_FIELDS))


async def _page(request: Request, viewer: Viewer, form: Form, status: int = 200) -> Response:
    check(viewer.caller, Permission.ADDON_READ)
    calls, api, query = Calls(request, viewer.caller), of(request), request.query_params
    frame = await frame_of(request, viewer)

    def read() -> tuple[list[Proven], list[Trial]]:
        with api.catalog.read() as session:
            proven = views.proofs(session, viewer.caller, frame.now)
            return proven, views.trials(session, viewer.caller, _TRIALS)

    proven, trials = await api.turns.run(read)
    shown = query.get("show", "")
    trials = [trial for trial in trials if _fits(trial, shown)]
    if query.get("format") and query.get("table") == "trials":
        return exports.table(request, "drills-and-restores", [_trial_row(row) for row in trials])
    if query.get("format"):
        return exports.table(request, "proof", [_row(row) for row in proven])
    reports = await calls.ask("GET", "/v1/proof/reports", query={"per_page": 10})
    projects = await calls.get("/v1/projects", per_page=100)
    backed = [row for row in proven if row.first_good is not None]
    if not form.values:
        form.values = {"from": (exports.instant(frame.now) or "")[:8] + "01"}
    context = {
        "proven": proven,
        "backed": backed,
        "current": [row for row in backed if row.is_current(frame.now)],
        "charted": [row for row in proven if row.proof_ms is not None][:_CHARTED],
        "closest": max(
            (row for row in proven if row.share is not None),
            key=lambda row: row.share or 0,
            default=None,
        ),
        "longest": min(
            (row for row in backed if not row.is_current(frame.now)),
            key=lambda row: row.proven or row.first_good or 0,
            default=None,
        ),
        "trials": trials[:50],
        "recent": sum(1 for trial in trials if trial.at > frame.now - 30 * DAY_MS),
        "shown": shown,
        "reports": reports.items("reports"),
        "may_report": reports.ok,
        "projects": [("", "all of them"), *((p["id"], p["name"]) for p in projects["projects"])],
        "form": form,
    }
    return show(request, "proof.html", Page("Proof & drills", "proof"), frame, context, status)


def _fits(trial: Trial, shown: str) -> bool:
    match shown:
        case "drills":
            return trial.is_drill
        case "restores":
            return not trial.is_drill
        case "failed":
            return trial.verdict in ("failed", "inconclusive", "not-supported")
        case _:
            return True


def _row(row: Proven) -> dict[str, object]:
    return {
        "project": row.project_id,
        "database": row.id,
        "type": row.kind,
        "provenAt": exports.instant(row.proven),
        "seconds": None if row.proof_ms is None else row.proof_ms / 1000,
        "objectiveSeconds": None if row.limit_ms is None else row.limit_ms / 1000,
        "withinDays": row.within_ms / DAY_MS,
        "lastDrillFailed": row.failing,
    }


def _trial_row(trial: Trial) -> dict[str, object]:
    return {
        "kind": "drill" if trial.is_drill else "restore",
        "id": trial.id,
        "project": trial.project_id,
        "database": trial.addon_id,
        "backup": trial.backup_id,
        "at": exports.instant(trial.at),
        "verdict": trial.verdict,
        "seconds": None if trial.took_ms is None else trial.took_ms / 1000,
        "text": trial.text,
    }


@router.post("/proof/reports")
async def make_report(request: Request, posted: Posting) -> Response:
    """Makes and signs a report; that takes seconds, or minutes for very many backups."""
    calls = Calls(request, posted.viewer.caller)
    form = Form.of(posted.form, _FIELDS)
    body: dict[str, Any] = without_empty({name: form.value(name) for name in _FIELDS})
    answer = await calls.ask("POST", "/v1/proof/reports", body)
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), answer.status)
    return RedirectResponse("/proof#ex", 303)


@router.get("/proof/reports/{number}/{file}")
async def report_file(request: Request, viewer: Viewing, number: str, file: str) -> Response:
    """A file of a report, byte for byte as it was signed."""
    path = path_of("proof", "reports", number, file)
    return await relay(viewer.caller, path, origin=request)
