"""A new database: attach one, let Holdfast run one, or fork one from a backup."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.web import typed_secrets
from holdfast.web.forms import Form, split_list, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Answer, Calls, path_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posted, Posting, Viewer, Viewing

router = APIRouter()

_FIELDS = (
    "project",
    "newProject",
    "name",
    "type",
    "connectionString",
    "version",
    "billing.storage",
    "customCredentials.dbName",
    "source",
    "description",
    "tags",
)
_SECRETS = ("connectionString",)
KINDS = ("attach", "managed", "fork")
_ENGINE_BY_SCHEME = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mongodb": "mongodb",
    "mongodb+srv": "mongodb",
    "redis": "redis",
    "rediss": "redis",
    "sqlite": "sqlite",
}


@router.get("/addons/new")
async def new(request: Request, viewer: Viewing) -> Response:
    query = dict(request.query_params)
    form = Form.of(query, _FIELDS)
    if "fork" in query:
        form.values |= {"how": "fork", "source": query["fork"]}
    return await _page(request, viewer, form)


async def _page(
    request: Request, viewer: Viewer, form: Form, status: int = 200, probe: Answer | None = None
) -> Response:
    """`probe` is what testing the connection came to, None: it was not tested."""
    calls = Calls(request, viewer.caller)
    projects = (await calls.get("/v1/projects", per_page=100))["projects"]
    types = (await calls.get("/v1/addon-types"))["addonTypes"]
    origin = form.value("how") if form.value("how") in KINDS else "attach"
    context: dict[str, Any] = {
        "form": form,
        "how": origin,
        "projects": [(row["id"], row["name"]) for row in projects],
        "types": types,
        "source": form.value("source").split("/"),
        "sealed": typed_secrets.seal(request, viewer, form, _SECRETS),
        "probe": probe,
        "features": {kind["type"]: kind["features"] for kind in types}.get(engine_of(form), {}),
    }
    frame = await frame_of(request, viewer)
    page = Page("Add a database", "databases", (("Databases", "/projects"),), live="alarms")
    return show(request, "addons/new.html", page, frame, context, status)


@router.post("/addons/new/test")
async def test_connection(request: Request, posted: Posting) -> Response:
    """Probes the connection string as attaching does, and shows the form with what was found."""
    form = _read(request, posted)
    probe = await probe_of(Calls(request, posted.viewer.caller), form)
    # htmx shows only what succeeds
    status = 200 if probe.ok or "hx-request" in request.headers else 400
    return await _page(request, posted.viewer, form, status, probe)


async def probe_of(calls: Calls, form: Form) -> Answer:
    """What answers at the form's connection string; nothing is written."""
    body = {"connectionString": form.value("connectionString")}
    return await calls.ask("POST", path_of("addon-types", engine_of(form), "probe"), body)


def engine_of(form: Form) -> str:
    """The type that the form's connection string names."""
    scheme = form.value("connectionString").partition(":")[0].lower()
    return _ENGINE_BY_SCHEME.get(scheme, form.value("type") or "postgresql")


def _read(request: Request, posted: Posted) -> Form:
    return typed_secrets.restore(request, posted.viewer, Form.of(posted.form, _FIELDS))


@router.post("/addons/new")
async def create(request: Request, posted: Posting) -> Response:
    calls = Calls(request, posted.viewer.caller)
    form = _read(request, posted)
    project = form.value("project")
    if form.value("newProject"):
        answer = await calls.ask("PUT", "/v1/projects", {"name": form.value("newProject")})
        if not answer.ok:
            problem = next(iter(answer.details.values()), answer.message)
            refused = form.fail(answer.message, newProject=problem)
            return await _page(request, posted.viewer, refused, answer.status)
        project = answer.data["id"]
        form.values |= {"project": project, "newProject": ""}
    if not project:
        refused = form.fail("choose a project, or name a new one", project="is required")
        return await _page(request, posted.viewer, refused, 400)
    answer = await calls.ask("POST", path_of("projects", project, "addons"), body_of(form))
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), answer.status)
    return RedirectResponse(f"/p/{project}/{answer.data['id']}", 303)


def body_of(form: Form) -> dict[str, Any]:
    """The API's addon of the form's fields, whichever way it comes to be."""
    origin = form.value("how")
    body = {
        "name": form.value("name"),
        "type": form.value("type"),
        "description": form.value("description"),
        "tags": split_list(form.value("tags")),
    }
    if origin == "attach":
        body["type"] = engine_of(form)
        body["connectionString"] = form.value("connectionString")
        return {**without_empty(body), "connectionString": body["connectionString"]}
    storage = form.number("billing.storage")
    body |= {
        "version": form.value("version"),
        "billing": {
            "deploymentPlan": "local",
            "storage": 4096 if storage is None else storage,
            "replicas": 1,
        },
    }
    if form.value("customCredentials.dbName"):
        body["customCredentials"] = {"dbName": form.value("customCredentials.dbName")}
    if origin == "fork":
        project, addon, backup = [*form.value("source").split("/"), "", "", ""][:3]
        body["source"] = (
            {"projectId": project, "addonId": addon, "backupId": backup or "latest"}
            if addon
            else {"backupUid": project}  # of a backup whose addon is gone
        )
    return without_empty(body)
