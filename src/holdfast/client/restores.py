"""Calls for restores. The addon in every path is the one restored into.

A backup of another addon is named together with its `Origin`. The API has no address for one
restore, so `get` looks for it among the addon's restores, newest first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.client.logs import LogQuery, lines_of
from holdfast.client.models.models import LogLine, Restore, RestoreStarted
from holdfast.client.transport.calls import Listing, Noun, R, Steps, ask, call, listing, post
from holdfast.client.transport.errors import Answer, NotFound
from holdfast.client.transport.parse import parsed, parsed_all
from holdfast.client.transport.transport import path_of


@dataclass(frozen=True)
class Origin:
    """The addon of the backup, when it is not the target."""

    project: str
    addon: str

    def params(self) -> dict[str, str | int]:
        return {"sourceProjectId": self.project, "sourceAddonId": self.addon}


@dataclass(frozen=True)
class Choices:
    """The options of a restore.

    `replace`: without room for a second copy, the present data may be removed first. `trusted`: the
    caller vouches for a backup that people of another project could have shaped.
    `accept_differences`: those from the report of a failed restore, word for word.
    `skip_failed_objects`: objects that cannot be made and hold no data are left out.
    `keep_old_hours`: how long the old data is kept. `locale`: for databases whose own locale the
    target does not have.
    """

    replace: bool = False
    trusted: bool = False
    accept_differences: Sequence[str] = ()
    skip_failed_objects: bool = False
    keep_old_hours: int | None = None
    locale: str | None = None

    def body(self) -> dict[str, object]:
        """Returns the options that differ from the defaults."""
        body: dict[str, object] = {}
        if self.replace:
            body["replace"] = True
        if self.trusted:
            body["trusted"] = True
        if self.accept_differences:
            body["acceptDifferences"] = list(self.accept_differences)
        if self.skip_failed_objects:
            body["skipFailedObjects"] = True
        if self.keep_old_hours is not None:
            body["keepOldHours"] = self.keep_old_hours
        if self.locale is not None:
            body["locale"] = self.locale
        return body


_NO_CHOICES = Choices()


def _params(origin: Origin | None) -> dict[str, str | int]:
    return origin.params() if origin else {}


def _backup(project: str, addon: str, backup: str, *rest: str) -> str:
    return path_of("projects", project, "addons", addon, "backups", backup, *rest)


class Restores(Noun[R]):
    @call
    def create(
        self,
        project: str,
        addon: str,
        backup: str,
        origin: Origin | None = None,
        choices: Choices = _NO_CHOICES,
    ) -> Steps[RestoreStarted]:
        path = _backup(project, addon, backup, "restore")
        return parsed(
            RestoreStarted, (yield from post(path, choices.body() or None, _params(origin)))
        )

    @listing
    def list(self, project: str, addon: str) -> Listing[Restore]:
        """Lists every restore into this addon, the newest first."""
        return _of_addon(project, addon)

    @listing
    def list_of_backup(
        self, project: str, addon: str, backup: str, origin: Origin | None = None
    ) -> Listing[Restore]:
        path = _backup(project, addon, backup, "restores")
        return Listing(Restore, path, "restores", _params(origin))

    @call
    def get(self, project: str, addon: str, restore: str) -> Steps[Restore]:
        return (yield from find(project, addon, restore))

    @call
    def abort(
        self, project: str, addon: str, restore: Restore, origin: Origin | None = None
    ) -> Steps[None]:
        path = _backup(project, addon, restore.backup_id or "", "abort-restore")
        yield from post(path, {"restoreId": restore.id}, _params(origin))

    @call
    def undo(
        self, project: str, addon: str, restore: Restore, origin: Origin | None = None
    ) -> Steps[RestoreStarted]:
        """Puts back the old data that a restore kept; the undo is a restore itself."""
        path = _backup(project, addon, restore.backup_id or "", "undo-restore")
        body = {"restoreId": restore.id}
        return parsed(RestoreStarted, (yield from post(path, body, _params(origin))))

    @call
    def logs(
        self, project: str, addon: str, restore: Restore, query: LogQuery | None = None
    ) -> Steps[Sequence[LogLine]]:
        return (yield from lines_of(log_path(project, addon, restore), query))


def _of_addon(project: str, addon: str) -> Listing[Restore]:
    return Listing(Restore, path_of("projects", project, "addons", addon, "restores"), "restores")


def find(project: str, addon: str, restore: str) -> Steps[Restore]:
    """Reads page after page until the restore is found. Raises NotFound."""
    pager = _of_addon(project, addon).pager()
    while pager.more:
        page = pager.take((yield from ask(pager.request)))
        for candidate in parsed_all(Restore, page):
            if candidate.id == restore:
                return candidate
    raise NotFound(Answer(404, f"the addon {addon} has no restore {restore}"))


def log_path(project: str, addon: str, restore: Restore) -> str:
    return _backup(project, addon, restore.backup_id or "", "restores", restore.id, "logs")
