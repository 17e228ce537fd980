"""Reduces users and roles of a dump to what the owner of a managed server may have.

Otherwise a dump of a server whose administrator its owner was would bring him an administrator of
ours.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.engines.mongodb.hosting.administrator import (
    ADMIN_DATABASE,
    OWNER_ROLES,
    SYSTEM_DATABASES,
)

Document = dict[str, Any]

_ROOT = ("root", "__system")
_POWERFUL_ROLES = frozenset(
    (
        *("root", "__system", "__queryableBackup", "backup", "restore", "dbOwner", "userAdmin"),
        *("userAdminAnyDatabase", "clusterAdmin", "clusterManager", "hostManager"),
        *("enableSharding", "directShardOperations", "searchCoordinator"),
    )
)
"""Roles of `admin` that reach users, settings or the set."""
_DATA_ACTIONS = frozenset(
    (
        *("find", "insert", "update", "remove", "bypassDocumentValidation", "changeStream"),
        *("createCollection", "dropCollection", "renameCollectionSameDB", "convertToCapped"),
        *("createIndex", "dropIndex", "collMod", "collStats", "dbStats", "dbHash", "dropDatabase"),
        *("listCollections", "listIndexes", "killCursors", "enableProfiler", "validate"),
        *("planCacheRead", "planCacheWrite", "planCacheIndexFilter", "compact", "reIndex"),
    )
)
_WATCHING_ACTIONS = frozenset(
    (
        *("listDatabases", "serverStatus", "hostInfo", "connPoolStats", "top", "inprog"),
        *("replSetGetStatus", "getParameter", "listSessions"),
    )
)


def limited_user(user: Mapping[str, Any]) -> Document:
    """A stored user with roles that do not reach beyond the data."""
    return {**user, "roles": _limited_roles(user.get("roles", []))}


def limited_role(role: Mapping[str, Any]) -> Document:
    """A stored role with privileges and roles that do not reach beyond the data."""
    privileges = [
        {"resource": privilege["resource"], "actions": actions}
        for privilege in role.get("privileges", [])
        if (actions := _limited_actions(privilege["resource"], privilege["actions"]))
    ]
    return {**role, "privileges": privileges, "roles": _limited_roles(role.get("roles", []))}


def _limited_roles(roles: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    names = [(role["role"], role["db"]) for role in roles]
    allowed = [
        (name, database)
        for name, database in names
        if database not in SYSTEM_DATABASES
        or (database == ADMIN_DATABASE and name not in _POWERFUL_ROLES)
    ]
    if any(name in _ROOT for name, _ in names):
        allowed += [(name, ADMIN_DATABASE) for name in OWNER_ROLES]
    return [{"role": name, "db": database} for name, database in dict.fromkeys(allowed)]


def _limited_actions(resource: Mapping[str, Any], actions: Sequence[str]) -> list[str]:
    if resource.get("cluster"):
        return [action for action in actions if action in _WATCHING_ACTIONS]
    database, collection = resource.get("db"), str(resource.get("collection", ""))
    if database is None or database in ("config", "local"):
        return []
    if database in ("", ADMIN_DATABASE):
        if collection.startswith("system."):
            return []
        return [action for action in actions if action in _DATA_ACTIONS]
    return list(actions)
