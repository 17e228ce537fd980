"""Restores. The addon in every path is the one restored into.

A backup of another addon is named together with its `Origin`. The API has no address for one
restore, so `get` looks for it among the addon's restores, newest first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.client.calls import Listing, Noun, R, Steps, ask, call, listing, post
from holdfast.client.errors import Answer, NotFound
from holdfast.client.logs import LogQuery, lines_of
from holdfast.client.models import LogLine, Restore, RestoreStarted
from holdfast.client.parse import parsed, parsed_all
from holdfast.client.transport import path_of


@dataclass(frozen=True)
class Origin:
    """Whose backup it is, when it is not the target's own."""

    project: str
    addon: str

    def params(self) -> dict[str, str | int]:
        return {"sourceProjectId": self.project, "sourceAddonId": self.addon}


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
        *,
        replace: bool = False,
        trusted: bool = False,
    ) -> Steps[RestoreStarted]:
        """`replace`: without room for a second copy, the present data may be removed first.
        `trusted`: the caller vouches for what another project's people could have shaped.
        """
        path = _backup(project, addon, backup, "restore")
        given = {"replace": replace, "trusted": trusted}
        body = {name: True for name, is_set in given.items() if is_set} or None
        return parsed(RestoreStarted, (yield from post(path, body, _params(origin))))

    @listing
    def list(self, project: str, addon: str) -> Listing[Restore]:
        """Every restore into this addon, newest first."""
        return _of_addon(project, addon)

    @listing
    def list_of_backup(
        self, project: str, addon: str, backup: str, origin: Origin | None = None
    ) -> Listing[Restore]:
        path = _backup(project, addon, backup, "restores")
        return Listing(Restore, path, "restores", _params(origin))

    @call
    def get(self, project: str, addon: str, restore: str) -> Steps[Restore]:
        return (yield from found(project, addon, restore))

    @call
    def abort(
        self, project: str, addon: str, restore: Restore, origin: Origin | None = None
    ) -> Steps[None]:
        path = _backup(project, addon, restore.backup_id or "", "abort-restore")
        yield from post(path, {"restoreId": restore.id}, _params(origin))

    @call
    def logs(
        self, project: str, addon: str, restore: Restore, query: LogQuery | None = None
    ) -> Steps[Sequence[LogLine]]:
        return (yield from lines_of(log_path(project, addon, restore), query))


def _of_addon(project: str, addon: str) -> Listing[Restore]:
    return Listing(Restore, path_of("projects", project, "addons", addon, "restores"), "restores")


def found(project: str, addon: str, restore: str) -> Steps[Restore]:
    """Page after page until it is there."""
    turning = _of_addon(project, addon).turning()
    while turning.more:
        page = turning.take((yield from ask(turning.request)))
        for each in parsed_all(Restore, page):
            if each.id == restore:
                return each
    raise NotFound(Answer(404, f"the addon {addon} has no restore {restore}"))


def log_path(project: str, addon: str, restore: Restore) -> str:
    return _backup(project, addon, restore.backup_id or "", "restores", restore.id, "logs")
