"""Working directories for copies and drafts, each locked by the process that uses it.

A directory without a lock belongs to a dead attempt and is removed, except drafts that a later step
of the same operation needs. Used ones are removed in a thread, because freeing the pages of a large
file takes a while. The next attempt waits for that: the disk need not hold two.
"""

import secrets
import shutil
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from holdfast.kit.locks import try_exclusive

_LOCK_NAME = "lock"
_DRAFT_PREFIX, _DOOMED_PREFIX, _OLD_PREFIX = "op-", "gone-", "old-"
DRAFT, DONE = "draft.db", "done"


def home(tools_dir: Path) -> Path:
    return tools_dir / "sqlite"


@contextmanager
def scratch(tools_dir: Path, tag: str) -> Generator[Path]:
    """Yields a directory for one attempt, which is removed afterwards in a thread."""
    base = home(tools_dir)
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    wait_for_removals()
    _sweep(base)
    directory = base / tag
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    lock = try_exclusive(directory / _LOCK_NAME)
    try:
        yield directory
    finally:
        doomed = directory.with_name(f"{_DOOMED_PREFIX}{secrets.token_hex(8)}")
        if directory.exists():
            directory.rename(doomed)  # the name may be used again at once
        _remover.submit(_remove, doomed, lock)


_remover = ThreadPoolExecutor(1, thread_name_prefix="scratch")
"""Removes one directory at a time. A process waits for it at exit; what a killed one leaves is
swept by the next attempt."""


def wait_for_removals() -> None:
    """Returns when all used directories are removed."""
    _remover.submit(int).result()


def _remove(directory: Path, lock: IO[bytes] | None) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    if lock is not None:
        lock.close()


def _sweep(base: Path) -> None:
    for directory in base.iterdir():
        if directory.name.startswith(_OLD_PREFIX):
            continue  # kept until its operation drops it
        if directory.name.startswith(_DRAFT_PREFIX):
            if (directory / DONE).exists() and not (directory / DRAFT).exists():
                shutil.rmtree(directory, ignore_errors=True)
        elif (directory / _LOCK_NAME).exists():
            lock = try_exclusive(directory / _LOCK_NAME)
            if lock is not None:
                _remove(directory, lock)
        elif directory.name.startswith(_DOOMED_PREFIX):
            shutil.rmtree(directory, ignore_errors=True)


def draft_directory(tools_dir: Path, op: str, attempt: int) -> Path:
    """The directory in which an attempt keeps its draft for the next step; `drop` removes it.

    Each attempt has its own, because one that was taken for dead may still write.
    """
    return home(tools_dir) / f"{_DRAFT_PREFIX}{op}{f'.{attempt}' if attempt else ''}"


def old_content_directory(tools_dir: Path, op: str) -> Path:
    """The directory in which the old content of a restore is kept, as a draft of its own."""
    return home(tools_dir) / f"{_OLD_PREFIX}{op}"


def drop(tools_dir: Path, op: str, upto: int) -> None:
    """Removes the drafts of attempts of this operation up to `upto`."""
    for attempt in range(upto + 1):
        shutil.rmtree(draft_directory(tools_dir, op, attempt), ignore_errors=True)
