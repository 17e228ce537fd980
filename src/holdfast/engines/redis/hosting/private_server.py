"""A server that waits in private: reached by its socket, opened to everybody, or ended.

Every server that we run listens on a Unix socket in its data directory, which nobody but its own
user and root can enter. One that was rehearsed listens there alone, without a port. All names in a
command line but `dir` are relative to the directory, or go through the process itself: so it may
be renamed while the server runs, and the server is then what an ordinary start would have made.
"""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import LocalServer, Login
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.redis.client import probe
from holdfast.engines.redis.client.address import Session, client
from holdfast.engines.redis.hosting import config_file
from holdfast.kit.processes.hosting import end

PID_FILE, SOCKET = "redis.pid", "redis.sock"
STRICT = "sanitize-dump-payload"
"""Values are looked through as they are loaded; a rehearsal of what a stranger made has it."""
_KILL_SECONDS = 30
_ELSEWHERE = ("cluster-enabled", "replicaof", "slaveof", "tls-port")
_OFF = ("no", "0")


@contextmanager
def reached(directory: Path, server: LocalServer) -> Generator[Session]:
    """A session as the administrator by the socket, however long the directory's name is."""
    with _address(directory, server) as address, client(address) as session:
        yield session


@contextmanager
def _address(directory: Path, server: LocalServer) -> Generator[Address]:
    try:
        handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        raise AddonUnavailable(f"{directory}: {error.strerror}") from error
    try:
        socket = f"/proc/self/fd/{handle}/{SOCKET}"
        login = server.admin or Login(server.user, server.password)
        yield Address(socket, 0, login.user, login.password, "0")
    finally:
        os.close(handle)


def running_in(directory: Path) -> int | None:
    """The pid of the server that runs from this directory, as its file says."""
    try:
        process = psutil.Process(int((directory / PID_FILE).read_text()))
        return process.pid if _runs_in(process, directory) else None
    except (OSError, ValueError, psutil.Error):
        return None


def left_in(directory: Path) -> int | None:
    """The same, also when its file does not say so yet, or no more: all processes are asked."""
    pid = running_in(directory)
    if pid is None and directory.exists():
        pids = (p.pid for p in psutil.process_iter() if _runs_in(p, directory))
        pid = next(pids, None)
    return pid


def _runs_in(process: psutil.Process, directory: Path) -> bool:
    try:
        named = any(word in process.name() for word in ("redis", "valkey"))
        alive = named and process.status() != psutil.STATUS_ZOMBIE
        return alive and process.cwd() == str(directory.resolve())
    except psutil.Error:
        return False


def may_go_on(data: Path, server: LocalServer) -> bool:
    """Can a rehearsed server become what an ordinary start makes of these settings?

    A replica, a node of a cluster and a port for TLS cannot be made afterwards as they would be.
    """
    settings = config_file.read(data / config_file.FILE)
    return server.ours and all(settings.get(name, "no") in _OFF for name in _ELSEWHERE)


def admit(server: LocalServer) -> None:
    """See `Succeeding`. Only what has no port waits: nothing else is ended here."""
    if not waits(server):
        return
    settings = config_file.read(server.directory / config_file.FILE)
    try:
        with reached(server.directory, server) as session:
            session.ask("REPLICAOF", "NO", "ONE")
            if session.ask("CONFIG GET", STRICT):  # Valkey 9 has it no more
                session.ask("CONFIG SET", STRICT, settings.get(STRICT, "no"))
            session.ask("CONFIG SET", "port", str(server.port))
    except (AddonRefused, AddonUnavailable):
        if waits(server):
            dismiss(server.directory)  # whoever asked starts an ordinary one now


def waits(server: LocalServer) -> bool:
    """False also when it does not say: a server that may be in use is left alone."""
    if running_in(server.directory) is None or not (server.directory / SOCKET).is_socket():
        return False
    try:
        with reached(server.directory, server) as session:
            return str(probe.told(session).get("tcp_port")) == "0"
    except (AddonRefused, AddonUnavailable):
        return False


def dismiss(directory: Path) -> None:
    """Nothing is lost: what it would write is what it has loaded."""
    pid = left_in(directory)
    if pid is not None:
        end(pid, ((signal.SIGKILL, _KILL_SECONDS),))
