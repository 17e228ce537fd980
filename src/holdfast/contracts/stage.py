"""A stage of the byte pipeline: bytes in, bytes out, and one fact at the end.

Size, digest and compression are all the same thing. A stage runs in the one thread that pumps;
it should spend its time in C code that releases the GIL.
"""

from collections.abc import Mapping
from typing import Protocol


class Stage(Protocol):
    def feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """Returns what is ready to go on, possibly nothing. A pass-through returns `data`."""
        ...

    def finish(self) -> bytes | memoryview:
        """No more data will come: returns the rest. Call once."""
        ...

    def fact(self) -> Mapping[str, object]:
        """What this stage learned; JSON values only. Valid after `finish`."""
        ...
