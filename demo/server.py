"""A `holdfast serve` of our own: started on a free port, always ended, never in anybody's way."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from holdfast.client import Client, ServerFault, Unreachable
from holdfast.kit.seal import Secret

_START_SECONDS = 90
_DRAIN_SECONDS = 90
PROGRAM = str(Path(sys.executable).with_name("holdfast"))
NOTHING: Mapping[str, str] = {}


class ServerTrouble(Exception):
    """The server did not do what it should; its log says more."""


class Server:
    """One process in embedded mode: API, scheduler, worker and janitor on SQLite."""

    def __init__(
        self, data_dir: Path, *, outlives_us: bool = False, settings: Mapping[str, str] = NOTHING
    ) -> None:
        self.data_dir = data_dir
        self.log = data_dir / "server.log"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._outlives_us = outlives_us
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise ServerTrouble("it was not started")
        return self._child.pid

    @property
    def token_file(self) -> Path:
        return self.data_dir / "owner.token"

    def start(self) -> None:
        """Returns when it is ready to work."""
        argv = [PROGRAM, "serve", "--data-dir", str(self.data_dir), "--port", str(self.port)]
        setpriv = shutil.which("setpriv")
        if setpriv and not self._outlives_us:  # should we be killed, it drains and ends too
            argv = [setpriv, "--pdeathsig", "TERM", "--", *argv]
        with self.log.open("ab") as out:
            # A session of its own: Ctrl-C reaches us, and we end it in order.
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=_environment(self._settings),
                start_new_session=True,
            )
        self._await_ready()

    def setup_link(self) -> str:
        """The link that makes the first owner of the dashboard, as the log has it; works once."""
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                link = json.loads(line).get("link")
                if link:
                    return str(link)
        return self.url

    def client(self) -> Client:
        return Client(self.url, Secret(self.token_file.read_text().strip()))

    def stop(self) -> None:
        """Drains it; what does not end in time is killed, the servers it runs as well."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for pidfile in self.data_dir.glob("addons/*/data/postmaster.pid"):
            _end_postgres(pidfile)

    def log_tail(self, lines: int = 25) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            if self._child is None or self._child.poll() is not None:
                raise ServerTrouble("holdfast serve ended while starting")
            if time.monotonic() > deadline:
                raise ServerTrouble(f"holdfast serve was not ready in {_START_SECONDS} s")
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                pass
            with Client(self.url) as client:
                client.ready()
        except (OSError, ServerFault, Unreachable):
            return False
        return True


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """No settings of Holdfast but ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return {**kept, **settings}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_postgres(pidfile: Path) -> None:
    """Only what runs in this very data directory."""
    with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
        process = psutil.Process(int(pidfile.read_text().splitlines()[0]))
        if process.cwd() == str(pidfile.parent.resolve()):
            process.send_signal(signal.SIGQUIT)
            process.wait(10)
