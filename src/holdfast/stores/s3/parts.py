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
FIRST_PART_BYTES = 8 * MIB
MAX_PART_BYTES = 5 * GIB
IN_MEMORY_BYTES = 128 * MIB
"""Larger parts are kept on disk until they have arrived."""
MEMORY_BYTES = 128 * MIB
"""All parts in memory together: the one being filled and those in flight."""
MAX_IN_FLIGHT = 4
MAX_PARTS = 10_000
MAX_OBJECT_BYTES = 5 * GIB << 10
_GROWTH = 10
"""Doublings from the first part to the largest."""


@dataclass(frozen=True)
class PartPlan:
    """`max_parts` None: not known. `equal`: all parts but the last have to be of one size."""

    max_parts: int | None = None
    equal: bool = False

    @property
    def parts(self) -> int:
        """The number of parts that an object may have."""
        return self.max_parts or MAX_PARTS

    def size(self, number: int) -> int:
        """Returns the bytes of the part with this number, counted from 1."""
        if self.equal:
            return self._equal
        for count, size in self._steps():
            number -= count
            if number <= 0:
                return size
        return MAX_PART_BYTES

    @property
    def _equal(self) -> int:
        """The size with which as many parts as are allowed hold the largest object."""
        size = -(-MAX_OBJECT_BYTES // self.parts // MIB) * MIB
        return max(FIRST_PART_BYTES, min(MAX_PART_BYTES, size))

    def _steps(self) -> Iterator[tuple[int, int]]:
        """Yields how many parts have which size, in order; all further ones have the largest."""
        if self.max_parts == MAX_PARTS:
            for doubling, share in enumerate((40, 40, 40, 40, 0, 20, 20)):
                count = MAX_PARTS // share if share else MAX_PARTS * 3 // 10
                yield count, min(MAX_PART_BYTES, FIRST_PART_BYTES << doubling)
            yield MAX_PARTS, min(MAX_PART_BYTES, FIRST_PART_BYTES << 7)
        fewest = self.max_parts or 1000
        for doubling in range(_GROWTH):
            yield max(1, fewest * 6 // 1000), min(MAX_PART_BYTES, FIRST_PART_BYTES << doubling)

    def in_flight(self, number: int) -> int:
        """Returns how many parts may be under way while the part after this one is filled.

        0 means that this part must have arrived before the next is begun.
        """
        size, following = self.size(number), self.size(number + 1)
        if following > IN_MEMORY_BYTES:
            return 1 if size > IN_MEMORY_BYTES else 0
        return min(MAX_IN_FLIGHT, MEMORY_BYTES // following - 1)

    @property
    def max_object_bytes(self) -> int:
        if self.equal:
            return min(MAX_OBJECT_BYTES, self.parts * self._equal)
        total, left = 0, self.parts
        for count, size in self._steps():
            used = min(left, count)
            total, left = total + used * size, left - used
        return min(MAX_OBJECT_BYTES, total + left * MAX_PART_BYTES)
