"""Destinations: where copies are kept, whether that works, and what is there."""

import shutil
from collections import Counter
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from holdfast.http.state import of
from holdfast.views.metrics.stored import GROWTH_DAYS, PLATFORM, full_at
from holdfast.web.forms import Form, split_list, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls, path_of
from holdfast.web.pages.addons.addon import together
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewer, Viewing, require_fresh
from holdfast.web.showing import exports

router = APIRouter()

_FIELDS = (
    "name",
    "description",
    "prefix",
    "credentials.endpoint",
    "credentials.bucketName",
    "credentials.region",
    "credentials.accessKey",
    "credentials.secretKey",
    "credentials",
    "projectId",
    "projects",
    "typed",
)
_TRAIL = (("Destinations", "/places"),)
_FINDING = (
    *("id", "kind", "destinationId", "prefix", "objects", "bytes", "backupId", "reason"),
    *("createdAt", "seenAt", "settledAt", "outcome"),
)
"""Columns of the file of findings."""
_STORE_ALARMS = ("store.unusable", "disk.nearly-full", "addon.copy-lost")


@router.get("/places")
async def places(request: Request, viewer: Viewing) -> Response:
    return await _list_page(request, viewer, Form())


async def _list_page(request: Request, viewer: Viewer, form: Form, status: int = 200) -> Response:
    calls, api = Calls(request, viewer.caller), of(request)
    if request.query_params.get("of") == "findings" and request.query_params.get("format"):
        rows = await calls.every("/v1/retention/findings", "findings")
        findings = [{name: row.get(name) for name in _FINDING} for row in rows]
        return exports.table(request, "findings", findings)
    listed, audits, findings, alarms = await together(
        calls.ask("GET", "/v1/backup-destinations", query={"per_page": 100}),
        calls.ask("GET", "/v1/retention/audits"),
        calls.ask("GET", "/v1/retention/findings", query={"per_page": 100}),
        calls.ask("GET", "/v1/alarms", query={"open": True, "per_page": 100}),
    )
    frame = await frame_of(request, viewer)

    stored = await run_in_threadpool(api.stored_bytes.recent, api.catalog)
    sizes, copies, growth = Counter[str](), Counter[str](), Counter[str]()
    for row in stored or ():
        growth[row.store] += row.growth
        sizes[row.store] += row.bytes
        copies[row.store] += row.copies
    store_alarms = [row for row in alarms.items("alarms") if row["kind"] in _STORE_ALARMS]
    unusable = {
        PLATFORM
        if row["subject"] == "the platform store"
        else row["subject"].removeprefix("store ")
        for row in store_alarms
        if row["kind"] == "store.unusable"
    }
    directory = api.platform_directory
    room = shutil.disk_usage(directory) if directory and directory.is_dir() else None
    checks = {row.get("destinationId", PLATFORM): row for row in audits.items("audits")}
    open_findings = [row for row in findings.items("findings") if "settledAt" not in row]
    destinations = listed.data["backupDestinations"]
    if request.query_params.get("format"):
        rows = [_row(row, sizes, copies) for row in destinations]
        return exports.table(request, "destinations", rows)
    context = {
        "destinations": destinations,
        "is_counted": stored is not None,
        "sizes": sizes,
        "copies": copies,
        "growth": growth,
        "growth_days": GROWTH_DAYS,
        "room": room,
        "unusable": unusable,
        "full_at": full_at(room.free, growth[PLATFORM], frame.now) if room else None,
        "checks": checks,
        "findings": open_findings,
        "alarms": store_alarms,
        "platform": PLATFORM,
        "form": form,
    }
    page = Page("Destinations", "places", live="alarms")
    return show(request, "places.html", page, frame, context, status)


def _row(
    destination: dict[str, Any], sizes: Counter[str], copies: Counter[str]
) -> dict[str, object]:
    return {
        "id": destination["id"],
        "name": destination["name"],
        "type": destination["type"],
        "endpoint": destination["credentials"]["endpoint"],
        "bucket": destination["credentials"]["bucketName"],
        "prefix": destination["prefix"],
        "project": destination.get("projectId"),
        "copies": copies[destination["id"]],
        "bytes": sizes[destination["id"]],
    }


@router.post("/places/check")
async def order_check(request: Request, posted: Posting) -> Response:
    """Compares a store, or every one, with the catalogue as soon as possible."""
    form = Form.of(posted.form)
    body = without_empty(
        {"destinationId": form.value("destination"), "readData": form.on("read") or None}
    )
    calls = Calls(request, posted.viewer.caller)
    answer = await calls.ask("POST", "/v1/retention/audits", body)
    if not answer.ok:
        return await _list_page(request, posted.viewer, form.refuse(answer), answer.status)
    return RedirectResponse("/places", 303)


@router.get("/places/new")
async def new(request: Request, viewer: Viewing) -> Response:
    form = Form.of({"prefix": "holdfast/", "credentials.region": "us-east-1"}, _FIELDS)
    return await _form_page(request, viewer, form, None)


async def _form_page(
    request: Request,
    viewer: Viewer,
    form: Form,
    destination: dict[str, Any] | None,
    status: int = 200,
) -> Response:
    calls = Calls(request, viewer.caller)
    projects = (await calls.get("/v1/projects", per_page=100))["projects"]
    stored: list[dict[str, Any]] = []
    cursor = request.query_params.get("cursor")
    following = None
    if destination is not None:
        path = path_of("backup-destinations", destination["id"], "backups")
        answer = await calls.ask("GET", path, query={"per_page": 25, "cursor": cursor})
        stored = answer.data if answer.ok else []
        following = answer.cursor if answer.ok else None
    context = {
        "form": form,
        "destination": destination,
        "projects": [("", "this installation"), *((row["id"], row["name"]) for row in projects)],
        "stored": stored,
        "cursor": following,
    }
    title = destination["name"] if destination else "Add a destination"
    frame = await frame_of(request, viewer)
    return show(request, "place.html", Page(title, "places", _TRAIL), frame, context, status)


def _credentials(form: Form) -> dict[str, str]:
    names = ("endpoint", "bucketName", "region", "accessKey", "secretKey")
    return {name: form.value(f"credentials.{name}") for name in names}


@router.post("/places")
async def add(request: Request, posted: Posting) -> Response:
    """Adds a bucket, which is written to, read back, listed and deleted from first."""
    form = Form.of(posted.form, _FIELDS)
    body = {
        **without_empty(
            {
                "name": form.value("name"),
                "description": form.value("description"),
                "projectId": form.value("projectId"),
                "projects": split_list(form.value("projects")) or None,
            }
        ),
        "type": "s3",
        "prefix": form.value("prefix"),
        "credentials": _credentials(form),
    }
    calls = Calls(request, posted.viewer.caller)
    answer = await calls.ask("POST", "/v1/backup-destinations", body)
    if not answer.ok:
        return await _form_page(request, posted.viewer, form.refuse(answer), None, answer.status)
    return RedirectResponse(f"/places/{answer.data['id']}", 303)


@router.get("/places/{destination}")
async def show_place(request: Request, viewer: Viewing, destination: str) -> Response:
    shown = await Calls(request, viewer.caller).get(path_of("backup-destinations", destination))
    return await _form_page(request, viewer, _form_of(shown), shown)


def _form_of(destination: dict[str, Any]) -> Form:
    form = Form(known=_FIELDS)
    credentials = destination["credentials"]
    form.values = {
        "name": destination["name"],
        "description": destination.get("description", ""),
        "credentials.endpoint": credentials["endpoint"],
        "credentials.bucketName": credentials["bucketName"],
        "credentials.region": credentials["region"],
        "projects": " ".join(destination.get("projects", ())),
    }
    return form


@router.post("/places/{destination}")
async def change(request: Request, posted: Posting, destination: str) -> Response:
    """Changes it; with both keys, it is probed with them first."""
    calls = Calls(request, posted.viewer.caller)
    path = path_of("backup-destinations", destination)
    shown = await calls.get(path)
    form = Form.of(posted.form, _FIELDS)
    body: dict[str, Any] = {"name": form.value("name"), "description": form.value("description")}
    if form.value("credentials.accessKey") or form.value("credentials.secretKey"):
        body["credentials"] = _credentials(form)
    if form.value("projects"):
        body["projects"] = split_list(form.value("projects"))
    answer = await calls.ask("PATCH", path, body)
    if not answer.ok:
        return await _form_page(request, posted.viewer, form.refuse(answer), shown, answer.status)
    return RedirectResponse(f"/places/{destination}", 303)


@router.post("/places/{destination}/delete")
async def delete(request: Request, posted: Posting, destination: str) -> Response:
    calls = Calls(request, posted.viewer.caller)
    path = path_of("backup-destinations", destination)
    shown = await calls.get(path)
    form = _form_of(shown)
    if str(posted.form.get("typed", "")).strip() != destination:
        problem = f"type {destination} to delete it; nothing was deleted"
        refused = form.fail(problem, typed=problem)
        return await _form_page(request, posted.viewer, refused, shown, 400)
    require_fresh(request, posted.viewer, posted.form)
    answer = await calls.ask("DELETE", path)
    if not answer.ok:
        return await _form_page(request, posted.viewer, form.refuse(answer), shown, answer.status)
    return RedirectResponse("/places", 303)


@router.post("/places/{destination}/recovery-kit")
async def recovery_kit(request: Request, posted: Posting, destination: str) -> Response:
    """A new passphrase for every repository there, shown once; the old one stops working."""
    require_fresh(request, posted.viewer, posted.form)
    calls = Calls(request, posted.viewer.caller)
    is_platform = destination == PLATFORM
    store = ("platform-store",) if is_platform else ("backup-destinations", destination)
    answer = await calls.ask("POST", path_of(*store, "recovery-kit"), {})
    if not answer.ok:
        return await _list_page(request, posted.viewer, Form().refuse(answer), answer.status)
    name = "this installation" if is_platform else destination
    frame = await frame_of(request, posted.viewer)
    page = Page("Recovery kit", "places", _TRAIL)
    return show(request, "recovery_kit.html", page, frame, {"kit": answer.data, "name": name})
