"""Stand-ins for collations and functions that an application registers on its own connections.

A file may need them for its indexes, checks and computed columns. With stand-ins everything can be
read, copied and checked but for their own results: a collation that compares bytes, so that what
differs for the application differs here too, and a function that returns its arguments as text.
"""

import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from holdfast.contracts.engine import Attempt, Skipped, warning

_MISSING = re.compile(
    r"no such (?P<collation>collation) sequence: (?P<order>.+)"
    r"|(?:no such|unknown) function: (?P<name>[^()]+)(?:\(\))?"
)
_CREATES = re.compile(r"\s*CREATE\b", re.IGNORECASE)


@dataclass(frozen=True)
class Missing:
    """`kind`: collation or function."""

    kind: str
    name: str

    def sentence(self) -> str:
        return f"the {self.kind} {self.name} is one of the application that made this file"

    def named_in(self, sql: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(self.name)}(?!\w)", sql, re.IGNORECASE) is not None


WarningFact = Mapping[str, str | None]


def warn(stand_ins: Iterable[Missing], consequence: str, attempt: Attempt) -> list[WarningFact]:
    """Warnings for a backup's facts; each is also logged by the attempt."""
    warnings: list[WarningFact] = []
    for missing in stand_ins:
        text = missing.sentence() + consequence
        attempt.say(f"warning: {missing.name}: {text}")
        warnings.append(warning(MAIN, missing.name, text))
    return warnings


MAIN = "main"


def add_stand_ins(session: sqlite3.Connection) -> list[Missing]:
    """Registers and returns stand-ins for all that checking this file needs."""
    stand_ins: list[Missing] = []
    run_with_stand_ins(
        session, stand_ins, lambda: session.execute("EXPLAIN PRAGMA integrity_check").fetchall()
    )
    return stand_ins


def run_with_stand_ins(
    session: sqlite3.Connection, stand_ins: list[Missing], action: Callable[[], object]
) -> None:
    """Repeats `action` with a stand-in for each missing function or collation, until it works."""
    while True:
        try:
            action()
            return
        except sqlite3.OperationalError as error:
            match = _MISSING.fullmatch(str(error))
            if match is None:
                raise
            kind = "collation" if match["collation"] else "function"
            missing = Missing(kind, match["order"] or match["name"])
            if missing in stand_ins:
                raise
            if missing.kind == "collation":
                session.create_collation(missing.name, lambda a, b: (a > b) - (a < b))
            else:
                # Never NULL, and a different text for different arguments: keys stay distinct.
                session.create_function(missing.name, -1, lambda *a: repr(a), deterministic=True)
            with suppress(sqlite3.DatabaseError):
                # Reloads the schema: SQLite would go on without an index that failed once.
                session.execute("PRAGMA writable_schema=RESET")
            stand_ins.append(missing)


def run_statement(
    session: sqlite3.Connection,
    stand_ins: list[Missing],
    statement: str,
    action: Callable[[], object],
) -> None:
    """Runs a dump's statement; only definitions get stand-ins.

    A value that a stand-in computed would be wrong.
    """
    if _CREATES.match(statement):
        run_with_stand_ins(session, stand_ins, action)
    else:
        action()


def tables_without(session: sqlite3.Connection, stand_ins: Collection[Missing]) -> Iterator[str]:
    """Yields ordinary tables that need no stand-in, neither themselves nor their indexes."""
    rows = session.execute(
        "SELECT tbl_name, group_concat(sql, ' ') FROM sqlite_schema"
        " WHERE type IN ('table', 'index') GROUP BY tbl_name"
    ).fetchall()
    for table, sql in rows:
        virtual = str(sql).upper().startswith("CREATE VIRTUAL")
        if not virtual and not any(missing.named_in(str(sql)) for missing in stand_ins):
            yield str(table)


def drop_unusable_indexes(
    session: sqlite3.Connection, stand_ins: Collection[Missing]
) -> list[Skipped]:
    """Drops indexes that were filled with stand-ins; returns all that the application must redo."""
    skipped: list[Skipped] = []
    rows = session.execute(
        "SELECT i.name, t.name, s.sql FROM sqlite_schema t JOIN pragma_index_list(t.name) i"
        " LEFT JOIN sqlite_schema s ON s.type = 'index' AND s.name = i.name"
        " WHERE t.type = 'table' AND t.rootpage > 0 ORDER BY t.rowid, i.seq"
    ).fetchall()
    for name, table, sql in rows:
        columns = session.execute("SELECT coll FROM pragma_index_xinfo(?)", [name]).fetchall()
        orders = {str(column[0]).lower() for column in columns}
        needed = next(
            (
                missing
                for missing in stand_ins
                if (missing.kind == "collation" and missing.name.lower() in orders)
                or (missing.kind == "function" and missing.named_in(str(sql or "")))
            ),
            None,
        )
        if needed is None:
            continue
        if sql is None:
            reason = (
                f"{needed.sentence()}: its key is in the order of bytes, until one runs REINDEX"
            )
            reason += f" {needed.name} there, or fills it anew where it is WITHOUT ROWID"
            skipped.append(Skipped(MAIN, "", str(table), reason))
            continue
        quoted = '"' + str(name).replace('"', '""') + '"'
        session.execute(f"DROP INDEX {quoted}")
        reason = f"{needed.sentence()}: to be made there by {' '.join(str(sql).split())}"
        skipped.append(Skipped(MAIN, "index", str(name), reason))
    return [*skipped, *_computed(session, stand_ins)]


_STORED = 3


def _computed(session: sqlite3.Connection, stand_ins: Collection[Missing]) -> Iterator[Skipped]:
    """Yields tables with stored columns that a missing function computed."""
    functions = [missing for missing in stand_ins if missing.kind == "function"]
    for table, sql in session.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY rowid"
    ).fetchall():
        columns = session.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", [table])
        stored = [str(name) for name, hidden in columns if hidden == _STORED]
        for missing in functions:
            if stored and missing.named_in(str(sql)):
                yield Skipped(
                    MAIN,
                    "",
                    str(table),
                    f"{missing.sentence()}: what is stored in {', '.join(stored)} has to be"
                    " computed there, by updating the rows",
                )
