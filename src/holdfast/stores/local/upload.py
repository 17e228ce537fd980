"""Writes one file under `.partial/` and renames it to its key.

The unfinished file has its key's own path with `~` and a random word appended. `~` occurs in no
key, so what a dead process left is found again by its key.
"""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from holdfast.contracts.store import Stat
from holdfast.domain.errors import ObjectTooLarge, StoreRefused
from holdfast.stores.local.errors import translated
from holdfast.stores.local.tree import prune_parents, sync_parents, with_parents

PARTIAL = ".partial"
MARK = "~"


class LocalUpload:
    def __init__(
        self, root: Path, key: str, max_bytes: int, require_mark: Callable[[], None]
    ) -> None:
        """`require_mark` raises when the store is not mounted any more."""
        self._require_mark = require_mark
        self._root = root
        self._key = key
        self._max_bytes = max_bytes
        self._size = 0
        self._path = root / PARTIAL / f"{key}{MARK}{secrets.token_hex(6)}"
        with translated("writing", key):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            file = with_parents(root, self._path, lambda: os.open(self._path, flags, 0o600))
        self._file: int | None = file

    def write(self, data: bytes | memoryview) -> None:
        self._size += len(data)
        if self._size > self._max_bytes:
            raise ObjectTooLarge(f"at most {self._max_bytes} bytes fit into one object here")
        rest = memoryview(data)
        with translated("writing", self._key):
            while rest:
                rest = rest[os.write(self._open_file(), rest) :]

    def commit(self) -> Stat:
        target = self._root / self._key
        self._require_mark()
        with translated("committing", self._key):
            os.fsync(self._open_file())
            self._close()
            with_parents(self._root, target, lambda: self._rename(target))
            sync_parents(self._root, target)
            prune_parents(self._root / PARTIAL, self._path)
            status = target.stat()
        self._require_mark()
        return Stat(self._key, status.st_size, status.st_mtime_ns // 1_000_000)

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        prune_parents(self._root / PARTIAL, self._path)

    def _rename(self, target: Path) -> None:
        if not self._path.exists():
            raise StoreRefused("the unfinished upload was removed")
        self._path.replace(target)

    def _open_file(self) -> int:
        if self._file is None:
            raise StoreRefused("the upload is over")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)
