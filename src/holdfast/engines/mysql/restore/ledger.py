"""What one restore must remember on the server itself, in a small database of its own.

Two of its tables are empty and only their names count: `before` is renamed to `after` by the very
statement that moves the data, so it says for certain whether that happened. A book lies beside
databases that wait to be put in place: what a restore loaded, or the old data it set aside.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from holdfast.engines.mysql.client.connection import Session, name
from holdfast.engines.mysql.dump.stored_code import Code
from holdfast.engines.mysql.restore.foreign_keys import Link

_STATEMENTS = "(place int PRIMARY KEY, statement longtext NOT NULL)"
_TABLES = {
    "plan": "(place int PRIMARY KEY, final varchar(64) NOT NULL, staged varchar(64) NOT NULL,"
    " charset varchar(64) NOT NULL, collate_ varchar(64) NOT NULL, comment_ text NOT NULL)",
    "accounts": _STATEMENTS,
    "readying": _STATEMENTS,
    "code": "(place int PRIMARY KEY, final varchar(64) NOT NULL, kind varchar(16) NOT NULL,"
    " name varchar(80) NOT NULL, settings text NOT NULL, statement longblob NOT NULL)",
    "fresh": "(final varchar(64) PRIMARY KEY)",
    "resting": "(place int PRIMARY KEY, final varchar(64) NOT NULL, temporary varchar(64) NOT NULL,"
    " original varchar(64) NOT NULL, aside varchar(64) NOT NULL)",
    "links": "(place int PRIMARY KEY, document longtext NOT NULL)",
    "strays": "(place int PRIMARY KEY, statement longtext NOT NULL)",
}
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class Placement:
    """One database to be."""

    final: str
    staged: str
    charset: str
    collation: str
    comment: str = ""


@dataclass(frozen=True)
class Resting:
    """An old table with triggers, which keep it in its database until they are dropped."""

    final: str
    temporary: str
    original: str
    aside: str


class Book:
    """`exists` is asked first: everything else needs it."""

    def __init__(self, session: Session, database: str) -> None:
        self._session = session
        self.database = database

    def exists(self) -> bool:
        return self.database in databases(self._session, self.database)

    def moved(self) -> bool:
        """Is the data in place?"""
        return self.has(AFTER)

    def ready(self) -> bool:
        """Is everything there that is to be put in place?"""
        return self.has(BEFORE)

    def has(self, table: str) -> bool:
        return bool(
            self._session.rows(
                "SELECT 1 FROM information_schema.tables"
                " WHERE table_schema = %s AND table_name = %s",
                [self.database, table],
            )
        )

    def table(self, table: str) -> str:
        return f"{name(self.database)}.{name(table)}"

    def open(self) -> None:
        self._session.execute(f"CREATE DATABASE {name(self.database)} CHARACTER SET utf8mb4")

    def write(
        self,
        plan: Sequence[Placement],
        codes: Iterable[Code],
        accounts: Iterable[str],
        readying: Iterable[str] = (),
    ) -> None:
        """Everything there is to know but `mark_ready`, which comes last."""
        for table, columns in _TABLES.items():
            self._session.execute(f"CREATE TABLE {self.table(table)} {columns} ENGINE=InnoDB")
        self._insert("plan", (astuple(each) for each in plan))
        self._insert("accounts", ((statement,) for statement in accounts))
        self._insert("readying", ((statement,) for statement in readying))
        self._insert("code", (each.document() for each in codes))

    def mark_ready(self) -> None:
        table = self.table(BEFORE)
        self._session.execute(
            f"CREATE TABLE IF NOT EXISTS {table} (a int PRIMARY KEY) ENGINE=InnoDB"
        )

    def _insert(self, table: str, rows: Iterable[Sequence[object]]) -> None:
        for position, row in enumerate(rows):
            marks = ", ".join(["%s"] * (len(row) + 1))
            into = f"INSERT INTO {self.table(table)} VALUES ({marks})"  # noqa: S608 - quoted
            self._session.execute(into, [position, *row])

    def _replace(self, table: str, rows: Iterable[Sequence[object]]) -> None:
        self._session.execute("BEGIN")
        self._session.execute(f"DELETE FROM {self.table(table)}")  # noqa: S608 - quoted
        self._insert(table, rows)
        self._session.execute("COMMIT")

    def _rows(self, table: str, columns: str) -> list[tuple[object, ...]]:
        query = f"SELECT {columns} FROM {self.table(table)} ORDER BY 1"  # noqa: S608 - quoted
        return [row[1:] for row in self._session.rows(query)]

    def note_fresh(self, database: str) -> None:
        """It was not there before this book's data was put in place, and goes with it."""
        statement = f"INSERT IGNORE INTO {self.table('fresh')} VALUES (%s)"  # noqa: S608
        self._session.execute(statement, [database])

    def fresh(self) -> list[str]:
        rows = self._session.rows(f"SELECT final FROM {self.table('fresh')}")  # noqa: S608
        return [str(row[0]) for row in rows]

    def keep_resting(self, tables: Iterable[Resting]) -> None:
        self._replace("resting", (astuple(table) for table in tables))

    def resting(self) -> list[Resting]:
        rows = self._rows("resting", "place, final, temporary, original, aside")
        return [Resting(*map(str, row)) for row in rows]

    def keep_links(self, links: Iterable[Link]) -> None:
        """Foreign keys of databases that stay, as they are before the data moves."""
        self._replace("links", ((link.document(),) for link in links))

    def links(self) -> list[Link]:
        return [Link.parse(str(row[0])) for row in self._rows("links", "place, document")]

    def keep_strays(self, statements: Iterable[str]) -> None:
        """Statements that take away the accounts which came with the other data."""
        self._replace("strays", ((statement,) for statement in statements))

    def plan(self) -> list[Placement]:
        rows = self._rows("plan", "place, final, staged, charset, collate_, comment_")
        return [Placement(*map(str, row)) for row in rows]

    def codes(self) -> list[Code]:
        return [
            Code(str(database), str(kind), str(object_name), json.loads(str(settings)), statement)
            for database, kind, object_name, settings, statement in self._rows(
                "code", "place, final, kind, name, settings, statement"
            )
            if isinstance(statement, bytes)
        ]

    def accounts(self) -> list[str]:
        return self._statements("accounts")

    def readying(self) -> list[str]:
        """Statements to run before the code is made."""
        return self._statements("readying")

    def strays(self) -> list[str]:
        return self._statements("strays")

    def _statements(self, table: str) -> list[str]:
        return [str(row[0]) for row in self._rows(table, "place, statement")]

    def close(self) -> None:
        drop_database(self._session, self.database)


def databases(session: Session, prefix: str) -> list[str]:
    """Databases whose names begin so."""
    rows = session.rows(
        "SELECT schema_name FROM information_schema.schemata"
        " WHERE left(schema_name, char_length(%s)) = %s ORDER BY 1",
        [prefix, prefix],
    )
    return [str(row[0]) for row in rows]


def drop_database(session: Session, database: str) -> None:
    session.execute("SET SESSION foreign_key_checks = 0")
    session.execute(f"DROP DATABASE IF EXISTS {name(database)}")
