"""What a process that holds secrets in memory keeps others from seeing of it."""

import ctypes
import resource

_PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """No core dumps, of us or of any child; and nobody but root reads our memory or the environment
    we were started with, not even programs of our own user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is not None:  # Linux
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
