"""Restore routes: start, list, abort, undo."""

from fastapi import APIRouter
from starlette.responses import Response

from holdfast.api.places import AtAddon, From, Paging
from holdfast.api.read_route import ReadRoute
from holdfast.api.reading import in_turn
from holdfast.api.v1.addons.addons import ADDON, Reader, Updater
from holdfast.api.v1.backups.backups import BACKUP
from holdfast.catalog import restores as rows
from holdfast.http import answers
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases import restores as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.restores import AbortRestoreForm, RestoreForm, UndoRestoreForm
from holdfast.usecases.restores import Choices
from holdfast.views import restores as views
from holdfast.views.shapes.backups import RestoreList, RestoreStarted
from holdfast.views.shapes.base import Empty, Many, One

router = APIRouter(tags=["restores"], route_class=ReadRoute)


@router.post(f"{BACKUP}/restore", response_model=One[RestoreStarted])
def start_restore(writing: Writing, caller: Updater, origin: From, form: RestoreForm) -> Response:
    def start(context: Context) -> RestoreStarted:
        target = origin.target(context.session, caller)
        backup = origin.backup(context.session, caller)
        choices = Choices(
            may_replace=form.replace,
            trusted=form.trusted,
            accepted=form.accept_differences,
            skips_failed=form.skip_failed_objects,
            keep_old_hours=form.keep_old_hours,
            locale=form.locale,
        )
        started = verbs.start(context, target, backup, choices)
        return RestoreStarted(restore_id=started.id)

    return writing.create(caller, start)


@router.get(f"{BACKUP}/restores", response_model=Many[RestoreList])
@in_turn
def list_backup_restores(api: State, caller: Reader, page: Paging, origin: From) -> Response:
    with api.catalog.read() as session:
        backup = origin.backup(session, caller)
        listed = rows.of_backup(session, caller, backup, page)
        items = views.views(session, listed.items)
    return answers.many(RestoreList(restores=items), len(items), listed.cursor)


@router.post(f"{BACKUP}/abort-restore", response_model=One[Empty])
def abort_restore(
    writing: Writing, caller: Updater, origin: From, form: AbortRestoreForm
) -> Response:
    def abort(context: Context) -> None:
        verbs.abort(context, origin.restore(context.session, caller, form.restore_id))

    return writing.undo(caller, abort)


@router.post(f"{BACKUP}/undo-restore", response_model=One[RestoreStarted])
def undo_restore(
    writing: Writing, caller: Updater, origin: From, form: UndoRestoreForm
) -> Response:
    def undo(context: Context) -> RestoreStarted:
        restore = origin.restore(context.session, caller, form.restore_id)
        return RestoreStarted(restore_id=verbs.undo(context, restore).id)

    return writing.create(caller, undo)


@router.get(f"{ADDON}/restores", response_model=Many[RestoreList])
@in_turn
def list_addon_restores(api: State, caller: Reader, page: Paging, at: AtAddon) -> Response:
    with api.catalog.read() as session:
        listed = rows.of_addon(session, at.addon(session, caller), page)
        items = views.views(session, listed.items)
    return answers.many(RestoreList(restores=items), len(items), listed.cursor)
