"""A consistent copy of a file in use, and a file in use replaced.

A copy is one read transaction of the source. With a write-ahead log nobody waits for it, so it
goes page by page through the online backup API and may be paced. With a rollback journal writers
wait until it ends, and nothing in the file changes meanwhile: the system copies it in one go, which
takes a third of the time, or none where files can share their blocks. That is a child's work:
a process that closes a file loses its locks on it.

Replacing is one write transaction of the target: whoever has the file open sees the old content or
the new, and a crash in the middle is rolled back by the journal.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from holdfast.domain.errors import AddonUnavailable
from holdfast.engines.sqlite.location import BUSY_SECONDS, opened, translated
from holdfast.kit.guard import Guard
from holdfast.kit.pace import Pace
from holdfast.kit.process import DISCARD, Child, Command, require_success

_PAGES = 2048
_SQLITE_BUSY = (5, 6)


def copy(source: Path, target: Path, guard: Guard, rate: int | None) -> None:
    """Of one instant. Whether it is sound is not known yet: see `verdict.py`."""
    target.touch(mode=0o600)
    inode = _inode(source)
    with opened(source) as session:
        session.execute("BEGIN")
        session.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if session.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            _page_by_page(session, source, target, guard, rate)
        else:
            _in_one_go(source, target, guard)
            if _inode(source) != inode:
                raise AddonUnavailable(f"{source} was replaced by another file meanwhile")
        session.execute("ROLLBACK")


def _inode(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _page_by_page(
    session: sqlite3.Connection, source: Path, target: Path, guard: Guard, rate: int | None
) -> None:
    size = int(session.execute("PRAGMA page_size").fetchone()[0])
    pages = -1 if rate is None else max(1, min(_PAGES, rate * 1024 // size))
    with opened(target, write=True) as into:
        into.execute("PRAGMA synchronous=OFF")  # a copy of a dead machine is made anew
        _run(session, into, pages, _paced(guard, Pace(rate, guard.wait), size), source)
    with opened(target, write=True) as into:
        into.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _in_one_go(source: Path, target: Path, guard: Guard) -> None:
    argv = ["cp", "--reflink=auto", "--", str(source), str(target)]
    with closing(Child(Command(argv), stdout=DISCARD)) as child:
        release = guard.adopt(child.kill)
        finished = child.wait()
        release()
    guard.check()
    require_success(finished)


def replace(draft: Path, target: Path, guard: Guard) -> None:
    """AddonUnavailable when others do not let go of the target; then it is as it was."""
    with opened(draft) as session, opened(target, write=True) as into:
        _agree_on_pages(session, into)
        _run(session, into, -1, lambda _: guard.check(), target)


def _agree_on_pages(session: sqlite3.Connection, into: sqlite3.Connection) -> None:
    """A write-ahead log cannot hold pages of another size."""
    sizes = [each.execute("PRAGMA page_size").fetchone()[0] for each in (session, into)]
    if sizes[0] != sizes[1] and into.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        into.execute("PRAGMA journal_mode=DELETE")


def _paced(guard: Guard, pace: Pace, size: int) -> Callable[[int], None]:
    before = [0]

    def moved(done: int) -> None:
        guard.check()
        guard.moved(0)
        pace.moved((done - before[0]) * size)
        before[0] = done

    return moved


def _run(
    session: sqlite3.Connection,
    into: sqlite3.Connection,
    pages: int,
    moved: Callable[[int], None],
    busy: Path,
) -> None:
    deadline = time.monotonic() + BUSY_SECONDS

    def progress(status: int, remaining: int, total: int) -> None:
        if status in _SQLITE_BUSY and time.monotonic() > deadline:
            raise AddonUnavailable(f"{busy} is locked by others for too long")
        moved(total - remaining)

    with translated(busy):
        session.backup(into, pages=pages, progress=progress, sleep=0.05)
