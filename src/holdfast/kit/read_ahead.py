"""Buffers a server's stream so that a slow store does not trip the server's write timeout.

A slow store blocks its writer, and with it the reading: of four parts on their way over a thin line
none may arrive for a minute, and database servers wait no longer than that. So a little is read
ahead now and then and waits in memory; everything is, while the server makes others wait.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from holdfast.domain.errors import Failure

PATIENCE_SECONDS = 10.0
"""A sixth of what MariaDB (`net_write_timeout`) and Redis (`repl-timeout`) wait by default."""
_PORTION_BYTES = 256 << 10
"""Enough to open a full TCP window again."""
_MAX_BUFFERED_BYTES = 64 << 20
"""Reading ahead ends here: after 20 minutes in which nothing was read, when nothing hurries."""
_FULL_PAUSE_SECONDS = 0.05


class ReadAhead:
    """Returns what `read` returns; an error of `read` is raised after all data that came before."""

    def __init__(self, read: Callable[[int], bytes], hurry: threading.Event | None = None) -> None:
        """While `hurry` is set everything is read at once: the server then makes others wait."""
        self._read = read
        self._read_lock = threading.Lock()
        self._closed = threading.Event()
        self._hurry = hurry or threading.Event()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._error: OSError | Failure | None = None
        self._last_read = time.monotonic()
        self._thread = threading.Thread(target=self._keep_reading, name="read-ahead", daemon=True)
        self._thread.start()

    def read(self, size: int) -> bytes:
        """Returns at most `size` bytes, none at the end."""
        with self._read_lock:
            if self._chunks:
                data = self._chunks.popleft()
                if len(data) > size:
                    self._chunks.appendleft(data[size:])
                self._size -= len(data[:size])
                return data[:size]
            if self._error is not None:
                raise self._error
            try:
                return self._read(size)
            finally:
                self._last_read = time.monotonic()

    def close(self) -> None:
        """Call it once the other end is closed, so that no read blocks."""
        self._closed.set()
        self._hurry.set()
        self._thread.join()

    def _keep_reading(self) -> None:
        while not self._closed.is_set():
            hurried = self._hurry.wait(PATIENCE_SECONDS / 2)
            if self._size >= _MAX_BUFFERED_BYTES:
                self._closed.wait(_FULL_PAUSE_SECONDS)
                continue
            with self._read_lock:
                idle = time.monotonic() - self._last_read >= PATIENCE_SECONDS / 2
                if not (hurried or idle) or self._closed.is_set():
                    continue
                data = b""
                try:
                    data = self._read(_PORTION_BYTES)
                except (OSError, Failure) as error:
                    self._error = error
                if data:
                    self._chunks.append(data)
                    self._size += len(data)
                else:
                    self._closed.set()
                self._last_read = time.monotonic()
