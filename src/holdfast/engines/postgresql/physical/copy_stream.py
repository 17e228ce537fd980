"""Splits the messages of a base backup's COPY, since version 15: archives by name, then the
manifest."""

from collections.abc import Iterator

from holdfast.domain.errors import EvidenceMissing


class CopyStream:
    """`names` yields one archive after the other; `data` the bytes of the current one."""

    def __init__(self, messages: Iterator[memoryview]) -> None:
        self._messages = messages
        self._next: str | None = None
        self._reading = True

    def names(self) -> Iterator[str]:
        self._skip()
        while self._next is not None:
            name, self._next, self._reading = self._next, None, True
            yield name
            self._skip()

    def _skip(self) -> None:
        """Reads what the caller left, up to the next name or the end."""
        for _ in self.data():
            pass

    def data(self) -> Iterator[memoryview]:
        while self._reading:
            message = next(self._messages, None)
            if message is None:
                self._reading = False
                return
            match bytes(message[:1]):
                case b"d":
                    yield message[1:]
                case b"n":
                    self._begin(bytes(message[1:]).split(b"\0")[0].decode())
                case b"m":
                    self._begin("backup_manifest")
                case b"p":
                    pass
                case other:
                    raise EvidenceMissing(f"the server sent an unknown message {other!r}")

    def _begin(self, name: str) -> None:
        self._next, self._reading = name, False
