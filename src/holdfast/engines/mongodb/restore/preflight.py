"""Finds every obstacle to a restore, all at once, before anything is touched."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from holdfast.contracts.engine import Address, Dump
from holdfast.domain.errors import PreflightRefused
from holdfast.domain.units import show_bytes
from holdfast.engines.mongodb.client.connection import Connection, connect
from holdfast.engines.mongodb.dump.dump import compatibility
from holdfast.engines.mongodb.dump.instant import has_snapshots
from holdfast.engines.mongodb.dump.inventory import databases

WRITING = (
    *("find", "insert", "update", "remove", "createCollection", "dropCollection", "createIndex"),
    *("collMod", "renameCollectionSameDB", "bypassDocumentValidation", "listCollections"),
    *("listIndexes", "collStats"),
)
_MAX_NAME_BYTES = 63
_MAX_DIGITS = 9


@dataclass(frozen=True)
class Case:
    """The input of all checks."""

    address: Address
    dump: Dump
    connection: Connection

    @property
    def recorded(self) -> Sequence[Mapping[str, Any]]:
        return cast("Sequence[Mapping[str, Any]]", self.dump.facts.get("databases", ()))

    @property
    def source(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.dump.facts.get("server", {}))


def preflight(address: Address, dump: Dump) -> None:
    """Raises PreflightRefused with every obstacle."""
    with connect(address) as connection:
        has_snapshots(connection)  # refuses sharded clusters
        case = Case(address, dump, connection)
        obstacles = [obstacle for check in CHECKS for obstacle in check(case)]
    if obstacles:
        raise PreflightRefused(
            "the restore cannot work: " + "; ".join(obstacles), obstacles=obstacles
        )


def check_version(case: Case) -> Iterator[str]:
    """What a server can hold is decided by its feature compatibility version."""
    source = str(case.source.get("compatibility") or case.source.get("version", ""))
    target = compatibility(case.connection)
    old, new = series(source), series(target)
    if old and new and new < old:
        yield (
            f"the backup is of MongoDB {'.'.join(map(str, old))}, the target's feature"
            f" compatibility version is {target}: it must not be lower"
        )


def check_primary(case: Case) -> Iterator[str]:
    if not case.connection.command("admin", {"hello": 1}).get("isWritablePrimary"):
        yield "the target is not the primary of its replica set: give the address of all members"


def check_names(case: Case) -> Iterator[str]:
    present = {name.lower(): name for name in databases(case.connection)}
    for database in case.recorded:
        name = str(database["name"])
        other = present.get(name.lower(), name)
        if other != name:
            yield f"the server has a database {other}, whose name differs from {name} only in case"
        if len(name.encode()) > _MAX_NAME_BYTES:
            yield f"the name {name} is too long for a database"


def check_privileges(case: Case) -> Iterator[str]:
    if not case.address.user:
        return
    status = case.connection.command("admin", {"connectionStatus": 1, "showPrivileges": True})
    granted = {
        action
        for privilege in status["authInfo"]["authenticatedUserPrivileges"]
        if covers_everything(privilege["resource"])
        for action in privilege["actions"]
    }
    if "anyAction" in granted:
        return
    missing = [action for action in WRITING if action not in granted]
    if missing:
        yield (
            f"user {case.address.user} lacks privileges on all databases: {', '.join(missing)};"
            " grant it the roles readWriteAnyDatabase and dbAdminAnyDatabase on admin"
        )


def covers_everything(resource: Mapping[str, Any]) -> bool:
    return bool(resource.get("anyResource")) or (
        resource.get("db") == "" and resource.get("collection") == ""
    )


def check_space(case: Case) -> Iterator[str]:
    """The disk must hold a second copy: everything is loaded beside the present data."""
    stats = case.connection.command("admin", {"dbStats": 1})
    if not stats.get("fsTotalSize"):
        return
    free = int(stats["fsTotalSize"]) - int(stats["fsUsedSize"])
    needed = sum(int(database["size"]) for database in case.recorded)
    if free < needed:
        yield (
            f"there is no room for a second copy: {show_bytes(needed)} are needed,"
            f" {show_bytes(free)} are free"
        )


def series(version: str) -> tuple[int, ...]:
    """The first two numbers of a version; empty if it has none."""
    parts = version.split(".")[:2]
    is_number = all(part.isdecimal() and len(part) <= _MAX_DIGITS for part in parts)
    return tuple(map(int, parts)) if is_number else ()


CHECKS = (check_version, check_primary, check_names, check_privileges, check_space)
