"""Restoring: which point, where to, what will happen, and a typed name before anything goes."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.domain.differences import KEEP_OLD_HOURS
from holdfast.domain.operation import OVER
from holdfast.web.forms import Form, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls
from holdfast.web.pages.addons.addon import Place, alike, place, together
from holdfast.web.rendering import show
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh
from holdfast.web.showing.words import age, engine, ms_of, size

router = APIRouter()

_POINTS = 50
_FIELDS = (
    "backup",
    "target",
    "typed",
    "keepOldHours",
    "trusted",
    "replace",
    "skipFailedObjects",
    "locale",
    "acceptDifferences",
)


@router.get("/p/{project}/{addon}/restore")
async def choose(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    """Point and place."""
    at = place(request, viewer.caller, project, addon)
    view, backups = await together(
        at.view(),
        at.calls.get(at.path("backups"), status=("completed",), per_page=_POINTS),
    )
    context = {
        "at": at,
        "view": view,
        "backups": backups["backups"],
        "chosen": request.query_params.get("backup", ""),
        "others": await alike(request, viewer.caller, at, view["type"]),
        "features": await at.features(view["type"]),
    }
    frame = await frame_of(request, viewer)
    return show(request, "addons/restore.html", at.page("Restore"), frame, context)


@router.get("/p/{project}/{addon}/restore/check")
async def check(request: Request, viewer: Viewing, project: str, addon: str) -> Response:
    """What will happen, and the form that confirms it."""
    at = place(request, viewer.caller, project, addon)
    form = Form.of(dict(request.query_params), _FIELDS)
    if form.value("where") == "fork":
        source = f"{project}/{addon}/{form.value('backup')}"
        return RedirectResponse(f"/addons/new?fork={source}", 303)
    if form.value("where") != "other":
        form.values["target"] = f"{project}/{addon}"
    return await _check_page(request, viewer, at, form)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at before a restore: `tone` is good, warn or bad."""

    tone: str
    name: str
    text: str


async def _check_page(
    request: Request, viewer: Viewer, at: Place, form: Form, status: int = 200
) -> Response:
    target = _target(at.calls, form, at)
    view, into, protection, backup, proof = await together(
        at.view(),
        target.view(),
        at.calls.get(target.path("protection")),
        at.calls.get(at.path("backups", form.value("backup"))),
        at.calls.ask("GET", at.path("backups", form.value("backup"), "evidence")),
    )
    restores = await at.calls.get(target.path("restores"), per_page=5)
    frame = await frame_of(request, viewer)
    facts: dict[str, Any] = proof.record
    findings = _findings(backup, view, into, facts, frame.now)
    going = [row for row in restores["restores"] if row["status"] not in OVER]
    if going:
        text = (
            f"a restore of {going[0]['backupId']} into it is {going[0]['status']}: this one waits"
        )
        findings.append(Finding("warn", "Other work", text))
    if "keepOldHours" not in form.values:
        # A file that stays open has nothing beside it to keep.
        stays_open = view["type"] == "sqlite" and backup["backupType"] == "snapshot"
        form.values["keepOldHours"] = "" if stays_open else str(KEEP_OLD_HOURS)
    context = {
        "at": at,
        "target": target,
        "view": view,
        "into": into,
        "backup": backup,
        "protection": protection,
        "own": await at.calls.get(at.path("protection")),
        "findings": findings,
        "blocked": any(finding.tone == "bad" for finding in findings),
        "form": form,
        "differences": form.all("acceptDifferences"),
    }
    page = at.page("Check", ("Restore", f"{at.url}/restore?backup={form.value('backup')}"))
    return show(request, "addons/restore_check.html", page, frame, context, status)


def _target(calls: Calls, form: Form, at: Place) -> Place:
    project, _, addon = form.value("target").partition("/")
    return Place(calls, project or at.project, addon or at.addon)


def _findings(
    backup: dict[str, Any],
    view: dict[str, Any],
    into: dict[str, Any],
    proof: dict[str, Any],
    now: int,
) -> list[Finding]:
    """What the catalogue knows that speaks for and against it; the target itself is looked at by
    the restore's own preflight, before it touches anything."""
    copies = backup["copies"]
    whole = [copy for copy in copies if "lost" not in copy and "spoiled" not in copy]
    read = [copy["readAt"] for copy in whole if "readAt" in copy]
    completed = backup["status"] == "completed"
    passed = sum(1 for check in proof.get("checks", ()) if check["passed"])
    findings = [
        Finding(
            "good" if completed else "bad",
            "The backup",
            f"good: {passed} of {len(proof.get('checks', ()))} checks passed"
            if completed
            else f"it is {backup['status']}; only completed ones can be restored",
        ),
        Finding(
            "good" if whole else "bad",
            "Its bytes",
            f"{len(whole)} of {len(copies)} copies are there"
            + (f", last read in whole {age(now - ms_of(max(read)))} ago" if read else "")
            if whole
            else "no copy of it is whole",
        ),
        Finding(
            "good" if view["type"] == into["type"] else "bad",
            "Versions",
            f"{engine(view['type'], backup['config']['addonVersion'])} into"
            f" {engine(into['type'], into['version'])}",
        ),
        Finding(
            "good" if into["status"] == "running" else "bad",
            "The target",
            f"{into['name']} is {into['status']}",
        ),
        Finding(
            "good",
            "Room",
            f"about {size(backup['config']['size'])} stored; the preflight measures what is free",
        ),
    ]
    if proof.get("provenance") == "foreign":
        text = "others could have shaped it, so it is loaded with the least power"
        findings.append(Finding("warn", "Origin", text))
    findings += [
        Finding("warn", "Will not be as it was", str(warning.get("text", "")))
        for warning in proof.get("warnings", ())[:5]
    ]
    return findings


@router.post("/p/{project}/{addon}/restore")
async def start(request: Request, posted: Posting, project: str, addon: str) -> Response:
    at = place(request, posted.viewer.caller, project, addon)
    form = Form.of(posted.form, _FIELDS)
    target = _target(at.calls, form, at)
    if form.value("typed") != target.addon:
        problem = f"type {target.addon} to replace its data; nothing was changed"
        refused = form.fail(problem, typed=problem)
        return await _check_page(request, posted.viewer, at, refused, 400)
    require_fresh(request, posted.viewer, posted.form)
    body = without_empty(
        {
            "replace": form.on("replace") or None,
            "trusted": form.on("trusted") or None,
            "skipFailedObjects": form.on("skipFailedObjects") or None,
            "keepOldHours": form.number("keepOldHours"),
            "locale": form.value("locale"),
            "acceptDifferences": form.all("acceptDifferences"),
        }
    )
    elsewhere = (target.project, target.addon) != (project, addon)
    query = {"sourceProjectId": project, "sourceAddonId": addon} if elsewhere else {}
    path = target.path("backups", form.value("backup"), "restore")
    answer = await at.calls.ask("POST", path, body, query)
    if not answer.ok:
        return await _check_page(request, posted.viewer, at, form.refuse(answer), answer.status)
    return RedirectResponse(f"{target.url}/restores/{answer.data['restoreId']}", 303)
