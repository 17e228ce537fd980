"""Addon routes: list, create, put, get, patch and delete managed and attached addons."""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from holdfast.api.places import AddonPath, AtAddon, Paging, project_at
from holdfast.api.probing import found_for, moved_to, require_archivable, require_server
from holdfast.api.read_route import ReadRoute
from holdfast.api.reading import in_turn
from holdfast.catalog import addons as rows
from holdfast.contracts.files import Samplable
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import Conflict, Failure, Invalid
from holdfast.domain.naming import slug
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases import addons as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import AddonForm, AddonPatch, AddonProbeForm
from holdfast.views import addons as views
from holdfast.views.shapes.addons import AddonList, AddonProbeView, AddonView, SampleView
from holdfast.views.shapes.base import Empty, Many, One

router = APIRouter(tags=["addons"], route_class=ReadRoute)
log = logging.getLogger(__name__)

Reader = Annotated[Caller, Depends(requires(Permission.ADDON_READ))]
Creator = Annotated[Caller, Depends(requires(Permission.ADDON_CREATE))]
Updater = Annotated[Caller, Depends(requires(Permission.ADDON_UPDATE))]
Deleter = Annotated[Caller, Depends(requires(Permission.ADDON_DELETE))]

ADDONS = "/projects/{project_id}/addons"
ADDON = "/projects/{project_id}/addons/{addon_id}"


@router.get(ADDONS, response_model=Many[AddonList])
@in_turn
def list_addons(api: State, caller: Reader, page: Paging, project_id: str) -> Response:
    with api.catalog.read() as session:
        project = project_at(session, caller, project_id)
        rows_page = rows.listed(session, project, page)
        items = views.items(session, project, rows_page.items, api.team_id)
    return answers.many(AddonList(addons=items), len(items), rows_page.cursor)


@router.post(ADDONS, response_model=One[AddonView])
def create_addon(
    api: State, writing: Writing, caller: Creator, project_id: str, form: AddonForm
) -> Response:
    with api.catalog.read() as session:  # before probing for a caller who may not see the project
        project_at(session, caller, project_id)
    try:
        probed = found_for(api, form)
        if form.pitr_enabled:
            require_archivable(api, form.type, None if probed.probe is None else probed.address)

        def create(context: Context) -> AddonView:
            project = project_at(context.session, caller, project_id)
            addon = verbs.create(context, project, form, probed)
            return views.view(context.session, project, addon, api.team_id)

        return writing.create(caller, create)
    except Failure as refusal:  # the one who runs the server is asked why
        extra = {"project": project_id, "addon": form.name, "error": refusal.message}
        log.warning("an addon was not created", extra=extra)
        raise


@router.put(ADDONS, response_model=One[AddonView])
def put_addon(
    api: State, writing: Writing, caller: Creator, project_id: str, form: AddonForm
) -> Response:
    """Creates the addon, or updates the one of that name."""
    with api.catalog.read() as session:
        project = project_at(session, caller, project_id)
        existing = rows.find(session, project.pk, slug(form.name))
    if existing is None:
        return create_addon(api, writing, caller, project_id, form)
    if existing.kind != form.type:
        raise Conflict(f"the addon {existing.id!r} exists already as {existing.kind}")
    return patch_addon(api, writing, caller, AddonPath(project_id, existing.id), form)


@router.post("/addon-types/{addon_type}/probe", response_model=One[AddonProbeView])
def probe_addon(api: State, caller: Creator, addon_type: str, form: AddonProbeForm) -> Response:
    """Asks a server what it is, as attaching it does. Nothing is written."""
    server = require_server(api, api.engines(addon_type), form.connection_string.get_secret_value())
    size = server.probe.size if server.probe else 0
    flavour = server.probe.flavour if server.probe else addon_type
    return answers.one(AddonProbeView(flavour=flavour, version=server.version, bytes=str(size)))


@router.post("/addon-types/{addon_type}/sample", response_model=One[SampleView])
def make_sample(api: State, caller: Creator, addon_type: str) -> Response:
    """Makes up a small database on this machine, once, which can then be attached."""
    engine = api.engines(addon_type)
    if not isinstance(engine, Samplable):
        problem = f"there is no sample of {engine.title}; attach the one of sqlite"
        raise Invalid(problem, {"type": problem})
    (string,) = engine.secrets(engine.make_sample()).values()
    return answers.one(SampleView(connection_string=string))


@router.get(ADDON, response_model=One[AddonView])
@in_turn
def get_addon(api: State, caller: Reader, at: AtAddon) -> Response:
    with api.catalog.read() as session:
        project, addon = at.both(session, caller)
        return answers.one(views.view(session, project, addon, api.team_id))


@router.patch(ADDON, response_model=One[AddonView])
def patch_addon(
    api: State,
    writing: Writing,
    caller: Updater,
    at: AtAddon,
    form: AddonPatch,
) -> Response:
    with api.catalog.read() as session:
        addon = at.addon(session, caller)
        session.expunge(addon)
    probed = moved_to(api, addon.kind, form)
    if form.pitr_enabled:
        address = probed.address if probed else rows.address(addon, api.services.sealer)
        require_archivable(api, addon.kind, None if addon.managed else address)

    def patch(context: Context) -> AddonView:
        project, addon = at.both(context.session, caller)
        verbs.patch(context, addon, form, probed)
        return views.view(context.session, project, addon, api.team_id)

    return writing.change(caller, patch)


@router.delete(ADDON, response_model=One[Empty])
def delete_addon(writing: Writing, caller: Deleter, at: AtAddon) -> Response:
    return writing.undo(
        caller, lambda context: verbs.delete(context, at.addon(context.session, caller))
    )
