"""Makes many files durable at once: file systems commit together what is asked for together."""

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

_THREADS = 8
_OPEN = 64


class Syncing:
    """Everything given to it is durable when its context ends well; OSError when it is not."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "syncing")
        self._going: deque[Future[None]] = deque()

    def __enter__(self) -> "Syncing":
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
        """An open file or directory; the caller may close his handle at once."""
        self._going.append(self._threads.submit(_sync, os.dup(handle)))
        self._wait(_OPEN)

    def _wait(self, left: int) -> None:
        while len(self._going) > left:
            self._going.popleft().result()


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
