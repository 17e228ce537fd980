"""A PostgreSQL server that Holdfast runs itself from a data directory.

The server refuses to run as root, so root hands it to an unprivileged user. A data directory is
made under another name and renamed when it is complete: one that exists is whole. The Unix socket
lives inside the data directory, which nobody else can enter; where that path is too long for a
socket there is none, and TCP on the loopback is the only way in.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.hosting import address_of, named, owner
from holdfast.engines.postgresql.client import commands, tools
from holdfast.engines.postgresql.client.address import Session, connect
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

_USERS = ("postgres", "nobody")
_SOCKET_LIMIT = 107
_INITDB_SECONDS = 300
_STOP_SECONDS = 60
_KILL_SECONDS = 10

_SETTINGS = "max_locks_per_transaction = 256  # a dump locks every table and sequence\n"
"""What a new server has in its file, where whoever owns it may change it."""


class Server:
    """The Hostable part of the driver."""

    def __init__(self, tools_dir: Path) -> None:
        self._tools_dir = tools_dir

    def initialise(self, server: LocalServer) -> None:
        """ToolMissing without server programs; Permanent when the user cannot reach the place."""
        if _complete(server.directory):
            return
        chosen = tools.server(self._tools_dir, server.version)
        fresh = server.directory.with_name(f"{server.directory.name}.new")
        for leftover in (fresh, server.directory):
            if leftover.exists():
                shutil.rmtree(leftover)
        fresh.mkdir(mode=0o700, parents=True)
        user = unprivileged(_USERS)  # initdb wants one that has a name
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
            settings.write(_SETTINGS)
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
        """Makes the application database when it answers for the first time."""
        try:
            with translated(), connect(replace(address(server), database="postgres")) as session:
                if server.admin is None:
                    _make_database(session, server)
                elif administrator.lacks_something(session, server):
                    _furnish(session, server)
        except (AddonUnavailable, AddonRefused):
            return False
        return True

    def running(self, server: LocalServer) -> int | None:
        try:
            lines = (server.directory / "postmaster.pid").read_text().splitlines()
            process = psutil.Process(int(lines[0]))
            ours = process.cwd() == str(server.directory.resolve())
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process.pid if ours and alive and "postgres" in process.name() else None
        except (OSError, ValueError, IndexError, psutil.Error):
            return None

    def stop(self, server: LocalServer) -> None:
        """Fast shutdown; immediate after a grace, which the next start recovers from."""
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
    return address_of(server, server.database)


def superuser(server: LocalServer) -> str:
    return server.user if server.admin is None else server.admin.user


def _make_database(session: Session, server: LocalServer) -> None:
    row = session.execute(
        "SELECT FROM pg_database WHERE datname = %s", [server.database]
    ).fetchone()
    if row is None:
        name = Identifier(server.database)
        session.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(name))


def _furnish(session: Session, server: LocalServer) -> None:
    """The owner's role and database, and what each database has for its owner. The password of a
    role that is there already stays: it is its owner's to change."""
    administrator.confine_server(session, server, keep_password=True)
    administrator.own_database(session, server)
    names = administrator.databases(session)
    for name in names:
        with translated(), connect(address(server), name) as inside:
            ownership.equip(inside, server.user, administrator.owner_here(inside))


def run_as(server: LocalServer | None = None) -> str | int | None:
    """Whom root starts servers as; None when we are not root and run them as ourselves."""
    return named(server, _USERS)


def owner_of(server: LocalServer) -> str | int | None:
    """Whom the files of a place belong to, so who runs its server; None: we are that user."""
    return owner(server, _USERS)


def sockets(server: LocalServer) -> str:
    """The value of unix_socket_directories, a quoted list; empty where no socket fits."""
    path = str(server.directory)
    too_long = len(os.fsencode(f"{path}/.s.PGSQL.{server.port}")) > _SOCKET_LIMIT
    return "" if too_long or '"' in path else f'"{path}"'


def _complete(directory: Path) -> bool:
    return (directory / "PG_VERSION").is_file() and (directory / "global/pg_control").is_file()


@contextmanager
def _password_file(server: LocalServer, user: str | int | None) -> Generator[Path]:
    """Readable by the server's user alone, and gone afterwards."""
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
