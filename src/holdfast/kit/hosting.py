"""What running somebody's server takes, whichever it is: whose it is, where it may go, its end."""

import os
import pwd
from collections.abc import Iterable

import psutil

from holdfast.domain.errors import Permanent
from holdfast.kit.process import Command, run


def unprivileged(users: Iterable[str]) -> str | None:
    """The first of `users` there is, for root to start a server as; None when we are not root and
    run it as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((user for user in users if user in known), None)


def require_reachable(directory: object, user: str) -> None:
    """A private parent directory would fail later, with a worse message."""
    if run(Command(["test", "-x", str(directory)], cwd="/", user=user)).status != 0:
        raise Permanent(
            f"user {user} runs the server and cannot reach {directory}: "
            "every directory above it needs the x permission for others"
        )


def end(pid: int, steps: Iterable[tuple[int, float]]) -> None:
    """Sends one signal after the other, each with its seconds to take effect. Already gone is
    success; Permanent when the last one does not help."""
    try:
        process = psutil.Process(pid)
        for sent, seconds in steps:
            process.send_signal(sent)
            if gone(process, seconds):
                return
    except psutil.NoSuchProcess:
        return
    raise Permanent(f"the server with pid {pid} does not end")


def ended(pid: int, seconds: float) -> bool:
    """Waits for its end that long."""
    try:
        return gone(psutil.Process(pid), seconds)
    except psutil.NoSuchProcess:
        return True


def gone(process: psutil.Process, seconds: float) -> bool:
    try:
        process.wait(seconds)
    except psutil.TimeoutExpired:
        return False
    return True
