"""Redis 7.0 and newer and Valkey: snapshots over the replication protocol, managed servers."""

from pathlib import Path

from holdfast.engines.redis.driver import Redis


def create(tools_dir: Path) -> Redis:
    """What the registry calls."""
    return Redis(tools_dir)
