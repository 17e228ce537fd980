"""What is the same for a server of ours whichever engine it is of: who runs it, who works on it."""

import os
from collections.abc import Iterable
from dataclasses import replace

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import LocalServer
from holdfast.kit.processes.hosting import unprivileged


def named(place: LocalServer | None, users: Iterable[str]) -> str | int | None:
    """Whom root starts a server as: its own user, else the first of `users` there is. None when we
    are not root and run it as ourselves."""
    if place is not None and place.uid is not None and os.geteuid() == 0:
        return place.uid
    return unprivileged(users)


def owner(place: LocalServer, users: Iterable[str]) -> str | int | None:
    """Whom the files of a place belong to, or shall; on somebody's own, whom they do now."""
    given = place.uid is not None or os.geteuid() != 0 or not place.directory.exists()
    return named(place, users) if given else place.directory.stat().st_uid


def address_of(place: LocalServer, database: str) -> Address:
    """As whom Holdfast works on it: its administrator, where it has one that is not the owner."""
    known = Address("127.0.0.1", place.port, place.user, place.password, database)
    if place.admin is None:
        return known
    login = place.admin
    return replace(known, user=login.user, password=login.password, owner=place.user)
