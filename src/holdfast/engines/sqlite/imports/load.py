"""Loads SQL text into a new file, as a shell would, but confined to that file.

SQLite's authorizer checks every statement: no other file is attached, no extension loaded, no
unknown virtual table created, and no setting changed but those of a dump. Dot-commands belong to
shells and are syntax errors here.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from holdfast.contracts.engine import Inventory
from holdfast.domain.errors import EvidenceMissing, Failure
from holdfast.engines.sqlite.client import application, functions, modules, tables
from holdfast.engines.sqlite.client.application import Missing
from holdfast.engines.sqlite.client.location import UNSAFE_FUNCTIONS, opened
from holdfast.kit.processes.guard import Guard

_PRAGMAS = frozenset(
    [
        "foreign_keys",
        "encoding",
        "page_size",
        "auto_vacuum",
        "user_version",
        "application_id",
        "data_version",  # read by full-text search
    ]
)
_STATEMENT_ENDS = (b";", b" ", b"\t", b"\r", b"\f", b"\v")
_NO_DEFINITIONS = "a dump has to hold its tables, as .dump writes them: rows alone are not enough"
STEPS_PER_CHECK = 10_000  # steps of SQLite's virtual machine between two checks


class StatementRunner:
    """Runs statements as they are."""

    def run(self, session: sqlite3.Connection, statement: str) -> None:
        session.execute(statement)

    def exceeds_limits(self, text_bytes: int) -> bool:  # noqa: ARG002 - own dumps have no limits
        """Whether the load takes too much for its text; called every `STEPS_PER_CHECK` steps."""
        return False


class _StatementReader:
    """Splits chunks into statements: one ends at a line end where SQLite calls it complete."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.bytes = 0

    def statements(self) -> Iterator[str]:
        """Yields statements. A large one is in memory once, and not while the next one is read."""
        buffer = bytearray()
        for part, ends in self.parts():
            buffer += part
            # Decoding is expensive, so the cheap test comes first.
            may_end = ends and buffer.endswith(_STATEMENT_ENDS)
            may_end = may_end and not buffer[buffer.rfind(b";") + 1 :].strip()
            if may_end and sqlite3.complete_statement(statement := buffer.decode()):
                buffer.clear()
                yield statement
                statement = ""
            elif ends:
                buffer += b"\n"
        if buffer.strip():
            raise EvidenceMissing("the dump ends in the middle of a statement")

    def parts(self) -> Iterator[tuple[bytes, bool]]:
        """Yields parts of lines, and whether a part ends its line, which may span many chunks."""
        for chunk in self._chunks:
            self.bytes += len(chunk)
            *whole, rest = bytes(chunk).split(b"\n")
            yield from ((line, True) for line in whole)
            yield rest, False
        yield b"", True


def load(
    plain: Iterator[bytes], target: Path, guard: Guard | None, runner: StatementRunner | None = None
) -> Inventory:
    """Loads and counts. EvidenceMissing when the text is not whole or asks for too much."""
    runner = runner or StatementRunner()
    target.touch(mode=0o600)
    with opened(target, write=True) as session:
        session.execute("PRAGMA journal_mode=OFF")
        session.execute("PRAGMA synchronous=OFF")
        session.execute("PRAGMA ignore_check_constraints=ON")  # rows may be older than a check
        functions.add(session)
        session.set_authorizer(_authorize)
        stand_ins: list[Missing] = []
        reader = _StatementReader(plain)
        session.set_progress_handler(lambda: _must_stop(guard, runner, reader), STEPS_PER_CHECK)
        committed = _execute(session, reader, runner, stand_ins)
        session.set_progress_handler(None, 0)
        if not committed:
            if guard is not None:
                guard.check()
            raise EvidenceMissing("the dump does not end with COMMIT")
    with opened(target, write=True) as session:
        problem = tables.find_damage(session)
        if problem is not None:
            raise EvidenceMissing(f"what was loaded is not sound: {problem}")
        skipped = application.drop_unusable_indexes(session, stand_ins)
        return replace(tables.inventory(session), skipped=tuple(skipped))


def _execute(
    session: sqlite3.Connection,
    reader: _StatementReader,
    runner: StatementRunner,
    stand_ins: list[Missing],
) -> bool:
    """Runs all statements; says whether the last one was a COMMIT."""
    committed, number = False, 0
    try:
        for statement in reader.statements():
            application.run_statement(
                session, stand_ins, statement, partial(runner.run, session, statement)
            )
            committed, number = statement.strip() == "COMMIT;", number + 1
            del statement
    except UnicodeDecodeError as error:
        raise EvidenceMissing(f"the dump is no UTF-8 after statement {number}") from error
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if runner.exceeds_limits(reader.bytes):
            raise EvidenceMissing(
                f"statement {number + 1} asks for more work or room than its text accounts for"
            ) from error
        alone = f"; {_NO_DEFINITIONS}" if "no such table" in str(error) else ""
        raise EvidenceMissing(f"statement {number + 1} of the dump: {error}{alone}") from error
    return committed


def _must_stop(guard: Guard | None, runner: StatementRunner, reader: _StatementReader) -> int:
    """A progress handler's answer; other than zero ends the statement with an error."""
    try:
        if guard is not None:
            guard.check()
    except Failure:
        return 1
    return int(runner.exceeds_limits(reader.bytes))


def _authorize(
    action: int, first: str | None, second: str | None, database: str | None, inside: str | None
) -> int:
    del inside
    match action:
        case sqlite3.SQLITE_ATTACH | sqlite3.SQLITE_DETACH:
            return sqlite3.SQLITE_DENY
        case sqlite3.SQLITE_PRAGMA:
            good = (first or "").lower() in _PRAGMAS
        case sqlite3.SQLITE_CREATE_VTABLE:
            good = (second or "").lower() in modules.SUPPORTED
        case sqlite3.SQLITE_FUNCTION:
            good = (second or "").lower() not in UNSAFE_FUNCTIONS
        case _:
            good = database in (None, "main", "temp")
    return sqlite3.SQLITE_OK if good else sqlite3.SQLITE_DENY
