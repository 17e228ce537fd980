"""What one restore must remember on the server itself, in a small database of its own.

Two of its tables are empty and only their names count: `before` is renamed to `after` by the very
statement that moves all the data, so it says for certain whether that happened.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.contracts.engine import Attempt
from holdfast.engines.mysql import naming
from holdfast.engines.mysql.code import Code
from holdfast.engines.mysql.wire import Session, name

_TABLES = (
    "CREATE TABLE plan (place int PRIMARY KEY, final varchar(64) NOT NULL, staged varchar(64)"
    " NOT NULL, charset varchar(64) NOT NULL, collate_ varchar(64) NOT NULL)",
    "CREATE TABLE accounts (place int PRIMARY KEY, statement longtext NOT NULL)",
    "CREATE TABLE readying (place int PRIMARY KEY, statement longtext NOT NULL)",
    "CREATE TABLE code (place int PRIMARY KEY, {columns})",
    "CREATE TABLE previous (place int PRIMARY KEY, {columns})",
    "CREATE TABLE fresh (final varchar(64) PRIMARY KEY)",
    "CREATE TABLE `before` (nothing int)",
)
_CODE = (
    "final varchar(64) NOT NULL, kind varchar(16) NOT NULL, name varchar(80) NOT NULL,"
    " settings text NOT NULL, statement longblob NOT NULL"
)
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class Placement:
    """One database to be."""

    final: str
    staged: str
    charset: str
    collation: str


class Book:
    """Of what one attempt staged. `exists` is asked first: everything else needs it."""

    def __init__(self, session: Session, attempt: Attempt) -> None:
        self._session = session
        self.database = naming.book(attempt)

    def exists(self) -> bool:
        return self.database in databases(self._session, self.database)

    def moved(self) -> bool:
        """Is the data in place?"""
        return self.has(AFTER)

    def ready(self) -> bool:
        """Was everything staged?"""
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
        """All there is to know; `before` comes last and says that it is all there."""
        session = self._session
        session.execute(f"USE {name(self.database)}")
        for statement in _TABLES[:-1]:
            session.execute(statement.format(columns=_CODE) + " ENGINE=InnoDB")
        for place, each in enumerate(plan):
            session.execute(
                "INSERT INTO plan VALUES (%s, %s, %s, %s, %s)",
                [place, each.final, each.staged, each.charset, each.collation],
            )
        for table, statements in (("accounts", accounts), ("readying", readying)):
            for place, statement in enumerate(statements):
                into = f"INSERT INTO {table} VALUES (%s, %s)"  # noqa: S608 - one of two names
                session.execute(into, [place, statement])
        self._insert("code", codes)
        session.execute(_TABLES[-1] + " ENGINE=InnoDB")

    def keep_previous(self, codes: Iterable[Code]) -> None:
        """What has to be made again if the data does not move after all. Once: later calls see
        less of it."""
        if not self._session.rows(f"SELECT 1 FROM {self.table('previous')} LIMIT 1"):  # noqa: S608
            self._session.execute("BEGIN")
            self._insert("previous", codes)
            self._session.execute("COMMIT")

    def _insert(self, table: str, codes: Iterable[Code]) -> None:
        for place, each in enumerate(codes):
            self._session.execute(
                f"INSERT INTO {self.table(table)} VALUES (%s, %s, %s, %s, %s, %s)",  # noqa: S608
                [place, *each.document()],
            )

    def note_fresh(self, database: str) -> None:
        """It will be made for this restore, and goes again if the data does not move."""
        statement = f"INSERT IGNORE INTO {self.table('fresh')} VALUES (%s)"  # noqa: S608
        self._session.execute(statement, [database])

    def fresh(self) -> list[str]:
        rows = self._session.rows(f"SELECT final FROM {self.table('fresh')}")  # noqa: S608
        return [str(row[0]) for row in rows]

    def plan(self) -> list[Placement]:
        rows = self._session.rows(
            f"SELECT final, staged, charset, collate_ FROM {self.table('plan')} ORDER BY place"  # noqa: S608
        )
        return [Placement(*map(str, row)) for row in rows]

    def codes(self, table: str = "code") -> list[Code]:
        rows = self._session.rows(
            f"SELECT final, kind, name, settings, statement FROM {self.table(table)} ORDER BY place"  # noqa: S608
        )
        return [Code(row[0], row[1], row[2], json.loads(row[3]), bytes(row[4])) for row in rows]

    def accounts(self) -> list[str]:
        return self._statements("accounts")

    def readying(self) -> list[str]:
        """What has to be there before the code is made."""
        return self._statements("readying")

    def _statements(self, table: str) -> list[str]:
        rows = self._session.rows(
            f"SELECT statement FROM {self.table(table)} ORDER BY place"  # noqa: S608
        )
        return [str(row[0]) for row in rows]

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
