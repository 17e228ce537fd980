"""How the C library hands out memory: large blocks get pages of their own, few arenas.

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

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8
_OWN_PAGES_FROM = 4 << 20
_KEPT_FREE = 16 << 20


@cache
def keep_memory_steady() -> bool:
    """For the whole process, once. False where the C library has no such setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    limits = {_MMAP_THRESHOLD: _OWN_PAGES_FROM, _TRIM_THRESHOLD: _KEPT_FREE, _ARENA_MAX: 2}
    return all(mallopt(name, value) for name, value in limits.items())


@contextmanager
def collecting_nothing() -> Generator[None]:
    """While modules are loaded: they leave no cycles, and looking for some takes its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def collect_seldom() -> None:
    """For a process that answers requests, once everything is loaded: what is there stays, and
    the rows of an answer do not set off a search for cycles in the middle of it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
