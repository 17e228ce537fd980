"""A Redis or Valkey server that Holdfast runs itself from a data directory.

Root starts it as an unprivileged user. The directory is created under another name and renamed when
it is complete. The server listens on the loopback only, and no password is in its command line or
configuration: the ACL file holds digests.
"""

import signal
import time
from collections.abc import Sequence
from pathlib import Path

from redis.exceptions import BusyLoadingError

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.hosting import admin_address, fresh_directory, system_user
from holdfast.engines.redis.client import acl, probe, tools
from holdfast.engines.redis.client.address import client
from holdfast.engines.redis.client.tools import ToolSet
from holdfast.engines.redis.hosting import config_file, private_server
from holdfast.kit import durable
from holdfast.kit.backoff import pauses
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import cell_of, end, ended, give, mark, require_reachable
from holdfast.kit.processes.process import Command

_USERS = ("redis", "valkey")
_LOCKS_SINCE_MAJOR = 7
_STOP_SECONDS = 300
_KILL_SECONDS = 10
_AGAIN_SECONDS = 2
"""A server that writes its first log refuses to end, so the signal is repeated."""
_LOADING_SECONDS = 1800
"""How long `ready` waits for a server that loads its data."""


class Server:
    """The part of the driver that runs servers (`Hostable`)."""

    def __init__(self, tools_dir: Path) -> None:
        self._tools_dir = tools_dir

    def initialise(self, server: LocalServer) -> None:
        """Creates the data directory. ToolMissing without a program, Permanent if unreachable."""
        if (server.directory / config_file.FILE).is_file():
            return
        tool_set = tools.server(self._tools_dir, server.version)
        fresh = fresh_directory(server)
        for name, text in (
            (config_file.FILE, config_file.initial(tool_set.flavour)),
            (acl.FILE, acl.initial_users(server)),
        ):
            (fresh / name).touch(mode=0o600)
            (fresh / name).write_text(text)
        if server.admin is not None:
            mark(fresh / SETTLED)
        give_to_server_user(fresh, server)
        user = run_as(server)
        if user is not None:
            require_reachable(fresh, user)
            require_reachable(tool_set.directory, user)
        durable.sync_tree(fresh)
        durable.move(fresh, server.directory)

    def command(self, server: LocalServer) -> Command:
        tool_set = self.tool_set(server)
        argv = [*argv_for(tool_set, server.directory), "--port", str(server.port)]
        cell = cell_of(server.cell, tool_set.directory)
        return Command(argv, cwd=str(server.directory), user=run_as(server), cell=cell)

    def settle(self, server: LocalServer, guard: Guard) -> Sequence[str]:  # noqa: ARG002 - takes no time
        """Limits the owner's rights, which two files hold."""
        confine(server.directory, server)
        mark(server.directory / SETTLED)
        return []

    def tool_set(self, server: LocalServer) -> ToolSet:
        return tools.server(self._tools_dir, server.version, config_file.flavour(server.directory))

    def ready(self, server: LocalServer) -> bool:
        """Whether the server answers; waits while it loads its data."""
        deadline = time.monotonic() + _LOADING_SECONDS
        for pause in pauses(0.1):
            try:
                with client(address(server)) as session:
                    return bool(session.ask("PING"))
            except AddonUnavailable as error:
                loading = isinstance(error.__cause__, BusyLoadingError)
                if not loading or time.monotonic() > deadline or self.running(server) is None:
                    return False
            except AddonRefused:
                return False
            time.sleep(pause)
        return False

    def running(self, server: LocalServer) -> int | None:
        return private_server.running_in(server.directory)

    def stop(self, server: LocalServer) -> None:
        """Stops a server, which first writes what its settings promise; kills it when it hangs."""
        pid = private_server.find_in(server.directory)
        if pid is None or (_shuts_down(server) and ended(pid, _STOP_SECONDS)):
            return
        signals = [(signal.SIGTERM, _AGAIN_SECONDS)] * (_STOP_SECONDS // _AGAIN_SECONDS)
        end(pid, (*signals, (signal.SIGKILL, _KILL_SECONDS)))


def _shuts_down(server: LocalServer) -> bool:
    """Shuts down without writing an RDB, when the next start reads the log alone.

    The server syncs the log now. Both the file and the running server must have a whole log,
    whatever was set meanwhile. Says whether the server was told to end.
    """
    path, sent = server.directory / config_file.FILE, False
    if not path.is_file() or config_file.read(path).get("appendonly", "no") != "yes":
        return False
    try:
        with private_server.private_session(server.directory, server) as session:
            info = probe.server_info(session)
            if all(str(info.get(name)) == value for name, value in _WHOLE_LOG.items()):
                sent = True
                session.ask("SHUTDOWN", "NOSAVE")
    except AddonRefused:
        return False
    except AddonUnavailable:
        return sent  # the connection ends instead of an answer
    return sent


_WHOLE_LOG = {
    "loading": "0",
    "aof_enabled": "1",
    "aof_rewrite_in_progress": "0",
    "aof_rewrite_scheduled": "0",
    "aof_last_write_status": "ok",
}
"""INFO of a server with a whole log: one that was just switched on must be written first."""


def argv_for(tool_set: ToolSet, directory: Path) -> list[str]:
    """The arguments of every start; they override the file. See `private_server` for the paths."""
    return [
        tool_set.server,
        f"/proc/self/cwd/{config_file.FILE}",
        "--dir",
        str(directory),
        "--aclfile",
        acl.FILE,
        "--pidfile",
        private_server.PID_FILE,
        "--unixsocket",
        private_server.SOCKET,
        "--unixsocketperm",
        "700",
        "--bind",
        "127.0.0.1",
        *(
            config_file.LOCKED
            if int(tool_set.version.partition(".")[0]) >= _LOCKS_SINCE_MAJOR
            else ()
        ),
        "--daemonize",
        "no",
    ]


def confine(directory: Path, server: LocalServer) -> None:
    """Limits the owner's rights, if the server has an administrator. Repeatable."""
    if server.admin is None:
        return
    config_file.confine(directory / config_file.FILE)
    users = directory / acl.FILE
    config_file.replace_text(
        users, acl.confine_users(users.read_text(errors="surrogateescape"), server)
    )


def address(server: LocalServer) -> Address:
    return admin_address(server, "0")


def run_as(server: LocalServer | None = None) -> str | int | None:
    """The user that root starts servers as; None when we are not root."""
    return system_user(server, _USERS)


def give_to_server_user(directory: Path, server: LocalServer) -> None:
    """Gives a data directory to the server's user, who alone can enter it."""
    directory.chmod(0o700)
    give(directory, run_as(server))
