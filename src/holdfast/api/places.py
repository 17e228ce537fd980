"""Finds the rows that path segments name; rows that a token may not see count as missing."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Query
from pydantic import WithJsonSchema

from holdfast.catalog import addons, backups, destinations, projects, restores
from holdfast.catalog.archiving import archives
from holdfast.catalog.database.page import Page
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, Backup, Destination, Project, Restore
from holdfast.domain.access import Caller
from holdfast.domain.errors import Forbidden, NotFound
from holdfast.usecases.restores import find_backup
from holdfast.views.page import parse_page

T = TypeVar("T")
_COUNT = WithJsonSchema({"type": "integer", "minimum": 1})
_CURSOR = WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{24}$"})
"""Documented types; the values are read as text, so that errors are our own sentences."""


# Dependencies that only combine words are async: they then need no thread, which costs 0.1 ms.


async def paging(
    per_page: Annotated[str | None, _COUNT, Query(description="1 to 100, default 50")] = None,
    page: Annotated[str | None, _COUNT, Query(description="ignored beside a cursor")] = None,
    cursor: Annotated[str | None, _CURSOR, Query(description="of the previous page")] = None,
) -> Page:
    return parse_page(per_page, page, cursor)


Paging = Annotated[Page, Depends(paging)]


def project_at(session: ReadSession, caller: Caller, project_id: str) -> Project:
    project = projects.find(session, project_id) if caller.sees(project_id) else None
    if project is None:
        raise NotFound(f"there is no project {project_id!r}")
    return project


def destination_at(session: ReadSession, caller: Caller, destination_id: str) -> Destination:
    destination = destinations.find(session, destination_id)
    if destination is None or not destinations.is_visible(session, caller, destination):
        raise NotFound(f"there is no backup destination {destination_id!r}")
    return destination


def owns(session: ReadSession, caller: Caller, destination: Destination) -> bool:
    """Tells whether the destination is the caller's to read and change, given the permission."""
    if caller.projects is None:
        return True
    return destination.project_pk in projects.keys_of(session, caller.projects)


def own_destination_at(session: ReadSession, caller: Caller, destination_id: str) -> Destination:
    """Finds a destination. Raises Forbidden for one that the caller may only use."""
    destination = destination_at(session, caller, destination_id)
    if not owns(session, caller, destination):
        raise Forbidden(
            f"the destination {destination.id!r} does not belong to the token's projects;"
            " this needs a token of its owner or of all projects"
        )
    return destination


class AddonPath:
    """The addon that the path names."""

    def __init__(self, project_id: str, addon_id: str) -> None:
        self.project_id = project_id
        self.addon_id = addon_id

    def both(self, session: ReadSession, caller: Caller) -> tuple[Project, Addon]:
        return self._require(session, caller, addons.at)

    def addon(self, session: ReadSession, caller: Caller) -> Addon:
        return self.both(session, caller)[1]

    def addon_pk(self, session: ReadSession, caller: Caller) -> int:
        """Returns the primary key alone, which is cheaper."""
        return self._require(session, caller, addons.pk_at)

    def _require(
        self,
        session: ReadSession,
        caller: Caller,
        find: Callable[[ReadSession, str, str], T | None],
    ) -> T:
        visible = caller.sees(self.project_id)
        row = find(session, self.project_id, self.addon_id) if visible else None
        if row is None:
            project_at(session, caller, self.project_id)
            raise NotFound(f"there is no addon {self.addon_id!r} in project {self.project_id!r}")
        return row


class BackupPath(AddonPath):
    """The backup that the path names."""

    def __init__(self, project_id: str, addon_id: str, backup_id: str) -> None:
        super().__init__(project_id, addon_id)
        self.backup_id = backup_id

    def backup(self, session: ReadSession, caller: Caller) -> Backup:
        backup = backups.find(session, self.addon_pk(session, caller), self.backup_id)
        if backup is None:
            raise NotFound(f"there is no backup {self.backup_id!r} of addon {self.addon_id!r}")
        return backup


async def addon_path(project_id: str, addon_id: str) -> AddonPath:
    return AddonPath(project_id, addon_id)


async def backup_path(project_id: str, addon_id: str, backup_id: str) -> BackupPath:
    return BackupPath(project_id, addon_id, backup_id)


AtAddon = Annotated[AddonPath, Depends(addon_path)]
AtBackup = Annotated[BackupPath, Depends(backup_path)]


class Origin:
    """The target and the backup of a restore.

    The path names both; the query may name another addon, of which the backup was taken.
    """

    def __init__(
        self,
        project_id: str,
        addon_id: str,
        backup_id: str,
        source_project_id: Annotated[str | None, Query(alias="sourceProjectId")] = None,
        source_addon_id: Annotated[str | None, Query(alias="sourceAddonId")] = None,
    ) -> None:
        self._path = BackupPath(project_id, addon_id, backup_id)
        self._elsewhere = source_project_id is not None or source_addon_id is not None
        self._source = (source_project_id or project_id, source_addon_id or addon_id)

    def target(self, session: ReadSession, caller: Caller) -> Addon:
        return self._path.addon(session, caller)

    def backup(self, session: ReadSession, caller: Caller) -> Backup:
        if not self._elsewhere:
            return self._path.backup(session, caller)
        self.target(session, caller)
        project_id, addon_id = self._source
        if not caller.sees(project_id):
            raise NotFound(f"there is no project {project_id!r}")
        origin = addons.find_origin(session, project_id, addon_id)
        if not origin:
            raise NotFound(f"there is no addon {addon_id!r} in project {project_id!r}")
        return find_backup(session, origin, self._path.backup_id)

    def restore(self, session: ReadSession, caller: Caller, restore_id: str) -> Restore:
        """Returns the restore that the path names, into an addon that the caller sees.

        The official client does not say of which addon the backup is when it asks for a restore's
        logs; the restore itself knows.
        """
        target = self.target(session, caller)
        restore = restores.find(session, restore_id)
        if restore is not None:
            into = addons.get(session, restore.addon_pk)
            if not caller.sees(projects.get(session, into.project_pk).id):
                restore = None
        if restore is not None and restore.addon_pk == target.pk:
            named = backups.get(session, restore.backup_pk).id == self._path.backup_id
        else:
            named = restore is not None and restore.backup_pk == self.backup(session, caller).pk
        if restore is None or not named:
            raise NotFound(f"there is no restore {restore_id!r} of backup {self._path.backup_id!r}")
        return restore


class ArchiveOrigin:
    """The target of a recovery, which the path names, and the addon whose archive is restored: the
    query may name another one, also a deleted one."""

    def __init__(
        self,
        project_id: str,
        addon_id: str,
        source_project_id: Annotated[str | None, Query(alias="sourceProjectId")] = None,
        source_addon_id: Annotated[str | None, Query(alias="sourceAddonId")] = None,
    ) -> None:
        self._target = AddonPath(project_id, addon_id)
        self._is_other = (source_project_id, source_addon_id) != (None, None)
        self._source = (source_project_id or project_id, source_addon_id or addon_id)

    def target(self, session: ReadSession, caller: Caller) -> Addon:
        return self._target.addon(session, caller)

    def source(self, session: ReadSession, caller: Caller) -> Addon:
        """The living one first, else the last deleted one that has an archive."""
        target = self.target(session, caller)
        if not self._is_other:
            return target
        project_id, addon_id = self._source
        rows = addons.find_origin(session, project_id, addon_id) if caller.sees(project_id) else []
        if not rows:
            raise NotFound(f"there is no addon {addon_id!r} in project {project_id!r}")
        with_log = [row for row in rows if archives.of_addon(session, row.pk) is not None]
        return [*with_log, *rows][0]


FromArchive = Annotated[ArchiveOrigin, Depends()]
From = Annotated[Origin, Depends()]
