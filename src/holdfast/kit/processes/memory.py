"""Settings of the C library's allocator: large blocks get pages of their own, few arenas.

By default glibc learns from freed blocks to take ever larger ones from its heap, and keeps twice
as much of it for later. A process that moves buffers of growing sizes through several threads
then holds a multiple of what it uses. Fixed limits turn the learning off. What a buffer leaves
free at the end of the heap stays, up to a limit: given back at once, all its pages would be
zeroed again for the next one.
"""

import ctypes
import gc
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MMAP_THRESHOLD_BYTES = 4 << 20
_TRIM_THRESHOLD_BYTES = 16 << 20


@cache
def keep_memory_steady() -> bool:
    """Applies the limits to the whole process, once. False where the C library has none."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    limits = {
        _M_MMAP_THRESHOLD: _MMAP_THRESHOLD_BYTES,
        _M_TRIM_THRESHOLD: _TRIM_THRESHOLD_BYTES,
        _M_ARENA_MAX: 2,
    }
    return all(mallopt(name, value) for name, value in limits.items())


@contextmanager
def collecting_nothing() -> Generator[None]:
    """Stops garbage collection while modules load: they leave no cycles, and the search is slow."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def collect_seldom() -> None:
    """For a process that answers requests, once everything is loaded.

    What is loaded stays, so it is not searched now either, and the rows of an answer do not start a
    collection in the middle of it.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
