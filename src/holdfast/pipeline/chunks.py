"""A stream of chunks that can be looked at before it is read, and taken by the byte."""

from collections.abc import Iterator

_SLICE_BYTES = 4 << 10


class Chunks:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""
        self._at = 0  # of the held bytes, those before are taken

    def peek(self, count: int) -> bytes:
        """The first bytes, `count` unless the stream has fewer. They are still to be read."""
        size = len(self._held) - self._at
        if size < count:
            parts = [self._held[self._at :]]
            while size < count and (chunk := next(self._chunks, None)) is not None:
                parts.append(chunk)
                size += len(chunk)
            self._held, self._at = b"".join(parts), 0
        return self._held[self._at : self._at + count]

    def take(self, count: int) -> bytes:
        """The next bytes, `count` unless the stream ends before."""
        data = self.peek(count)
        self._at += len(data)
        return data

    def piece(self) -> bytes:
        """Some of the next bytes, few enough that what they unpack to fits into memory; empty at
        the end."""
        if self._at == len(self._held):
            self._held, self._at = next((chunk for chunk in self._chunks if chunk), b""), 0
        data = self._held[self._at : self._at + _SLICE_BYTES]
        self._at += len(data)
        return data

    def give_back(self, count: int) -> None:
        """The last bytes of the piece that was taken last."""
        self._at -= count

    def rest(self) -> Iterator[bytes]:
        """All that is left."""
        remaining = self._held[self._at :]
        self._held, self._at = b"", 0
        if remaining:
            yield remaining
        yield from self._chunks
