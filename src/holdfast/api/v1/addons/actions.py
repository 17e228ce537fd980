"""Routes of an addon's server: power, reset, credentials, version, scale, network, containers."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from holdfast.api.metrics_query import DESCRIBED, parse_metrics_query
from holdfast.api.places import AddonPath, AtAddon
from holdfast.api.reading import in_turn
from holdfast.api.v1.addons.addons import ADDON, Deleter, Reader, Updater
from holdfast.catalog.schema import Addon
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import Invalid
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.http.writing import Writer, Writing
from holdfast.usecases import addons as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import NetworkForm, ScaleForm, SecurityForm, VersionForm
from holdfast.usecases.hosting.server_load import Machine, measure
from holdfast.views import addons as views
from holdfast.views.containers import container_name, containers_of
from holdfast.views.metrics.server import metrics_of
from holdfast.views.shapes.addons import Containers, CredentialsView, MetricView, VersionView
from holdfast.views.shapes.base import Empty, One

router = APIRouter(tags=["addons"])

Viewer = Annotated[Caller, Depends(requires(Permission.INSTANCES_VIEW))]
Verb = Callable[[Context, Addon], None]


def _act(writing: Writer, caller: Caller, at: AddonPath, verb: Verb) -> Response:
    return writing.change(caller, lambda context: verb(context, at.addon(context.session, caller)))


@router.post(f"{ADDON}/pause", response_model=One[Empty])
def pause_addon(writing: Writing, caller: Updater, at: AtAddon) -> Response:
    return _act(writing, caller, at, verbs.pause)


@router.post(f"{ADDON}/resume", response_model=One[Empty])
def resume_addon(writing: Writing, caller: Updater, at: AtAddon) -> Response:
    return _act(writing, caller, at, verbs.resume)


@router.post(f"{ADDON}/restart", response_model=One[Empty])
def restart_addon(writing: Writing, caller: Updater, at: AtAddon) -> Response:
    return _act(writing, caller, at, verbs.restart)


@router.post(f"{ADDON}/reset", response_model=One[Empty])
def reset_addon(writing: Writing, caller: Deleter, at: AtAddon) -> Response:
    """Wipes all data; connection details stay."""
    return _act(writing, caller, at, verbs.reset)


@router.get(f"{ADDON}/credentials", response_model=One[CredentialsView])
def get_credentials(api: State, caller: Reader, at: AtAddon) -> Response:
    with api.catalog.read() as session:
        addon = at.addon(session, caller)
        return answers.one(views.credentials(addon, api.engines(addon.kind), api.services.sealer))


@router.get(f"{ADDON}/version", response_model=One[VersionView])
@in_turn
def get_version(api: State, caller: Reader, at: AtAddon) -> Response:
    with api.catalog.read() as session:
        addon = at.addon(session, caller)
        return answers.one(views.version(session, addon, api.engines(addon.kind)))


@router.post(f"{ADDON}/version", response_model=One[Empty])
def update_version(
    api: State,
    writing: Writing,
    caller: Updater,
    at: AtAddon,
    form: VersionForm,
) -> Response:
    """Minor upgrades of managed servers: the same data directory under newer binaries."""

    def update(context: Context, addon: Addon) -> None:
        verbs.upgrade(context, addon, form.version)

    return _act(writing, caller, at, update)


@router.post(f"{ADDON}/scale", response_model=One[Empty])
def scale_addon(writing: Writing, caller: Updater, at: AtAddon, form: ScaleForm) -> Response:
    def scale(context: Context, addon: Addon) -> None:
        verbs.scale(context, addon, form)

    return _act(writing, caller, at, scale)


@router.post(f"{ADDON}/network-settings", response_model=One[Empty])
def update_network(api: State, caller: Updater, at: AtAddon, form: NetworkForm) -> Response:
    """Accepts settings that hold already; how a server is reached cannot be changed here."""
    with api.catalog.read() as session:
        networking = views.networking(at.addon(session, caller))
    current = networking.model_dump(by_alias=True)
    asked_for = form.model_dump(by_alias=True, exclude_none=True)
    problems = {
        name: f"is {str(current[name]).lower()} and cannot be changed"
        for name, value in asked_for.items()
        if value != current[name]
    }
    if problems:
        raise Invalid("how the addon's server is reached cannot be changed here", problems)
    return answers.nothing()


@router.post(f"{ADDON}/security", response_model=One[Empty])
def update_security(api: State, caller: Updater, at: AtAddon, form: SecurityForm) -> Response:
    """Accepts no policy at all: ignoring one would leave a server more open than asked."""
    with api.catalog.read() as session:
        at.addon(session, caller)
    return answers.nothing()


@router.get(f"{ADDON}/metrics", response_model=One[dict[str, MetricView]], openapi_extra=DESCRIBED)
def get_addon_metrics(api: State, caller: Viewer, at: AtAddon, request: Request) -> Response:
    """Shows what a managed server takes now. There is no history: Prometheus keeps one."""
    asked_for = parse_metrics_query(request.query_params, api.clock.now())
    with api.catalog.read() as session:
        addon = at.addon(session, caller)
        session.expunge(addon)
    types = asked_for.types if asked_for.covers(container_name(addon)) else ()
    machine = Machine(api.services.node, api.data_dir, api.clock)
    load = measure(addon, api.engines(addon.kind), api.services.sealer, machine, types)
    return answers.one(metrics_of(addon, asked_for.types, load, api.clock.now()))


@router.get(f"{ADDON}/containers", response_model=One[Containers])
def get_containers(api: State, caller: Viewer, at: AtAddon) -> Response:
    """Shows a managed server as one container; an attached one has none."""
    with api.catalog.read() as session:
        addon = at.addon(session, caller)
    return answers.one(Containers(containers=containers_of(addon)))
