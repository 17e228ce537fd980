"""A restore that reads a member several times is not further than the one who read most of it."""

import os
from types import SimpleNamespace

from holdfast.jobs.dumps.stored_dump import fetcher
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.pipeline.compress import Zstd
from holdfast.pipeline.digest import Digest
from holdfast.stores.memory.driver import MemoryStore
from holdfast.stores.memory.options import Options


def test_what_was_read_before_is_no_progress() -> None:
    plain = os.urandom(3 << 20)
    zstd, digest = Zstd(), Digest()
    stored = zstd.feed(plain) + zstd.finish()
    digest.feed(stored)
    store = MemoryStore(Options())
    upload = store.begin("b/main.dump")
    upload.write(stored)
    upload.commit()
    member = {
        "name": "main",
        "key": "main.dump",
        "stored_bytes": len(stored),
        "stored_sha256": digest.hexdigest,
    }
    guard = Guard(SystemClock())
    fetch = fetcher(
        SimpleNamespace(guard=guard, tools=SimpleNamespace(clock=SystemClock())),  # type: ignore[arg-type]
        (store, "b/"),
        {"members": [member], "compression": "zstd"},
    )
    first, second = fetch("main"), fetch("main")
    begun = next(first)
    assert b"".join(second) == plain
    assert guard.bytes_done == len(plain)
    assert begun + b"".join(first) == plain
    assert guard.bytes_done == len(plain)
    assert guard.idle_seconds() == 0.0
