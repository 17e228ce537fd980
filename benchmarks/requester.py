"""A keep-alive connection that costs the measuring machine next to nothing."""

import socket


class Connection:
    """GETs, one after the other, over one TCP connection; knows just enough HTTP/1.1."""

    def __init__(self, port: int, token: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._tail = (
            f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            "Accept: application/json\r\n\r\n"
        ).encode()

    def get(self, path: str) -> bytes:
        """The body of a 200; anything else is an error."""
        self._socket.sendall(b"GET " + path.encode() + self._tail)
        status = self._file.readline()
        length = 0
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = self._file.read(length)
        if b" 200 " not in status:
            raise RuntimeError(f"{path}: {status!r} {body[:200]!r}")
        return body

    def close(self) -> None:
        self._file.close()
        self._socket.close()
