"""Backup destination routes: list, add, get, patch, delete, and the backups kept there."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from holdfast.api.places import Paging, destination_at, own_destination_at, owns
from holdfast.api.probing import changed_bucket, require_bucket, try_destination
from holdfast.api.read_route import ReadRoute
from holdfast.api.reading import in_turn
from holdfast.catalog import destinations as rows
from holdfast.catalog.database.page import Page
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Destination
from holdfast.catalog.storage import copies
from holdfast.domain.access import Caller, Permission
from holdfast.http import answers
from holdfast.http.auth import require_all_projects, requires
from holdfast.http.state import Api, State
from holdfast.http.writing import Writing
from holdfast.usecases import destinations as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import DestinationForm, DestinationPatch
from holdfast.views import backups as backup_views
from holdfast.views import destinations as views
from holdfast.views.shapes.backups import (
    DestinationList,
    DestinationView,
    ProbeView,
    StoredBackup,
)
from holdfast.views.shapes.base import Empty, Many, One

router = APIRouter(tags=["backup destinations"], route_class=ReadRoute)

DESTINATIONS = "/backup-destinations"
DESTINATION = "/backup-destinations/{destination_id}"

Reader = Annotated[Caller, Depends(requires(Permission.DESTINATION_READ))]
Creator = Annotated[Caller, Depends(requires(Permission.DESTINATION_CREATE))]
Updater = Annotated[Caller, Depends(requires(Permission.DESTINATION_UPDATE))]
Deleter = Annotated[Caller, Depends(requires(Permission.DESTINATION_DELETE))]


@router.get(DESTINATIONS, response_model=Many[DestinationList])
@in_turn
def list_destinations(api: State, caller: Reader, page: Paging) -> Response:
    with api.catalog.read() as session:
        listed = rows.listed(session, caller, page)
        items = [views.view(session, destination, None) for destination in listed.items]
    return answers.many(DestinationList(backup_destinations=items), len(items), listed.cursor)


@router.post(DESTINATIONS, response_model=One[DestinationView])
def add_destination(
    api: State, writing: Writing, caller: Creator, form: DestinationForm
) -> Response:
    options = {**verbs.driver_options(form.credentials, form.prefix), **form.given()}
    settings = require_bucket(api, form.type, options, form.given()).settings
    return writing.create(
        caller,
        lambda context: views.view(context.session, verbs.add(context, form, settings), None),
    )


@router.get(DESTINATION, response_model=One[DestinationView])
@in_turn
def get_destination(api: State, caller: Reader, destination_id: str) -> Response:
    with api.catalog.read() as session:
        destination = destination_at(session, caller, destination_id)
        shows_secrets = not api.mask_secrets and owns(session, caller, destination)
        sealer = api.services.sealer if shows_secrets else None
        return answers.one(views.view(session, destination, sealer))


@router.patch(DESTINATION, response_model=One[Empty])
def patch_destination(
    api: State, writing: Writing, caller: Updater, destination_id: str, form: DestinationPatch
) -> Response:
    with api.catalog.read() as session:
        destination = own_destination_at(session, caller, destination_id)
        session.expunge(destination)
    settings = changed_bucket(api, destination, form)

    def patch(context: Context) -> None:
        destination_row = own_destination_at(context.session, caller, destination_id)
        verbs.patch(context, destination_row, form, settings)

    return writing.change(caller, patch)


@router.delete(DESTINATION, response_model=One[Empty])
def delete_destination(writing: Writing, caller: Deleter, destination_id: str) -> Response:
    return writing.undo(
        caller,
        lambda context: verbs.delete(
            context, own_destination_at(context.session, caller, destination_id)
        ),
    )


@router.post(f"{DESTINATION}/probe", response_model=One[ProbeView])
def probe_destination(api: State, caller: Updater, destination_id: str) -> Response:
    """Writes, reads back, lists and deletes there now, with the settings as they are."""
    with api.catalog.read() as session:
        destination = own_destination_at(session, caller, destination_id)
        session.expunge(destination)
    return _probe(api, destination)


@router.post("/platform-store/probe", response_model=One[ProbeView])
def probe_platform(api: State, caller: Updater) -> Response:
    """The same in the platform's own store."""
    require_all_projects(caller)
    return _probe(api, None)


def _probe(api: Api, destination: Destination | None) -> Response:
    began = api.clock.monotonic()
    problem = try_destination(api, destination)
    took = round((api.clock.monotonic() - began) * 1000)
    return answers.one(ProbeView(works=problem is None, problem=problem, milliseconds=took))


@router.get(f"{DESTINATION}/backups", response_model=Many[list[StoredBackup]])
@in_turn
def list_destination_backups(
    api: State, caller: Reader, page: Paging, destination_id: str
) -> Response:
    """The copies kept here. `data` is a bare array, as in the v1 API."""
    with api.catalog.read() as session:
        return _copies(session, caller, page, destination_at(session, caller, destination_id).pk)


@router.get("/platform-store/backups", response_model=Many[list[StoredBackup]])
@in_turn
def list_platform_backups(api: State, caller: Reader, page: Paging) -> Response:
    """The copies kept in the platform's own store."""
    with api.catalog.read() as session:
        return _copies(session, caller, page, None)


def _copies(
    session: ReadSession, caller: Caller, page: Page, destination_pk: int | None
) -> Response:
    listed = copies.at_destination(session, caller, destination_pk, page)
    return answers.rows(backup_views.stored(session, listed.items), listed.cursor)
