"""Permissions of the v1 API, the built-in roles that hold them, and who owns a destination."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    PROJECT_CREATE = "Project > Projects > Manage > Create"
    PROJECT_READ = "Project > Projects > Manage > Read"
    PROJECT_UPDATE = "Project > Projects > Manage > Update"
    PROJECT_DELETE = "Project > Projects > Manage > Delete"
    ADDON_CREATE = "Project > Addons > General > Create"
    ADDON_READ = "Project > Addons > General > Read"
    ADDON_UPDATE = "Project > Addons > General > Update"
    ADDON_DELETE = "Project > Addons > General > Delete"
    INSTANCES_VIEW = "Project > Addons > Deployment > View Instances"
    INSTANCE_LOGS = "Project > Addons > Deployment > View Instance Logs"
    DESTINATION_CREATE = "Account > BackupDestinations > General > Create"
    DESTINATION_READ = "Account > BackupDestinations > General > Read"
    DESTINATION_UPDATE = "Account > BackupDestinations > General > Update"
    DESTINATION_DELETE = "Account > BackupDestinations > General > Delete"
    TEAM_READ = "Organisation > Team > General > Read"
    TOKENS_READ = "Account > Tokens > General > Read"
    TOKENS_MANAGE = "Account > Tokens > General > Manage"
    AUDIT_READ = "Account > AuditLog > General > Read"
    NOTIFICATIONS_READ = "Account > Team > Notifications > Read"
    NOTIFICATIONS_MANAGE = "Account > Team > Notifications > Manage"


ALL = frozenset(Permission)
_DELETES = frozenset(p for p in Permission if p.endswith("Delete"))
_TOKENS = frozenset({Permission.TOKENS_READ, Permission.TOKENS_MANAGE})
_NOTIFICATIONS = frozenset({Permission.NOTIFICATIONS_READ, Permission.NOTIFICATIONS_MANAGE})

BUILT_IN: Mapping[str, frozenset[Permission]] = {
    "owner": ALL,
    "admin": ALL - {Permission.TOKENS_MANAGE},
    "default": ALL - _DELETES - _TOKENS - {Permission.AUDIT_READ} - _NOTIFICATIONS,
}


@dataclass(frozen=True)
class Caller:
    """One authenticated token. `projects` None means all of them, else the project ids it sees."""

    token_id: str
    name: str
    role: str
    permissions: frozenset[str]
    projects: frozenset[str] | None

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    def sees(self, project: str) -> bool:
        return self.projects is None or project in self.projects


@dataclass(frozen=True)
class Possession:
    """Who owns a destination and who may use it.

    `owner` is a project's key; None: the installation. `granted` are the keys of further projects
    that may use it; None: every project if the installation owns it, else no other.
    """

    owner: int | None
    granted: frozenset[int] | None

    def usable_by(self, project: int) -> bool:
        """Whether backups of the project may be sent there."""
        if self.granted is None:
            return self.owner in (None, project)
        return project == self.owner or project in self.granted


def unknown_permissions(requested: Collection[str]) -> list[str]:
    """Those of `requested` that the API does not know, sorted."""
    permitted = {str(p) for p in Permission}
    return sorted(set(requested) - permitted)
