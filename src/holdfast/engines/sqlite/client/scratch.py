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
    made = base / tag
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    held = try_exclusive(made / _LOCK)
    try:
        yield made
    finally:
        gone = made.with_name(f"{_GONE}{secrets.token_hex(8)}")
        if made.exists():
            made.rename(gone)  # the name may be wanted again at once
        _remover.submit(_remove, gone, held)


_remover = ThreadPoolExecutor(1, thread_name_prefix="scratch")
"""One process removes one thing at a time. A process that ends waits for it; what one that dies
leaves is swept."""


def settle() -> None:
    """Returns when everything that is done with is gone."""
    _remover.submit(int).result()


def _remove(gone: Path, held: IO[bytes] | None) -> None:
    shutil.rmtree(gone, ignore_errors=True)
    if held is not None:
        held.close()


def _sweep(base: Path) -> None:
    for each in base.iterdir():
        if each.name.startswith(_OLD):
            continue  # until its operation drops it
        if each.name.startswith(_KEPT):
            if (each / DONE).exists() and not (each / DRAFT).exists():
                shutil.rmtree(each, ignore_errors=True)
        elif (each / _LOCK).exists():
            held = try_exclusive(each / _LOCK)
            if held is not None:
                _remove(each, held)
        elif each.name.startswith(_GONE):
            shutil.rmtree(each, ignore_errors=True)


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
