"""Set-up: the link that a fresh installation prints, and three answers to the first backup."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from holdfast.catalog.access import users
from holdfast.domain.access import Permission
from holdfast.domain.errors import Failure, Invalid, NotFound
from holdfast.http.arrival import address_of
from holdfast.http.auth import check
from holdfast.http.limits.throttle import digest_of
from holdfast.http.state import of
from holdfast.http.writing import Writer
from holdfast.kit.seal import Secret
from holdfast.usecases.access import first_owner
from holdfast.usecases.access.users import require_good
from holdfast.usecases.context import Context
from holdfast.usecases.forms.users import UserForm
from holdfast.web import typed_secrets
from holdfast.web.forms import Form
from holdfast.web.in_process import Answer, Calls, path_of
from holdfast.web.live import addon_topic
from holdfast.web.pages.access.sign_in import only_single
from holdfast.web.pages.addons.new import body_of, engine_of, probe_of
from holdfast.web.session import (
    Posted,
    Posting,
    Viewer,
    Viewing,
    read_form,
    require_private,
    require_same_origin,
)
from holdfast.web.sign_in.entering import Entry, enter, show_door
from holdfast.web.sign_in.going_on import GoingOn

router = APIRouter()

PLANS: dict[str, tuple[dict[str, Any], int] | None] = {
    "daily": ({"interval": "daily", "hour": [3], "minute": [0]}, 30),
    "hourly": ({"interval": "hourly", "minute": [0]}, 7),
    "none": None,
}
"""When backups are taken, and for how many days they are kept."""
_FIELDS = (
    *("how", "connectionString", "type", "name", "project", "plan", "place", "drill"),
    *("endpoint", "bucketName", "region", "accessKey", "secretKey"),
)
_SECRETS = ("connectionString", "secretKey")
_CHOICES = {"how": "attach", "plan": "daily", "place": "here"}
"""What is chosen at first."""
_OVER = ("completed", "failed", "aborted", "notSupported", "not-supported", "lost")


@router.get("/setup")
async def setup_page(request: Request) -> Response:
    """With a valid key and no user yet, the form of the owner; else the first backup."""
    key = request.query_params.get("key", "")
    if not key:
        return RedirectResponse("/setup/first", 303)
    await _require_key(request, key)
    return _show_owner(request, key, Form())


def _show_owner(request: Request, key: str, form: Form) -> Response:
    return show_door(
        request,
        "setup/owner.html",
        "Welcome to Holdfast",
        400 if form.message else 200,
        key=key,
        form=form,
        lead="First you. Then your first backup, in about two minutes.",
    )


@router.post("/setup")
async def make_owner(request: Request) -> Response:
    require_same_origin(request)
    require_private(request)
    posted = await read_form(request)
    key, form = str(posted.get("key", "")), Form.of(posted, ("name", "password"))
    await _require_key(request, key)
    password = Secret(str(posted.get("password", "")))
    try:
        name = UserForm.model_validate({"name": form.value("name"), "role": "owner"}).name
        require_good(password, name)
    except ValidationError:
        return _show_owner(request, key, form.fail("that is no name", name="is needed"))
    except Invalid as error:
        return _show_owner(request, key, form.fail(error.message, **error.details))
    hashed = await run_in_threadpool(of(request).hasher.hash, password)

    def create(context: Context) -> Entry:
        user = first_owner.create(context, name, hashed)
        caller = users.caller_of(context.session, user, context.now)
        return Entry(caller or first_owner.OPENER, user, "set-up link")

    entry = await run_in_threadpool(Writer(of(request), request).run, first_owner.OPENER, create)
    return await enter(request, entry, GoingOn("/setup/first"))


async def _require_key(request: Request, key: str) -> None:
    """Raises NotFound for a wrong key, which counts as a wrong token does, and for a used one."""
    api, address = of(request), address_of(request)
    if only_single(request):
        raise NotFound(f"the first owner signs in with {only_single(request)}")
    api.throttle.check_guesses(address)
    if not first_owner.is_valid(api.services.sealer, key, api.clock.now()):
        api.throttle.wrong(digest_of(key), address)
        raise NotFound("this link is too old, or not from here: restart Holdfast for another one")

    def used() -> bool:
        with api.catalog.read() as session:
            return users.any_user(session)

    if await api.turns.run(used):
        raise NotFound("this link was used already: sign in, or ask an owner for an invitation")


@router.get("/setup/first")
async def first_page(request: Request, viewer: Viewing) -> Response:
    check(viewer.caller, Permission.ADDON_CREATE)
    values = {**_CHOICES, "project": "Default", "drill": "on"}
    return await _show_first(request, viewer, Form(values=values, known=_FIELDS))


async def _show_first(
    request: Request, viewer: Viewer, form: Form, probe: Answer | None = None
) -> Response:
    """`probe` is what testing the connection came to, None: it was not tested."""
    types = (await Calls(request, viewer.caller).get("/v1/addon-types"))["addonTypes"]
    refused = form.message or (probe is not None and not probe.ok)
    return show_door(
        request,
        "setup/first.html",
        "Your first backup",
        # htmx shows only what succeeds
        400 if refused and "hx-request" not in request.headers else 200,
        viewer=viewer,
        wide=True,
        form=form,
        sealed=typed_secrets.seal(request, viewer, form, _SECRETS),
        probe=probe,
        features={kind["type"]: kind["features"] for kind in types}.get(_engine(form), {}),
        managed=[(kind["type"], kind["name"]) for kind in types if kind["features"]["managed"]],
        lead="Three answers, then it runs. Everything can be changed later.",
    )


def _read_first(request: Request, posted: Posted) -> Form:
    form = Form.of(posted.form, _FIELDS)
    return typed_secrets.restore(request, posted.viewer, form)


def _engine(form: Form) -> str:
    """The kind of the database that is attached or made."""
    return form.value("type") if form.value("how") == "managed" else engine_of(form)


@router.post("/setup/first/test")
async def test_connection(request: Request, posted: Posting) -> Response:
    """Probes the connection string as attaching does, and shows the form with what was found."""
    form = _read_first(request, posted)
    form.values["how"] = "attach"
    probe = await probe_of(Calls(request, posted.viewer.caller), form)
    return await _show_first(request, posted.viewer, form, probe)


@router.post("/setup/first")
async def begin_first(request: Request, posted: Posting) -> Response:
    """Attaches or makes the database, adds place and plan, and starts the first backup."""
    viewer, form = posted.viewer, _read_first(request, posted)
    try:
        path = await _take(Calls(request, viewer.caller), form)
    except _Stopped as error:
        return await _show_first(request, viewer, form.refuse(error.answer))
    return RedirectResponse(path, 303)


class _Stopped(Exception):
    """The API refused one of the steps."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer


async def _take(calls: Calls, form: Form) -> str:
    """Takes the steps in their order; returns the page that follows the backup."""
    project = await _project(calls, form.value("project") or "Default")
    answers = {**_CHOICES, **form.values, "name": form.value("name") or "First"}
    if form.value("how") == "sample":
        sample = await _post(calls, path_of("addon-types", "sqlite", "sample"), {})
        answers |= {"how": "attach", "tags": "sample", **sample}
    body = body_of(Form({**answers, "type": _engine(form)}))
    addon = await _post(calls, path_of("projects", project, "addons"), body)
    base = ("projects", project, "addons", addon["id"])
    try:
        destination = await _destination(calls, form)
    except _Stopped:
        await calls.ask("DELETE", path_of(*base))  # else its name is taken at the next try
        raise
    types = (await calls.get("/v1/addon-types"))["addonTypes"]
    wish: dict[str, Any] = {"backupType": "dump"}
    if not any(t["type"] == body["type"] and t["features"]["backupsDump"] for t in types):
        wish = {"backupType": "snapshot"}
        if destination:
            wish["additionalDestinations"] = [{"destinationId": destination}]
    elif destination:
        wish["customDestinationId"] = destination
    plan = PLANS.get(answers["plan"])
    if plan is not None:
        schedule = {**wish, "scheduling": plan[0], "retentionTime": plan[1]}
        await _post(calls, path_of(*base, "backup-schedules"), schedule)
    drill = form.on("drill")
    order = {"name": "First backup", "drill": drill, **wish}
    backup = await _post(calls, path_of(*base, "backups"), order)
    path = f"/setup/run/{project}/{addon['id']}/{backup['id']}"
    return f"{path}?drill=on" if drill else path


async def _project(calls: Calls, name: str) -> str:
    """The project of the name, made if there is none."""
    for project in (await calls.get("/v1/projects", per_page=100))["projects"]:
        if name in (project["id"], project["name"]):
            return str(project["id"])
    return str((await _post(calls, "/v1/projects", {"name": name}))["id"])


async def _destination(calls: Calls, form: Form) -> str | None:
    """The id of the new bucket; None for this machine."""
    if form.value("place") != "bucket":
        return None
    names = ("accessKey", "secretKey", "bucketName", "region", "endpoint")
    body = {
        "name": "First bucket",
        "type": "s3",
        "prefix": "",
        "credentials": {name: form.value(name) for name in names},
    }
    return str((await _post(calls, "/v1/backup-destinations", body))["id"])


async def _post(calls: Calls, path: str, body: object) -> dict[str, Any]:
    answer = await calls.ask("POST", path, body)
    if not answer.ok:
        raise _Stopped(answer)
    data: dict[str, Any] = answer.data
    return data


@router.get("/setup/run/{project_id}/{addon_id}/{backup_id}")
async def run_page(
    request: Request, viewer: Viewing, project_id: str, addon_id: str, backup_id: str
) -> Response:
    """Shows the first backup and the drill after it, as they go on."""
    calls = Calls(request, viewer.caller)
    base = ("projects", project_id, "addons", addon_id)
    backup = await calls.get(path_of(*base, "backups", backup_id))
    drills = (await calls.get(path_of(*base, "drills")))["drills"]
    drill = next((drill for drill in drills if drill["backupId"] == backup["id"]), None)
    drilling = drill is not None and drill["status"] not in _OVER
    return show_door(
        request,
        "setup/run.html",
        "Your first backup",
        viewer=viewer,
        wide=True,
        lead="Taken, then restored into a throwaway server and compared: that is the proof.",
        backup=backup,
        drill=drill,
        addon=f"/p/{project_id}/{addon_id}",
        here=request.url.path,
        waits=backup["status"] not in _OVER or drilling,
        proves=request.query_params.get("drill") == "on",
        topic=addon_topic(project_id, addon_id),
        live=addon_topic(project_id, addon_id),
    )


@router.post("/setup/run/{project_id}/{addon_id}/{backup_id}")
async def prove(
    request: Request, posted: Posting, project_id: str, addon_id: str, backup_id: str
) -> Response:
    """Starts the drill of the first backup."""
    calls = Calls(request, posted.viewer.caller)
    path = path_of("projects", project_id, "addons", addon_id, "drills")
    answer = await calls.ask("POST", path, {"backupId": backup_id})
    if not answer.ok:
        raise Failure(answer.message)
    return RedirectResponse(request.url.path, 303)
