"""The replication protocol, as far as a full copy needs it.

We present ourselves as a replica that wants the RDB alone (`rdb-only`), so the server keeps no
command stream for us; who takes nothing for a minute is hung up on (`kit/read_ahead.py`). It
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
_MARK = 40
_LINE_LIMIT = 64 << 10


@dataclass(frozen=True)
class Start:
    """The point in the server's history that the copy is of."""

    replid: str
    offset: int
    diskless: bool


class Replication:
    """One connection that becomes a replica's. Read `rdb` to its end after `begin`."""

    def __init__(self, connection: socket.socket, address: Address) -> None:
        self._connection = connection
        self._address = address
        self._rest = b""
        self._length = 0
        self._mark = b""
        self._ahead: ReadAhead | None = None

    def login(self) -> None:
        password = self._address.password.reveal()
        if password:
            reply = self._ask("AUTH", self._address.user, password)
            if reply.startswith("-"):
                raise of_reply(reply[1:], self._address)

    def require_rights(self) -> None:
        """Asks for what is needed in ways that change nothing; NotSupported names what is not."""
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

    def begin(self, version: str) -> Start:
        """Blocks until the server sends; `version` is its own, so that it holds nothing back."""
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
            if len(self._mark) != _MARK:
                raise EvidenceMissing(f"the server began with {header!r}")
        elif header.startswith("$") and header[1:].isdigit():
            self._length = int(header[1:])
        else:
            raise self._refusal(header)
        return Start(words[1], int(words[2]), diskless=bool(self._mark))

    def _refusal(self, reply: str) -> Failure:
        if reply.startswith("-"):
            return of_reply(reply[1:], self._address)
        return EvidenceMissing(f"the server answered {reply[:100]!r} to a request for its data")

    def _header(self) -> str:
        while not (line := self._line()):
            continue  # a sign of life
        return line

    def rdb(self, portion: int) -> Iterator[bytes]:
        """In chunks of at most `portion` bytes. Whoever takes his time is not hung up on."""
        self._ahead = ahead = ReadAhead(self._receive)
        return self._marked(ahead, portion) if self._mark else self._counted(ahead, portion)

    def close(self) -> None:
        _end(self._connection)
        if self._ahead is not None:
            self._ahead.close()
        self._connection.close()

    def _counted(self, ahead: ReadAhead, portion: int) -> Iterator[bytes]:
        left = self._length
        while left:
            chunk = ahead.read(min(left, portion))
            left -= len(chunk)
            yield chunk

    def _marked(self, ahead: ReadAhead, portion: int) -> Iterator[bytes]:
        """What may be the beginning of the mark is held back; after it nothing follows."""
        buffer = b""
        while True:
            buffer += ahead.read(portion)
            if buffer.endswith(self._mark):
                yield buffer[:-_MARK]
                return
            if len(buffer) > _MARK:
                yield buffer[:-_MARK]
                buffer = buffer[-_MARK:]

    def _ask(self, *words: str) -> str:
        encoded = [word.encode() for word in words]
        request = b"*%d\r\n" % len(encoded)
        request += b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        try:
            self._connection.sendall(request)
        except OSError as error:
            raise self._cut(str(error)) from error
        return self._header()

    def _line(self) -> str:
        """Without its end. A sign of life is a bare newline."""
        while b"\n" not in self._rest:
            if len(self._rest) > _LINE_LIMIT:
                raise EvidenceMissing("the server does not speak Redis")
            self._rest += self._receive_more(4096)
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r").decode(errors="replace")

    def _receive(self, most: int) -> bytes:
        if self._rest:
            data, self._rest = self._rest[:most], self._rest[most:]
            return data
        return self._receive_more(most)

    def _receive_more(self, most: int) -> bytes:
        try:
            chunk = self._connection.recv(most)
        except OSError as error:
            raise self._cut(str(error)) from error
        if not chunk:
            raise self._cut("the server closed it")
        return chunk

    def _cut(self, why: str) -> AddonUnavailable:
        endpoint = f"{self._address.host}:{self._address.port}"
        return AddonUnavailable(f"the connection to {endpoint} broke in the middle: {why}")


@contextmanager
def replication(address: Address, guard: Guard) -> Generator[Replication]:
    """Logged in. A stop of the operation ends the connection."""
    connection = plain_connection(address)
    connection.settimeout(_SILENCE_SECONDS)
    release = guard.adopt(lambda: _end(connection))
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


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
