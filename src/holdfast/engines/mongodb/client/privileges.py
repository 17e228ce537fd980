"""What a user may do on a server, and which privileges a dump of everything still needs."""

from collections.abc import Iterator, Mapping, Sequence

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonRefused
from holdfast.engines.mongodb.client.connection import Connection, Document, WireError
from holdfast.engines.mongodb.client.server_errors import UNAUTHORIZED, error_code

_ANYTHING: Document = {"db": "", "collection": ""}
_NEEDED: Sequence[tuple[str, Document]] = (
    ("listDatabases", {"cluster": True}),
    ("useUUID", {"cluster": True}),
    ("find", _ANYTHING),
    ("listCollections", _ANYTHING),
    ("listIndexes", _ANYTHING),
)
"""What a dump of everything needs; the role `backup` has all of it. Collections are read by their
UUID, because one that was renamed reads as empty by its name, without an error."""
_ACCOUNTS: Sequence[tuple[str, Document]] = (
    ("find", {"db": "admin", "collection": "system.users"}),
    ("find", {"db": "admin", "collection": "system.roles"}),
)


def of_user(connection: Connection) -> list[Document] | None:
    """What our user may do; None on a server that wants no login."""
    status = connection.command("admin", {"connectionStatus": 1, "showPrivileges": True})
    if status["authInfo"]["authenticatedUsers"]:
        return list(status["authInfo"]["authenticatedUserPrivileges"])
    try:
        connection.command("admin", {"find": "system.users", "limit": 1})
    except WireError as error:
        if error_code(error) == UNAUTHORIZED:
            return []
        raise
    return None


def require_reading(privileges: Sequence[Document], address: Address) -> None:
    missing = list(_missing(privileges, _NEEDED))
    if missing:
        database = address.options.get("authSource", "admin")
        raise AddonRefused(
            f"user {address.user or '(none)'} may not read everything. Missing:"
            f" {', '.join(missing)}. Run: db.getSiblingDB({database!r}).grantRolesToUser("
            f'{address.user!r}, [{{role: "backup", db: "admin"}}])',
            reason="privilege",
            missing=missing,
        )


def _missing(
    privileges: Sequence[Document], needed: Sequence[tuple[str, Document]]
) -> Iterator[str]:
    """Needed actions that no privilege covers, as `find on admin.system.users`."""
    for action, resource in needed:
        if not any(_covers(privilege, action, resource) for privilege in privileges):
            database, collection = resource.get("db"), resource.get("collection")
            if database is None:
                yield f"{action} on the cluster"
            else:
                yield f"{action} on {f'{database}.{collection}' if database else 'all databases'}"


def _covers(privilege: Document, action: str, resource: Mapping[str, object]) -> bool:
    if action not in privilege["actions"] and "anyAction" not in privilege["actions"]:
        return False
    granted = dict(privilege["resource"])
    if granted.get("anyResource") or granted == resource:
        return True
    return "db" in granted and granted == {"db": "", "collection": resource.get("collection")}


def may_read_accounts(privileges: Sequence[Document]) -> bool:
    return not list(_missing(privileges, _ACCOUNTS))
