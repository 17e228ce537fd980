"""The online backup API, both ways: a consistent copy of a file in use, and a file in use replaced.

A copy is one read transaction of the source. With a write-ahead log nobody waits for it, so it
may be paced; with a rollback journal writers wait until it ends, so it is taken in one go.
Replacing is one write transaction of the target: whoever has the file open sees the old content or
the new, and a crash in the middle is rolled back by the journal.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.domain.errors import AddonUnavailable, EvidenceMissing
from holdfast.engines.sqlite.location import BUSY_SECONDS, opened, translated
from holdfast.engines.sqlite.tables import require_sound
from holdfast.kit.guard import Guard
from holdfast.kit.pace import Pace

_PAGES = 2048
_SQLITE_BUSY = (5, 6)


def copy(source: Path, target: Path, guard: Guard, rate: int | None) -> None:
    """EvidenceMissing when the copy is not sound, which then the source is not either."""
    target.touch(mode=0o600)
    with opened(source) as session, opened(target, write=True) as into:
        into.execute("PRAGMA synchronous=OFF")  # a copy of a dead machine is made anew
        waits = session.execute("PRAGMA journal_mode").fetchone()[0] != "wal"
        size = int(session.execute("PRAGMA page_size").fetchone()[0])
        session.execute("BEGIN")
        session.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        pages = -1 if waits or rate is None else max(1, min(_PAGES, rate * 1024 // size))
        _run(session, into, pages, _paced(guard, Pace(rate, guard.wait), size), source)
        session.execute("ROLLBACK")
    with opened(target, write=True) as session:
        session.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        problem = require_sound(session)
    if problem is not None:
        raise EvidenceMissing(f"{source} is damaged: {problem}")


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
