"""Running a server on this machine, whichever engine it is of: user, files, login and process."""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import psutil

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import LocalServer
from holdfast.kit.processes.hosting import unprivileged


def system_user(server: LocalServer | None, users: Iterable[str]) -> str | int | None:
    """The user that root starts a server as: its own, else an existing one of `users` or `nobody`.

    None when we are not root: then it runs as ourselves.
    """
    if server is not None and server.uid is not None and os.geteuid() == 0:
        return server.uid
    return unprivileged(users)


def files_owner(server: LocalServer, users: Iterable[str]) -> str | int | None:
    """The user to whom a server's files shall belong; on an attached server the present owner."""
    if server.uid is not None or os.geteuid() != 0 or not server.directory.exists():
        return system_user(server, users)
    return server.directory.stat().st_uid


def admin_address(server: LocalServer, database: str) -> Address:
    """Where Holdfast works on a server: as its administrator, where that is not its owner."""
    address = Address("127.0.0.1", server.port, server.user, server.password, database)
    if server.admin is None:
        return address
    login = server.admin
    return replace(address, user=login.user, password=login.password, owner=server.user)


def fresh_directory(server: LocalServer) -> Path:
    """An empty directory beside the server's own, which it becomes by a rename when complete.

    What dead attempts left in either is removed.
    """
    fresh = server.directory.with_name(f"{server.directory.name}.new")
    for leftover in (fresh, server.directory):
        if leftover.exists():
            shutil.rmtree(leftover)
    fresh.mkdir(mode=0o700, parents=True)
    return fresh


def server_pid(
    directory: Path, pid_file: str, is_server: Callable[[psutil.Process], bool]
) -> int | None:
    """The pid in the first line of `pid_file`, when that process `is_server` and works in
    `directory`."""
    try:
        first_line = (directory / pid_file).read_text().partition("\n")[0]
        process = psutil.Process(int(first_line))
    except (OSError, ValueError, psutil.Error):
        return None
    return process.pid if serves(process, directory, is_server) else None


def serves(
    process: psutil.Process, directory: Path, is_server: Callable[[psutil.Process], bool]
) -> bool:
    """Whether a living process `is_server` and has `directory` as its working directory."""
    try:
        alive = is_server(process) and process.status() != psutil.STATUS_ZOMBIE
        return alive and process.cwd() == str(directory.resolve())
    except (OSError, psutil.Error):
        return False
