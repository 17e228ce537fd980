"""Starts a server that clients cannot reach, on a data directory that is being prepared.

It listens on a Unix socket in the directory, which only its own user and root can enter, and on no
port. It asks for no password, because it has no users yet or those of another server. It dies with
us.
"""

import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import LocalServer
from holdfast.domain.errors import RestoreDiffers
from holdfast.engines.hosting import files_owner
from holdfast.engines.mongodb.client.connection import Connection, WireError, connect
from holdfast.engines.mongodb.client.tools import ToolSet
from holdfast.engines.mongodb.hosting.administrator import REPLICA_SET, become_primary
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import cell_of
from holdfast.kit.processes.process import Child, Command
from holdfast.kit.seal import Secret

USERS = ("mongodb", "mongod")
SOCKET = "m.sock"
STORAGE = (
    *("--wiredTigerCacheSizeGB", "0.25", "--wiredTigerCollectionBlockCompressor", "none"),
    *("--wiredTigerEngineConfigString", "log=(file_max=8MB,prealloc=false)"),
    *("--setParameter", "diagnosticDataCollectionEnabled=false", "--quiet"),
)
"""The smallest cache that a server takes; log files that are not allocated in advance, which makes
an empty directory 9 MB instead of 301; documents uncompressed, because snapshots are compressed and
find unchanged pages better."""
_MAX_LOG_LINES = 5
_STOP_SECONDS = 300.0


@contextmanager
def booted(
    tool_set: ToolSet, directory: Path, server: LocalServer, guard: Guard, *, in_set: bool
) -> Generator[Connection]:
    """A connection to a private server, which is stopped cleanly when the block ends well.

    `in_set` makes it the primary of a set of one: so it applies what its oplog has more than its
    data. RestoreDiffers when it does not start, or does not stop.
    """
    log = server.log or directory / "server.log"
    command = Command(
        [
            tool_set.server,
            *("--dbpath", ".", "--bind_ip", f"./{SOCKET}", "--unixSocketPrefix", "."),
            *("--filePermissions", "0700", *STORAGE),
            *(("--replSet", REPLICA_SET) if in_set else ()),
        ],
        cwd=str(directory),
        user=files_owner(server, USERS),
        cell=cell_of(server.cell, *tool_set.homes, directory.parent),
    )
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    with log.open("ab") as output:
        began = output.tell()
        child = Child(command, stdout=output)
    release = guard.adopt(child.kill)
    address = Address(f"/proc/self/fd/{handle}/{SOCKET}", 0, "", Secret(""), "")
    try:
        with connect(address, answer_seconds=None) as connection:
            _await(connection, child, guard, in_set=in_set)
        # A client that saw the server before it was in its set would offer no sessions for a while.
        with connect(address, answer_seconds=None) as connection:
            yield connection
            with suppress(WireError):  # the connection ends instead of an answer
                connection.command("admin", {"shutdown": 1, "force": True})
        if child.wait(_STOP_SECONDS).status != 0:
            raise RestoreDiffers(f"the server does not stop well: {_log_tail(log, began)}")
    except _Ended as error:
        guard.check()
        raise RestoreDiffers(f"the server does not start: {_log_tail(log, began)}") from error
    finally:
        release()
        child.close()
        os.close(handle)
        for name in (SOCKET, "mongodb-27017.sock"):
            (directory / name).unlink(missing_ok=True)


class _Ended(Exception):
    """The server ended before it answered."""


def _await(connection: Connection, child: Child, guard: Guard, *, in_set: bool) -> None:
    """Waits until the server answers, however long its recovery takes: an abort ends it."""
    while True:
        if child.ended():
            raise _Ended
        guard.wait(0.05)
        guard.moved(0)
        if not _accepts(connection.address.host):
            continue  # the client would wait much longer for a server that has ended
        try:
            connection.command("admin", {"ping": 1})
            if not in_set or become_primary(connection, f"./{SOCKET}"):
                return
        except WireError:
            time.sleep(0.05)  # it starts: its state changes under our commands


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _log_tail(log: Path, began: int) -> str:
    with log.open("rb") as file:
        file.seek(began)
        lines = file.read().decode(errors="replace").splitlines()
    telling = [line for line in lines if '"s":"I"' not in line] or lines
    return " / ".join(telling[-_MAX_LOG_LINES:])[-2000:] or "it said nothing"
