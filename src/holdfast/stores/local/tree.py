"""Directories of a store: made private, made durable, removed when empty, walked in key order."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from holdfast.kit import durable

T = TypeVar("T")
_PATIENCE = 100


def with_parents(root: Path, path: Path, work: Callable[[], T]) -> T:
    """Does `work` with every directory from the root to the path's own there, mode 0700.

    Somebody beside us may prune the still empty directories in between: then once more.
    """
    for _ in range(_PATIENCE):
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
    """Each regular file under `root` as (relative name, stat), in order of the whole names.

    Only names starting with `prefix`; `skip` is one top directory left out. What vanishes
    meanwhile is not there.
    """
    yield from _walk(root, "", prefix, skip)


def _walk(
    directory: Path, above: str, prefix: str, skip: str
) -> Iterator[tuple[str, os.stat_result]]:
    for name, is_directory in _entries(directory):
        full = f"{above}{name}"
        if is_directory and name.rstrip("/") != skip and _leads(full, prefix):
            yield from _walk(directory / name, full, prefix, "")
        elif not is_directory and full.startswith(prefix):
            with contextlib.suppress(FileNotFoundError):
                yield full, os.lstat(directory / name)


def _entries(directory: Path) -> list[tuple[str, bool]]:
    """Names, directories with their `/`: `a-b` sorts before `a/c`, as the whole keys do."""
    try:
        with os.scandir(directory) as found:
            return sorted(
                (f"{each.name}/", True) if each.is_dir() else (each.name, False)
                for each in found
                if each.is_dir() or each.is_file(follow_symlinks=False)
            )
    except FileNotFoundError:
        return []


def _leads(directory: str, prefix: str) -> bool:
    return directory.startswith(prefix) or prefix.startswith(directory)


def _between(root: Path, path: Path) -> list[Path]:
    """The directories above the path's own, up to and with the root."""
    parents = path.parent.parents
    return [each for each in parents if each == root or root in each.parents]
