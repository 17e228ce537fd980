"""Stores objects as private files in one directory.

A key is its path below the directory, so that a person finds a backup without Holdfast. A file
and its directories are fsynced before the file becomes visible.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from holdfast.contracts.store import Stat, Upload
from holdfast.domain.errors import ObjectMissing, StoreUnavailable
from holdfast.stores.keys import checked_clearing, checked_key, checked_prefix
from holdfast.stores.local.errors import translated
from holdfast.stores.local.marking import MARK_FILE, read_mark
from holdfast.stores.local.options import Options
from holdfast.stores.local.tree import prune_parents, sync_parents, walk
from holdfast.stores.local.upload import MARK, PARTIAL, LocalUpload

_CHUNK_BYTES = 1 << 20


class LocalStore:
    near = True

    def __init__(self, options: Options) -> None:
        self._root = options.directory
        self._mark = options.mark
        self.max_object_bytes = options.max_object_bytes

    def begin(self, key: str) -> Upload:
        path = self._path(key)
        self._require_mark()
        with translated("preparing", key):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "there are objects below this key")
        return LocalUpload(self._root, key, self.max_object_bytes, self._require_mark)

    def get(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        self.stat(key)
        with translated("reading", key):
            file = os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            while end is None or start < end:
                length = _CHUNK_BYTES if end is None else min(_CHUNK_BYTES, end - start)
                with translated("reading", key):
                    chunk = os.pread(file, length, start)
                if not chunk:
                    return
                start += len(chunk)
                yield chunk
        finally:
            os.close(file)

    def stat(self, key: str) -> Stat:
        path = self._path(key)
        self._require_mark()
        with translated("looking at", key):
            status = _lstat(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            raise ObjectMissing(f"there is no object {key}")
        return _stat(key, status)

    def list(self, prefix: str, *, unfinished: bool = False) -> Iterator[Stat]:
        checked_prefix(prefix)
        self._require_mark()
        with translated("listing", prefix):
            if unfinished:
                stats = [
                    _stat(name.rpartition(MARK)[0], status)
                    for name, status in walk(self._root / PARTIAL, prefix)
                    if MARK in name
                ]
                # Few, so sorted here: their names on disk are longer than their keys.
                yield from sorted(stats, key=lambda stat: stat.key)
                return
            for key, status in walk(self._root, prefix, skip=PARTIAL):
                if not key.startswith(MARK_FILE):
                    yield _stat(key, status)
        self._require_mark()  # an unmounted store lists nothing, which must not look complete

    def delete(self, key: str) -> None:
        path = self._path(key)
        self._require_mark()
        partial = self._root / PARTIAL
        with translated("deleting", key):
            _remove(self._root, path)
            for name, _ in walk(partial, f"{key}{MARK}"):
                _remove(partial, partial / name)

    def clear(self, prefix: str) -> int:
        checked_clearing(prefix)
        self._require_mark()
        partial = self._root / PARTIAL
        with translated("clearing", prefix):
            objects = [name for name, _ in walk(self._root, prefix, skip=PARTIAL)]
            unfinished = [name for name, _ in walk(partial, prefix)]
            removed = sum(_remove(self._root, self._root / name) for name in objects)
            return removed + sum(_remove(partial, partial / name) for name in unfinished)

    def _path(self, key: str) -> Path:
        if checked_key(key).split("/")[0] == PARTIAL:
            raise ValueError(f"{PARTIAL} is where unfinished objects are")
        if key.startswith(MARK_FILE):
            raise ValueError(f"{MARK_FILE} is the mark of the store")
        return self._root / key

    def _require_mark(self) -> None:
        """Raises StoreUnavailable when this is not the directory that the catalogue knows."""
        if not self._mark:
            return
        with translated("looking at", MARK_FILE):
            mark = read_mark(self._root)
        if mark != self._mark:
            problem = "has no mark of it" if mark is None else "is another store"
            raise StoreUnavailable(
                f"the store is not there: {self._root} {problem} ({MARK_FILE}); is it mounted?"
            )


def _remove(root: Path, path: Path) -> bool:
    """Removes a file durably; returns whether there was one."""
    status = _lstat(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return False
    path.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        sync_parents(root, path)
    prune_parents(root, path)
    return True


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _stat(key: str, status: os.stat_result) -> Stat:
    return Stat(key, status.st_size, status.st_mtime_ns // 1_000_000)


def open_store(options: Options) -> LocalStore:
    return LocalStore(options)
