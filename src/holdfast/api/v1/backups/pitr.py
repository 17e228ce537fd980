"""Point-in-time recovery routes: the window, and the archive that it comes from."""

import threading
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from holdfast.api.places import AtAddon, FromArchive
from holdfast.api.probing import require_archivable
from holdfast.api.v1.addons.addons import ADDON, Reader, Updater
from holdfast.catalog import addons
from holdfast.catalog.archiving import archives
from holdfast.domain.errors import Conflict, Invalid, NotFound
from holdfast.http import answers
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.kit.processes.guard import Guard
from holdfast.usecases.archiving import archives as verbs
from holdfast.usecases.archiving import finding, marking, recovery
from holdfast.usecases.archiving.marking import MarkRequest
from holdfast.usecases.context import Context
from holdfast.usecases.forms.archives import ArchiveForm, MarkForm, RecoveryForm
from holdfast.views import backups as backup_views
from holdfast.views.protection import archives as views
from holdfast.views.shapes.addons import ArchiveView, Changes, Marked, PitrWindow
from holdfast.views.shapes.backups import RecoveryStarted
from holdfast.views.shapes.base import Empty, Many, One

router = APIRouter(tags=["backups"])

_SEARCHES = threading.BoundedSemaphore(2)
"""Each search reads and unpacks up to some hundred MB of log."""
_WAIT_SECONDS = 20.0


@router.get(f"{ADDON}/pitr-window", response_model=One[PitrWindow])
def get_window(api: State, caller: Reader, origin: FromArchive) -> Response:
    with api.catalog.read() as session:
        return answers.one(views.window(session, origin.source(session, caller).pk))


@router.get(f"{ADDON}/archive", response_model=One[ArchiveView])
def get_archive(api: State, caller: Reader, origin: FromArchive) -> Response:
    with api.catalog.read() as session:
        archive = archives.of_addon(session, origin.source(session, caller).pk)
        if archive is None:
            raise NotFound("this addon keeps no archive")
        return answers.one(views.view(session, archive))


@router.post(f"{ADDON}/archive", response_model=One[ArchiveView])
def enable_archive(
    api: State, writing: Writing, caller: Updater, at: AtAddon, form: ArchiveForm
) -> Response:
    with api.catalog.read() as session:
        addon = at.addon(session, caller)
        kind, address = addon.kind, addons.address(addon, api.services.sealer)
        attached = None if addon.managed else address
    require_archivable(api, kind, attached, unbounded=form.unbounded)

    def enable(context: Context) -> ArchiveView:
        archive = verbs.enable(context, at.addon(context.session, caller), form)
        return views.view(context.session, archive)

    return writing.change(caller, enable)


@router.delete(f"{ADDON}/archive", response_model=One[Empty])
def disable_archive(writing: Writing, caller: Updater, at: AtAddon) -> Response:
    def disable(context: Context) -> None:
        verbs.disable(context, at.addon(context.session, caller))

    return writing.undo(caller, disable)


@router.get(f"{ADDON}/archive/changes", response_model=Many[Changes])
def list_changes(
    api: State,
    caller: Updater,
    origin: FromArchive,
    around: Annotated[str, Query(description="A time with an offset.", max_length=60)],
    seconds: Annotated[int, Query(ge=0, le=86_400, description="So far before and after.")] = 60,
    table: Annotated[
        str | None, Query(description="Only commits that touched it.", max_length=400)
    ] = None,
    cursor: Annotated[str | None, Query(max_length=60)] = None,
) -> Response:
    """Extension: what was committed around an instant, read from the stored log, page by page."""
    search = finding.parse_search(around, seconds, table, cursor)
    with api.catalog.read() as session:
        addon = origin.source(session, caller)
        engine = api.engines(addon.kind)
        readable = finding.require_readable(engine)
        archive = archives.of_addon(session, addon.pk)
        if archive is None:
            raise Conflict("this addon keeps no archive; nothing tells what was committed")
        reading = finding.plan(session, archive, search)
        store, sealer = api.open_store(None), api.services.sealer
        layout = verbs.layout_in(session, store, sealer, archive, addon)
        session.expunge_all()
    if not _SEARCHES.acquire(timeout=_WAIT_SECONDS):
        raise Conflict("other searches are going on; ask again in a minute")
    try:
        page = finding.read(api.catalog, layout, engine, reading, search, Guard(api.clock))
    finally:
        _SEARCHES.release()
    line = None if reading.is_newest else finding.show_line(reading.line)
    shown = views.changes(reading.begin, reading.until, page.changes, readable.show_position, line)
    return answers.many(shown, len(page.changes), page.cursor)


@router.post(f"{ADDON}/archive/marks", response_model=One[Marked])
def mark_archive(
    api: State, writing: Writing, caller: Updater, at: AtAddon, form: MarkForm
) -> Response:
    """Extension: writes a named point into the server's log, to restore to. A name is given once; a
    repeated request gets the first one's point."""
    request = MarkRequest(form.name, writing.digest(caller), bool(writing.key))
    with api.catalog.read() as session:
        addon = at.addon(session, caller)
        engine = api.engines(addon.kind)
        marker = marking.require_marking(engine)
        show = finding.require_readable(engine).show_position
        archive = archives.of_addon(session, addon.pk)
        if archive is None or not archive.wanted:
            raise Conflict("the addon's log is not archived: switch that on with `pitr enable`")
        archive_pk = archive.pk
        address = addons.working_address(addon, api.services.sealer)
        earlier = marking.marked_before(session, archive, request, api.clock.now())
        if earlier is not None:
            return answers.one(views.marked(earlier, show))
    try:
        point = marker.mark(address, form.name)
    except ValueError as error:
        raise Invalid(f"name {error}", {"name": str(error)}) from error

    def note(context: Context) -> Marked:
        return views.marked(marking.note(context, archive_pk, request, point), show)

    return writing.change(caller, note)


@router.post(f"{ADDON}/pitr", response_model=One[RecoveryStarted])
def start_recovery(
    api: State, writing: Writing, caller: Updater, origin: FromArchive, form: RecoveryForm
) -> Response:
    """Answers with the backup that the recovery begins with, and the id of its restore. The query
    may name another addon whose archive is restored into this one (extension)."""
    with api.catalog.read() as session:  # the way is found before others have to wait for it
        addon = origin.source(session, caller)
        planned = recovery.plan(session, api.engines(addon.kind), addon, form)

    def start(context: Context) -> RecoveryStarted:
        target = origin.target(context.session, caller)
        backup, restore = recovery.start(context, target, planned)
        view = backup_views.views(context.session, [backup])[0]
        return RecoveryStarted(**dict(view), restore_id=restore.id)

    return writing.create(caller, start)
