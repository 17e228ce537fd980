"""What is the same for a server of ours whichever engine it is of: who runs it, who works on it."""

import os
from collections.abc import Iterable
from dataclasses import replace

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import LocalServer
from holdfast.kit.processes.hosting import unprivileged


def named(server: LocalServer | None, users: Iterable[str]) -> str | int | None:
    """Whom root starts a server as: its own user, else the first of `users` there is. None when we
    are not root and run it as ourselves."""
    if server is not None and server.uid is not None and os.geteuid() == 0:
        return server.uid
    return unprivileged(users)


def owner(server: LocalServer, users: Iterable[str]) -> str | int | None:
    """Whom the files of a place belong to, or shall; on somebody's own, whom they do now."""
    given = server.uid is not None or os.geteuid() != 0 or not server.directory.exists()
    return named(server, users) if given else server.directory.stat().st_uid


def address_of(server: LocalServer, database: str) -> Address:
    """As whom Holdfast works on it: its administrator, where it has one that is not the owner."""
    address = Address("127.0.0.1", server.port, server.user, server.password, database)
    if server.admin is None:
        return address
    login = server.admin
    return replace(address, user=login.user, password=login.password, owner=server.user)
