"""Makes, syncs, prunes and walks the directories of a local store."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from holdfast.kit import durable

T = TypeVar("T")
_MAX_ATTEMPTS = 100


def with_parents(root: Path, path: Path, work: Callable[[], T]) -> T:
    """Calls `work` when every directory from the root to the path's own exists, with mode 0700.

    Another process may prune the still empty directories meanwhile; then they are made again.
    """
    for _ in range(_MAX_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            _make_parents(root, path)
            return work()
    _make_parents(root, path)
    return work()


def _make_parents(root: Path, path: Path) -> None:
    for directory in reversed([path.parent, *_between(root, path)]):
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)


def sync_parents(root: Path, path: Path) -> None:
    """Makes the path's name durable, and the names of the directories it needs."""
    for directory in [path.parent, *_between(root, path)]:
        durable.sync(directory)


def prune_parents(root: Path, path: Path) -> None:
    """Removes the directories between the root and the path that are empty now."""
    with contextlib.suppress(OSError):
        for directory in [path.parent, *_between(root, path)]:
            if directory == root:
                return
            directory.rmdir()


def walk(root: Path, prefix: str, skip: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Yields each regular file under `root` as (relative name, stat), in order of whole names.

    Only names that start with `prefix`; `skip` is one top directory that is left out. Files that
    vanish meanwhile are left out.
    """
    yield from _walk(root, "", prefix, skip)


def _walk(
    directory: Path, above: str, prefix: str, skip: str
) -> Iterator[tuple[str, os.stat_result]]:
    entries: list[tuple[str, bool]] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as listing:
        # Directories have their `/`, so that `a-b` sorts before `a/c`, as the whole keys do.
        entries = sorted(
            (f"{entry.name}/", True) if entry.is_dir() else (entry.name, False)
            for entry in listing
            if entry.is_dir() or entry.is_file(follow_symlinks=False)
        )
    for name, is_directory in entries:
        full = f"{above}{name}"
        if is_directory:
            on_path = full.startswith(prefix) or prefix.startswith(full)
            if on_path and name.rstrip("/") != skip:
                yield from _walk(directory / name, full, prefix, "")
        elif full.startswith(prefix):
            with contextlib.suppress(FileNotFoundError):
                yield full, os.lstat(directory / name)


def _between(root: Path, path: Path) -> list[Path]:
    """Returns the directories above the path's own, up to and including the root."""
    parents = path.parent.parents
    return [parent for parent in parents if parent == root or root in parent.parents]
