"""Backup routes: list, create, get, delete, abort, retain, evidence."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from holdfast.api.places import AtAddon, AtBackup, BackupPath, Paging
from holdfast.api.read_route import ReadRoute
from holdfast.api.reading import in_turn
from holdfast.api.v1.addons.addons import ADDON, Reader, Updater
from holdfast.catalog import backups as rows
from holdfast.catalog.schema import Backup
from holdfast.domain.access import Caller
from holdfast.domain.backup import BackupType
from holdfast.domain.errors import Conflict
from holdfast.domain.operation import Status
from holdfast.http import answers
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases import backups as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import BackupForm
from holdfast.views import backups as views
from holdfast.views import evidence
from holdfast.views.shapes.backups import BackupList, BackupView, EvidenceView
from holdfast.views.shapes.base import Empty, Many, One

router = APIRouter(tags=["backups"], route_class=ReadRoute)

Force = Annotated[bool, Query(description="extension: even the addon's last good backup")]

BACKUPS = f"{ADDON}/backups"
BACKUP = f"{ADDON}/backups/{{backup_id}}"


@router.get(BACKUPS, response_model=Many[BackupList])
@in_turn
def list_backups(
    api: State,
    caller: Reader,
    page: Paging,
    at: AtAddon,
    kind: Annotated[
        BackupType | None, Query(alias="backupType", description="extension: only of this type")
    ] = None,
    status: Annotated[
        list[Status] | None, Query(description="extension: only with one of these")
    ] = None,
) -> Response:
    with api.catalog.read() as session:
        addon_pk = at.addon_pk(session, caller)
        if kind is None and not status:
            listed = rows.listed(session, addon_pk, page)
        else:
            listed = rows.chosen(session, addon_pk, page, kind, status or ())
        items = views.texts(session, listed.items)
    return answers.texts("backups", items, listed.cursor)


@router.post(BACKUPS, response_model=One[BackupView])
def create_backup(writing: Writing, caller: Updater, at: AtAddon, form: BackupForm) -> Response:
    def create(context: Context) -> BackupView:
        backup = verbs.create(context, *at.both(context.session, caller), form)
        return views.views(context.session, [backup])[0]

    return writing.create(caller, create)


@router.get(BACKUP, response_model=One[BackupView])
@in_turn
def get_backup(api: State, caller: Reader, at: AtBackup) -> Response:
    with api.catalog.read() as session:
        backup = at.backup(session, caller)
        return answers.one(views.views(session, [backup])[0])


@router.delete(BACKUP, response_model=One[Empty])
def delete_backup(
    writing: Writing, caller: Updater, at: AtBackup, *, force: Force = False
) -> Response:
    def delete(context: Context) -> None:
        addon, backup = at.addon(context.session, caller), at.backup(context.session, caller)
        verbs.delete(context, addon, backup, force=force)

    return writing.undo(caller, delete)


@router.delete("/stored-backups/{uid}", response_model=One[Empty])
def delete_stored_backup(
    writing: Writing, caller: Updater, uid: str, *, force: Force = False
) -> Response:
    """Extension: a backup by its `uid`, also when its addon or project is gone."""
    return writing.undo(caller, lambda context: verbs.delete_stored(context, uid, force=force))


def _on_backup(
    caller: Caller, at: BackupPath, verb: Callable[[Context, Backup], None]
) -> Callable[[Context], None]:
    return lambda context: verb(context, at.backup(context.session, caller))


@router.post(f"{BACKUP}/abort", response_model=One[Empty])
def abort_backup(writing: Writing, caller: Updater, at: AtBackup) -> Response:
    return writing.undo(caller, _on_backup(caller, at, verbs.abort))


@router.post(f"{BACKUP}/retain", response_model=One[Empty])
def retain_backup(writing: Writing, caller: Updater, at: AtBackup) -> Response:
    return writing.change(caller, _on_backup(caller, at, verbs.retain))


@router.get(f"{BACKUP}/evidence", response_model=One[EvidenceView])
@in_turn
def get_evidence(api: State, caller: Reader, at: AtBackup) -> Response:
    """Extension: the evidence from which `completed` was derived."""
    with api.catalog.read() as session:
        backup = at.backup(session, caller)
        if backup.evidence is None:
            why = f": {backup.reason}" if backup.reason else ""
            raise Conflict(f"there is no evidence of a good backup; it is {backup.status}{why}")
        return answers.one(evidence.view(backup))
