"""Where files are cut into blocks: at multiples of a size, or where their content says so."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from pyfastcdc import FastCDC

from holdfast.contracts.snapshots import Cut
from holdfast.domain.snapshot import WHOLE_BLOCK


class Cutter(Protocol):
    """How one kind of file is cut. The blocks of a file depend on its bytes alone, not on the
    portions in which they come."""

    def lengths(self, pending: memoryview, *, last: bool) -> Iterator[int]:
        """Of the blocks at the beginning of `pending` that are whole; with `last`, of all."""
        ...


class Fixed:
    """At multiples of so many bytes: a page that changes in place changes one block."""

    def __init__(self, block: int) -> None:
        self._block = block

    def lengths(self, pending: memoryview, *, last: bool) -> Iterator[int]:
        for _ in range(len(pending) // self._block):
            yield self._block
        rest = len(pending) % self._block
        if last and rest:
            yield rest


class ByContent:
    """Blocks of about so many bytes, a quarter to four times as much (FastCDC 2020): what is
    inserted or grows changes the blocks around it, and those behind stay what they were.

    Where it cuts is nobody else's business: blocks of any size make up a file.
    """

    def __init__(self, average: int) -> None:
        self._longest = 4 * average
        self._cdc = FastCDC(average, min_size=average // 4, max_size=self._longest)

    def lengths(self, pending: memoryview, *, last: bool) -> Iterator[int]:
        left = len(pending)
        if left < self._longest and not last:
            return
        for block in self._cdc.cut_buf(pending):
            if left < self._longest and not last:
                return  # more bytes could still move the end of this one
            left -= block.length
            yield block.length


def cutters(block: int) -> Mapping[Cut, Cutter]:
    """One for each kind of file; blocks that may stay while others change are `block` bytes."""
    return {
        Cut.PAGES: Fixed(block),
        Cut.CONTENT: ByContent(block),
        Cut.WHOLE: Fixed(WHOLE_BLOCK),
    }
