"""Holds on to a file itself, so that whoever swaps a link in beside us gains nothing.

SQLite opens by name, and a directory of somebody else may be another one by then. So the way to the
file is walked link by link, and the file that SQLite then has open must be the one at its end: that
is told by the descriptors of this process, not by the name.
"""

import errno
import fcntl
import os
import sqlite3
import stat
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from holdfast.domain.errors import AddonRefused, AddonUnavailable

Identity = tuple[int, int]
_TRIES = 50
_PAUSE_SECONDS = 0.02
_ONE_AT_A_TIME = threading.Lock()
"""So that a new descriptor belongs to the connection that is being made."""


@contextmanager
def pinned(path: Path) -> Generator[int]:
    """A descriptor of the regular file at this absolute path, of which no part is a link. It cannot
    be read from, so closing it takes no locks from anybody. AddonRefused says what is wrong."""
    with ExitStack() as handles:
        directory = _opened(handles, "/", os.O_DIRECTORY, None, path)
        for part in path.parts[1:-1]:
            directory = _opened(handles, part, os.O_DIRECTORY, directory, path)
        file = _opened(handles, path.name, 0, directory, path)
        mode = os.fstat(file).st_mode
        if stat.S_ISLNK(mode):
            raise AddonRefused(f"{path} is a symbolic link", reason="link")
        if not stat.S_ISREG(mode):
            raise AddonRefused(f"{path} is not a regular file", reason="file")
        yield file


def _opened(handles: ExitStack, name: str, flags: int, above: int | None, path: Path) -> int:
    try:
        flags |= os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(name, flags, dir_fd=above)
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise AddonRefused(
                f"{name} in {path} is a link or no directory", reason="link"
            ) from None
        raise AddonUnavailable(f"{path}: {error.strerror}") from error
    handles.callback(os.close, handle)
    return handle


def identity(file: int) -> Identity:
    state = os.fstat(file)
    return state.st_dev, state.st_ino


def name_of(file: int) -> str:
    """A name by which a child of ours opens exactly this file."""
    return f"/proc/{os.getpid()}/fd/{file}"


def connected(
    connect: Callable[[], sqlite3.Connection], expected: Identity, path: Path
) -> sqlite3.Connection:
    """The connection that has this file open. AddonUnavailable when it is another one."""
    for _ in range(_TRIES):
        with _ONE_AT_A_TIME:
            before = _descriptors()
            connection = connect()
            after = _descriptors()
        if _is_open(before, after, expected):
            return connection
        connection.close()
        threading.Event().wait(_PAUSE_SECONDS)
    raise AddonUnavailable(f"{path} is replaced by another file again and again")


def _is_open(
    before: Mapping[int, Identity], after: Mapping[int, Identity], expected: Identity
) -> bool:
    """SQLite keeps a descriptor of a file for later while others of its connections hold locks on
    it: then there is no new one at all."""
    new = [file for number, file in after.items() if before.get(number) != file]
    return expected in new or (not new and expected in before.values())


def _descriptors() -> dict[int, Identity]:
    """Regular files that this process has open, by descriptor."""
    files: dict[int, Identity] = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not paths
        number = int(name)
        with suppress(OSError):  # closed meanwhile
            is_pin = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_PATH
            state = os.fstat(number)
            if stat.S_ISREG(state.st_mode) and not is_pin:
                files[number] = state.st_dev, state.st_ino
    return files
