"""Plans how large each part of an upload is, and how many may be under way at once.

The length of a dump is unknown when its first part is sent, and a service allows only so many
parts: 10,000 at most, 1,000 at some. So parts grow, from 8 MiB to 5 GiB, which is the most that S3
allows. Where 10,000 are known to be allowed they grow slowly: up to 400 GiB no part is larger than
what fits in memory. Where fewer are allowed, or the limit is unknown, they grow so fast that 1,000
parts hold more than 5 TB, which is what services of that limit allow.

Parts that are larger than memory allows wait on disk (`buffers.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

MIB, GIB = 1 << 20, 1 << 30
FIRST = 8 * MIB
LARGEST = 5 * GIB
IN_MEMORY = 128 * MIB
"""Larger parts are kept on disk until they have arrived."""
MEMORY = 128 * MIB
"""All parts in memory together: the one being filled and those in flight."""
IN_FLIGHT = 4
MOST_PARTS = 10_000
LARGEST_OBJECT = 5 * GIB << 10
_GROWTH = 10
"""Doublings from the first part to the largest."""


@dataclass(frozen=True)
class PartPlan:
    """`max_parts` None: not known. `equal`: all parts but the last have to be of one size."""

    max_parts: int | None = None
    equal: bool = False

    @property
    def parts(self) -> int:
        """How many parts an object may have."""
        return self.max_parts or MOST_PARTS

    def size(self, number: int) -> int:
        """Returns the bytes of the part with this number, counted from 1."""
        if self.equal:
            return self._equal
        for count, size in self._steps():
            number -= count
            if number <= 0:
                return size
        return LARGEST

    @property
    def _equal(self) -> int:
        """The size with which as many parts as are allowed hold the largest object."""
        size = -(-LARGEST_OBJECT // self.parts // MIB) * MIB
        return max(FIRST, min(LARGEST, size))

    def _steps(self) -> Iterator[tuple[int, int]]:
        """Yields how many parts have which size, in order; all further ones have the largest."""
        if self.max_parts == MOST_PARTS:
            for doubling, share in enumerate((40, 40, 40, 40, 0, 20, 20)):
                count = MOST_PARTS // share if share else MOST_PARTS * 3 // 10
                yield count, min(LARGEST, FIRST << doubling)
            yield MOST_PARTS, min(LARGEST, FIRST << 7)
        fewest = self.max_parts or 1000
        for doubling in range(_GROWTH):
            yield max(1, fewest * 6 // 1000), min(LARGEST, FIRST << doubling)

    def in_flight(self, number: int) -> int:
        """Returns how many parts may be under way while the part after this one is filled.

        0 means that this part must have arrived before the next is begun.
        """
        size, following = self.size(number), self.size(number + 1)
        if following > IN_MEMORY:
            return 1 if size > IN_MEMORY else 0
        return min(IN_FLIGHT, MEMORY // following - 1)

    @property
    def max_object_bytes(self) -> int:
        if self.equal:
            return min(LARGEST_OBJECT, self.parts * self._equal)
        total, left = 0, self.parts
        for count, size in self._steps():
            used = min(left, count)
            total, left = total + used * size, left - used
        return min(LARGEST_OBJECT, total + left * LARGEST)
