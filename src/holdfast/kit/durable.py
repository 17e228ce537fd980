"""Writes files that are there whole or not at all, also after a power failure.

A rename without a sync before it may survive a power failure that the renamed file's content does
not: the name is there, and behind it is nothing. So whatever is renamed was synced before, and the
directories are synced afterwards.
"""

import os
import secrets
from pathlib import Path


def write(path: Path, text: str, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Replaces the file, or makes it. Readable by others at no moment unless `mode` says so.
    `owner` is a user and a group; None: who we are."""
    draft = _draft(path, text, mode)
    try:
        if owner is not None:
            os.chown(draft, *owner)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync(path.parent)


def create(path: Path, text: str, mode: int = 0o600) -> None:
    """Makes the file; one that is there already is kept."""
    draft = _draft(path, text, mode)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync(path.parent)


def _draft(path: Path, text: str, mode: int) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "w", errors="surrogateescape") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


def touch(path: Path) -> None:
    """A note whose name is all it says."""
    path.touch(mode=0o600)
    sync(path.parent)


def remove(path: Path) -> None:
    """Of one file. Missing is success."""
    path.unlink(missing_ok=True)
    sync(path.parent)


def move(source: Path, target: Path) -> None:
    """One rename. What is in `source` must be durable already, see `sync` and `sync_tree`."""
    source.rename(target)
    for directory in {source.parent, target.parent}:
        sync(directory)


def sync(path: Path) -> None:
    """A file's content, or a directory's names."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(root: Path) -> None:
    """Everything below a directory, and itself. Links are names, which their directory holds."""
    for directory, _, files in os.walk(root):
        for name in files:
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink():
                sync(path)
        sync(Path(directory))
