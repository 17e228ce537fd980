"""Stores what a receiver cut, in a thread of its own and in order.

A store that hangs must not keep the receiver from answering the server: its spool here is bounded,
and what is not stored is still with the server, which sends it again.
"""

import threading
from collections import deque
from collections.abc import Callable

from holdfast.domain.errors import StoreUnavailable
from holdfast.kit.clock import Clock

_SPOOL_BYTES = 64 << 20
"""Plain bytes that wait at most; a segment more is being cut meanwhile."""
_FULL_SECONDS = 20.0
"""A server that shuts down waits for what it cannot send, so a full spool soon ends the session."""
_STALLED_SECONDS = 300.0
"""Stores try again for minutes; work that takes longer than this is given up."""

HANGS = "the store takes nothing; the server keeps its log meanwhile"

Work = Callable[[], int | None]
"""Stores something; returns the position up to which all is stored now, None: unchanged."""


class Storer:
    """`stored` is the position up to which the server may be told that all is stored."""

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[tuple[int, Work]] = deque()
        self._bytes = 0
        self._error: Exception | None = None
        self._closed = False
        self._moved = self._room = clock.monotonic()
        self.stored = 0
        threading.Thread(target=self._run, name=f"store-{name}", daemon=True).start()

    @property
    def is_full(self) -> bool:
        return self._bytes > _SPOOL_BYTES

    def is_idle_within(self, seconds: float) -> bool:
        """Waits for at most so long until everything is stored, or the thread failed."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting or self._error is not None, seconds
            )

    def put(self, size: int, work: Work) -> None:
        """Takes `work` that holds `size` bytes; never waits."""
        with self._changed:
            if not self._waiting:
                self._moved = self._clock.monotonic()
            self._waiting.append((size, work))
            self._bytes += size
            self._changed.notify_all()

    def check(self) -> None:
        """Raises what stopped the thread; StoreUnavailable when it does not get on."""
        if self._error is not None:
            raise self._error
        now = self._clock.monotonic()
        if not self.is_full:
            self._room = now
        stalled = bool(self._waiting) and now - self._moved > _STALLED_SECONDS
        if stalled or now - self._room > _FULL_SECONDS:
            raise StoreUnavailable(HANGS)

    def close(self) -> None:
        """Work that waits is dropped; what is being stored may still end, under its old lease."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                size, work = self._waiting[0]
            try:
                position = work()
            except Exception as error:  # noqa: BLE001 - the receiver's thread raises it
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                self.stored = self.stored if position is None else position
                self._waiting.popleft()
                self._bytes -= size
                self._moved = self._clock.monotonic()
                self._changed.notify_all()
