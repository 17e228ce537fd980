"""Adopts backups found in a store that no row knew.

Their addons become deleted addons: nothing runs, but their backups are listed, restored into other
addons, forked and deleted like those of any deleted addon. They have no retention time, so only a
person deletes them.
"""

from collections.abc import Sequence
from typing import cast

from holdfast.catalog import addons, backups, projects
from holdfast.catalog.schema import Addon, Copy, Project
from holdfast.catalog.schema import Repository as Row
from holdfast.catalog.storage import adopted, repositories
from holdfast.domain.adoption import SurveyedAddon, SurveyedBackup
from holdfast.domain.backup import BackupType, source_of
from holdfast.domain.operation import Status
from holdfast.kit import ids
from holdfast.kit.seal import Secret
from holdfast.usecases.context import Context


def take_in(
    context: Context, destination_pk: int | None, surveyed: SurveyedAddon, password: Secret | None
) -> Sequence[Copy]:
    """Adds rows of the surveyed addon and its backups; returns the new copies.

    `password` opens the surveyed repository, if there is one. Backups that another request adopted
    meanwhile are left out.
    """
    context.services.engines(surveyed.kind)  # Invalid: no engine here could restore it
    project = projects.find(context.session, surveyed.project)
    if project is None:
        name = surveyed.project
        project = Project(id=name, name=name, created=context.now, updated=context.now)
        context.session.add(project)
        context.session.flush()
    addon = _addon(context, project, surveyed)
    if password is not None:
        sealed = context.services.sealer.seal(password, repositories.context(surveyed.repository))
        row = Row(
            addon_pk=addon.pk,
            destination_pk=destination_pk,
            prefix=surveyed.repository,
            sealed_password=sealed,
            created=context.now,
        )
        repositories.ensure(context.session, row)
    copies = (_adopt(context, destination_pk, addon, backup) for backup in surveyed.backups)
    return [copy for copy in copies if copy is not None]


def _addon(context: Context, project: Project, surveyed: SurveyedAddon) -> Addon:
    addon = adopted.addon(context.session, project.pk, surveyed)
    if addon is None:
        uid = surveyed.uid or ids.uid()
        addon = Addon(
            uid=uid, project_pk=project.pk, id=surveyed.addon, name=surveyed.addon,
            kind=surveyed.kind, version=surveyed.backups[-1].version, managed=False,
            desired="stopped", status="deleted",
            host="", port=0, user="", database="", options={},
            sealed_password=context.services.sealer.seal(Secret(""), addons.context(uid)),
            tags=[], spec={adopted.MARK: True}, created=surveyed.backups[0].created,
            updated=context.now, deleted=context.now,
        )  # fmt: skip
        context.session.add(addon)
        context.session.flush()
    return addon


def _adopt(
    context: Context, destination_pk: int | None, addon: Addon, surveyed: SurveyedBackup
) -> Copy | None:
    """Adds one copy, and its backup unless that was adopted from another destination before."""
    existing = adopted.backup(context.session, surveyed.uid)
    if existing is not None and (
        existing.operation or adopted.is_at(context.session, existing, destination_pk)
    ):
        return None
    backup = existing
    if backup is None:
        id_is_taken = backups.find(context.session, addon.pk, surveyed.id) is not None
        new = backups.NewBackup(
            id=f"{surveyed.id}-{surveyed.uid[:8]}" if id_is_taken else surveyed.id,
            name=surveyed.name,
            type=surveyed.type,
            source=source_of(surveyed.type),
            provenance=surveyed.provenance,
            compression=surveyed.compression,
            created=surveyed.created,
            uid=surveyed.uid,
        )
        backup = backups.new_row(addon, new)
        backup.status, backup.completed = Status.COMPLETED, surveyed.created
        backup.size, backup.version = surveyed.size, surveyed.version
        backup.evidence = dict(surveyed.evidence)
        backup.warnings = len(cast("list[object]", surveyed.evidence["warnings"]))
        context.session.add(backup)
        context.session.flush()
    copy = Copy(
        backup_pk=backup.pk,
        addon_pk=addon.pk,
        destination_pk=destination_pk,
        additional=existing is not None,
        status=Status.COMPLETED,
        size=surveyed.size,
        objects=surveyed.objects,
        created=surveyed.created,
        completed=surveyed.created,
        read_at=0 if surveyed.type is BackupType.DUMP else None,
    )
    context.session.add(copy)
    context.session.flush()
    return copy
