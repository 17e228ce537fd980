"""Reading from somebody who hangs up when nobody takes what he sends.

A slow store holds up whoever writes into it, and with him the reading: of four parts that are on
their way over a thin line none arrives for a minute. Servers of databases wait no longer than that.
So a little is read ahead now and then, and waits in memory; everything, while others wait for it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from holdfast.domain.errors import Failure

PATIENCE_SECONDS = 10.0
"""A sixth of what MariaDB (`net_write_timeout`) and Redis (`repl-timeout`) wait by default."""
_PORTION = 256 << 10
"""As much as opens a full window of a connection again."""
_MOST = 64 << 20
"""Then nothing more is read ahead: 20 minutes without any reading, when nothing hurries."""
_FULL_SECONDS = 0.05


class ReadAhead:
    """Gives what `read` gives; an error of it comes when all that was read before is taken."""

    def __init__(self, read: Callable[[int], bytes], hurry: threading.Event | None = None) -> None:
        """All that comes is read at once while `hurry` is set: who sends holds others up then."""
        self._read = read
        self._turn = threading.Lock()
        self._done = threading.Event()
        self._hurry = hurry or threading.Event()
        self._held: deque[bytes] = deque()
        self._size = 0
        self._trouble: OSError | Failure | None = None
        self._touched = time.monotonic()
        self._thread = threading.Thread(target=self._look_after, name="read-ahead", daemon=True)
        self._thread.start()

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end."""
        with self._turn:
            if self._held:
                return self._taken(size)
            if self._trouble is not None:
                raise self._trouble
            try:
                return self._read(size)
            finally:
                self._touched = time.monotonic()

    def close(self) -> None:
        """Once the other end has been closed, so that nobody waits for it."""
        self._done.set()
        self._hurry.set()
        self._thread.join()

    def _taken(self, size: int) -> bytes:
        data = self._held.popleft()
        if len(data) > size:
            self._held.appendleft(data[size:])
        self._size -= len(data[:size])
        return data[:size]

    def _look_after(self) -> None:
        while not self._done.is_set():
            hurried = self._hurry.wait(PATIENCE_SECONDS / 2)
            if self._size >= _MOST:
                self._done.wait(_FULL_SECONDS)
                continue
            with self._turn:
                idle = time.monotonic() - self._touched >= PATIENCE_SECONDS / 2
                if (hurried or idle) and not self._done.is_set():
                    self._read_some()

    def _read_some(self) -> None:
        try:
            data = self._read(_PORTION)
        except (OSError, Failure) as error:
            self._trouble = error
            data = b""
        if data:
            self._held.append(data)
            self._size += len(data)
        else:
            self._done.set()
        self._touched = time.monotonic()
