"""Reads parts of packs, and reads ahead while a reader goes through a pack in order.

A data directory has a thousand small files, which lie one behind the other in few packs. One
request for each of them takes minutes from a store that answers in 50 ms. Reads that jump about,
as a restore of blocks scattered over many packs does, fetch only what was asked for.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_FIRST_BYTES, _MAX_BYTES = 256 << 10, 8 << 20
_GAP_BYTES = 64 << 10
_WINDOWS = 4

Fetch = Callable[[str, int, int], bytes]
"""Returns the stored bytes of a pack from start to end."""


@dataclass(frozen=True)
class _Window:
    start: int
    data: bytes
    ahead: int

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class ReadAhead:
    """A read-ahead buffer for one reader; keeps the last few windows, 32 MiB at most."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def part(self, pack: str, start: int, end: int, size: int) -> memoryview:
        """Returns the bytes [start, end) of a pack that has at least `size` bytes."""
        window = self._windows.get(pack)
        if window is None or not window.start <= start <= end <= window.end:
            ahead = 0
            if window is not None and window.start <= start <= window.end + _GAP_BYTES:
                ahead = min(_MAX_BYTES, max(_FIRST_BYTES, 2 * window.ahead))
            stop = max(end, min(start + ahead, size))
            window = self._windows[pack] = _Window(start, self._fetch(pack, start, stop), ahead)
            while len(self._windows) > _WINDOWS:
                self._windows.popitem(last=False)
        self._windows.move_to_end(pack)
        return memoryview(window.data)[start - window.start : end - window.start]
