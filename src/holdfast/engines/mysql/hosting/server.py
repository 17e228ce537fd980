"""A server that Holdfast runs itself from a data directory.

The server refuses to run as root, so root starts it as an unprivileged user. A data directory is
created under another name and renamed when it is complete: one that exists is whole. No option file
is read; all settings are on the command line, without secrets.
"""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.domain.errors import AddonRefused, AddonUnavailable, ChildFailed
from holdfast.engines.hosting import (
    admin_address,
    files_owner,
    fresh_directory,
    server_pid,
    system_user,
)
from holdfast.engines.mysql.client import commands, tools
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import quote_name
from holdfast.engines.mysql.client.passwords import identified_by
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.client.tools import MARIADB, ToolSet
from holdfast.engines.mysql.hosting import administrator
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
from holdfast.kit.seal import Secret

_USERS = ("mysql",)
_INIT_SECONDS = 300
_STOP_SECONDS = 120
_KILL_SECONDS = 10
COMPLETE = "holdfast.complete"


class Server:
    """The part of the driver that runs servers (`Hostable`)."""

    def __init__(self, tools_dir: Path) -> None:
        self._tools_dir = tools_dir

    def initialise(self, server: LocalServer) -> None:
        """Creates the data directory. ToolMissing without programs, Permanent if unreachable."""
        if (server.directory / COMPLETE).is_file():
            return
        chosen = tools.server(self._tools_dir, server.version)
        adopting = adoption(server, chosen.flavour)
        statements = (
            ["FLUSH PRIVILEGES;", *adopting, *_DROP_ROOT]
            if chosen.flavour == MARIADB
            else [*adopting, "DROP USER root@localhost;"]
        )
        try:
            fresh = _create_files(server, chosen, "\n".join(statements))
        except ChildFailed:
            if chosen.flavour == MARIADB:
                raise
            # Newer ones end a statement at any semicolon, unless they are told another delimiter.
            # Older ones end it at the end of a line, and know no delimiter.
            delimited = ["delimiter $$", *(f"{text.removesuffix(';')}$$" for text in statements)]
            fresh = _create_files(server, chosen, "\n".join(delimited))
        (fresh / COMPLETE).touch()
        if server.admin is not None:
            mark(fresh / SETTLED)
        give(fresh, run_as(server))
        durable.sync_tree(fresh)
        durable.move(fresh, server.directory)

    def command(self, server: LocalServer) -> Command:
        chosen, user = tools.server(self._tools_dir, server.version), run_as(server)
        make_temporary_directory(server.directory, user)
        command = commands.server(
            chosen, server.directory, server.port, run_as=user, keeps_log=server.keeps_log
        )
        return replace(command, cell=cell_of(server.cell, *chosen.homes))

    def ready(self, server: LocalServer) -> bool:
        """Whether the server answers; then the application's database exists, too."""
        try:
            with translated(), connect(address(server)) as session:
                session.execute(f"CREATE DATABASE IF NOT EXISTS {quote_name(server.database)}")
        except (AddonUnavailable, AddonRefused):
            return False
        return True

    def running(self, server: LocalServer) -> int | None:
        argument = f"--datadir={server.directory}"
        return server_pid(
            server.directory, commands.PID_FILE, lambda process: argument in process.cmdline()
        )

    def stop(self, server: LocalServer) -> None:
        """Stops cleanly; a server that takes too long is killed and recovers at its next start."""
        pid = self.running(server)
        if pid is not None:
            end(pid, ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _KILL_SECONDS)))


def address(server: LocalServer) -> Address:
    return admin_address(server, server.database)


def run_as(server: LocalServer | None = None) -> str | int | None:
    """The user that root starts servers as; None when we are not root."""
    return system_user(server, _USERS)


def make_temporary_directory(directory: Path, user: str | int | None) -> Path:
    """Creates the server's directory for temporary files, if it is missing.

    A server that starts removes all temporary tables beside its own: in `/tmp` also those of every
    other server of the machine.
    """
    temporary = commands.temporary_directory(directory)
    temporary.mkdir(mode=0o700, exist_ok=True)
    give(temporary, user)
    return temporary


def owner_of(server: LocalServer) -> str | int | None:
    """The user who owns the server's files and so runs it; None when that is us."""
    return files_owner(server, _USERS)


def _create_files(server: LocalServer, chosen: ToolSet, script: str) -> Path:
    """The new data directory, not yet at its place, after the server ran `script` in it."""
    fresh = fresh_directory(server)
    user = unprivileged(_USERS)  # the initialising programs need a named user
    if user is not None:
        os.chown(fresh, *ids_of(user))
        require_reachable(fresh, user)
    aside = make_temporary_directory(fresh, user)
    command = commands.initialise(chosen, fresh, Secret(f"{script}\n"), run_as=user)
    require_success(run(command, timeout=_INIT_SECONDS))
    shutil.rmtree(aside)
    return fresh


_DROP_ROOT = (
    "DELETE FROM mysql.global_priv WHERE user = 'root' OR user = '';",
    "FLUSH PRIVILEGES;",
)


def adoption(server: LocalServer, flavour: str) -> list[str]:
    """Statements, one a line, that give the server's user and administrator their access.

    Repeatable. None for an attached server, whose rights are its owner's decision.
    """
    if not server.ours:
        return []
    credentials = identified_by(flavour, server.password, administrator.quoted)
    if server.admin is not None:
        return administrator.adoption_statements(
            server, credentials, identified_by(flavour, server.admin.password, administrator.quoted)
        )
    user = administrator.account(server.user)
    return [
        f"CREATE USER IF NOT EXISTS {user} {credentials};",
        f"ALTER USER {user} {credentials};",
        f"GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION;",
    ]
