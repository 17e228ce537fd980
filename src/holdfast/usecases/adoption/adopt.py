"""Takes backups in that lie at a place and that no row knew.

Their addons become addons that are gone: nothing runs, but their backups are listed, restored into
other addons, forked and deleted like those of any other addon that is gone. They have no retention
time, so nothing but a person deletes them.
"""

from collections.abc import Sequence
from typing import cast

from holdfast.catalog import addons, backups, projects
from holdfast.catalog.schema import Addon, Backup, Copy, Project
from holdfast.catalog.schema import Repository as Row
from holdfast.catalog.storage import adopted, repositories
from holdfast.domain.adoption import Found, Shelf
from holdfast.domain.backup import BackupType, source_of
from holdfast.domain.operation import Status
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.usecases.context import Context


def take_in(
    context: Context, place: int | None, shelf: Shelf, password: Secret | None
) -> Sequence[Copy]:
    """The copies that are new. `password` is our own for the shelf's repository, where it has one.

    What another request took in meanwhile is not taken in again.
    """
    context.services.engines(shelf.kind)  # Invalid: nobody here could restore it
    addon = _addon(context, _project(context, shelf), shelf)
    if password is not None:
        sealed = context.services.sealer.seal(password, repositories.context(shelf.repository))
        made = Row(
            addon_pk=addon.pk,
            destination_pk=place,
            prefix=shelf.repository,
            sealed_password=sealed,
            created=context.now,
        )
        repositories.ensure(context.session, made)
    kept = (_keep(context, place, addon, each) for each in shelf.backups)
    return [copy for copy in kept if copy is not None]


def _project(context: Context, shelf: Shelf) -> Project:
    found = projects.find(context.session, shelf.project)
    if found is None:
        found = Project(
            id=shelf.project, name=shelf.project, created=context.now, updated=context.now
        )
        context.session.add(found)
        context.session.flush()
    return found


def _addon(context: Context, project: Project, shelf: Shelf) -> Addon:
    found = adopted.addon(context.session, project.pk, shelf)
    if found is None:
        uid = shelf.uid or ids.uid()
        found = Addon(
            uid=uid, project_pk=project.pk, id=shelf.addon, name=shelf.addon, kind=shelf.kind,
            version=shelf.backups[-1].version, managed=False, desired="stopped", status="deleted",
            host="", port=0, user="", database="", options={},
            sealed_password=context.services.sealer.seal(Secret(""), addons.context(uid)),
            tags=[], spec={adopted.MARK: True}, created=shelf.backups[0].created,
            updated=context.now, deleted=context.now,
        )  # fmt: skip
        context.session.add(found)
        context.session.flush()
    return found


def _keep(context: Context, place: int | None, addon: Addon, found: Found) -> Copy | None:
    """A backup that is known from another place gets one more copy; only if it was adopted, too."""
    known = adopted.backup(context.session, found.uid)
    if known is not None and (known.operation or adopted.is_at(context.session, known, place)):
        return None
    backup = known or _backup(context, addon, found)
    copy = Copy(
        backup_pk=backup.pk,
        addon_pk=addon.pk,
        destination_pk=place,
        additional=known is not None,
        status=Status.COMPLETED,
        size=found.size,
        objects=found.objects,
        created=found.created,
        completed=found.created,
        read_at=0 if found.type is BackupType.DUMP else None,
    )
    context.session.add(copy)
    context.session.flush()
    return copy


def _backup(context: Context, addon: Addon, found: Found) -> Backup:
    taken = backups.find(context.session, addon.pk, found.id) is not None
    backup = Backup(
        uid=found.uid,
        addon_pk=addon.pk,
        id=f"{found.id}-{found.uid[:8]}" if taken else found.id,
        name=found.name,
        type=found.type,
        source=source_of(found.type),
        provenance=found.provenance,
        compression=found.compression,
        status=Status.COMPLETED,
        size=found.size,
        version=found.version,
        retained=False,
        evidence=dict(found.evidence),
        warnings=len(cast("list[object]", found.evidence["warnings"])),
        created=found.created,
        completed=found.created,
    )
    context.session.add(backup)
    context.session.flush()
    return backup
