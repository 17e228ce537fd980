"""Views, routines, triggers and events: definitions that name their database and cannot be moved.

A restore keeps their statements until the tables are in place and creates them there, with the
settings of their creation and in an order in which each finds what it needs.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.contracts.engine import Skipped
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    error_number,
    quote_name,
    quote_qualified,
)
from holdfast.engines.mysql.client.server_errors import LOST, error_text
from holdfast.engines.mysql.dump.statement_rules import COLLATION_OF_DATABASE, OBJECT_SETTINGS

ORDER = ("packages", "functions", "procedures", "views", "triggers", "events")
BODY = " BODY"
"""Suffix for the name of a package's body, which is a separate object of the server."""

_KEYWORD = {
    "packages": "PACKAGE",
    "functions": "FUNCTION",
    "procedures": "PROCEDURE",
    "views": "VIEW",
    "triggers": "TRIGGER",
    "events": "EVENT",
}
_STATEMENT_COLUMN = {
    "views": 1,
    "triggers": 2,
    "functions": 2,
    "procedures": 2,
    "packages": 2,
    "events": 3,
}
"""The column of SHOW CREATE that holds the statement."""

_ORACLE_MODE = "SET SESSION sql_mode = 'ORACLE'"
"""Before MariaDB 11.7 statements about packages need this mode."""

_ROUTINE_KINDS = {
    "FUNCTION": "functions",
    "PROCEDURE": "procedures",
    "PACKAGE": "packages",
    "PACKAGE BODY": "packages",
}
_VIEWS = """
SELECT 'VIEW', table_name FROM information_schema.views WHERE table_schema = %s ORDER BY 2
"""
_TRIGGERS = """
SELECT 'TRIGGER', trigger_name FROM information_schema.triggers WHERE trigger_schema = %s
 ORDER BY event_object_table, event_manipulation, action_timing, action_order
"""
_EVENTS = """
SELECT 'EVENT', event_name FROM information_schema.events WHERE event_schema = %s ORDER BY 2
"""
_ROUTINES = """
SELECT routine_type, routine_name FROM information_schema.routines WHERE routine_schema = %s
 ORDER BY routine_type, routine_name
"""


@dataclass(frozen=True)
class Code:
    """One object. `settings` are SQL literals; the statement does not name its own database."""

    database: str
    kind: str
    name: str
    settings: Mapping[str, str]
    statement: bytes

    def document(self) -> tuple[object, ...]:
        return (self.database, self.kind, self.name, json.dumps(self.settings), self.statement)


@dataclass(frozen=True)
class Refused:
    """An object that the server refused, and its error."""

    code: Code
    error: WireError

    @property
    def reason(self) -> str:
        return error_text(self.error)

    def sentence(self) -> str:
        return f"{self.code.kind[:-1]} {self.code.database}.{self.code.name}: {self.reason}"

    def skipped(self) -> Skipped:
        return Skipped(self.code.database, self.code.kind, self.code.name, self.reason)


def list_objects(session: Session, database: str) -> list[tuple[str, str]]:
    """Kind and name of all stored code of a database, in the order in which it is created.

    Triggers of one table come in the order in which they run.
    """
    kinds = {**_ROUTINE_KINDS, "VIEW": "views", "TRIGGER": "triggers", "EVENT": "events"}
    objects = [
        (kinds[str(word)], str(object_name) + (BODY if word == "PACKAGE BODY" else ""))
        for query in (_VIEWS, _TRIGGERS, _EVENTS, _ROUTINES)
        for word, object_name in session.rows(query, [database])
        if word in kinds
    ]
    return sorted(objects, key=lambda item: ORDER.index(item[0]))


def drop(session: Session, database: str) -> Sequence[str]:
    """Drops all stored code of a database, dependent objects first. Repeatable.

    Returns a sentence for each object that the server does not drop.
    """
    refused: list[str] = []
    for kind, object_name in reversed(list_objects(session, database)):
        if not object_name.endswith(BODY) or kind != "packages":  # a body goes with its package
            try:
                if kind == "packages":
                    session.execute(_ORACLE_MODE)
                quoted = quote_qualified(database, object_name)
                session.execute(f"DROP {_KEYWORD[kind]} IF EXISTS {quoted}")
            except WireError as error:
                if error_number(error) in LOST:
                    raise
                refused.append(f"{kind[:-1]} {database}.{object_name} stays: {error_text(error)}")
            finally:
                session.execute("SET SESSION sql_mode = ''")
    return refused


def read(session: Session, database: str, refused: list[str]) -> Iterator[Code]:
    """Yields all stored code of a database as it is now, so that it can be created again.

    Adds a sentence to `refused` for each object that this user may not read.
    """
    session.execute(f"USE {quote_name(database)}")
    for kind, object_name in list_objects(session, database):
        try:
            yield read_one(session, database, kind, object_name)
        except (WireError, LookupError) as error:
            refused.append(f"{kind[:-1]} {database}.{object_name}: {error_text(error)}")


def read_one(session: Session, database: str, kind: str, object_name: str) -> Code:
    """One object as it is now. LookupError if its definition may not be read."""
    row = session.row(show_create(database, kind, object_name))
    statement = row[_STATEMENT_COLUMN[kind]]
    if statement is None:
        raise LookupError("its definition may not be read")
    client, collation = row[_STATEMENT_COLUMN[kind] + 1 : _STATEMENT_COLUMN[kind] + 3]
    settings = {
        "character_set_client": client if client in ("utf8", "utf8mb3") else "utf8mb4",
        "collation_connection": str(collation),
    }
    if kind != "views":
        settings["sql_mode"] = session.literal(str(row[1]))
        settings[COLLATION_OF_DATABASE] = str(row[_STATEMENT_COLUMN[kind] + 3])
    if kind == "events":
        settings["time_zone"] = session.literal(str(row[2]))
    return Code(database, kind, object_name, settings, str(statement).encode())


def show_create(database: str, kind: str, object_name: str) -> str:
    """The SHOW CREATE statement of an object."""
    body = BODY if kind == "packages" and object_name.endswith(BODY) else ""
    quoted = quote_qualified(database, object_name.removesuffix(body))
    return f"SHOW CREATE {_KEYWORD[kind]}{body} {quoted}"


def create_all(
    session: Session, codes: Iterable[Code], target_of: Callable[[str], str]
) -> Sequence[Refused]:
    """Creates all code, each in `target_of(database)`; returns what the server refuses.

    A view may need another one, so each kind is tried until a round creates nothing more. Triggers
    keep their order, because those of one event run in the order of their creation.
    """
    ordered = sorted(codes, key=lambda code: ORDER.index(code.kind))
    refused: list[Refused] = []
    for kind in ORDER:
        waiting = [code for code in ordered if code.kind == kind]
        while waiting:
            failed = [problem for code in waiting if (problem := create(session, code, target_of))]
            if len(failed) == len(waiting):
                refused += failed
                break
            waiting = [problem.code for problem in failed]
    return refused


def create(session: Session, code: Code, target_of: Callable[[str], str]) -> Refused | None:
    database = target_of(code.database)
    session.execute(f"USE {quote_name(database)}")
    assignments = [
        f"{key} = {code.settings[key]}" for key in OBJECT_SETTINGS if key in code.settings
    ]
    try:
        with_collation = _change_collation(
            session, database, code.settings.get(COLLATION_OF_DATABASE)
        )
        try:
            if assignments:
                session.execute(f"SET SESSION {', '.join(assignments)}")
            session.run(code.statement)
        finally:
            session.execute("SET NAMES utf8mb4")
            session.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
            if with_collation is not None:
                session.execute(f"ALTER DATABASE {quote_name(database)} COLLATE {with_collation}")
    except WireError as error:
        if error_number(error) in LOST:
            raise
        return Refused(code, error)
    return None


def _change_collation(session: Session, database: str, collation: str | None) -> str | None:
    """Changes the database's collation and returns the old one; None when nothing changes.

    Texts in routines, triggers and events get the collation of their database at creation.
    """
    if collation is None:
        return None
    own = facts.collation(session, database)
    if own == collation:
        return None
    session.execute(f"ALTER DATABASE {quote_name(database)} COLLATE {collation}")
    return own
