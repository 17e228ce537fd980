"""Probes a server and counts its keys."""

from collections.abc import Mapping
from typing import cast

from holdfast.contracts.engine import Address, Inventory, Probe, Table
from holdfast.domain.errors import AddonRefused
from holdfast.engines.redis.client.address import Session, client
from holdfast.engines.redis.client.tools import REDIS, VALKEY, series

_OLDEST_MAJOR = 7


def probe(address: Address) -> Probe:
    """Raises AddonUnavailable or AddonRefused with the reason."""
    with client(address) as session:
        info = server_info(session)
    name, version = flavour(info), running_version(info)
    endpoint = f"{address.host}:{address.port}"
    if int(version.partition(".")[0]) < _OLDEST_MAJOR:
        raise AddonRefused(
            f"{name} {version} at {endpoint} is too old: 7.0 at least", reason="version"
        )
    return Probe(
        version=version,
        major=series(version),
        flavour=name,
        size=int(str(info.get("used_memory_dataset", info.get("used_memory", 0)))),
        facts={
            "role": str(info.get("role", "")),
            "cluster": cluster(info),
            "keys": {str(number): count for number, count in keys(info).items()},
            "consistency": "the whole server at one instant",
        },
    )


def server_info(session: Session) -> Mapping[str, object]:
    return session.ask("INFO")


def flavour(info: Mapping[str, object]) -> str:
    return VALKEY if info.get("server_name") == "valkey" else REDIS


def running_version(info: Mapping[str, object]) -> str:
    """The server's own version; Valkey also reports a version of Redis, for old clients."""
    return str(info.get("valkey_version") or info.get("redis_version") or "0")


def cluster(info: Mapping[str, object]) -> bool:
    return str(info.get("cluster_enabled", 0)) == "1"


def keys(info: Mapping[str, object]) -> dict[int, int]:
    """The number of keys of each database that has any."""
    counts: dict[int, int] = {}
    for name, value in info.items():
        if name.startswith("db") and name[2:].isdigit():
            counts[int(name[2:])] = int(cast("Mapping[str, int]", value)["keys"])
    return counts


def connections(address: Address) -> int:
    """Clients that are connected now, without us."""
    with client(address) as session:
        return int(str(server_info(session)["connected_clients"])) - 1


def inventory(address: Address) -> Inventory:
    """Counts each database as one table of keys."""
    with client(address) as session:
        info = server_info(session)
    counted = sorted(keys(info).items())
    return Inventory(
        tables=[Table(str(number), "keys", count) for number, count in counted],
        objects={str(number): {"keys": count} for number, count in counted},
    )
