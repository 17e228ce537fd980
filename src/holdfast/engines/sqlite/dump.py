"""One dump: a consistent copy is taken, and written down as SQL while it is checked and counted."""

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.contracts.engine import Attempt, Inventory, Member
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.sqlite import copying, loading, tables, text
from holdfast.engines.sqlite.location import opened
from holdfast.engines.sqlite.scratch import scratch
from holdfast.engines.sqlite.verdict import Verdict, judged
from holdfast.kit.guard import Guard

MEMBER = Member("main.sql", "sqlite sql", tables.MAIN)


class SqlSource:
    """The text of one database. `finish` waits until the copy is known to be sound."""

    def __init__(self, session: sqlite3.Connection, verdict: Verdict, guard: Guard) -> None:
        encoding = str(session.execute("PRAGMA encoding").fetchone()[0])
        self._pieces = text.statements(session, encoding)
        self._verdict = verdict
        self._guard = guard
        self._rest = b""
        self._bytes = 0
        self._last = ""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Whole pieces while they fit."""
        parts: list[bytes] = []
        room = size
        while room and (self._rest or self._next()):
            if parts and len(self._rest) > room:
                break
            parts.append(self._rest[:room])
            self._rest = self._rest[room:]
            room -= len(parts[-1])
        self._bytes += size - room
        return b"".join(parts)

    def _next(self) -> bool:
        """False at the end."""
        self._guard.check()
        try:
            piece = next(self._pieces, None)
        except sqlite3.DatabaseError:
            self._verdict.inventory()  # it knows better what is damaged
            raise
        if piece is None:
            self._ended = True
            return False
        self._last, self._rest = piece, piece.encode()
        return True

    def finish(self) -> Mapping[str, object]:
        self._verdict.inventory()
        if not self._ended or self._rest or not self._last.endswith(text.LAST):
            raise EvidenceMissing("the dump does not end with COMMIT")
        return {"processes": [], "bytes": self._bytes, "library": sqlite3.sqlite_version}

    def close(self) -> None:
        self._rest = b""


class Session:
    """A dump in progress: everything is of the copy, which nobody writes to."""

    def __init__(self, connection: sqlite3.Connection, verdict: Verdict, guard: Guard) -> None:
        self._connection = connection
        self._verdict = verdict
        self._guard = guard
        self.members: Sequence[Member] = [MEMBER]
        self.facts: Mapping[str, object] = {
            "library": sqlite3.sqlite_version,
            **{
                name: connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("encoding", "page_size", "auto_vacuum", "user_version")
            },
        }

    def open(self, member: Member) -> SqlSource:  # noqa: ARG002 - there is one
        return SqlSource(self._connection, self._verdict, self._guard)

    def inventory(self) -> Inventory:
        return self._verdict.inventory()


@contextmanager
def dump(tools_dir: Path, path: Path, attempt: Attempt, guard: Guard) -> Generator[Session]:
    with scratch(tools_dir, attempt.tag) as room:
        copy = room / "copy.db"
        copying.copy(path, copy, guard, None)
        with opened(copy) as connection, judged(copy, path, guard) as verdict:
            yield Session(connection, verdict, guard)


def examine(tools_dir: Path, plain: Iterator[bytes]) -> Mapping[str, object]:
    """Loads it, which proves that it can be."""
    with scratch(tools_dir, f"examine-{id(plain):x}") as room:
        found = loading.load(plain, room / "loaded.db", None)
    return {"tableData": len(found.tables), "rows": sum(table.rows for table in found.tables)}
