"""Reads parts of packs, and reads ahead for who goes on where he stopped.

A data directory has a thousand small files, which lie one behind the other in few packs. One
request for each of them takes minutes from a store that answers in 50 ms. Who jumps about, as a
restore of blocks scattered over many packs does, gets what was asked and no more.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_FIRST, _MOST = 256 << 10, 8 << 20
_GAP = 64 << 10
_WINDOWS = 4

Fetch = Callable[[str, int, int], bytes]
"""Pack, start and end to its stored bytes."""


@dataclass(frozen=True)
class _Window:
    start: int
    data: bytes
    ahead: int

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class Ahead:
    """One reader's; keeps the last few windows, 32 MiB at most."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def part(self, pack: str, start: int, end: int, size: int) -> memoryview:
        """The bytes [start, end) of a pack that has `size` bytes at least."""
        held = self._windows.get(pack)
        if held is None or not held.start <= start <= end <= held.end:
            held = self._next(pack, held, start, end, size)
        self._windows.move_to_end(pack)
        return memoryview(held.data)[start - held.start : end - held.start]

    def _next(self, pack: str, held: _Window | None, start: int, end: int, size: int) -> _Window:
        goes_on = held is not None and held.start <= start <= held.end + _GAP
        ahead = min(_MOST, max(_FIRST, 2 * held.ahead)) if held is not None and goes_on else 0
        stop = max(end, min(start + ahead, size))
        made = _Window(start, self._fetch(pack, start, stop), ahead)
        self._windows[pack] = made
        while len(self._windows) > _WINDOWS:
            self._windows.popitem(last=False)
        return made
