"""Copies and drafts on their way: in a directory of ours, each with a lock of whoever works on it.

What nobody holds a lock on is of a dead attempt and removed, except drafts that a later step of
the same operation needs.
"""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from holdfast.kit.locks import try_exclusive

_LOCK = "lock"
_KEPT = "op-"
DRAFT, DONE = "draft.db", "done"


def home(tools_dir: Path) -> Path:
    return tools_dir / "sqlite"


@contextmanager
def scratch(tools_dir: Path, tag: str) -> Generator[Path]:
    """A directory for one attempt, gone afterwards."""
    base = home(tools_dir)
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(base)
    made = base / tag
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    held = try_exclusive(made / _LOCK)
    try:
        yield made
    finally:
        if held is not None:
            held.close()
        shutil.rmtree(made, ignore_errors=True)


def _sweep(base: Path) -> None:
    for each in base.iterdir():
        if each.name.startswith(_KEPT):
            if (each / DONE).exists() and not (each / DRAFT).exists():
                shutil.rmtree(each, ignore_errors=True)
            continue
        if not (each / _LOCK).exists():
            continue
        held = try_exclusive(each / _LOCK)
        if held is not None:
            shutil.rmtree(each, ignore_errors=True)
            held.close()


def room(tools_dir: Path, op: str) -> Path:
    """Where an operation keeps what its next step needs; `drop` removes it."""
    return home(tools_dir) / f"{_KEPT}{op}"


def drop(tools_dir: Path, op: str) -> None:
    shutil.rmtree(room(tools_dir, op), ignore_errors=True)
