"""What a server's processes take of the machine: processor time, memory, and room on the disk."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import psutil


def family(pid: int) -> list[psutil.Process]:
    """The process and all below it; those that end meanwhile are left out. Empty if it is gone."""
    try:
        server = psutil.Process(pid)
        return [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Processor time that they have used together, with that of their ended children."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def memory_bytes(processes: Iterable[psutil.Process]) -> int:
    """Memory that they use together. What several share counts once: the buffers of a PostgreSQL
    are in each of its processes. Where the kernel does not tell us that, it counts in each."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                total += process.memory_full_info().pss
            except psutil.AccessDenied:
                total += process.memory_info().rss
    return total


def disk_bytes(directory: Path) -> int:
    """Room that the directory takes, without files that vanish meanwhile."""
    total = 0
    for base, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(base, name).lstat().st_blocks * 512
    return total
