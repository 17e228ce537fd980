"""Collations and functions that an application gives to its own connections.

A file may need them for its indexes, checks and computed columns. Here are stand-ins, with which
everything can be read, copied and checked but for their own results: a collation that compares
bytes, so what differs for the application differs here too, and a function that only says what it
was asked.
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


Warned = Mapping[str, str | None]


def warned(taught: Iterable[Missing], consequence: str, attempt: Attempt) -> list[Warned]:
    """Warnings of a backup; each is said, too."""
    warnings: list[Warned] = []
    for missing in taught:
        text = missing.sentence() + consequence
        attempt.say(f"warning: {missing.name}: {text}")
        warnings.append(warning(MAIN, missing.name, text))
    return warnings


MAIN = "main"


def teach(session: sqlite3.Connection) -> list[Missing]:
    """Gives the session stand-ins for all that checking this file needs; returns what they are."""
    taught: list[Missing] = []
    run(session, taught, lambda: session.execute("EXPLAIN PRAGMA integrity_check").fetchall())
    return taught


def run(session: sqlite3.Connection, taught: list[Missing], action: Callable[[], object]) -> None:
    """Does it again with a stand-in for each thing that is missing; adds those to `taught`."""
    while True:
        try:
            action()
            return
        except sqlite3.OperationalError as error:
            missing = _missing(error)
            if missing is None or missing in taught:
                raise
            _stand_in(session, missing)
            taught.append(missing)


def run_creating(
    session: sqlite3.Connection, taught: list[Missing], statement: str, action: Callable[[], object]
) -> None:
    """The same for a statement of a dump. Only definitions may need what is not here: a value that
    is computed by an unknown function would be another one."""
    if _CREATES.match(statement):
        run(session, taught, action)
    else:
        action()


def _missing(error: sqlite3.Error) -> Missing | None:
    match = _MISSING.fullmatch(str(error))
    if match is None:
        return None
    return (
        Missing("collation", match["order"])
        if match["collation"]
        else Missing("function", match["name"])
    )


def _stand_in(session: sqlite3.Connection, missing: Missing) -> None:
    """The schema is read anew: an index that could not be used once is not used again."""
    if missing.kind == "collation":
        session.create_collation(missing.name, lambda one, other: (one > other) - (one < other))
    else:
        session.create_function(missing.name, -1, _told, deterministic=True)
    with suppress(sqlite3.DatabaseError):
        session.execute("PRAGMA writable_schema=RESET")


def _told(*arguments: object) -> str:
    """Never NULL, and another text for other arguments: keys stay apart."""
    return repr(arguments)


def tables_without(session: sqlite3.Connection, taught: Collection[Missing]) -> Iterator[str]:
    """Ordinary tables that need no stand-in, neither themselves nor their indexes."""
    rows = session.execute(
        "SELECT tbl_name, group_concat(sql, ' ') FROM sqlite_schema"
        " WHERE type IN ('table', 'index') GROUP BY tbl_name"
    ).fetchall()
    for table, sql in rows:
        virtual = str(sql).upper().startswith("CREATE VIRTUAL")
        if not virtual and not any(missing.named_in(str(sql)) for missing in taught):
            yield str(table)


def unmade(session: sqlite3.Connection, taught: Collection[Missing]) -> list[Skipped]:
    """Drops indexes that were filled with stand-ins, and names what else only the application can
    make right."""
    skipped: list[Skipped] = []
    rows = session.execute(
        "SELECT i.name, t.name, s.sql FROM sqlite_schema t JOIN pragma_index_list(t.name) i"
        " LEFT JOIN sqlite_schema s ON s.type = 'index' AND s.name = i.name"
        " WHERE t.type = 'table' AND t.rootpage > 0 ORDER BY t.rowid, i.seq"
    ).fetchall()
    for name, table, sql in rows:
        needed = _needed_by(session, str(name), str(sql or ""), taught)
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
    return [*skipped, *_computed(session, taught)]


def _needed_by(
    session: sqlite3.Connection, index: str, sql: str, taught: Collection[Missing]
) -> Missing | None:
    columns = session.execute("SELECT coll FROM pragma_index_xinfo(?)", [index]).fetchall()
    orders = {str(row[0]).lower() for row in columns}
    for missing in taught:
        if missing.kind == "collation" and missing.name.lower() in orders:
            return missing
        if missing.kind == "function" and missing.named_in(sql):
            return missing
    return None


_STORED = 3


def _computed(session: sqlite3.Connection, taught: Collection[Missing]) -> Iterator[Skipped]:
    """Stored results of functions that are not here."""
    functions = [missing for missing in taught if missing.kind == "function"]
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
