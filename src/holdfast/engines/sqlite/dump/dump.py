"""One dump: a file is written down as SQL while it is copied, and the copy checked and counted."""

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from holdfast.contracts.engine import WARNINGS, Attempt, Inventory, Member
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.sqlite.client import application, journal, modules, tables
from holdfast.engines.sqlite.client.application import Missing, Warned
from holdfast.engines.sqlite.client.integrity import Verdict, judge, judged
from holdfast.engines.sqlite.client.scratch import scratch
from holdfast.engines.sqlite.dump import script
from holdfast.engines.sqlite.dump.row_reader import Reader
from holdfast.engines.sqlite.imports import load
from holdfast.engines.sqlite.physical import file_copy
from holdfast.engines.sqlite.physical.file_copy import Held
from holdfast.kit.processes.guard import Guard

UNMADE = "unmade"
"""Fact of a dump: definitions of virtual tables that are not in its text."""

MEMBER = Member("main.sql", "sqlite sql", tables.MAIN)


class SqlSource:
    """The text of one database. `finish` waits until the copy is known to be sound."""

    def __init__(self, reader: Reader, verdict: Verdict, guard: Guard) -> None:
        self._pieces = script.statements(reader)
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
        self._verdict.check()
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
        if not self._ended or self._rest or not self._last.endswith(script.LAST):
            raise EvidenceMissing("the dump does not end with COMMIT")
        return {"processes": [], "bytes": self._bytes, "library": sqlite3.sqlite_version}

    def close(self) -> None:
        self._rest = b""


class Session:
    """A dump in progress: everything is of one instant, of the file or of its copy."""

    def __init__(
        self, reader: Reader, verdict: Verdict, guard: Guard, warnings: Sequence[Warned]
    ) -> None:
        self._reader = reader
        self._verdict = verdict
        self._guard = guard
        self.members: Sequence[Member] = [MEMBER]
        self.facts: Mapping[str, object] = {
            **reader.ask(_facts),
            UNMADE: reader.ask(modules.unmakable),
            WARNINGS: warnings,
        }

    def open(self, member: Member) -> SqlSource:  # noqa: ARG002 - there is one
        return SqlSource(self._reader, self._verdict, self._guard)

    def inventory(self) -> Inventory:
        return self._verdict.inventory()


def _facts(session: sqlite3.Connection) -> Mapping[str, object]:
    names = ("encoding", "page_size", "auto_vacuum", "user_version")
    values = {name: session.execute(f"PRAGMA {name}").fetchone()[0] for name in names}
    return {"library": sqlite3.sqlite_version, **values}


_TEXT = (
    "; a dump is loaded without it: indexes that need it are left out, keys are in the order of"
    " bytes, and stored results unknown, until the application makes them anew. A snapshot is the"
    " file as it is"
)


@contextmanager
def dump(tools_dir: Path, path: Path, attempt: Attempt, guard: Guard) -> Generator[Session]:
    with (
        scratch(tools_dir, attempt.tag) as room,
        journal.recovered(tools_dir, path, attempt.tag, attempt.say) as calm,
        file_copy.held(calm) as source,
        file_copy.beside(source, guard) as session,
        closing(Reader(session)) as reader,
        judged(partial(_copied, source, room / "copy.db", reader), guard) as verdict,
    ):
        yield Session(reader, verdict, guard, _warnings(reader, attempt))


def _warnings(reader: Reader, attempt: Attempt) -> list[Warned]:
    beyond = [Missing("module", name) for name in reader.ask(modules.unmakable)]
    return [
        *application.warned(reader.taught, _TEXT, attempt),
        *application.warned(beyond, _MODULE, attempt),
    ]


_MODULE = (
    "; a dump has its content but a load cannot make the virtual table. A snapshot is the file as"
    " it is"
)


def _copied(source: Held, copy: Path, reader: Reader, guard: Guard) -> Inventory:
    """Writers of the file wait no longer than until it is copied."""
    source.copy(copy, guard)
    reader.turn_to(copy)
    source.release()
    return judge(copy, source.path, guard)


def examine(tools_dir: Path, plain: Iterator[bytes]) -> Mapping[str, object]:
    """Loads it, which proves that it can be."""
    with scratch(tools_dir, f"examine-{id(plain):x}") as room:
        loaded = load.load(plain, room / "loaded.db", None)
    return {"tableData": len(loaded.tables), "rows": sum(table.rows for table in loaded.tables)}
