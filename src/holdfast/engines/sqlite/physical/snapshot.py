"""Takes a snapshot: a consistent copy of the file, checked and counted."""

import hashlib
import sqlite3
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from holdfast.contracts.engine import WARNINGS, Attempt
from holdfast.contracts.snapshots import Cut, Finish, Piece
from holdfast.engines.sqlite.client import application, journal
from holdfast.engines.sqlite.client.integrity import Verdict, check_copy, checking
from holdfast.engines.sqlite.client.location import opened
from holdfast.engines.sqlite.client.scratch import scratch
from holdfast.engines.sqlite.physical.file_copy import read_transaction
from holdfast.kit.processes.guard import Guard
from holdfast.kit.rate_limit import Pace

FILE = "data/database.db"


def finish(directory: PurePath) -> Finish:
    file = directory / FILE
    steps = [
        f"The database is {file}: an ordinary file that sqlite3 opens.",
        "To put it in place of one that is in use: holdfast restore create, or"
        f" sqlite3 IN-USE.db '.restore {file}'.",
    ]
    return Finish(texts={}, modes={}, steps=steps)


_STAND_IN_CONSEQUENCE = (
    "; its indexes and checks were not looked at, only that the file is whole: a restored file is"
    " the same, and needs that application as well"
)


class Capture:
    """The copy on its way into the repository; `facts` exist when it has arrived."""

    def __init__(self, path: Path, verdict: Verdict, pace: Pace, attempt: Attempt) -> None:
        self._path = path
        self._attempt = attempt
        self._verdict = verdict
        self._pace = pace
        self._digest = hashlib.sha256()
        self.facts: Mapping[str, Any] = {}

    def pieces(self) -> Iterator[Piece]:
        yield Piece("data", 0o700, 0, directory=True, target="", cut=Cut.WHOLE, chunks=iter(()))
        yield Piece(
            FILE, 0o600, 0, directory=False, target="", cut=Cut.PAGES, chunks=self._chunks()
        )
        counted = self._verdict.inventory()
        with opened(self._path) as session:
            size, pages = (
                int(session.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_size", "page_count")
            )
            stand_ins = application.add_stand_ins(session)
        rows = {table.name: table.rows for table in counted.tables}
        self.facts = {
            "major": sqlite3.sqlite_version.partition(".")[0],
            "library": sqlite3.sqlite_version,
            "files": 1,
            "bytes": size * pages,
            "pageSize": size,
            "rows": rows,
            WARNINGS: application.warn(stand_ins, _STAND_IN_CONSEQUENCE, self._attempt),
            "sha256": self._digest.hexdigest(),
            "proven": {
                "integrity_check": f"ok: {pages} pages of {size} bytes",
                "rows counted": f"{sum(rows.values())} rows in {len(rows)} tables",
            },
        }

    def _chunks(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while chunk := file.read(self._pace.portion):
                self._digest.update(chunk)
                self._pace.moved(len(chunk))
                yield chunk


@contextmanager
def capture(
    tools_dir: Path, path: Path, attempt: Attempt, guard: Guard, rate: int | None
) -> Generator[Capture]:
    with scratch(tools_dir, attempt.tag) as directory:
        copy = directory / "copy.db"
        with (
            journal.recovered(tools_dir, path, attempt.tag, attempt.say) as recovered_path,
            read_transaction(recovered_path) as source,
        ):
            source.copy(copy, guard, rate)
        attempt.say("a consistent copy was taken")
        with checking(partial(check_copy, copy, path), guard) as verdict:
            yield Capture(copy, verdict, Pace(rate, guard.wait), attempt)
