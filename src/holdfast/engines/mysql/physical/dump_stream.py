"""The stream of events that a server sends to its replicas: COM_BINLOG_DUMP over our own session.

It begins at any event. Packets are read as they come, many at a time; none is waited for longer
than told.
"""

import ssl
import struct

from holdfast.domain.errors import AddonUnavailable, EvidenceMissing
from holdfast.engines.mysql.client.connection import Session

_COMMAND = 0x12
_WITH_ANNOTATIONS = 2
"""Without this flag annotations are left out, and positions have holes."""
_HEARTBEAT_NS = 1_000_000_000
_READ_BYTES = 1 << 18
_HEADER_BYTES = 4
_MAX_PACKET_BYTES = (1 << 24) - 1
_OK, _END, _ERROR = 0x00, 0xFE, 0xFF
_MAX_END_BYTES = 8


class StreamError(Exception):
    """The server ended the stream with an error of this number and text."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.text = text


class Packets:
    """Splits a stream of bytes into packets; long ones are sent in several."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._read = 0

    def put(self, data: bytes) -> None:
        if self._read:
            del self._buffer[: self._read]
            self._read = 0
        self._buffer += data

    def take(self) -> bytes | None:
        """The next packet; None: it is not there to its end."""
        at, parts = self._read, list[bytes]()
        while len(self._buffer) >= at + _HEADER_BYTES:
            size = int.from_bytes(self._buffer[at : at + 3], "little")
            begin, at = at + _HEADER_BYTES, at + _HEADER_BYTES + size
            if len(self._buffer) < at:
                return None
            parts.append(bytes(self._buffer[begin:at]))
            if size < _MAX_PACKET_BYTES:
                self._read = at
                return parts[0] if len(parts) == 1 else b"".join(parts)
        return None


class DumpStream:
    """Events from an offset of a file on; a heartbeat comes each second in which none does."""

    def __init__(self, session: Session, name: str, offset: int, replica: int) -> None:
        # The strongest checksum, or the server would take those of its files off.
        session.execute(
            "SET @master_binlog_checksum = 'CRC32', @mariadb_slave_capability = 4,"
            f" @master_heartbeat_period = {_HEARTBEAT_NS}"
        )
        argument = struct.pack("<IHI", offset, _WITH_ANNOTATIONS, replica) + name.encode()
        self._socket = session.begin_stream(_COMMAND, argument)
        self._packets = Packets()

    def wait(self, seconds: float) -> bool:
        """Whether something came within that time."""
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(_READ_BYTES)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return False
        if not data:
            raise AddonUnavailable("the connection was lost: the server ended it", reason="session")
        self._packets.put(data)
        return True

    def event(self) -> bytes | None:
        """The next event that came to its end; StreamError when the server ends the stream."""
        packet = self._packets.take()
        if packet is None:
            return None
        if packet[:1] == bytes([_OK]):
            return packet[1:]
        if packet[:1] == bytes([_ERROR]) and len(packet) >= 3:
            text = packet[3:].decode(errors="replace")
            raise StreamError(int.from_bytes(packet[1:3], "little"), text.removeprefix("#HY000"))
        if packet[:1] == bytes([_END]) and len(packet) <= _MAX_END_BYTES:
            raise AddonUnavailable("the server ended the stream of its log", reason="session")
        raise EvidenceMissing("the server sent something that is no event of its log")
