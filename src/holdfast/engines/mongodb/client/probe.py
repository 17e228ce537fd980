"""Probes a server or a replica set: version, size, what its dumps promise, missing privileges."""

import socket
from dataclasses import replace

from holdfast.contracts.engine import HOSTS, Address, Probe
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.mongodb.client import facts, privileges
from holdfast.engines.mongodb.client.address import SRV, is_direct
from holdfast.engines.mongodb.client.connection import Connection, Document, connect
from holdfast.engines.mongodb.client.tools import version_parts
from holdfast.engines.programs import series
from holdfast.kit.fetch import is_local_service_name

SYSTEM_DATABASES = ("admin", "config", "local")
_OLDEST, _NEWEST_TRIED = (4, 4), (6, 0)
_COUNTER = "holdfast-count"


def probe(address: Address) -> Probe:
    """Raises AddonUnavailable or AddonRefused with the reason."""
    try:
        with connect(address) as connection:
            return _probe(connection, address)
    except AddonUnavailable:
        if not is_direct(address):
            _require_known_hosts(address)
        raise


def _probe(connection: Connection, address: Address) -> Probe:
    hello = connection.command("admin", {"hello": 1})
    build = connection.command("admin", {"buildInfo": 1})
    _require_kind(hello, build, address)
    _require_primary(hello, address)
    listing = connection.command("admin", {"listDatabases": 1})
    databases = [d for d in listing["databases"] if d["name"] not in SYSTEM_DATABASES]
    granted = privileges.of_user(connection)
    if granted is not None:
        privileges.require_reading(granted, address)
    version, is_set = str(build["version"]), "setName" in hello
    server_facts: dict[str, object] = {
        "databases": [database["name"] for database in databases],
        "readOnly": bool(hello.get("readOnly")),
        "replicaSet": hello.get("setName"),
        "hosts": list(hello.get("hosts", [])),
        "consistency": facts.consistency(version, is_set=is_set),
        "accounts": granted is None or privileges.may_read_accounts(granted),
        "featureCompatibilityVersion": facts.compatibility(connection),
    }
    if version_parts(version)[:2] > _NEWEST_TRIED:
        server_facts["unproven"] = (
            f"MongoDB {series(version)} is newer than what Holdfast was tried with (6.0)"
        )
    return Probe(
        version=version,
        major=series(version),
        flavour="MongoDB",
        size=sum(int(database["sizeOnDisk"]) for database in databases),
        facts=server_facts,
    )


def _require_kind(hello: Document, build: Document, address: Address) -> None:
    endpoint, version = f"{address.host}:{address.port}", str(build["version"])
    if hello.get("msg") == "isdbgrid":
        raise AddonRefused(
            f"{endpoint} is a mongos of a sharded cluster, which is not supported: attach each"
            " shard's replica set as an addon of its own, which is not of one instant then",
            reason="sharded",
        )
    if "ferretdb" in build or "ferretdbVersion" in build:
        raise AddonRefused(f"{endpoint} is FerretDB, not MongoDB", reason="flavour")
    if version_parts(version)[:2] < _OLDEST:
        raise AddonRefused(
            f"MongoDB {version} at {endpoint} is too old: 4.4 at least", reason="version"
        )


def _require_primary(hello: Document, address: Address) -> None:
    """A direct connection may lead to another member than the primary."""
    if hello.get("isWritablePrimary"):
        return
    endpoint, primary = f"{address.host}:{address.port}", hello.get("primary")
    if primary is None:
        raise AddonUnavailable(f"{endpoint} knows no primary of its replica set now")
    raise AddonRefused(
        f"{endpoint} is no primary; that is {primary}. Name it, or let the primary be found, with"
        f" every host of the set and replicaSet={hello.get('setName')}",
        reason="secondary",
    )


def _require_known_hosts(address: Address) -> None:
    """AddonRefused when members of the set have names that this machine does not know.

    With `replicaSet` a client goes to the hosts of the set's configuration, not to those it was
    given.
    """
    if SRV in address.options:
        return
    ignored = (HOSTS, "replicaSet", "directConnection")
    options = {name: text for name, text in address.options.items() if name not in ignored}
    try:
        with connect(replace(address, options=options)) as connection:
            hello = connection.command("admin", {"hello": 1})
    except (AddonRefused, AddonUnavailable):
        return  # what the caller raises says more
    set_name = address.options.get("replicaSet")
    if set_name and set_name != hello.get("setName"):
        raise AddonRefused(
            f"{address.host}:{address.port} belongs to the replica set"
            f" {hello.get('setName', '(none)')}, not to {set_name}",
            reason="set",
        )
    hosts = [str(host) for host in hello.get("hosts", [])]
    forbidden = [host for host in hosts if is_local_service_name(host.rpartition(":")[0])]
    if forbidden:
        raise AddonRefused(
            f"the replica set's own configuration names {', '.join(forbidden)}, a link-local"
            " address, where no server is",
            reason="hosts",
        )
    unknown = [host for host in hosts if not _resolves(host)]
    if unknown:
        raise AddonRefused(
            f"the replica set's own configuration names {', '.join(unknown)}, which this machine"
            " cannot resolve: make the names known here (DNS, /etc/hosts), or name the primary"
            " alone with directConnection=true",
            reason="hosts",
        )


def _resolves(host_and_port: str) -> bool:
    host, _, port = host_and_port.rpartition(":")
    try:
        socket.getaddrinfo(host.strip("[]"), port)
    except OSError:
        return False
    return True


def connections(address: Address) -> int:
    """Connections of clients now, without ours and those that the server makes to itself."""
    with connect(address, name=_COUNTER) as connection:
        stages = [
            {"$currentOp": {"allUsers": True, "idleConnections": True, "idleSessions": False}},
            {"$match": {"client": {"$exists": True}, "appName": {"$ne": _COUNTER}}},
            {"$group": {"_id": "$connectionId"}},
            {"$count": "connections"},
        ]
        command: Document = {"aggregate": 1, "pipeline": stages, "cursor": {}}
        for row in connection.documents("admin", command):
            return int(row["connections"])
        return 0
