"""Copies a file in use consistently, and replaces the content of a file in use.

A copy is one read transaction of the source. With a write-ahead log no writer waits for it, so it
goes page by page through the online backup API and may be paced. With a rollback journal writers
wait until it ends, and nothing in the file changes meanwhile: `cp` copies it at once, in a third of
the time, or in none where files can share their blocks. A child does that, because a process that
closes a file loses its locks on it.

Replacing is one write transaction of the target: applications see the old content or the new, and a
crash in the middle is rolled back by the journal.
"""

import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

from holdfast.domain.errors import AddonUnavailable
from holdfast.engines.sqlite.client.file_handles import Identity, identity, name_of, pinned
from holdfast.engines.sqlite.client.location import BUSY_SECONDS, opened, translated
from holdfast.kit import durable
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.process import DISCARD, Child, Command, require_success
from holdfast.kit.rate_limit import Pace

_PAGES_PER_STEP = 2048
_BUSY_CODES = (5, 6)


class ReadTransaction:
    """A read transaction of a file in use: its content does not change for us."""

    def __init__(self, path: Path, session: sqlite3.Connection, inode: Identity) -> None:
        begin(session)
        self.path = path
        self.session = session
        self.logged = session.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        self._inode = inode

    def copy(self, target: Path, guard: Guard, rate: int | None = None) -> None:
        """Copies the file as of one instant, unchecked: see `client/integrity.py`."""
        target.touch(mode=0o600)
        if self.logged:
            _copy_by_pages(self.session, self.path, target, guard, rate)
        else:
            _copy_at_once(self.path, self._inode, target, guard)
            if _inode(self.path) != self._inode:
                raise AddonUnavailable(f"{self.path} was replaced by another file meanwhile")

    def release(self) -> None:
        self.session.rollback()


@contextmanager
def read_transaction(path: Path) -> Generator[ReadTransaction]:
    inode = _inode(path)
    with opened(path) as session:
        yield ReadTransaction(path, session, inode)


@contextmanager
def parallel_session(source: ReadTransaction, guard: Guard) -> Generator[sqlite3.Connection]:
    """Yields a session that sees what `source` sees and can be used while that is copied.

    With a write-ahead log a transaction sees what was committed when it began, so both are begun
    again until nothing was committed between the two.
    """
    if not source.logged:
        yield source.session
        return
    deadline = time.monotonic() + BUSY_SECONDS
    with opened(source.path) as session:
        while not _begin_together(source.session, session):
            guard.check()
            if time.monotonic() > deadline:
                raise AddonUnavailable(f"{source.path} is written to without any pause")
        yield session


def _begin_together(first: sqlite3.Connection, second: sqlite3.Connection) -> bool:
    """Begins a transaction in both sessions; says whether they see the same."""
    for session in (first, second):
        session.rollback()
    before = _version(second)
    for session in (first, second):
        begin(session)
    return _version(second) == before


def _version(session: sqlite3.Connection) -> int:
    """A number that changes whenever another connection commits."""
    return int(session.execute("PRAGMA data_version").fetchone()[0])


def begin(session: sqlite3.Connection) -> None:
    """Begins a read transaction at once: SQLite's BEGIN alone waits for the first query."""
    session.execute("BEGIN")
    session.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _inode(path: Path) -> Identity:
    state = path.lstat()
    return state.st_dev, state.st_ino


def _copy_by_pages(
    session: sqlite3.Connection, source: Path, target: Path, guard: Guard, rate: int | None
) -> None:
    size = int(session.execute("PRAGMA page_size").fetchone()[0])
    pages = -1 if rate is None else max(1, min(_PAGES_PER_STEP, rate * 1024 // size))
    with opened(target, write=True) as into:
        into.execute("PRAGMA synchronous=OFF")  # a copy of a dead machine is made anew
        _run(session, into, pages, _paced(guard, Pace(rate, guard.wait), size), source)
    with opened(target, write=True) as into:
        into.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy_at_once(source: Path, inode: Identity, target: Path, guard: Guard) -> None:
    with pinned(source) as file:
        if identity(file) != inode:
            raise AddonUnavailable(f"{source} was replaced by another file meanwhile")
        argv = ["cp", "--reflink=auto", "--", name_of(file), str(target)]
        with closing(Child(Command(argv), stdout=DISCARD)) as child:
            release = guard.adopt(child.kill)
            finished = child.wait()
            release()
    guard.check()
    require_success(finished)


def replace(draft: Path, target: Path, guard: Guard, old: Path | None = None) -> None:
    """Replaces the content of `target` by `draft`; AddonUnavailable leaves it unchanged.

    The old content goes to `old`. It is copied when the transaction has begun but nothing of it is
    in the file yet: the copy holds all earlier writes, and other writers wait.
    """
    with opened(draft) as session, opened(target, write=True) as into:
        # A write-ahead log cannot hold pages of another size.
        sizes = [side.execute("PRAGMA page_size").fetchone()[0] for side in (session, into)]
        if sizes[0] != sizes[1] and into.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            into.execute("PRAGMA journal_mode=DELETE")
        if old is None:
            _run(session, into, -1, lambda _: guard.check(), target)
            return
        logged = into.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        count = int(session.execute("PRAGMA page_count").fetchone()[0])
        if count < 2:  # a file of one page gets a free one, so that there are two steps
            with opened(draft, write=True) as growing:
                growing.execute("CREATE TABLE holdfast_grows (a)")
                growing.execute("DROP TABLE holdfast_grows")
                count = int(growing.execute("PRAGMA page_count").fetchone()[0])
        pages = min(_FIRST_STEP_PAGES, (max(count, 2) + 1) // 2)
        _run(session, into, pages, _copying_old_content(target, old, guard, logged=logged), target)


_FIRST_STEP_PAGES = 64
"""So few that all fit into SQLite's cache: they must not reach the file in the first step. The last
step commits, so there have to be two."""


def _copying_old_content(
    target: Path, old: Path, guard: Guard, *, logged: bool
) -> Callable[[int], None]:
    copied = [False]

    def moved(pages_done: int) -> None:
        guard.check()
        if pages_done and not copied[0]:
            copied[0] = True
            part = old.with_name(f"{old.name}.part")
            part.unlink(missing_ok=True)
            part.touch(mode=0o600)
            if logged:
                with opened(target) as session:
                    _copy_by_pages(session, target, part, guard, None)
            else:
                _copy_at_once(target, _inode(target), part, guard)
            durable.sync(part)
            durable.move(part, old)

    return moved


def _paced(guard: Guard, pace: Pace, size: int) -> Callable[[int], None]:
    before = [0]

    def moved(pages_done: int) -> None:
        guard.check()
        guard.moved(0)
        pace.moved((pages_done - before[0]) * size)
        before[0] = pages_done

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
        if status in _BUSY_CODES and time.monotonic() > deadline:
            raise AddonUnavailable(f"{busy} is locked by others for too long")
        moved(total - remaining)

    with translated(busy):
        session.backup(into, pages=pages, progress=progress, sleep=0.05)
