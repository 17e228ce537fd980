"""Keeps the administrator's rights on a managed server from the addon's owner.

The owner reads, writes and manages all databases, watches the server, and makes users and roles of
his own database. He cannot read or change users of `admin`, grant roles of it, change settings,
lock or stop the server, or write `config` and `local`.
"""

from collections.abc import Sequence

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import LocalServer, Login
from holdfast.engines.hosting import admin_address
from holdfast.engines.mongodb.client.connection import Connection, Document, WireError
from holdfast.engines.mongodb.client.server_errors import error_code

REPLICA_SET = "rs0"
ADMIN_DATABASE = "admin"
SYSTEM_DATABASES = ("admin", "config", "local")
OWNER_ROLES = ("readWriteAnyDatabase", "dbAdminAnyDatabase", "clusterMonitor")
_NO_SUCH_USER = 11
_NOT_INITIALISED, _INVALID_CONFIG = 94, 93
_FULL_RIGHTS = ("root",)


def admin_login(server: LocalServer) -> Login:
    return server.admin or Login(server.user, server.password)


def address(server: LocalServer) -> Address:
    """Where Holdfast works on a server: its users are of the database `admin`."""
    return admin_address(server, server.database)


def adopt(connection: Connection, server: LocalServer) -> None:
    """Gives the server's administrator and its owner their passwords and roles. Repeatable."""
    login = admin_login(server)
    _ensure_user(connection, login, _FULL_RIGHTS)
    if server.admin is not None:
        roles: list[object] = list(OWNER_ROLES)
        if server.database not in SYSTEM_DATABASES:
            roles.append({"role": "dbOwner", "db": server.database})
        _ensure_user(connection, Login(server.user, server.password), roles)


def _ensure_user(connection: Connection, login: Login, roles: Sequence[object]) -> None:
    settings: Document = {"pwd": login.password.reveal(), "roles": list(roles)}
    try:
        connection.command(ADMIN_DATABASE, {"updateUser": login.user, **settings})
    except WireError as error:
        if error_code(error) != _NO_SUCH_USER:
            raise
        connection.command(ADMIN_DATABASE, {"createUser": login.user, **settings})


def become_primary(connection: Connection, host: str) -> bool:
    """Whether the server is the primary of its set of one; sets that up when it is missing.

    `host` is the server's own, as the set knows it. A directory that was copied, or got another
    port, brings the old one's set along, of which this server is no member.
    """
    hello = connection.command(ADMIN_DATABASE, {"hello": 1})
    if hello.get("isWritablePrimary"):
        return hello.get("me") == host or reconfigure(connection, host)
    try:
        status = connection.command(ADMIN_DATABASE, {"replSetGetStatus": 1})
    except WireError as error:
        if error_code(error) == _NOT_INITIALISED:
            members = [{"_id": 0, "host": host}]
            config = {"_id": REPLICA_SET, "members": members}
            connection.command(ADMIN_DATABASE, {"replSetInitiate": config})
            return False
        if error_code(error) == _INVALID_CONFIG:
            return reconfigure(connection, host)
        raise
    return status.get("myState") == _REMOVED and reconfigure(connection, host)


_REMOVED = 10


def reconfigure(connection: Connection, host: str) -> bool:
    """Makes the server the only member of its set, as `host`. Returns False: it is asked again."""
    reply = connection.command("local", {"find": "system.replset", "limit": 1})
    config: Document = reply["cursor"]["firstBatch"][0]
    member = {"_id": 0, "host": host}
    changed = {**config, "version": int(config["version"]) + 1, "members": [member]}
    connection.command(ADMIN_DATABASE, {"replSetReconfig": changed, "force": True})
    return False
