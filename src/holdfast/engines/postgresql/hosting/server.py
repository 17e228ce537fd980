"""Runs a PostgreSQL server from a data directory.

The server refuses to run as root, so root hands it to an unprivileged user. A data directory is
made under another name and renamed when it is complete: one that exists is whole. The Unix socket
lives inside the data directory, which only the server's user can enter; where that path is too long
for a socket there is none, and TCP on the loopback is the only way in.
"""

import os
import signal
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.hosting import (
    admin_address,
    files_owner,
    fresh_directory,
    server_pid,
    system_user,
)
from holdfast.engines.postgresql.client import commands, tools
from holdfast.engines.postgresql.client.address import connect
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.hosting import administrator, ownership
from holdfast.kit import durable
from holdfast.kit.processes.hosting import (
    cell_of,
    end,
    give,
    mark,
    require_reachable,
    unprivileged,
)
from holdfast.kit.processes.process import Command, ids_of, require_success, run

_SYSTEM_USERS = ("postgres",)
_MAX_SOCKET_PATH_BYTES = 107
_INITDB_SECONDS = 300
_STOP_SECONDS = 60
_KILL_SECONDS = 10

_NEW_SERVER_SETTINGS = "max_locks_per_transaction = 256  # a dump locks every table and sequence\n"
"""Written to the `postgresql.conf` of a new server, where its owner may change it."""


class Server:
    """The Hostable part of the driver."""

    def __init__(self, tools_dir: Path) -> None:
        self._tools_dir = tools_dir

    def initialise(self, server: LocalServer) -> None:
        """ToolMissing without server programs; Permanent when the user cannot reach the
        directory."""
        data = server.directory
        if (data / "PG_VERSION").is_file() and (data / "global/pg_control").is_file():
            return
        chosen = tools.server(self._tools_dir, server.version)
        fresh = fresh_directory(server)
        user = unprivileged(_SYSTEM_USERS)  # initdb wants one that has a name
        if user is not None:
            os.chown(fresh, *ids_of(user))
            require_reachable(fresh, user)
            require_reachable(chosen.directory, user)
        with _password_file(server, user) as password_file:
            command = commands.initdb(
                chosen, fresh, superuser(server), password_file=password_file, run_as=user
            )
            require_success(run(command, timeout=_INITDB_SECONDS))
        with (fresh / "postgresql.conf").open("a") as settings:
            settings.write(_NEW_SERVER_SETTINGS)
        if server.admin is not None:
            mark(fresh / SETTLED)
        give(fresh, run_as(server))
        durable.sync(fresh / "postgresql.conf")  # initdb has synced the rest
        durable.move(fresh, server.directory)

    def command(self, server: LocalServer) -> Command:
        chosen = tools.server(self._tools_dir, server.version)
        command = commands.postgres(
            chosen, server.directory, server.port, sockets=sockets(server), run_as=run_as(server)
        )
        return replace(
            command, cell=cell_of(server.cell, chosen.directory.parent, server.directory.parent)
        )

    def ready(self, server: LocalServer) -> bool:
        """Does the server answer? Makes what it still lacks: the database, or all for its owner."""
        try:
            with translated(), connect(replace(address(server), database="postgres")) as session:
                if server.admin is None:
                    exists = "SELECT FROM pg_database WHERE datname = %s"
                    if not session.execute(exists, [server.database]).rowcount:
                        name = Identifier(server.database)
                        session.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
                elif administrator.is_incomplete(session, server):
                    # A role that exists keeps its password: its owner may have changed it.
                    administrator.confine_server(session, server, keep_password=True)
                    administrator.make_owner_database(session, server)
                    for name in administrator.databases(session):
                        with connect(address(server), name) as inside:
                            owner = administrator.database_owner(inside)
                            ownership.equip_database(inside, server.user, owner)
        except (AddonUnavailable, AddonRefused):
            return False
        return True

    def running(self, server: LocalServer) -> int | None:
        return server_pid(
            server.directory, "postmaster.pid", lambda process: "postgres" in process.name()
        )

    def stop(self, server: LocalServer) -> None:
        """Fast shutdown; immediate after a grace period, and the next start recovers from that."""
        pid = self.running(server)
        if pid is not None:
            end(
                pid,
                (
                    (signal.SIGINT, _STOP_SECONDS),
                    (signal.SIGQUIT, _KILL_SECONDS),
                    (signal.SIGKILL, _KILL_SECONDS),
                ),
            )


def address(server: LocalServer) -> Address:
    return admin_address(server, server.database)


def superuser(server: LocalServer) -> str:
    return server.user if server.admin is None else server.admin.user


def run_as(server: LocalServer | None = None) -> str | int | None:
    """The user that root starts servers as; None when we are not root and start them as
    ourselves."""
    return system_user(server, _SYSTEM_USERS)


def owner_of(server: LocalServer) -> str | int | None:
    """The user the server's files belong to and its server runs as; None: we are that user."""
    return files_owner(server, _SYSTEM_USERS)


def sockets(server: LocalServer) -> str:
    """The value of unix_socket_directories, a quoted list; empty where the path is too long."""
    path = str(server.directory)
    too_long = len(os.fsencode(f"{path}/.s.PGSQL.{server.port}")) > _MAX_SOCKET_PATH_BYTES
    return "" if too_long or '"' in path else f'"{path}"'


@contextmanager
def _password_file(server: LocalServer, user: str | int | None) -> Generator[Path]:
    """A temporary file that only the server's user can read."""
    descriptor, name = tempfile.mkstemp(prefix="holdfast-")
    path = Path(name)
    try:
        os.write(descriptor, address(server).password.reveal().encode())
        os.close(descriptor)
        if user is not None:
            os.chown(path, *ids_of(user))
        yield path
    finally:
        path.unlink(missing_ok=True)
