"""Copies and drafts on their way: in a directory of ours, each with a lock of whoever works on it.

What nobody holds a lock on is of a dead attempt and removed, except drafts that a later step of
the same operation needs. What is done with is removed beside the work that follows, because giving
back the pages of a large file takes a while. The next attempt waits for that: there need not be
room for two.
"""

import secrets
import shutil
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from holdfast.kit.locks import try_exclusive

_LOCK = "lock"
_KEPT, _GONE, _OLD = "op-", "gone-", "old-"
DRAFT, DONE = "draft.db", "done"


def home(tools_dir: Path) -> Path:
    return tools_dir / "sqlite"


@contextmanager
def scratch(tools_dir: Path, tag: str) -> Generator[Path]:
    """A directory for one attempt; afterwards it is gone, or on its way."""
    base = home(tools_dir)
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    settle()
    _sweep(base)
    directory = base / tag
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    lock = try_exclusive(directory / _LOCK)
    try:
        yield directory
    finally:
        doomed = directory.with_name(f"{_GONE}{secrets.token_hex(8)}")
        if directory.exists():
            directory.rename(doomed)  # the name may be wanted again at once
        _remover.submit(_remove, doomed, lock)


_remover = ThreadPoolExecutor(1, thread_name_prefix="scratch")
"""One process removes one thing at a time. A process that ends waits for it; what one that dies
leaves is swept."""


def settle() -> None:
    """Returns when everything that is done with is gone."""
    _remover.submit(int).result()


def _remove(directory: Path, lock: IO[bytes] | None) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    if lock is not None:
        lock.close()


def _sweep(base: Path) -> None:
    for directory in base.iterdir():
        if directory.name.startswith(_OLD):
            continue  # until its operation drops it
        if directory.name.startswith(_KEPT):
            if (directory / DONE).exists() and not (directory / DRAFT).exists():
                shutil.rmtree(directory, ignore_errors=True)
        elif (directory / _LOCK).exists():
            lock = try_exclusive(directory / _LOCK)
            if lock is not None:
                _remove(directory, lock)
        elif directory.name.startswith(_GONE):
            shutil.rmtree(directory, ignore_errors=True)


def room(tools_dir: Path, op: str, attempt: int) -> Path:
    """Where an attempt of an operation keeps what its next step needs; `drop` removes it.

    One that was taken for dead may still write into its own; nobody else does.
    """
    return home(tools_dir) / f"{_KEPT}{op}{f'.{attempt}' if attempt else ''}"


def aside(tools_dir: Path, op: str) -> Path:
    """Where the old content of a restore is kept, as a draft of its own."""
    return home(tools_dir) / f"{_OLD}{op}"


def drop(tools_dir: Path, op: str, upto: int) -> None:
    """Those of attempts of this operation, but not of newer ones."""
    for attempt in range(upto + 1):
        shutil.rmtree(room(tools_dir, op, attempt), ignore_errors=True)
