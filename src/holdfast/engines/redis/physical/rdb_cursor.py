"""Steps through the elements of an RDB, over chunks that arrive one by one."""

from collections.abc import Callable

from holdfast.domain.errors import EvidenceMissing

_MAX_LENGTH_BYTES = 9
"""The longest encoded length: one byte and eight."""
_EXPIRY_BYTES = 9
_LOOKAHEAD_BYTES = 24
"""How far `skip_small` looks ahead before it knows an entry's length."""


class Cursor:
    """A position in the stream, perhaps beyond the current chunk.

    `next_chunk()` returns None at the end.
    """

    def __init__(self, next_chunk: Callable[[], bytes | None]) -> None:
        self._next_chunk = next_chunk
        self._buffer = b""
        self._position = 0
        self._ended = False

    def byte(self) -> int:
        if self._position >= len(self._buffer):
            self._need(1)
        self._position += 1
        return self._buffer[self._position - 1]

    def take(self, count: int) -> bytes:
        self._need(count)
        data = self._buffer[self._position : self._position + count]
        self._position += count
        return data

    def skip(self, count: int) -> None:
        self._position += count

    def require_end(self, otherwise: str = "") -> None:
        """EvidenceMissing when the bytes skipped last are missing, or others follow.

        `otherwise` is the message when others follow.
        """
        self._position -= 1
        self._need(1)
        if self._position + 1 < len(self._buffer) or self._next_chunk() is not None:
            raise EvidenceMissing(otherwise or "the RDB goes on after its end")
        self._ended = True

    def length(self) -> int:
        length = self._length()
        if length < 0:
            raise EvidenceMissing("the RDB has a string where a number has to be")
        return length

    def skip_lengths(self, count: int) -> None:
        for _ in range(count):
            self.length()

    def skip_strings(self, count: int) -> None:
        """Skips strings. Most of the reading time is spent in this loop."""
        buffer, position = self._buffer, self._position
        safe = len(buffer) - _MAX_LENGTH_BYTES
        while count:
            if position > safe:
                self._position = position
                self._skip_string()
                buffer, position = self._buffer, self._position
                safe = len(buffer) - _MAX_LENGTH_BYTES
            else:
                first = buffer[position]
                if first < 0x40:
                    position += 1 + first
                elif first < 0x80:
                    position += 2 + ((first & 0x3F) << 8 | buffer[position + 1])
                elif first == 0x80:
                    position += 5 + int.from_bytes(buffer[position + 1 : position + 5], "big")
                else:
                    self._position = position
                    self._skip_string()
                    buffer, position = self._buffer, self._position
                    safe = len(buffer) - _MAX_LENGTH_BYTES
            count -= 1
        self._position = position

    def skip_small(self, plain: bytes, timed: int) -> tuple[int, int]:
        """Skips entries of a kind, a key and one string, while they are short and in this chunk.

        `plain` has a true byte for each kind of such entries; `timed` is the kind that precedes an
        entry with eight bytes of expiry. Returns the numbers of entries and of expiring ones. A
        file of small keys is read almost only by this loop.
        """
        buffer, position = self._buffer, self._position
        safe = len(buffer) - _LOOKAHEAD_BYTES
        entries = expiring = 0
        while position < safe:
            at, kind = position, buffer[position]
            if kind == timed:
                at += _EXPIRY_BYTES
                kind = buffer[at]
            if not plain[kind]:
                break
            first = buffer[at + 1]
            if first < 0x40:
                at += 2 + first
            elif first < 0x80:
                at += 3 + ((first & 0x3F) << 8 | buffer[at + 2])
            else:
                break
            if at >= safe:
                break
            first = buffer[at]
            if first < 0x40:
                at += 1 + first
            elif first < 0x80:
                at += 2 + ((first & 0x3F) << 8 | buffer[at + 1])
            elif 0xC0 <= first <= 0xC2:  # a number of 1, 2 or 4 bytes
                at += 1 + (1 << (first & 0x3F))
            else:
                break
            expiring += buffer[position] == timed
            entries += 1
            position = at
        self._position = position
        return entries, expiring

    def string(self) -> bytes:
        """Reads a small string; a compressed one is skipped and reads as empty."""
        size = self._length()
        if size >= 0:
            return self.take(size)
        if size == -4:
            self._skip_compressed()
            return b""
        return b"%d" % int.from_bytes(self.take(1 << -size - 1), "little", signed=True)

    def _skip_string(self) -> None:
        size = self._length()
        if size >= 0:
            self._position += size
        elif size == -4:
            self._skip_compressed()
        else:
            self._position += 1 << -size - 1  # a number of 1, 2 or 4 bytes

    def _skip_compressed(self) -> None:
        size = self.length()
        self.length()  # the uncompressed size
        self._position += size

    def _length(self) -> int:
        """A length, or -1, -2, -3 for integers of 8, 16, 32 bits and -4 for a compressed string."""
        first = self.byte()
        if first < 0x40:
            return first
        if first < 0x80:
            return (first & 0x3F) << 8 | self.byte()
        if first == 0x80:
            return int.from_bytes(self.take(4), "big")
        if first == 0x81:
            return int.from_bytes(self.take(8), "big")
        if 0xC0 <= first <= 0xC3:
            return -(first & 0x3F) - 1
        raise EvidenceMissing(f"the RDB has a length of unknown form {first:#x}")

    def _need(self, count: int) -> None:
        """Fills the buffer with at least the next `count` bytes."""
        while self._position + count > len(self._buffer):
            chunk = None if self._ended else self._next_chunk()
            if chunk is None:
                self._ended = True
                raise EvidenceMissing("the RDB ends in the middle")
            if self._position >= len(self._buffer):
                self._position -= len(self._buffer)
                self._buffer = chunk
            else:
                self._buffer = self._buffer[self._position :] + chunk
                self._position = 0
