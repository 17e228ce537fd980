"""One dump: a consistent copy is taken, counted and written down as SQL."""

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast.contracts.engine import Attempt, Inventory, Member
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.sqlite import copying, loading, tables, text
from holdfast.engines.sqlite.location import opened
from holdfast.engines.sqlite.scratch import scratch
from holdfast.kit.guard import Guard

MEMBER = Member("main.sql", "sqlite sql", tables.MAIN)


class SqlSource:
    """The text of one database. `finish` compares the rows written with those counted."""

    def __init__(self, session: sqlite3.Connection, guard: Guard) -> None:
        encoding = str(session.execute("PRAGMA encoding").fetchone()[0])
        self._pieces = text.statements(session, encoding)
        self._guard = guard
        self._rest = b""
        self._bytes = 0
        self._last = ""
        self._ended = False

    def read(self, size: int) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size:
            piece = next(self._pieces, None)
            if piece is None:
                self._ended = True
                break
            self._guard.check()
            self._last = piece
            parts.append(piece.encode())
            have += len(parts[-1])
        whole = b"".join(parts)
        taken, self._rest = whole[:size], whole[size:]
        self._bytes += len(taken)
        return taken

    def finish(self) -> Mapping[str, object]:
        if not self._ended or self._rest or not self._last.endswith(text.LAST):
            raise EvidenceMissing("the dump does not end with COMMIT")
        return {"processes": [], "bytes": self._bytes, "library": sqlite3.sqlite_version}

    def close(self) -> None:
        self._rest = b""


class Session:
    """A dump in progress: everything is of the copy, which nobody writes to."""

    def __init__(self, connection: sqlite3.Connection, guard: Guard) -> None:
        self._connection = connection
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
        return SqlSource(self._connection, self._guard)

    def inventory(self) -> Inventory:
        return tables.inventory(self._connection)


@contextmanager
def dump(tools_dir: Path, path: Path, attempt: Attempt, guard: Guard) -> Generator[Session]:
    with scratch(tools_dir, attempt.tag) as room:
        copying.copy(path, room / "copy.db", guard, None)
        with opened(room / "copy.db") as connection:
            yield Session(connection, guard)


def examine(tools_dir: Path, plain: Iterator[bytes]) -> Mapping[str, object]:
    """Loads it, which proves that it can be."""
    with scratch(tools_dir, f"examine-{id(plain):x}") as room:
        found = loading.load(plain, room / "loaded.db", None)
    return {"tableData": len(found.tables), "rows": sum(table.rows for table in found.tables)}
