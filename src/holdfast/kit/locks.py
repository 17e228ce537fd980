"""File locks between processes of one machine; the kernel frees them when the holder dies."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """Waits for the lock and holds it for the block.

    A file that was removed and created again meanwhile is another file, which newcomers lock: so
    the lock counts only while `path` still names the file we hold.
    """
    while True:
        with path.open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_there(path, handle):
                yield
                return


def _is_there(path: Path, handle: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False


def try_exclusive(path: Path) -> IO[bytes] | None:
    """The held lock as an open file (close it to release), or None when another process has it.

    None, too, when the file was removed meanwhile, see `exclusive`.
    """
    handle = path.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    if not _is_there(path, handle):
        handle.close()
        return None
    return handle


def join(path: Path) -> tuple[IO[bytes], bool]:
    """Takes a shared lock. True: no other process holds one, so every earlier holder is dead."""
    handle = path.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = True
    except OSError:
        alone = False
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle, alone
