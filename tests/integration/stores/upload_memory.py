"""Run by a test as its own process: pumps much through zstd into S3 and prints what it took.

Reads the store's settings as JSON from standard input; prints idle and peak memory in bytes.
"""

import json
import os
import sys
from pathlib import Path

from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.pipeline.compress import Zstd
from holdfast.pipeline.digest import Digest
from holdfast.pipeline.pump import pump
from holdfast.stores.registry import open_store

TOTAL = 900 << 20


def memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


def main() -> None:
    store = open_store("s3", json.load(sys.stdin))
    store.begin("small").commit()
    noise = os.urandom(16 << 20)  # does not compress: the worst case for every buffer
    left = TOTAL
    idle = memory("VmRSS")

    def read(size: int) -> bytes:
        nonlocal left
        offset = left % (15 << 20)
        left -= size
        return noise[offset : offset + size] if left >= 0 else b""

    upload = store.begin("large")
    pump(read, [Digest(), Zstd(), Digest()], upload, Guard(SystemClock()))
    stat = upload.commit()
    print(json.dumps({"idle": idle, "peak": memory("VmHWM"), "size": stat.size}))


if __name__ == "__main__":
    main()
