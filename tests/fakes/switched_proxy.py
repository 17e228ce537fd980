"""A proxy before any TCP server that a test cuts off, hangs, slows down and heals again."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Mode = Literal["pass", "refuse", "hang", "slow"]
_SLOW_SECONDS = 0.05
"""Pause before each chunk that goes on: 1.3 MB a second at most."""


class Switch:
    """Passes connections at `address` on to the port `target` of this machine.

    `refuse` resets every connection, new ones too. `hang` takes connections and bytes, and passes
    nothing on until it is healed: then all that waited goes on, as after an outage of a network.
    """

    def __init__(self, target: int, address: tuple[str, int]) -> None:
        self._target = target
        self._changed = threading.Condition()
        self._mode: Mode = "pass"
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(address)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def turn(self, mode: Mode) -> None:
        with self._changed:
            self._mode = mode
            if mode == "refuse":
                for end in self._open:
                    _shut(end)
            self._changed.notify_all()

    def close(self) -> None:
        self.turn("refuse")
        _shut(self._listener)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        try:
            self._pass()
            far = socket.create_connection(("127.0.0.1", self._target), 10)
            far.settimeout(None)
        except OSError:
            near.close()
            return
        with self._changed:
            self._open |= {near, far}
        back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
        back.start()
        self._pump(near, far)
        back.join()
        with self._changed:
            self._open -= {near, far}
        near.close()
        far.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                self._pass()
                sink.sendall(chunk)
        _shut(source)
        _shut(sink)

    def _pass(self) -> None:
        """Waits as long as nothing passes; OSError when it is refused."""
        with self._changed:
            self._changed.wait_for(lambda: self._mode != "hang")
            mode = self._mode
        if mode == "refuse":
            raise OSError
        if mode == "slow":
            time.sleep(_SLOW_SECONDS)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def switched(target: int, address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[Switch]:
    switch = Switch(target, address)
    try:
        yield switch
    finally:
        switch.close()
