"""Forks: new managed addons that start with the content of a backup.

The restore is ordered in the transaction that creates the addon, and waits for its server. The
backup is recorded, because a reset restores the same one again.
"""

from holdfast.catalog import addons, backups, projects
from holdfast.catalog.schema import Addon, Backup, Project
from holdfast.domain.backup import BackupType
from holdfast.domain.errors import Conflict, Failure, Invalid, NotFound
from holdfast.usecases import restores
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import ForkSource

LATEST = "latest"


def start(context: Context, project: Project, addon: Addon, source: ForkSource) -> None:
    """Orders the first restore of a fork; Invalid names the part of `source` that does not fit."""
    backup = _source_backup(context, project, source)
    owner = addons.get(context.session, backup.addon_pk)
    if owner.kind != addon.kind:
        problem = f"the source is of type {owner.kind}"
        raise Invalid(f"type: {problem}", {"type": problem})
    series = context.services.engines(addon.kind).series
    old, new = series(backup.version), series(addon.version)
    # A snapshot needs a server of its own series, a dump the same one or a newer one.
    fits = old == new if backup.type == BackupType.SNAPSHOT else _numbers(old) <= _numbers(new)
    if not fits:
        problem = f"a {backup.type} of {backup.version} does not fit {addon.version}"
        raise Invalid(f"version: {problem}", {"version": problem})
    try:
        restores.start(context, addon, backup, behind_the_server=True)
    except Failure as error:
        raise Invalid(f"source: {error.message}", {"source": error.message}) from error
    addon.spec = {**addon.spec, "backup": backup.pk}


def start_again(context: Context, addon: Addon) -> None:
    """Orders the restore again after a reset; Conflict, and no reset, if the backup is gone."""
    pk = addon.spec.get("backup")
    if pk is None:
        return
    try:
        backup = backups.get(context.session, int(str(pk)))
        restores.start(context, addon, backup, behind_the_server=True)
    except Failure as error:
        raise Conflict(
            f"a fork is reset from its source backup, and that is gone: {error.message}"
        ) from error


def _source_backup(context: Context, project: Project, source: ForkSource) -> Backup:
    if source.backup_uid is not None:
        uid = str(source.backup_uid)
        backup = backups.by_uid(context.session, uid)
        owner = addons.get(context.session, backup.addon_pk) if backup else None
        owning = projects.get(context.session, owner.project_pk) if owner else None
        if backup is None or owning is None or not context.caller.sees(owning.id):
            raise _unknown("backupUid", f"there is no backup {uid!r}")
        return backup
    project_id = source.project_id or project.id
    if not context.caller.sees(project_id):
        raise _unknown("projectId", f"there is no project {project_id!r}")
    origin = addons.find_origin(context.session, project_id, source.addon_id or "")
    if not origin:
        raise _unknown("addonId", f"there is no addon {source.addon_id!r} in {project_id!r}")
    if source.backup_id == LATEST:
        latest = next(
            (b for addon in origin if (b := backups.latest_good(context.session, addon.pk))), None
        )
        if latest is None:
            raise _unknown("backupId", f"{source.addon_id} has no completed backup of its own")
        return latest
    try:
        return restores.find_backup(context.session, origin, source.backup_id or "")
    except NotFound as error:
        raise _unknown("backupId", error.message) from error


def _unknown(field: str, problem: str) -> Invalid:
    return Invalid(f"source.{field}: {problem}", {f"source.{field}": problem})


def _numbers(series: str) -> list[int]:
    return [int(part) for part in series.split(".") if part.isdigit()]
