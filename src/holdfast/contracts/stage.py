"""A stage of the byte pipeline: bytes in, bytes out, and one fact at the end.

Meters, digests and compressors are all stages. A stage runs in the one thread that pumps; it should
spend its time in C code that releases the GIL.
"""

from collections.abc import Mapping
from typing import Protocol


class Stage(Protocol):
    def feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """Returns the bytes ready for the next stage, possibly none. A pass-through returns
        `data`."""
        ...

    def finish(self) -> bytes | memoryview:
        """Returns the rest after the last data. Call once."""
        ...

    def fact(self) -> Mapping[str, object]:
        """The facts this stage gathered; JSON values only. Valid after `finish`."""
        ...
