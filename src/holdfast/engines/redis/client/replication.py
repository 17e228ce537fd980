"""Speaks the replication protocol, as far as a full copy needs it.

We present ourselves as a replica that wants the RDB alone (`rdb-only`), so the server keeps no
command stream for us. It drops a replica that reads nothing for a minute (`kit/read_ahead.py`). It
answers `+FULLRESYNC <id> <offset>`, sends empty lines as signs of life until its child has begun,
and then the RDB: either with its length in front (it was written to the server's disk first) or,
straight from the child, between two copies of a random mark of 40 bytes.
"""

import contextlib
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from holdfast.contracts.engine import Address
from holdfast.domain.errors import AddonUnavailable, EvidenceMissing, Failure, NotSupported
from holdfast.engines.redis.client.address import plain_connection
from holdfast.engines.redis.client.server_errors import of_reply
from holdfast.kit.processes.guard import Guard
from holdfast.kit.read_ahead import ReadAhead

_SILENCE_SECONDS = 90.0
"""Servers send an empty line every 10 s while they prepare."""
_MARK_BYTES = 40
_MAX_LINE_BYTES = 64 << 10


@dataclass(frozen=True)
class CopyPoint:
    """The point in the server's history of which the copy is."""

    replid: str
    offset: int
    diskless: bool


class Replication:
    """A connection that becomes a replica's: call `begin`, then read `rdb` to its end."""

    def __init__(self, connection: socket.socket, address: Address) -> None:
        self._connection = connection
        self._address = address
        self._rest = b""
        self._length = 0
        self._mark = b""
        self._read_ahead: ReadAhead | None = None

    def login(self) -> None:
        password = self._address.password.reveal()
        if password:
            reply = self._ask("AUTH", self._address.user, password)
            if reply.startswith("-"):
                raise of_reply(reply[1:], self._address)

    def require_rights(self) -> None:
        """Tries the needed commands without effect; NotSupported names the missing rights."""
        commands = {"+replconf": ("REPLCONF", "capa", "eof"), "+psync": ("PSYNC", "?", "none")}
        missing: list[str] = []
        for right, words in commands.items():
            reply = self._ask(*words)
            if reply.startswith("-NOPERM"):
                missing.append(right)
            elif reply.startswith("-NOAUTH"):
                raise of_reply(reply[1:], self._address)
            elif reply.startswith("-ERR unknown command"):
                raise NotSupported(
                    f"the server has no {words[0]} (hosted servers often have not): it can only be"
                    " copied by its own provider"
                )
        if missing:
            rights = " ".join(missing)
            raise NotSupported(
                f"user {self._address.user} lacks the rights that a snapshot needs: {rights}."
                f" Run: ACL SETUSER {self._address.user} {rights}"
            )

    def begin(self, version: str) -> CopyPoint:
        """Starts the copy and blocks until the server sends it.

        We state the server's own `version`, so that it sends all of its features.
        """
        for name, value in (("capa", "eof"), ("capa", "psync2"), ("version", version)):
            self._ask("REPLCONF", name, value)  # older servers do not know all of them
        alone = self._ask("REPLCONF", "rdb-only", "1")
        if alone.startswith("-"):
            raise NotSupported(f"the server cannot send an RDB alone: {alone[1:]}")
        reply = self._ask("PSYNC", "?", "-1")
        words = reply.split()
        if words[0] != "+FULLRESYNC" or len(words) != 3:
            raise self._refusal(reply)
        header = self._header()
        if header.startswith("$EOF:"):
            self._mark = header.removeprefix("$EOF:").encode()
            if len(self._mark) != _MARK_BYTES:
                raise EvidenceMissing(f"the server began with {header!r}")
        elif header.startswith("$") and header[1:].isdigit():
            self._length = int(header[1:])
        else:
            raise self._refusal(header)
        return CopyPoint(words[1], int(words[2]), diskless=bool(self._mark))

    def _refusal(self, reply: str) -> Failure:
        if reply.startswith("-"):
            return of_reply(reply[1:], self._address)
        return EvidenceMissing(f"the server answered {reply[:100]!r} to a request for its data")

    def _header(self) -> str:
        """The next line that is no sign of life, which is a bare newline."""
        while True:
            while b"\n" not in self._rest:
                if len(self._rest) > _MAX_LINE_BYTES:
                    raise EvidenceMissing("the server does not speak Redis")
                self._rest += self._receive_more(4096)
            line, _, self._rest = self._rest.partition(b"\n")
            if text := line.rstrip(b"\r").decode(errors="replace"):
                return text

    def rdb(self, portion: int) -> Iterator[bytes]:
        """Yields chunks of at most `portion` bytes; a slow reader does not lose the connection."""
        self._read_ahead = read_ahead = ReadAhead(self._receive)
        return (
            self._marked(read_ahead, portion) if self._mark else self._counted(read_ahead, portion)
        )

    def close(self) -> None:
        _shut_down(self._connection)
        if self._read_ahead is not None:
            self._read_ahead.close()
        self._connection.close()

    def _counted(self, read_ahead: ReadAhead, portion: int) -> Iterator[bytes]:
        left = self._length
        while left:
            chunk = read_ahead.read(min(left, portion))
            left -= len(chunk)
            yield chunk

    def _marked(self, read_ahead: ReadAhead, portion: int) -> Iterator[bytes]:
        """Yields bytes up to the mark, holding back those that may be its beginning."""
        buffer = b""
        while True:
            buffer += read_ahead.read(portion)
            if buffer.endswith(self._mark):
                yield buffer[:-_MARK_BYTES]
                return
            if len(buffer) > _MARK_BYTES:
                yield buffer[:-_MARK_BYTES]
                buffer = buffer[-_MARK_BYTES:]

    def _ask(self, *words: str) -> str:
        encoded = [word.encode() for word in words]
        request = b"*%d\r\n" % len(encoded)
        request += b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        try:
            self._connection.sendall(request)
        except OSError as error:
            raise self._broken(str(error)) from error
        return self._header()

    def _receive(self, max_bytes: int) -> bytes:
        if self._rest:
            data, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
            return data
        return self._receive_more(max_bytes)

    def _receive_more(self, max_bytes: int) -> bytes:
        try:
            chunk = self._connection.recv(max_bytes)
        except OSError as error:
            raise self._broken(str(error)) from error
        if not chunk:
            raise self._broken("the server closed it")
        return chunk

    def _broken(self, why: str) -> AddonUnavailable:
        endpoint = f"{self._address.host}:{self._address.port}"
        return AddonUnavailable(f"the connection to {endpoint} broke in the middle: {why}")


@contextmanager
def replication(address: Address, guard: Guard) -> Generator[Replication]:
    """Yields a logged-in connection, which ends when the operation is stopped."""
    connection = plain_connection(address)
    connection.settimeout(_SILENCE_SECONDS)
    release = guard.adopt(lambda: _shut_down(connection))
    session = Replication(connection, address)
    try:
        session.login()
        yield session
    except AddonUnavailable:
        guard.check()  # the connection broke because the operation was stopped
        raise
    finally:
        release()
        session.close()


def _shut_down(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
