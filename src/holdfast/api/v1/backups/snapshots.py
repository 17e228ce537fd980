"""Snapshot routes beyond the v1 API: files as a tar, retries, repairs, recovery kits."""

from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from holdfast.api.in_use import InUse
from holdfast.api.places import AtBackup, destination_at
from holdfast.api.v1.addons.addons import Reader
from holdfast.api.v1.addons.addons import Updater as Changer
from holdfast.api.v1.backups.backups import BACKUP
from holdfast.api.v1.destinations import DESTINATION, Updater
from holdfast.catalog import addons, backups, projects, restores
from holdfast.catalog.schema import Backup, Copy
from holdfast.catalog.storage import copies, repositories
from holdfast.contracts.snapshots import OTHERS, Finish, Materialisable
from holdfast.domain.access import Caller
from holdfast.domain.backup import BackupType
from holdfast.domain.errors import Conflict
from holdfast.domain.operation import Status
from holdfast.http import answers
from holdfast.http.auth import require_all_projects
from holdfast.http.state import Api, State
from holdfast.http.writing import Writer, Writing
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.read.tar import tar
from holdfast.repositories.restic.repository import add_key
from holdfast.usecases import backups as verbs
from holdfast.usecases.context import Context
from holdfast.usecases.snapshots.snapshot_repositories import RECOVERY, SnapshotRepositories
from holdfast.usecases.snapshots.snapshot_sources import UNUSABLE, Source, source_at
from holdfast.views.shapes.backups import FinishView, KitRepository, RecoveryKit
from holdfast.views.shapes.base import Empty, One

router = APIRouter(tags=["snapshots"])

_PLATFORM = "/platform-store"
_TAR = {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"description": "The tar.", "content": _TAR}}


def _repositories(api: Api) -> SnapshotRepositories:
    return SnapshotRepositories(api.catalog, api.services.sealer, api.open_store)


@router.get(f"{BACKUP}/files", response_class=StreamingResponse, responses=_ANSWERS)
def files(api: State, caller: Reader, at_backup: AtBackup) -> Response:
    """The files of a snapshot as a tar, streamed from its repository."""
    with api.catalog.read() as session:
        backup = at_backup.backup(session, caller)
        readable = _readable(backup, copies.of_backups(session, [backup.pk])[backup.pk])
        session.expunge_all()
    in_use = InUse(api, readable)
    try:
        source = _first_source(api, readable)
    except Exception:
        in_use.end()
        raise
    headers = {"content-disposition": f'attachment; filename="{backup.id}.tar"'}
    body = in_use.chunks(tar(source.repository, source.snapshot.tree))
    return StreamingResponse(body, headers=headers, media_type="application/x-tar")


@router.get(f"{BACKUP}/files/finish", response_model=One[FinishView])
def finish_files(
    api: State,
    caller: Reader,
    at_backup: AtBackup,
    directory: Annotated[str, Query(pattern="^/", description="where the files lie, absolute")],
) -> Response:
    """The steps that a snapshot's files still need before a server starts from them."""
    with api.catalog.read() as session:
        backup = at_backup.backup(session, caller)
        _readable(backup, copies.of_backups(session, [backup.pk])[backup.pk])
        facts = (backups.with_evidence(session, backup.pk).evidence or {}).get("facts", {})
        facts = {**facts, OTHERS: list(restores.facts_beside(session, backup))}
        engine = api.engines(addons.get(session, backup.addon_pk).kind)
    if isinstance(engine, Materialisable):
        finish = engine.finish(PurePosixPath(directory), facts)
    else:
        finish = Finish({}, {}, [f"The files of the snapshot are in {directory}."])
    modes = {path: f"{mode:o}" for path, mode in finish.modes.items()}
    shown = FinishView(
        texts=dict(finish.texts),
        appended=dict(finish.appended),
        modes=modes,
        steps=list(finish.steps),
    )
    return answers.one(shown)


def _first_source(api: Api, readable: list[Copy]) -> Source:
    """Opens the first copy that can be read."""
    problem = ""
    for copy in readable:
        try:
            return source_at(copy, _repositories(api).of_copy)
        except UNUSABLE as error:
            problem = error.message
    raise Conflict(f"no copy of this snapshot can be read: {problem}")


def _readable(backup: Backup, all_copies: list[Copy]) -> list[Copy]:
    if backup.type != BackupType.SNAPSHOT:
        raise Conflict("a dump has no files to materialise; download it")
    if backup.status != Status.COMPLETED:
        raise Conflict(f"the backup is {backup.status}; only completed ones have files")
    readable = copies.readable(all_copies)
    if not readable:
        raise Conflict("no copy of this snapshot is there any more")
    return readable


@router.post(f"{BACKUP}/copies/{{destination_id}}/retry", response_model=One[Empty])
def retry_copy(writing: Writing, caller: Changer, at: AtBackup, destination_id: str) -> Response:
    """Makes an additional copy that failed again now, not only after its pause."""

    def retry(context: Context) -> None:
        destination_pk = destination_at(context.session, caller, destination_id).pk
        verbs.retry_copy(context, at.backup(context.session, caller), destination_pk)

    return writing.change(caller, retry)


@router.post(f"{BACKUP}/repair", response_model=One[Empty])
def repair(writing: Writing, caller: Changer, at: AtBackup) -> Response:
    """Makes lost copies again from one that is whole, the platform's as well."""

    def order(context: Context) -> None:
        verbs.repair(context, at.backup(context.session, caller))

    return writing.change(caller, order)


@router.post(f"{DESTINATION}/recovery-kit", response_model=One[RecoveryKit])
def destination_kit(api: State, writing: Writing, caller: Updater, destination_id: str) -> Response:
    """A new passphrase for every repository at the destination; the old one stops working."""
    require_all_projects(caller)
    with api.catalog.read() as session:
        destination_pk = destination_at(session, caller, destination_id).pk
    return answers.one(_kit(writing, caller, destination_pk))


@router.post(f"{_PLATFORM}/recovery-kit", response_model=One[RecoveryKit])
def platform_kit(writing: Writing, caller: Updater) -> Response:
    """A new passphrase for every repository in the platform's own store."""
    require_all_projects(caller)
    return answers.one(_kit(writing, caller, None))


def _kit(writing: Writer, caller: Caller, destination_pk: int | None) -> RecoveryKit:
    """Makes the passphrase, which is in this one answer only and not kept for repeated requests."""
    api, passphrase = writing.api, Secret(ids.password())
    now = api.clock.now()

    def keep(context: Context) -> None:
        repositories.keep_recovery(
            context.session, destination_pk, passphrase, api.services.sealer, now
        )

    writing.change(caller, keep)
    with api.catalog.read() as session:
        rows = repositories.at_destination(session, destination_pk)
        session.expunge_all()
    snapshot_repositories = _repositories(api)
    views: list[KitRepository] = []
    for row in rows:
        if snapshot_repositories.is_made(row):  # the worker that makes another adds this key, too
            repository = snapshot_repositories.of_row(row)
            added = add_key(repository, passphrase, RECOVERY, now * 1_000_000)
            repository.drop_keys_of(RECOVERY, keep=added)
        url = api.locate(destination_pk, row.prefix)
        with api.catalog.read() as session:
            addon = addons.get(session, row.addon_pk)
            project = projects.get(session, addon.project_pk)
            views.append(KitRepository(project=project.id, addon=addon.id, url=url))
    return RecoveryKit(passphrase=passphrase.reveal(), repositories=views)
