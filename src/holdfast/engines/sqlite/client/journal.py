"""Reads a file whose application died in a transaction, leaving a hot journal beside it.

The next process that opens such a file for writing rolls the transaction back. A backup must not
write there, so it copies both files and rolls back in the copy.
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

_READ_ONLY_ERROR = "attempt to write a readonly database"
_MAX_TRIES = 20
_COPY_SECONDS = 6 * 3600
_JOURNAL_SUFFIX = "-journal"


@contextmanager
def recovered(tools_dir: Path, path: Path, tag: str, say: Callable[[str], None]) -> Generator[Path]:
    """Yields the file itself, or a copy in which its hot journal is rolled back.

    `tag` names the scratch directory uniquely. AddonUnavailable when both files keep changing.
    """
    if not _is_hot(path):
        yield path
        return
    say(
        f"{path}{_JOURNAL_SUFFIX} is of a transaction that its application never ended: read"
        " is the state before it, as the next process that opens the file will see it"
    )
    with scratch(tools_dir, f"{tag}-journal") as room:
        copy = room / path.name
        for _ in range(_MAX_TRIES):
            if not _is_hot(path):  # the application runs again
                yield path
                return
            if _copy_both(path, copy):
                break
        else:
            raise AddonUnavailable(f"{path} and its journal change all the time")
        with opened(copy, write=True) as session:
            session.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield copy


def _is_hot(path: Path) -> bool:
    if not path.with_name(path.name + _JOURNAL_SUFFIX).exists():
        return False
    try:
        with opened(path) as session:
            session.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except AddonRefused as error:
        cause = error.__cause__
        if isinstance(cause, sqlite3.OperationalError) and _READ_ONLY_ERROR in str(cause):
            return True
        raise
    return False


def _copy_both(path: Path, copy: Path) -> bool:
    """Copies file and journal; False when one of them changed meanwhile."""
    journal, copied = (
        file_path.with_name(file_path.name + _JOURNAL_SUFFIX) for file_path in (path, copy)
    )
    try:
        with pinned(path) as file, pinned(journal) as other:
            before = [_state(file_path) for file_path in (path, journal)]
            for source, target in ((file, copy), (other, copied)):
                # In a child: closing a file here would release the locks of our other sessions.
                command = Command(["cp", "--", name_of(source), str(target)])
                require_success(run(command, timeout=_COPY_SECONDS))
            return before == [_state(file_path) for file_path in (path, journal)]
    except (FileNotFoundError, AddonUnavailable):
        return False


def _state(path: Path) -> tuple[int, int, int]:
    state = path.lstat()
    return state.st_ino, state.st_size, state.st_mtime_ns
