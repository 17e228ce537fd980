"""Reaches a server by its private socket, opens it to clients, or ends it.

Every server that we run listens on a Unix socket in its data directory, which only its own user and
root can enter. A rehearsed server listens only there, without a port. All paths in a command line
but `dir` are relative to the directory, or go through /proc/self: so the directory may be renamed
while the server runs, and the server is then what an ordinary start would have made.
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
from holdfast.engines.hosting import server_pid, serves
from holdfast.engines.redis.client import probe
from holdfast.engines.redis.client.address import Session, client
from holdfast.engines.redis.hosting import config_file
from holdfast.kit.processes.hosting import end

PID_FILE, SOCKET = "redis.pid", "redis.sock"
SANITIZE = "sanitize-dump-payload"
"""Validates values while they are loaded; set in rehearsals of foreign snapshots."""
_KILL_SECONDS = 30
_STARTUP_SETTINGS = ("cluster-enabled", "replicaof", "slaveof", "tls-port")
_OFF_VALUES = ("no", "0")


@contextmanager
def private_session(directory: Path, server: LocalServer) -> Generator[Session]:
    """A session as administrator by the socket, however long the directory's path is."""
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
    """The pid of the server that runs from this directory, according to its pid file."""
    return server_pid(directory, PID_FILE, _is_server)


def find_in(directory: Path) -> int | None:
    """As `running_in`, but searches all processes when there is no pid file yet, or no more."""
    pid = running_in(directory)
    if pid is None and directory.exists():
        pids = (p.pid for p in psutil.process_iter() if serves(p, directory, _is_server))
        pid = next(pids, None)
    return pid


def _is_server(process: psutil.Process) -> bool:
    return any(word in process.name() for word in ("redis", "valkey"))


def can_go_on(data: Path, server: LocalServer) -> bool:
    """Whether a rehearsed server can become what an ordinary start would make of its settings.

    A replica, a cluster node and a TLS port cannot be set up on a running server.
    """
    settings = config_file.read(data / config_file.FILE)
    return server.ours and all(
        settings.get(name, "no") in _OFF_VALUES for name in _STARTUP_SETTINGS
    )


def admit(server: LocalServer) -> None:
    """Opens a waiting server; one that cannot be opened is ended. See `Succeeding`.

    A server with a port does not wait, and is left alone.
    """
    if not is_waiting(server):
        return
    settings = config_file.read(server.directory / config_file.FILE)
    try:
        with private_session(server.directory, server) as session:
            session.ask("REPLICAOF", "NO", "ONE")
            if session.ask("CONFIG GET", SANITIZE):  # removed in Valkey 9
                session.ask("CONFIG SET", SANITIZE, settings.get(SANITIZE, "no"))
            session.ask("CONFIG SET", "port", str(server.port))
    except (AddonRefused, AddonUnavailable):
        if is_waiting(server):
            dismiss(server.directory)  # the caller starts an ordinary one now


def is_waiting(server: LocalServer) -> bool:
    """Whether a server waits without a port. False when unknown: it may be in use."""
    if running_in(server.directory) is None or not (server.directory / SOCKET).is_socket():
        return False
    try:
        with private_session(server.directory, server) as session:
            return str(probe.server_info(session).get("tcp_port")) == "0"
    except (AddonRefused, AddonUnavailable):
        return False


def dismiss(directory: Path) -> None:
    """Kills the server. Nothing is lost: it would write what it has loaded."""
    pid = find_in(directory)
    if pid is not None:
        end(pid, ((signal.SIGKILL, _KILL_SECONDS),))
