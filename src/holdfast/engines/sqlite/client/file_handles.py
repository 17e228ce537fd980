"""Pins a file by its inode, so that replacing part of its path by a link gains an attacker nothing.

SQLite opens by name, and a directory may have been replaced by then. So the path is opened part by
part without following links, and SQLite's open file must be the one at its end: the descriptors of
this process tell, not the name.
"""

import errno
import fcntl
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from holdfast.domain.errors import AddonRefused, AddonUnavailable

Identity = tuple[int, int]
_MAX_TRIES = 50
_PAUSE_SECONDS = 0.02
_CONNECT_LOCK = threading.Lock()
"""Held while connecting, so that a new descriptor belongs to that connection."""


@contextmanager
def pinned(path: Path) -> Generator[int]:
    """Yields a descriptor of the regular file at an absolute path without links.

    It is O_PATH: closing a readable one would release the process's locks on the file. Raises
    AddonRefused or AddonUnavailable.
    """
    with ExitStack() as stack:
        directory = _open_part(stack, "/", os.O_DIRECTORY, None, path)
        for part in path.parts[1:-1]:
            directory = _open_part(stack, part, os.O_DIRECTORY, directory, path)
        file = _open_part(stack, path.name, 0, directory, path)
        mode = os.fstat(file).st_mode
        if stat.S_ISLNK(mode):
            raise AddonRefused(f"{path} is a symbolic link", reason="link")
        if not stat.S_ISREG(mode):
            raise AddonRefused(f"{path} is not a regular file", reason="file")
        yield file


def _open_part(stack: ExitStack, name: str, flags: int, above: int | None, path: Path) -> int:
    try:
        flags |= os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(name, flags, dir_fd=above)
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise AddonRefused(
                f"{name} in {path} is a link or no directory", reason="link"
            ) from None
        raise AddonUnavailable(f"{path}: {error.strerror}") from error
    stack.callback(os.close, handle)
    return handle


def identity(file: int) -> Identity:
    state = os.fstat(file)
    return state.st_dev, state.st_ino


def name_of(file: int) -> str:
    """A path by which a child of ours opens exactly this file."""
    return f"/proc/{os.getpid()}/fd/{file}"


def connected(
    connect: Callable[[], sqlite3.Connection], expected: Identity, path: Path
) -> sqlite3.Connection:
    """Connects until SQLite has the `expected` file open. AddonUnavailable when it never does."""
    for _ in range(_MAX_TRIES):
        with _CONNECT_LOCK:
            before = _descriptors()
            connection = connect()
            after = _descriptors()
        new = [file for number, file in after.items() if before.get(number) != file]
        # While other connections lock a file SQLite keeps and reuses its descriptors: then there
        # may be no new one at all.
        if expected in new or (not new and expected in before.values()):
            return connection
        connection.close()
        threading.Event().wait(_PAUSE_SECONDS)
    raise AddonUnavailable(f"{path} is replaced by another file again and again")


def _descriptors() -> dict[int, Identity]:
    """The regular files that this process has open, by descriptor."""
    files: dict[int, Identity] = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        number = int(name)
        with suppress(OSError):  # closed meanwhile
            is_pin = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_PATH
            state = os.fstat(number)
            if stat.S_ISREG(state.st_mode) and not is_pin:
                files[number] = state.st_dev, state.st_ino
    return files
