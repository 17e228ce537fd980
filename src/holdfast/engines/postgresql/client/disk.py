"""Free disk space of servers on this machine."""

import os
from pathlib import Path

from holdfast.contracts.engine import Address

_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


def free_bytes(directory: str | None, address: Address) -> int | None:
    """None unless `directory` is on this machine and belongs to the server at this port."""
    if directory is None or not (address.host in _LOOPBACK_HOSTS or address.host.startswith("/")):
        return None
    try:
        lines = (Path(directory) / "postmaster.pid").read_text().splitlines()
        if len(lines) < 4 or lines[3].strip() != str(address.port):
            return None
        state = os.statvfs(directory)
    except OSError:
        return None
    return state.f_bavail * state.f_frsize
