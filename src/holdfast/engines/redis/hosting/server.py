"""A Redis or Valkey server that Holdfast runs itself from a data directory.

Root hands it to an unprivileged user. The directory is made under another name and renamed when
it is complete. The server listens on the loopback only, and no password is in its command line or
configuration: the ACL file holds digests.
"""

import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from redis.exceptions import BusyLoadingError

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.hosting import address_of, named
from holdfast.engines.redis.client import acl, probe, tools
from holdfast.engines.redis.client.address import client
from holdfast.engines.redis.client.tools import ToolSet
from holdfast.engines.redis.hosting import config_file, private_server
from holdfast.kit import durable
from holdfast.kit.backoff import pauses
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import cell_of, end, ended, give, mark, require_reachable
from holdfast.kit.processes.process import Command

_USERS = ("redis", "valkey", "nobody")
_LOCKS_SINCE = 7
_STOP_SECONDS = 300
_KILL_SECONDS = 10
_AGAIN_SECONDS = 2
"""A server that writes its first log refuses to end, and has to be told again afterwards."""
_LOADING_SECONDS = 1800
"""A server that says it is loading is not given up, but neither is it waited for without end."""


class Server:
    """The Hostable part of the driver."""

    def __init__(self, tools_dir: Path) -> None:
        self._tools_dir = tools_dir

    def initialise(self, server: LocalServer) -> None:
        """ToolMissing without a server program; Permanent when its user cannot reach the place."""
        if (server.directory / config_file.FILE).is_file():
            return
        chosen = tools.server(self._tools_dir, server.version)
        fresh = server.directory.with_name(f"{server.directory.name}.new")
        for leftover in (fresh, server.directory):
            if leftover.exists():
                shutil.rmtree(leftover)
        fresh.mkdir(mode=0o700, parents=True)
        for name, text in (
            (config_file.FILE, config_file.first(chosen.flavour)),
            (acl.FILE, acl.of_place(server)),
        ):
            (fresh / name).touch(mode=0o600)
            (fresh / name).write_text(text)
        if server.admin is not None:
            mark(fresh / SETTLED)
        own(fresh, server)
        user = run_as(server)
        if user is not None:
            require_reachable(fresh, user)
            require_reachable(chosen.directory, user)
        durable.sync_tree(fresh)
        durable.move(fresh, server.directory)

    def command(self, server: LocalServer) -> Command:
        chosen = self.chosen(server)
        argv = [*argv_for(chosen, server.directory), "--port", str(server.port)]
        cell = cell_of(server.cell, chosen.directory)
        return Command(argv, cwd=str(server.directory), user=run_as(server), cell=cell)

    def settle(self, server: LocalServer, guard: Guard) -> Sequence[str]:  # noqa: ARG002 - it is short
        """Two files say who may do what."""
        confine(server.directory, server)
        mark(server.directory / SETTLED)
        return []

    def chosen(self, server: LocalServer) -> ToolSet:
        return tools.server(self._tools_dir, server.version, config_file.flavour(server.directory))

    def ready(self, server: LocalServer) -> bool:
        """A server that is loading its data is waited for."""
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
        """The server writes what its settings promise, then ends; killed after a grace."""
        pid = private_server.left_in(server.directory)
        if pid is None or (_shuts_down(server) and ended(pid, _STOP_SECONDS)):
            return
        signals = [(signal.SIGTERM, _AGAIN_SECONDS)] * (_STOP_SECONDS // _AGAIN_SECONDS)
        end(pid, (*signals, (signal.SIGKILL, _KILL_SECONDS)))


def _shuts_down(server: LocalServer) -> bool:
    """Without an RDB that nobody reads: the next start reads the log, and the server synchronises
    that now. Only when both are so, whatever was set meanwhile."""
    path, sent = server.directory / config_file.FILE, False
    if not path.is_file() or config_file.read(path).get("appendonly", "no") != "yes":
        return False
    try:
        with private_server.reached(server.directory, server) as session:
            if _log_is_whole(probe.told(session)):
                sent = True
                session.ask("SHUTDOWN", "NOSAVE")
    except AddonRefused:
        return False
    except AddonUnavailable:
        return sent  # the connection ends instead of an answer
    return sent


def _log_is_whole(info: Mapping[str, object]) -> bool:
    """A log that was switched on is nothing until it has been written for the first time."""
    expected = {
        "loading": "0",
        "aof_enabled": "1",
        "aof_rewrite_in_progress": "0",
        "aof_rewrite_scheduled": "0",
        "aof_last_write_status": "ok",
    }
    return all(str(info.get(name)) == value for name, value in expected.items())


def argv_for(chosen: ToolSet, directory: Path) -> list[str]:
    """What every start of a server has in common; the command line wins over the file. See
    `waiting` for why the names are what they are."""
    return [
        chosen.server,
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
        *(config_file.LOCKED if int(chosen.version.partition(".")[0]) >= _LOCKS_SINCE else ()),
        "--daemonize",
        "no",
    ]


def confine(directory: Path, server: LocalServer) -> None:
    """Repeatable."""
    if server.admin is None:
        return
    config_file.confine(directory / config_file.FILE)
    users = directory / acl.FILE
    config_file.replace_text(users, acl.settled(users.read_text(errors="surrogateescape"), server))


def address(server: LocalServer) -> Address:
    return address_of(server, "0")


def run_as(server: LocalServer | None = None) -> str | int | None:
    """Whom root starts servers as; None when we are not root and run them as ourselves."""
    return named(server, _USERS)


def own(directory: Path, server: LocalServer) -> None:
    """The server's user owns its data, and nobody else enters it."""
    directory.chmod(0o700)
    give(directory, run_as(server))
