"""Syncs many files at once: file systems commit together what is synced together."""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

_THREADS = 8
_MAX_OPEN_FILES = 64


class FileSyncer:
    """Makes files durable until its context ends. Raises OSError when that failed."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "syncing")
        self._under_way: deque[Future[None]] = deque()

    def __enter__(self) -> "FileSyncer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._threads.shutdown()
        if error is None:
            self._wait(0)

    def give(self, handle: int) -> None:
        """Syncs an open file or directory; the caller may close its handle at once."""
        self._under_way.append(self._threads.submit(_sync, os.dup(handle)))
        self._wait(_MAX_OPEN_FILES)

    def _wait(self, left: int) -> None:
        while len(self._under_way) > left:
            self._under_way.popleft().result()


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
