"""Counts the bytes that pass, and reports each chunk's size."""

from collections.abc import Callable, Mapping


class Meter:
    """Counts bytes and calls `moved(count)` for each chunk."""

    def __init__(self, moved: Callable[[int], None] = lambda _: None) -> None:
        self._moved = moved
        self.count = 0

    def feed(self, data: bytes | memoryview) -> bytes | memoryview:
        self.count += len(data)
        self._moved(len(data))
        return data

    def finish(self) -> bytes:
        return b""

    def fact(self) -> Mapping[str, object]:
        return {"bytes": self.count}
