"""Cuts files into blocks, at multiples of a size or by their content."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from pyfastcdc import FastCDC

from holdfast.contracts.snapshots import Cut
from holdfast.domain.snapshot import WHOLE_BLOCK


class Cutter(Protocol):
    """Cuts one kind of file.

    The blocks depend on the file's bytes alone, not on the portions in which they come.
    """

    def lengths(self, pending: memoryview, *, last: bool) -> Iterator[int]:
        """Yields the lengths of whole blocks at the start of `pending`; with `last`, of all."""
        ...


class FixedCutter:
    """Cuts at multiples of a size: a page that changes in place changes one block."""

    def __init__(self, block: int) -> None:
        self._block = block

    def lengths(self, pending: memoryview, *, last: bool) -> Iterator[int]:
        for _ in range(len(pending) // self._block):
            yield self._block
        rest = len(pending) % self._block
        if last and rest:
            yield rest


class ContentCutter:
    """Cuts by content into blocks of a quarter to four times the average (FastCDC 2020).

    An insertion changes the blocks around it; those behind stay the same. Readers need not know
    where it cuts: blocks of any size make up a file.
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
    """Returns a cutter for each kind of file; `block` is the size, or the average, in bytes."""
    return {
        Cut.PAGES: FixedCutter(block),
        Cut.CONTENT: ContentCutter(block),
        Cut.WHOLE: FixedCutter(WHOLE_BLOCK),
    }
