"""A stream of chunks that can be peeked at, and read by the byte."""

from collections.abc import Iterator

_SLICE_BYTES = 4 << 10


class Chunks:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""
        self._position = 0  # position in the buffer: the bytes before were read

    def peek(self, count: int) -> bytes:
        """Returns the next `count` bytes, fewer at the end of the stream, without reading them."""
        size = len(self._buffer) - self._position
        if size < count:
            parts = [self._buffer[self._position :]]
            while size < count and (chunk := next(self._chunks, None)) is not None:
                parts.append(chunk)
                size += len(chunk)
            self._buffer, self._position = b"".join(parts), 0
        return self._buffer[self._position : self._position + count]

    def take(self, count: int) -> bytes:
        """Reads the next `count` bytes, fewer at the end of the stream."""
        data = self.peek(count)
        self._position += len(data)
        return data

    def piece(self) -> bytes:
        """Reads some bytes, so few that what they unpack to fits into memory; none at the end."""
        if self._position == len(self._buffer):
            self._buffer, self._position = next((chunk for chunk in self._chunks if chunk), b""), 0
        data = self._buffer[self._position : self._position + _SLICE_BYTES]
        self._position += len(data)
        return data

    def give_back(self, count: int) -> None:
        """Puts the last `count` bytes of the latest `piece` back."""
        self._position -= count

    def rest(self) -> Iterator[bytes]:
        """Yields all that is left."""
        remaining = self._buffer[self._position :]
        self._buffer, self._position = b"", 0
        if remaining:
            yield remaining
        yield from self._chunks
