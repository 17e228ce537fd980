"""B1 to B5, B7 and the evidence of a backup."""

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from holdfast.api import answers
from holdfast.api.places import Paging, addon_at, backup_at
from holdfast.api.state import State
from holdfast.api.v1.addons import ADDON, Reader, Updater
from holdfast.api.writing import Writing
from holdfast.catalog import backups as rows
from holdfast.catalog.schema import Backup
from holdfast.domain.access import Caller
from holdfast.domain.errors import Conflict
from holdfast.usecases import backups as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.forms import BackupForm
from holdfast.views import backups as views
from holdfast.views import evidence
from holdfast.views.backup_shapes import BackupList, BackupView, EvidenceView
from holdfast.views.shapes import Empty, Many, One

router = APIRouter(tags=["backups"])

BACKUPS = f"{ADDON}/backups"
BACKUP = f"{ADDON}/backups/{{backup_id}}"


@router.get(BACKUPS, response_model=Many[BackupList])
def list_backups(
    api: State, caller: Reader, page: Paging, project_id: str, addon_id: str
) -> Response:
    with api.catalog.read() as session:
        _, addon = addon_at(session, caller, project_id, addon_id)
        found = rows.listed(session, addon, page)
        items = views.views(session, found.items)
    return answers.many(BackupList(backups=items), len(items), found.cursor)


@router.post(BACKUPS, response_model=One[BackupView])
def create_backup(
    writing: Writing, caller: Updater, project_id: str, addon_id: str, form: BackupForm
) -> Response:
    def create(context: Context) -> BackupView:
        project, addon = addon_at(context.session, caller, project_id, addon_id)
        backup = verbs.create(context, project, addon, form)
        return views.views(context.session, [backup])[0]

    return writing.create(caller, create)


@router.get(BACKUP, response_model=One[BackupView])
def get_backup(
    api: State, caller: Reader, project_id: str, addon_id: str, backup_id: str
) -> Response:
    with api.catalog.read() as session:
        _, addon = addon_at(session, caller, project_id, addon_id)
        backup = backup_at(session, addon, backup_id)
        return answers.one(views.views(session, [backup])[0])


@router.delete(BACKUP, response_model=One[Empty])
def delete_backup(
    writing: Writing, caller: Updater, project_id: str, addon_id: str, backup_id: str
) -> Response:
    def delete(context: Context) -> None:
        _, addon = addon_at(context.session, caller, project_id, addon_id)
        verbs.delete(context, project_id, addon, backup_at(context.session, addon, backup_id))

    return writing.undo(caller, delete)


def _on_backup(
    caller: Caller, place: tuple[str, str, str], verb: Callable[[Context, Backup], None]
) -> Callable[[Context], None]:
    def act(context: Context) -> None:
        project_id, addon_id, backup_id = place
        _, addon = addon_at(context.session, caller, project_id, addon_id)
        verb(context, backup_at(context.session, addon, backup_id))

    return act


@router.post(f"{BACKUP}/abort", response_model=One[Empty])
def abort_backup(
    writing: Writing, caller: Updater, project_id: str, addon_id: str, backup_id: str
) -> Response:
    place = (project_id, addon_id, backup_id)
    return writing.undo(caller, _on_backup(caller, place, verbs.abort))


@router.post(f"{BACKUP}/retain", response_model=One[Empty])
def retain_backup(
    writing: Writing, caller: Updater, project_id: str, addon_id: str, backup_id: str
) -> Response:
    place = (project_id, addon_id, backup_id)
    return writing.change(caller, _on_backup(caller, place, verbs.retain))


@router.get(f"{BACKUP}/evidence", response_model=One[EvidenceView])
def get_evidence(
    api: State, caller: Reader, project_id: str, addon_id: str, backup_id: str
) -> Response:
    """Extension: what `completed` was derived from."""
    with api.catalog.read() as session:
        _, addon = addon_at(session, caller, project_id, addon_id)
        backup = backup_at(session, addon, backup_id)
        if backup.evidence is None:
            why = f": {backup.reason}" if backup.reason else ""
            raise Conflict(f"there is no evidence of a good backup; it is {backup.status}{why}")
        return answers.one(evidence.view(backup.evidence))
