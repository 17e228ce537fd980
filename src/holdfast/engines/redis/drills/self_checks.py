"""Asks a server whether it has loaded its data, and has a fresh RDB of it checked.

The server writes the RDB to us as to a replica, so nothing is written to its disk. Holdfast reads
it to its last byte, and so does the stock checker where one for its version is installed.
"""

from collections.abc import Sequence
from pathlib import Path

from holdfast.contracts.engine import Address, Attempt
from holdfast.domain.errors import EvidenceMissing
from holdfast.domain.evidence import Check
from holdfast.engines.redis.client import probe
from holdfast.engines.redis.client.address import client
from holdfast.engines.redis.physical import snapshot
from holdfast.kit.processes.guard import Guard


def check_data(tools_dir: Path, address: Address, guard: Guard) -> Sequence[Check]:
    with client(address) as session:
        info = probe.server_info(session)
    loading = str(info.get("loading", 0)) != "0"
    keys = ", ".join(f"{count} keys in {number}" for number, count in probe.keys(info).items())
    if loading:
        return [Check("loading", False, "it still loads its data")]
    loaded = Check("loading", True, keys or "no keys")
    attempt = Attempt("check", "check", lambda _: None)
    try:
        with snapshot.capture(tools_dir, address, attempt, guard, None) as capture:
            for piece in capture.pieces():
                for chunk in piece.chunks:
                    guard.check()
                    guard.moved(len(chunk))
            proven = capture.facts["proven"]
    except EvidenceMissing as error:
        return [loaded, Check("fresh RDB", False, error.message)]
    words = [*proven.values()]
    if "stock checker" not in proven:
        words.append("no checker of this version is installed here")
    return [loaded, Check("fresh RDB", True, "; ".join(words))]
