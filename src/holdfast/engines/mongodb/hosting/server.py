"""A server that Holdfast runs itself from a data directory: a replica set of one node.

A standalone would have neither reads at one cluster time nor an oplog. Root starts it as an
unprivileged user. The directory is created under another name, gets its users by a private server,
and is renamed when it is complete. The server listens on the loopback only; no secret is in its
command line.
"""

import base64
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.hosting import fresh_directory, server_pid, system_user
from holdfast.engines.mongodb.client import tools
from holdfast.engines.mongodb.client.connection import Connection, Refusal, connect
from holdfast.engines.mongodb.client.tools import ToolSet
from holdfast.engines.mongodb.hosting import administrator, private_server
from holdfast.engines.mongodb.hosting.administrator import REPLICA_SET, address
from holdfast.kit import durable
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import cell_of, end, give, mark, require_reachable
from holdfast.kit.processes.process import Command

KEY_FILE = "holdfast.key"
"""What members of a set show each other. Servers want one where they want passwords."""
LOCKED = "holdfast.locked"
"""A file in the directory of a server that a snapshot has locked against writes: the pid of the
process that did, and when that started."""
_KEY_BYTES = 96
_COMPLETE = "WiredTiger.turtle"
_PID_FILE = "mongod.lock"
_OPLOG_MB = "64"
_STOP_SECONDS = 120
_KILL_SECONDS = 10
_ANSWER_SECONDS = 10


class Server:
    """The part of the driver that runs servers (`Hostable`)."""

    def __init__(self, tools_dir: Path) -> None:
        self._tools_dir = tools_dir

    def initialise(self, server: LocalServer) -> None:
        """Creates the data directory. ToolMissing without a program, Permanent if unreachable."""
        if (server.directory / _COMPLETE).is_file():
            return
        tool_set, user = tools.server(self._tools_dir, server.version), run_as(server)
        fresh = fresh_directory(server)
        write_key(fresh)
        give(fresh, user)
        if user is not None:
            require_reachable(fresh, user)
            require_reachable(tool_set.directory, user)
        guard = Guard(SystemClock())
        with private_server.booted(tool_set, fresh, server, guard, in_set=False) as connection:
            administrator.adopt(connection, server)
        if server.admin is not None:
            mark(fresh / SETTLED)
        durable.sync_tree(fresh)
        durable.move(fresh, server.directory)

    def command(self, server: LocalServer) -> Command:
        tool_set = self.tool_set(server)
        argv = [
            tool_set.server,
            *("--dbpath", ".", "--bind_ip", "127.0.0.1", "--port", str(server.port)),
            *("--nounixsocket", "--replSet", REPLICA_SET, "--oplogSize", _OPLOG_MB),
            *("--auth", "--keyFile", f"./{KEY_FILE}", *private_server.STORAGE),
            *("--setParameter", "enableLocalhostAuthBypass=false"),
        ]
        cell = cell_of(server.cell, *tool_set.homes)
        return Command(argv, cwd=str(server.directory), user=run_as(server), cell=cell)

    def settle(self, server: LocalServer, guard: Guard) -> Sequence[str]:
        """Gives the directory of a copied server our administrator, and the owner its rights."""
        tool_set = self.tool_set(server)
        with private_server.booted(
            tool_set, server.directory, server, guard, in_set=True
        ) as connection:
            administrator.adopt(connection, server)
        mark(server.directory / SETTLED)
        return []

    def tool_set(self, server: LocalServer) -> ToolSet:
        return tools.server(self._tools_dir, server.version)

    def ready(self, server: LocalServer) -> bool:
        """Whether the server answers as the primary of its set, which it makes if it is new."""
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
        except OSError:
            return False  # the client would wait much longer
        try:
            with connect(address(server), _ANSWER_SECONDS) as connection:
                if _was_abandoned(server.directory / LOCKED):
                    unlock(connection)
                    (server.directory / LOCKED).unlink(missing_ok=True)
                return administrator.become_primary(connection, f"127.0.0.1:{server.port}")
        except (AddonUnavailable, AddonRefused):
            return False

    def running(self, server: LocalServer) -> int | None:
        return server_pid(server.directory, _PID_FILE, lambda p: p.name() == tools.PROGRAM)

    def stop(self, server: LocalServer) -> None:
        """Stops cleanly; a server that takes too long is killed and recovers at its next start."""
        pid = self.running(server)
        if pid is None:
            return
        if server.port:  # a caller may know nothing but the directory
            # One that a dead snapshot has left locked would wait for the unlock.
            unreachable = suppress(AddonUnavailable, AddonRefused)
            with unreachable, connect(address(server), _ANSWER_SECONDS) as connection:
                unlock(connection)
        end(pid, ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _KILL_SECONDS)))


def unlock(connection: Connection) -> None:
    """Undoes all locks of `fsyncLock`; none is success."""
    with suppress(Refusal):  # it is not locked
        while connection.command("admin", {"fsyncUnlock": 1}).get("lockCount"):
            pass


def _was_abandoned(note: Path) -> bool:
    """Whether the process that locked the server is gone."""
    try:
        pid, started = note.read_text().split()
    except (OSError, ValueError):
        return False
    return started_at(int(pid)) != started


def started_at(pid: int) -> str | None:
    """When a process started, in clock ticks since the machine did; None when there is none.

    See proc(5), `starttime`. A time of day would move with the clock.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def write_key(directory: Path) -> None:
    """Writes a new key into a data directory; its owner is given it with the directory."""
    path = directory / KEY_FILE
    path.touch(mode=0o600)
    path.write_text(base64.b64encode(os.urandom(_KEY_BYTES)).decode())


def run_as(server: LocalServer | None = None) -> str | int | None:
    """The user that root starts servers as; None when we are not root."""
    return system_user(server, private_server.USERS)
