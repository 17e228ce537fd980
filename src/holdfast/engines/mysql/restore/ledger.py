"""Records on the server what one restore must remember, in a small database of its own.

Two of its tables are empty and only their names count: `before` is renamed to `after` by the very
statement that moves the data, so it tells for certain whether that happened. A ledger goes with
databases that wait to be put in place: those that a restore loaded, or the old data it set aside.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from holdfast.engines.mysql.client.connection import Session, quote_name, quote_qualified
from holdfast.engines.mysql.dump.stored_code import Code
from holdfast.engines.mysql.restore.foreign_keys import ForeignKey

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
    """One database to be put in place: its final and its staging name, and its properties."""

    final: str
    staged: str
    charset: str
    collation: str
    comment: str = ""


@dataclass(frozen=True)
class TriggeredTable:
    """An old table with triggers, which keep it in its database until they are dropped."""

    final: str
    temporary: str
    original: str
    aside: str


class Ledger:
    """The ledger of one restore. Call `exists` first: all other methods need its database."""

    def __init__(self, session: Session, database: str) -> None:
        self._session = session
        self.database = database

    def exists(self) -> bool:
        return self.database in databases(self._session, self.database)

    def moved(self) -> bool:
        """Whether the data is in place."""
        return self.has(AFTER)

    def ready(self) -> bool:
        """Whether everything is staged that is to be put in place."""
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
        return quote_qualified(self.database, table)

    def open(self) -> None:
        self._session.execute(f"CREATE DATABASE {quote_name(self.database)} CHARACTER SET utf8mb4")

    def write(
        self,
        plan: Sequence[Placement],
        codes: Iterable[Code],
        accounts: Iterable[str],
        preparations: Iterable[str] = (),
    ) -> None:
        """Writes all that is known; `mark_ready` follows when everything is staged."""
        for table, columns in _TABLES.items():
            self._session.execute(f"CREATE TABLE {self.table(table)} {columns} ENGINE=InnoDB")
        self._insert("plan", (astuple(placement) for placement in plan))
        self._insert("accounts", ((statement,) for statement in accounts))
        self._insert("readying", ((statement,) for statement in preparations))
        self._insert("code", (code.document() for code in codes))

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

    def record_new_database(self, database: str) -> None:
        """Records a database that did not exist before; an undo drops it."""
        statement = f"INSERT IGNORE INTO {self.table('fresh')} VALUES (%s)"  # noqa: S608
        self._session.execute(statement, [database])

    def new_databases(self) -> list[str]:
        rows = self._session.rows(f"SELECT final FROM {self.table('fresh')}")  # noqa: S608
        return [str(row[0]) for row in rows]

    def record_triggered_tables(self, tables: Iterable[TriggeredTable]) -> None:
        self._replace("resting", (astuple(table) for table in tables))

    def triggered_tables(self) -> list[TriggeredTable]:
        rows = self._rows("resting", "place, final, temporary, original, aside")
        return [TriggeredTable(*map(str, row)) for row in rows]

    def record_foreign_keys(self, foreign_keys: Iterable[ForeignKey]) -> None:
        """Records foreign keys of databases that stay, before the data moves."""
        self._replace("links", ((key.document(),) for key in foreign_keys))

    def foreign_keys(self) -> list[ForeignKey]:
        return [ForeignKey.parse(str(row[0])) for row in self._rows("links", "place, document")]

    def record_account_removals(self, statements: Iterable[str]) -> None:
        """Records statements that remove the accounts which came with the new data."""
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

    def preparations(self) -> list[str]:
        """Statements to run before the code is created."""
        return self._statements("readying")

    def account_removals(self) -> list[str]:
        return self._statements("strays")

    def _statements(self, table: str) -> list[str]:
        return [str(row[0]) for row in self._rows(table, "place, statement")]

    def close(self) -> None:
        drop_database(self._session, self.database)


def databases(session: Session, prefix: str) -> list[str]:
    """Databases whose names begin with `prefix`."""
    rows = session.rows(
        "SELECT schema_name FROM information_schema.schemata"
        " WHERE left(schema_name, char_length(%s)) = %s ORDER BY 1",
        [prefix, prefix],
    )
    return [str(row[0]) for row in rows]


def drop_database(session: Session, database: str) -> None:
    session.execute("SET SESSION foreign_key_checks = 0")
    session.execute(f"DROP DATABASE IF EXISTS {quote_name(database)}")
