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

    def initialise(self, place: LocalServer) -> None:
        """ToolMissing without server programs; Permanent when the user cannot reach the place."""
        if _complete(place.directory):
            return
        chosen = tools.server(self._tools_dir, place.version)
        fresh = place.directory.with_name(f"{place.directory.name}.new")
        for leftover in (fresh, place.directory):
            if leftover.exists():
                shutil.rmtree(leftover)
        fresh.mkdir(mode=0o700, parents=True)
        user = unprivileged(_USERS)  # initdb wants one that has a name
        if user is not None:
            os.chown(fresh, *ids_of(user))
            require_reachable(fresh, user)
            require_reachable(chosen.directory, user)
        with _password_file(place, user) as password_file:
            command = commands.initdb(
                chosen, fresh, superuser(place), password_file=password_file, run_as=user
            )
            require_success(run(command, timeout=_INITDB_SECONDS))
        with (fresh / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        if place.admin is not None:
            mark(fresh / SETTLED)
        give(fresh, run_as(place))
        durable.sync(fresh / "postgresql.conf")  # initdb has synced the rest
        durable.move(fresh, place.directory)

    def command(self, place: LocalServer) -> Command:
        chosen = tools.server(self._tools_dir, place.version)
        command = commands.postgres(
            chosen, place.directory, place.port, sockets=sockets(place), run_as=run_as(place)
        )
        return replace(
            command, cell=cell_of(place.cell, chosen.directory.parent, place.directory.parent)
        )

    def ready(self, place: LocalServer) -> bool:
        """Makes the application database when it answers for the first time."""
        try:
            with translated(), connect(replace(address(place), database="postgres")) as session:
                if place.admin is None:
                    _make_database(session, place)
                elif administrator.lacks_something(session, place):
                    _furnish(session, place)
        except (AddonUnavailable, AddonRefused):
            return False
        return True

    def running(self, place: LocalServer) -> int | None:
        try:
            lines = (place.directory / "postmaster.pid").read_text().splitlines()
            process = psutil.Process(int(lines[0]))
            ours = process.cwd() == str(place.directory.resolve())
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process.pid if ours and alive and "postgres" in process.name() else None
        except (OSError, ValueError, IndexError, psutil.Error):
            return None

    def stop(self, place: LocalServer) -> None:
        """Fast shutdown; immediate after a grace, which the next start recovers from."""
        pid = self.running(place)
        if pid is not None:
            end(
                pid,
                (
                    (signal.SIGINT, _STOP_SECONDS),
                    (signal.SIGQUIT, _KILL_SECONDS),
                    (signal.SIGKILL, _KILL_SECONDS),
                ),
            )


def address(place: LocalServer) -> Address:
    return address_of(place, place.database)


def superuser(place: LocalServer) -> str:
    return place.user if place.admin is None else place.admin.user


def _make_database(session: Session, place: LocalServer) -> None:
    found = session.execute(
        "SELECT FROM pg_database WHERE datname = %s", [place.database]
    ).fetchone()
    if found is None:
        name = Identifier(place.database)
        session.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(name))


def _furnish(session: Session, place: LocalServer) -> None:
    """The owner's role and database, and what each database has for its owner. The password of a
    role that is there already stays: it is its owner's to change."""
    administrator.confine_server(session, place, keep_password=True)
    administrator.own_database(session, place)
    names = administrator.databases(session)
    for name in names:
        with translated(), connect(address(place), name) as inside:
            ownership.equip(inside, place.user, administrator.owner_here(inside))


def run_as(place: LocalServer | None = None) -> str | int | None:
    """Whom root starts servers as; None when we are not root and run them as ourselves."""
    return named(place, _USERS)


def owner_of(place: LocalServer) -> str | int | None:
    """Whom the files of a place belong to, so who runs its server; None: we are that user."""
    return owner(place, _USERS)


def sockets(place: LocalServer) -> str:
    """The value of unix_socket_directories, a quoted list; empty where no socket fits."""
    path = str(place.directory)
    too_long = len(os.fsencode(f"{path}/.s.PGSQL.{place.port}")) > _SOCKET_LIMIT
    return "" if too_long or '"' in path else f'"{path}"'


def _complete(directory: Path) -> bool:
    return (directory / "PG_VERSION").is_file() and (directory / "global/pg_control").is_file()


@contextmanager
def _password_file(place: LocalServer, user: str | int | None) -> Generator[Path]:
    """Readable by the server's user alone, and gone afterwards."""
    descriptor, name = tempfile.mkstemp(prefix="holdfast-")
    path = Path(name)
    try:
        os.write(descriptor, address(place).password.reveal().encode())
        os.close(descriptor)
        if user is not None:
            os.chown(path, *ids_of(user))
        yield path
    finally:
        path.unlink(missing_ok=True)
