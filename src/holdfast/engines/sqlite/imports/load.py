"""Loads SQL text into a new file: what a shell would do, and nothing else that a text may ask for.

The text is somebody's: it runs through SQLite's authorizer. Only this one file is touched: no
other is attached, no extension loaded, no unknown virtual table made, and no setting changed
but those that a dump has. Dot-commands are a shell's and are syntax errors here.
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
from holdfast.engines.sqlite.client.location import UNSAFE, opened
from holdfast.kit.processes.guard import Guard

_PRAGMAS = frozenset(
    [
        "foreign_keys",
        "encoding",
        "page_size",
        "auto_vacuum",
        "user_version",
        "application_id",
        "data_version",  # what full-text search asks
    ]
)
_LAST = (b";", b" ", b"\t", b"\r", b"\f", b"\v")
_DATA_ALONE = "a dump has to hold its tables, as .dump writes them: rows alone are not enough"
STEPS = 10_000  # of SQLite's machine, between two looks at the guard


class Reading:
    """How statements are run: as they are."""

    def run(self, session: sqlite3.Connection, statement: str) -> None:
        session.execute(statement)

    def greedy(self, read: int) -> bool:  # noqa: ARG002 - ours may take what they need
        """Called every `STEPS` steps, with how many bytes of text were read: is it too much?"""
        return False


class _Text:
    """Chunks as statements. One ends at the end of a line where SQLite says that it does."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.bytes = 0

    def statements(self) -> Iterator[str]:
        """One may be large: it is held once, and not while the next one is read."""
        buffer = bytearray()
        for part, ends in self._parts():
            buffer += part
            if ends and _may_end(buffer) and sqlite3.complete_statement(text := buffer.decode()):
                buffer.clear()
                yield text
                text = ""
            elif ends:
                buffer += b"\n"
        if buffer.strip():
            raise EvidenceMissing("the dump ends in the middle of a statement")

    def _parts(self) -> Iterator[tuple[bytes, bool]]:
        """Of lines, and whether that is the end of one. It may be as long as hundreds of chunks."""
        for chunk in self._chunks:
            self.bytes += len(chunk)
            *whole, rest = bytes(chunk).split(b"\n")
            yield from ((line, True) for line in whole)
            yield rest, False
        yield b"", True


def _may_end(buffer: bytearray) -> bool:
    return buffer.endswith(_LAST) and not buffer[buffer.rfind(b";") + 1 :].strip()


def load(
    plain: Iterator[bytes], target: Path, guard: Guard | None, reading: Reading | None = None
) -> Inventory:
    """Counts what was loaded. EvidenceMissing when the text is not whole or asks for too much."""
    reading = reading or Reading()
    target.touch(mode=0o600)
    with opened(target, write=True) as session:
        session.execute("PRAGMA journal_mode=OFF")
        session.execute("PRAGMA synchronous=OFF")
        session.execute("PRAGMA ignore_check_constraints=ON")  # rows may be older than a check
        functions.add(session)
        session.set_authorizer(_judge)
        taught: list[Missing] = []
        text = _Text(plain)
        session.set_progress_handler(lambda: _stopped(guard, reading, text), STEPS)
        committed = _execute(session, text, reading, taught)
        session.set_progress_handler(None, 0)
        if not committed:
            if guard is not None:
                guard.check()
            raise EvidenceMissing("the dump does not end with COMMIT")
    with opened(target, write=True) as session:
        problem = tables.require_sound(session)
        if problem is not None:
            raise EvidenceMissing(f"what was loaded is not sound: {problem}")
        skipped = application.unmade(session, taught)
        return replace(tables.inventory(session), skipped=tuple(skipped))


def _execute(
    session: sqlite3.Connection, text: _Text, reading: Reading, taught: list[Missing]
) -> bool:
    """Was the last statement a COMMIT?"""
    committed, number = False, 0
    try:
        for statement in text.statements():
            application.run_creating(
                session, taught, statement, partial(reading.run, session, statement)
            )
            committed, number = statement.strip() == "COMMIT;", number + 1
            del statement
    except UnicodeDecodeError as error:
        raise EvidenceMissing(f"the dump is no UTF-8 after statement {number}") from error
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        if reading.greedy(text.bytes):
            raise EvidenceMissing(
                f"statement {number + 1} asks for more work or room than its text accounts for"
            ) from error
        alone = f"; {_DATA_ALONE}" if "no such table" in str(error) else ""
        raise EvidenceMissing(f"statement {number + 1} of the dump: {error}{alone}") from error
    return committed


def _stopped(guard: Guard | None, reading: Reading, text: _Text) -> int:
    """Not zero: the statement ends with an error."""
    try:
        if guard is not None:
            guard.check()
    except Failure:
        return 1
    return int(reading.greedy(text.bytes))


def _judge(
    action: int, first: str | None, second: str | None, database: str | None, inside: str | None
) -> int:
    del inside
    match action:
        case sqlite3.SQLITE_ATTACH | sqlite3.SQLITE_DETACH:
            return sqlite3.SQLITE_DENY
        case sqlite3.SQLITE_PRAGMA:
            good = (first or "").lower() in _PRAGMAS
        case sqlite3.SQLITE_CREATE_VTABLE:
            good = (second or "").lower() in modules.KNOWN
        case sqlite3.SQLITE_FUNCTION:
            good = (second or "").lower() not in UNSAFE
        case _:
            good = database in (None, "main", "temp")
    return sqlite3.SQLITE_OK if good else sqlite3.SQLITE_DENY
