"""A server that Holdfast runs itself from a data directory.

The server refuses to run as root, so root hands it to an unprivileged user. A data directory is
made under another name and renamed when it is complete: one that exists is whole. No option file
is read; everything is said on the command line, and no secret is among it.
"""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import psutil

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import SETTLED, LocalServer
from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.hosting import address_of, named, owner
from holdfast.engines.mysql.client import commands, tools
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import name
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
from holdfast.kit.processes.process import PRIVATE, Command, ids_of, require_success, run
from holdfast.kit.seal import Secret

_USERS = ("mysql", "nobody")
_INIT_SECONDS = 300
_STOP_SECONDS = 120
_KILL_SECONDS = 10
COMPLETE = "holdfast.complete"


class Server:
    """The Hostable part of the driver."""

    def __init__(self, tools_dir: Path) -> None:
        self._tools_dir = tools_dir

    def initialise(self, server: LocalServer) -> None:
        """ToolMissing without server programs; Permanent when the user cannot reach the place."""
        if (server.directory / COMPLETE).is_file():
            return
        chosen = tools.server(self._tools_dir, server.version)
        fresh = server.directory.with_name(f"{server.directory.name}.new")
        for leftover in (fresh, server.directory):
            if leftover.exists():
                shutil.rmtree(leftover)
        fresh.mkdir(mode=0o700, parents=True)
        user = unprivileged(_USERS)  # the programs that initialise want one that has a name
        if user is not None:
            os.chown(fresh, *ids_of(user))
            require_reachable(fresh, user)
        aside = room_aside(fresh, user)
        if chosen.flavour == MARIADB:
            _initialise_mariadb(chosen, fresh, server, user)
        else:
            _initialise_mysql(chosen, fresh, server, user)
        shutil.rmtree(aside)
        (fresh / COMPLETE).touch()
        if server.admin is not None:
            mark(fresh / SETTLED)
        give(fresh, run_as(server))
        durable.sync_tree(fresh)
        durable.move(fresh, server.directory)

    def command(self, server: LocalServer) -> Command:
        chosen, user = tools.server(self._tools_dir, server.version), run_as(server)
        room_aside(server.directory, user)
        command = commands.server(chosen, server.directory, server.port, run_as=user)
        return replace(command, cell=cell_of(server.cell, *chosen.homes))

    def ready(self, server: LocalServer) -> bool:
        """Makes the application database when it answers for the first time."""
        try:
            with translated(), connect(address(server)) as session:
                session.execute(f"CREATE DATABASE IF NOT EXISTS {name(server.database)}")
        except (AddonUnavailable, AddonRefused):
            return False
        return True

    def running(self, server: LocalServer) -> int | None:
        try:
            pid = int((server.directory / commands.PID_FILE).read_text())
            process = psutil.Process(pid)
            ours = process.cwd() == str(server.directory.resolve())
            serves_directory = f"--datadir={server.directory}" in process.cmdline()
            alive = process.status() != psutil.STATUS_ZOMBIE
            return pid if ours and serves_directory and alive else None
        except (OSError, ValueError, psutil.Error):
            return None

    def stop(self, server: LocalServer) -> None:
        """Cleanly; killed after a grace, which the next start recovers from."""
        pid = self.running(server)
        if pid is not None:
            end(
                pid,
                (
                    (signal.SIGTERM, _STOP_SECONDS),
                    (signal.SIGKILL, _KILL_SECONDS),
                ),
            )


def address(server: LocalServer) -> Address:
    return address_of(server, server.database)


def run_as(server: LocalServer | None = None) -> str | int | None:
    """Whom root starts servers as; None when we are not root and run them as ourselves."""
    return named(server, _USERS)


def room_aside(directory: Path, user: str | int | None) -> Path:
    """Where a server of this directory keeps temporary files, made if it is missing.

    A server that starts removes all temporary tables where its own would be. In `/tmp` those are
    of every other server of the machine, whoever runs it.
    """
    temporary = commands.aside(directory)
    temporary.mkdir(mode=0o700, exist_ok=True)
    give(temporary, user)
    return temporary


def owner_of(server: LocalServer) -> str | int | None:
    """Whom the files of a place belong to, so who runs its server; None: we are that user."""
    return owner(server, _USERS)


def _initialise_mariadb(
    chosen: ToolSet, directory: Path, server: LocalServer, user: str | int | None
) -> None:
    script = "\n".join(["FLUSH PRIVILEGES;", *adoption(server, MARIADB), *_NO_ROOT, ""])
    command = Command(
        [
            chosen.beside("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={directory}",
            f"--tmpdir={commands.aside(directory)}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            f"--extra-file={PRIVATE}",
        ],
        cwd="/",
        user=user,
        private=Secret(script),
    )
    require_success(run(command, timeout=_INIT_SECONDS))


_NO_ROOT = (
    "DELETE FROM mysql.global_priv WHERE user = 'root' OR user = '';",
    "FLUSH PRIVILEGES;",
)


def _initialise_mysql(
    chosen: ToolSet, directory: Path, server: LocalServer, user: str | int | None
) -> None:
    script = "\n".join([*adoption(server, tools.MYSQL), "DROP USER root@localhost;", ""])
    command = Command(
        [
            str(chosen.server),
            "--no-defaults",
            "--initialize-insecure",
            f"--datadir={directory}",
            f"--tmpdir={commands.aside(directory)}",
            f"--init-file={PRIVATE}",
            "--disable-log-bin",
            "--mysqlx=OFF",
        ],
        cwd="/",
        user=user,
        private=Secret(script),
    )
    require_success(run(command, timeout=_INIT_SECONDS))


def adoption(server: LocalServer, flavour: str) -> list[str]:
    """Lets the place's user in, as the administrator. Repeatable. Each line is a statement.

    Not on a place that is not ours: who may do what there was its owner's decision.
    """
    if not server.ours:
        return []
    credentials = identified_by(flavour, server.password, administrator.quoted)
    if server.admin is not None:
        return administrator.adoption(
            server, credentials, identified_by(flavour, server.admin.password, administrator.quoted)
        )
    user = administrator.account(server.user)
    return [
        f"CREATE USER IF NOT EXISTS {user} {credentials};",
        f"ALTER USER {user} {credentials};",
        f"GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION;",
    ]
