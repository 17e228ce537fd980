"""Steps through the pieces that an RDB is made of, over chunks that arrive one by one."""

from collections.abc import Callable

from holdfast.domain.errors import EvidenceMissing

_ROOM = 9
"""The longest length: one byte and eight."""
_TIMED = 9
_SMALL = 24
"""What `skip_small` looks at before it knows how long an entry is."""


class Cursor:
    """`more()` gives the next chunk, None at the end. The place may lie beyond the chunk."""

    def __init__(self, more: Callable[[], bytes | None]) -> None:
        self._more = more
        self._buffer = b""
        self._place = 0
        self._ended = False

    def byte(self) -> int:
        if self._place >= len(self._buffer):
            self._need(1)
        self._place += 1
        return self._buffer[self._place - 1]

    def take(self, count: int) -> bytes:
        self._need(count)
        data = self._buffer[self._place : self._place + count]
        self._place += count
        return data

    def skip(self, count: int) -> None:
        self._place += count

    def require_end(self, otherwise: str = "") -> None:
        """What was skipped last must have been there, and nothing more. `otherwise`: the reason to
        give when there is more."""
        self._place -= 1
        self._need(1)
        if self._place + 1 < len(self._buffer) or self._more() is not None:
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
        """Most of an RDB is this loop."""
        buffer, position = self._buffer, self._place
        safe = len(buffer) - _ROOM
        while count:
            if position > safe:
                self._place = position
                self._skip_string()
                buffer, position = self._buffer, self._place
                safe = len(buffer) - _ROOM
            else:
                first = buffer[position]
                if first < 0x40:
                    position += 1 + first
                elif first < 0x80:
                    position += 2 + ((first & 0x3F) << 8 | buffer[position + 1])
                elif first == 0x80:
                    position += 5 + int.from_bytes(buffer[position + 1 : position + 5], "big")
                else:
                    self._place = position
                    self._skip_string()
                    buffer, position = self._buffer, self._place
                    safe = len(buffer) - _ROOM
            count -= 1
        self._place = position

    def skip_small(self, plain: bytes, timed: int) -> tuple[int, int]:
        """Steps over entries of a kind, a key and one string, all short and in this chunk.

        `plain` has a byte for each kind that is such an entry or not, `timed` is the kind that says
        in eight bytes when the entry after it expires. Returns how many entries, and how many of
        them expire. A file of small keys is little more than this loop.
        """
        buffer, position = self._buffer, self._place
        safe = len(buffer) - _SMALL
        entries = expiring = 0
        while position < safe:
            at, kind = position, buffer[position]
            if kind == timed:
                at += _TIMED
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
        self._place = position
        return entries, expiring

    def string(self) -> bytes:
        """For small ones. A compressed one is stepped over and reads as nothing."""
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
            self._place += size
        elif size == -4:
            self._skip_compressed()
        else:
            self._place += 1 << -size - 1  # a number of 1, 2 or 4 bytes

    def _skip_compressed(self) -> None:
        size = self.length()
        self.length()  # how long it is when it is not compressed
        self._place += size

    def _length(self) -> int:
        """Negative for the special encodings: -1, -2, -3 for 8, 16, 32 bits, -4 for compressed."""
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
        """Makes the next `count` bytes be in the buffer."""
        while self._place + count > len(self._buffer):
            chunk = None if self._ended else self._more()
            if chunk is None:
                self._ended = True
                raise EvidenceMissing("the RDB ends in the middle")
            if self._place >= len(self._buffer):
                self._place -= len(self._buffer)
                self._buffer = chunk
            else:
                self._buffer = self._buffer[self._place :] + chunk
                self._place = 0
