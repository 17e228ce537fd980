"""What running a server takes, whichever engine it is: its user, its files and its end."""

import os
import pwd
import socket
import stat
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import psutil

from holdfast.domain.errors import Permanent
from holdfast.kit.processes.cell import Cell
from holdfast.kit.processes.confine import NOT_HIDDEN
from holdfast.kit.processes.process import Command, ids_of, run


def give(tree: Path, user: str | int | None) -> None:
    """Gives a whole tree to `user`; symbolic links are not followed.

    Raises Permanent for a file with a second hard link, which may be outside of the tree.
    """
    if user is None or os.geteuid() != 0:
        return
    ids = ids_of(user)
    for base, names, files in os.walk(tree):
        for name in (".", *names, *files):
            path = Path(base) / name
            state = path.lstat()
            if (state.st_uid, state.st_gid) == ids:
                continue
            if state.st_nlink > 1 and not stat.S_ISDIR(state.st_mode):
                raise Permanent(f"{path} has another name elsewhere, so it is not given away")
            os.lchown(path, *ids)


def is_unprivileged() -> bool:
    """Whether this installation runs all servers as its own user."""
    return os.geteuid() != 0


@cache
def can_hide() -> bool:
    """Whether this process can hide files from servers. Tried once."""
    if os.geteuid() != 0:
        return False
    tried = run(Command(["true"], cwd="/", cell=Cell(())))
    return tried.status == 0 and NOT_HIDDEN not in tried.stderr


def cell_of(cell: Cell | None, *visible: Path) -> Cell | None:
    return None if cell is None else cell.with_visible(*visible)


def unprivileged(users: Iterable[str]) -> str | None:
    """The first existing user of `users`, else `nobody`, for root to start a server as.

    None when we are not root: then the server runs as ourselves.
    """
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((user for user in (*users, "nobody") if user in names), None)


def free_port() -> int:
    """A free port of the loopback. Another program may take it at any time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_reachable(directory: object, user: str | int) -> None:
    """Raises Permanent now, because a private parent directory fails later with a worse message."""
    if run(Command(["test", "-x", str(directory)], cwd="/", user=user)).status != 0:
        raise Permanent(
            f"user {user} runs the server and cannot reach {directory}: "
            "every directory above it needs the x permission for others"
        )


def mark(path: Path) -> None:
    """Creates an empty marker file in a data directory, owned as the directory is.

    The server must be able to read it: it copies all files of its directory when it copies itself.
    """
    path.touch()
    path.chmod(0o600)
    state = path.parent.stat()
    if os.geteuid() == 0:
        os.chown(path, state.st_uid, state.st_gid)


def end(pid: int, signals: Iterable[tuple[int, float]]) -> None:
    """Sends one signal after the other, each with its seconds to take effect.

    A process that has ended is success; Permanent when the last signal does not help.
    """
    try:
        process = psutil.Process(pid)
        for sent, seconds in signals:
            process.send_signal(sent)
            if has_ended(process, seconds):
                return
    except psutil.NoSuchProcess:
        return
    raise Permanent(f"the server with pid {pid} does not end")


def ended(pid: int, seconds: float) -> bool:
    """Waits up to `seconds` and says whether the process has ended."""
    try:
        return has_ended(psutil.Process(pid), seconds)
    except psutil.NoSuchProcess:
        return True


def has_ended(process: psutil.Process, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired:
        return False
    return True
