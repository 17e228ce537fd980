"""Writes a file as SQL while it is copied; the copy is checked and counted."""

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from holdfast.contracts.engine import WARNINGS, Attempt, Inventory, Member
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.sqlite.client import application, journal, modules, tables
from holdfast.engines.sqlite.client.application import Missing, WarningFact
from holdfast.engines.sqlite.client.integrity import Verdict, check_copy, checking
from holdfast.engines.sqlite.client.scratch import scratch
from holdfast.engines.sqlite.dump import script
from holdfast.engines.sqlite.dump.row_reader import Reader
from holdfast.engines.sqlite.imports import load
from holdfast.engines.sqlite.physical import file_copy
from holdfast.engines.sqlite.physical.file_copy import ReadTransaction
from holdfast.kit.processes.guard import Guard

UNSUPPORTED_TABLES = "unmade"
"""Key in a dump's facts: definitions of virtual tables that are not in its text."""

MEMBER = Member("main.sql", "sqlite sql", tables.MAIN)


class SqlSource:
    """Reads the text of one database; `finish` waits until the copy is known to be sound."""

    def __init__(self, reader: Reader, verdict: Verdict, guard: Guard) -> None:
        self._pieces = script.statements(reader)
        self._verdict = verdict
        self._guard = guard
        self._rest = b""
        self._bytes = 0
        self._last = ""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Returns whole pieces while they fit into `size` bytes."""
        parts: list[bytes] = []
        directory = size
        while directory and (self._rest or self._next()):
            if parts and len(self._rest) > directory:
                break
            parts.append(self._rest[:directory])
            self._rest = self._rest[directory:]
            directory -= len(parts[-1])
        self._bytes += size - directory
        return b"".join(parts)

    def _next(self) -> bool:
        """Loads the next piece; False at the end."""
        self._guard.check()
        self._verdict.check()
        try:
            piece = next(self._pieces, None)
        except sqlite3.DatabaseError:
            self._verdict.inventory()  # raises what is damaged
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
    """A dump in progress; all data is of one instant, read from the file or from its copy."""

    def __init__(
        self, reader: Reader, verdict: Verdict, guard: Guard, warnings: Sequence[WarningFact]
    ) -> None:
        self._reader = reader
        self._verdict = verdict
        self._guard = guard
        self.members: Sequence[Member] = [MEMBER]
        self.facts: Mapping[str, object] = {
            **reader.ask(_facts),
            UNSUPPORTED_TABLES: reader.ask(modules.unsupported),
            WARNINGS: warnings,
        }

    def open(self, member: Member) -> SqlSource:  # noqa: ARG002 - the only one
        return SqlSource(self._reader, self._verdict, self._guard)

    def inventory(self) -> Inventory:
        return self._verdict.inventory()


def _facts(session: sqlite3.Connection) -> Mapping[str, object]:
    names = ("encoding", "page_size", "auto_vacuum", "user_version")
    values = {name: session.execute(f"PRAGMA {name}").fetchone()[0] for name in names}
    return {"library": sqlite3.sqlite_version, **values}


_STAND_IN_CONSEQUENCE = (
    "; a dump is loaded without it: indexes that need it are left out, keys are in the order of"
    " bytes, and stored results unknown, until the application makes them anew. A snapshot is the"
    " file as it is"
)


@contextmanager
def dump(tools_dir: Path, path: Path, attempt: Attempt, guard: Guard) -> Generator[Session]:
    with (
        scratch(tools_dir, attempt.tag) as directory,
        journal.recovered(tools_dir, path, attempt.tag, attempt.say) as recovered_path,
        file_copy.read_transaction(recovered_path) as source,
        file_copy.parallel_session(source, guard) as session,
        closing(Reader(session)) as reader,
        checking(partial(_copy_and_check, source, directory / "copy.db", reader), guard) as verdict,
    ):
        unsupported = [Missing("module", name) for name in reader.ask(modules.unsupported)]
        warnings = [
            *application.warn(reader.stand_ins, _STAND_IN_CONSEQUENCE, attempt),
            *application.warn(unsupported, _MODULE_CONSEQUENCE, attempt),
        ]
        yield Session(reader, verdict, guard, warnings)


_MODULE_CONSEQUENCE = (
    "; a dump has its content but a load cannot make the virtual table. A snapshot is the file as"
    " it is"
)


def _copy_and_check(source: ReadTransaction, copy: Path, reader: Reader, guard: Guard) -> Inventory:
    """Copies the file, lets its writers go on, and checks the copy."""
    source.copy(copy, guard)
    reader.switch_to(copy)
    source.release()
    return check_copy(copy, source.path, guard)


def examine(tools_dir: Path, plain: Iterator[bytes]) -> Mapping[str, object]:
    """Proves that a dump can be loaded, by loading it."""
    with scratch(tools_dir, f"examine-{id(plain):x}") as directory:
        loaded = load.load(plain, directory / "loaded.db", None)
    return {"tableData": len(loaded.tables), "rows": sum(table.rows for table in loaded.tables)}
