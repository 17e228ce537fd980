"""A file whose application died in the middle of a transaction: its journal lies beside it.

Whoever opens such a file next for writing rolls that transaction back. A backup writes nothing
there, so it takes a copy of both and rolls back in that.
"""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.sqlite.client.file_handles import name_of, pinned
from holdfast.engines.sqlite.client.location import opened
from holdfast.engines.sqlite.client.scratch import scratch
from holdfast.kit.processes.process import Command, require_success, run

_READ_ONLY = "attempt to write a readonly database"
_TRIES = 20
_COPY_SECONDS = 6 * 3600
_SUFFIX = "-journal"


@contextmanager
def recovered(tools_dir: Path, path: Path, tag: str, say: Callable[[str], None]) -> Generator[Path]:
    """The file itself, or where a journal is to be rolled back a copy in which it is.

    `tag` is unique to the work. AddonUnavailable when the two change all the time.
    """
    if not _is_hot(path):
        yield path
        return
    say(
        f"{path}{_SUFFIX} is of a transaction that its application never ended: what is read is the"
        " state before it, as whoever opens the file next will see it"
    )
    with scratch(tools_dir, f"{tag}-journal") as room:
        copy = room / path.name
        for _ in range(_TRIES):
            if not _is_hot(path):  # the application is back
                yield path
                return
            if _copied(path, copy):
                break
        else:
            raise AddonUnavailable(f"{path} and its journal change all the time")
        with opened(copy, write=True) as session:
            session.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield copy


def _is_hot(path: Path) -> bool:
    if not path.with_name(path.name + _SUFFIX).exists():
        return False
    try:
        with opened(path) as session:
            session.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except AddonRefused as error:
        cause = error.__cause__
        if isinstance(cause, sqlite3.OperationalError) and _READ_ONLY in str(cause):
            return True
        raise
    return False


def _copied(path: Path, copy: Path) -> bool:
    """Both, as they were at one moment: neither changed meanwhile."""
    journal, copied = (file_path.with_name(file_path.name + _SUFFIX) for file_path in (path, copy))
    try:
        with pinned(path) as file, pinned(journal) as other:
            before = [_state(file_path) for file_path in (path, journal)]
            for source, target in ((file, copy), (other, copied)):
                # Not by this process: closing a file would take its other sessions their locks.
                command = Command(["cp", "--", name_of(source), str(target)])
                require_success(run(command, timeout=_COPY_SECONDS))
            return before == [_state(file_path) for file_path in (path, journal)]
    except (FileNotFoundError, AddonUnavailable):
        return False


def _state(path: Path) -> tuple[int, int, int]:
    state = path.lstat()
    return state.st_ino, state.st_size, state.st_mtime_ns
