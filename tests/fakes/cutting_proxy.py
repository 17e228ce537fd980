"""A proxy before any TCP server that ends or spoils what the server sends where a test wants."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Cutter:
    """Counted over all connections: after `cut` bytes from the server the connection ends, and so
    it does before what has the text `before` in it; the byte at `spoil` is changed."""

    port: int
    cut: int | None = None
    spoil: int | None = None
    before: bytes | None = None
    passed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def treat(self, chunk: bytes) -> tuple[bytes, bool]:
        """What goes on, and whether anything may follow."""
        with self.lock:
            begun, self.passed = self.passed, self.passed + len(chunk)
        if self.spoil is not None and begun <= self.spoil < begun + len(chunk):
            at = self.spoil - begun
            chunk = chunk[:at] + bytes([chunk[at] ^ 0x55]) + chunk[at + 1 :]
        if self.before is not None and self.before in chunk:
            self.cut = begun
        if self.cut is not None and begun + len(chunk) > self.cut:
            return chunk[: max(0, self.cut - begun)], False
        return chunk, True


def _pass_on(source: socket.socket, target: socket.socket, cutter: Cutter | None) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            more = True
            if cutter is not None:
                chunk, more = cutter.treat(chunk)
            target.sendall(chunk)
            if not more:
                break
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting(port: int) -> Iterator[Cutter]:
    """In front of the server at `port`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cutter = Cutter(listener.getsockname()[1])

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = listener.accept()
                    far = socket.create_connection(("127.0.0.1", port))
                    for pair in ((near, far, None), (far, near, cutter)):
                        threading.Thread(target=_pass_on, args=pair, daemon=True).start()

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield cutter
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        serving.join(5)
