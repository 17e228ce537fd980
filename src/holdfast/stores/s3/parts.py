"""How large each part of an upload is, and how many may be in memory at once.

The length of a dump is unknown when its first part is sent, and a service allows only so many
parts. So parts grow: they double whenever another twentieth of the allowed parts is used, from
8 MiB to 128 MiB. Memory does not grow with them: fewer are in flight, until the largest are sent
alone. With the usual 10,000 parts an object may reach 1 TiB, with 1,000 parts a tenth of that.
"""

from dataclasses import dataclass

FIRST = 8 << 20
LARGEST = 128 << 20
MEMORY = 128 << 20
"""All parts together: the one being filled and those in flight."""
IN_FLIGHT = 4


@dataclass(frozen=True)
class PartPlan:
    max_parts: int

    def size(self, number: int) -> int:
        """Bytes of the part with this number, counted from 1."""
        doublings = (number - 1) // (self.max_parts // 20)
        return min(LARGEST, FIRST << min(doublings, 8))

    def in_flight(self, number: int) -> int:
        """How many parts may still be on their way while the part after this one is filled.

        0 means: this one must have arrived before the next is begun.
        """
        return min(IN_FLIGHT, MEMORY // self.size(number + 1) - 1)

    @property
    def max_object_bytes(self) -> int:
        return sum(self.size(number) for number in range(1, self.max_parts + 1))
