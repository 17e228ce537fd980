"""Views, routines, triggers and events: definitions that name their database and cannot be moved.

A restore keeps their statements until the tables are in place and makes them there, with the
settings they were made with and in an order in which each finds what it needs.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.contracts.engine import Skipped
from holdfast.engines.mysql.client.connection import Session, WireError, name
from holdfast.engines.mysql.client.connection import code as number
from holdfast.engines.mysql.client.server_errors import LOST, said
from holdfast.engines.mysql.dump.statement_rules import COLLATION_OF_DATABASE, KEPT

ORDER = ("packages", "functions", "procedures", "views", "triggers", "events")
BODY = " BODY"
"""Ends the name of a package's second half, which is an object of its own to the server."""

_WORD = {
    "packages": "PACKAGE",
    "functions": "FUNCTION",
    "procedures": "PROCEDURE",
    "views": "VIEW",
    "triggers": "TRIGGER",
    "events": "EVENT",
}
_COLUMN = {"views": 1, "triggers": 2, "functions": 2, "procedures": 2, "packages": 2, "events": 3}
"""Which column of SHOW CREATE holds the statement."""

_ORACLE = "SET SESSION sql_mode = 'ORACLE'"
"""Before MariaDB 11.7 statements about packages are known in this mode only."""

_ROUTINE_KINDS = {
    "FUNCTION": "functions",
    "PROCEDURE": "procedures",
    "PACKAGE": "packages",
    "PACKAGE BODY": "packages",
}
_PRESENT = """
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
    """One object. `settings` are literals of SQL; the statement names no database of its own."""

    database: str
    kind: str
    name: str
    settings: Mapping[str, str]
    statement: bytes

    def document(self) -> tuple[object, ...]:
        return (self.database, self.kind, self.name, json.dumps(self.settings), self.statement)


@dataclass(frozen=True)
class Refused:
    """An object that the server did not take, and why."""

    code: Code
    why: WireError

    @property
    def reason(self) -> str:
        return said(self.why)

    def sentence(self) -> str:
        return f"{self.code.kind[:-1]} {self.code.database}.{self.code.name}: {self.reason}"

    def skipped(self) -> Skipped:
        return Skipped(self.code.database, self.code.kind, self.code.name, self.reason)


def present(session: Session, database: str) -> list[tuple[str, str]]:
    """Kind and name of everything of this sort in a database, in the order of their making.

    The triggers of one table come in the order in which they run.
    """
    kinds = {**_ROUTINE_KINDS, "VIEW": "views", "TRIGGER": "triggers", "EVENT": "events"}
    objects = [
        (kinds[str(word)], str(object_name) + (BODY if word == "PACKAGE BODY" else ""))
        for query in (_PRESENT, _TRIGGERS, _EVENTS, _ROUTINES)
        for word, object_name in session.rows(query, [database])
        if word in kinds
    ]
    return sorted(objects, key=lambda object_name: ORDER.index(object_name[0]))


def drop(session: Session, database: str) -> Sequence[str]:
    """Drops all of them, what depends on others first. Repeatable.

    Returns a sentence for each that the server does not let go.
    """
    refused: list[str] = []
    for kind, object_name in reversed(present(session, database)):
        if not object_name.endswith(BODY) or kind != "packages":  # a body goes with its package
            try:
                _drop(session, kind, f"{name(database)}.{name(object_name)}")
            except WireError as error:
                if number(error) in LOST:
                    raise
                refused.append(f"{kind[:-1]} {database}.{object_name} stays: {said(error)}")
    return refused


def _drop(session: Session, kind: str, quoted: str) -> None:
    if kind == "packages":
        session.execute(_ORACLE)
    try:
        session.execute(f"DROP {_WORD[kind]} IF EXISTS {quoted}")
    finally:
        session.execute("SET SESSION sql_mode = ''")


def read(session: Session, database: str, refused: list[str]) -> Iterator[Code]:
    """All of them as they are now, so that they can be made again.

    Adds a sentence to `refused` for each that this user may not read.
    """
    session.execute(f"USE {name(database)}")
    for kind, object_name in present(session, database):
        try:
            yield _read(session, database, kind, object_name)
        except (WireError, LookupError) as error:
            refused.append(f"{kind[:-1]} {database}.{object_name}: {said(error)}")


def _read(session: Session, database: str, kind: str, object_name: str) -> Code:
    row = session.row(shown(database, kind, object_name))
    statement = row[_COLUMN[kind]]
    if statement is None:
        raise LookupError("its definition may not be read")
    client, collation = row[_COLUMN[kind] + 1 : _COLUMN[kind] + 3]
    settings = {
        "character_set_client": "utf8mb4" if client not in ("utf8", "utf8mb3") else client,
        "collation_connection": str(collation),
    }
    if kind != "views":
        settings["sql_mode"] = session.literal(str(row[1]))
        settings[COLLATION_OF_DATABASE] = str(row[_COLUMN[kind] + 3])
    if kind == "events":
        settings["time_zone"] = session.literal(str(row[2]))
    return Code(database, kind, object_name, settings, str(statement).encode())


def shown(database: str, kind: str, object_name: str) -> str:
    """The statement that shows how it was made."""
    body = kind == "packages" and object_name.endswith(BODY)
    plain = object_name.removesuffix(BODY) if body else object_name
    return f"SHOW CREATE {_WORD[kind]}{BODY if body else ''} {name(database)}.{name(plain)}"


def make(
    session: Session, codes: Iterable[Code], target_of: Callable[[str], str]
) -> Sequence[Refused]:
    """Makes all of them, each in `place(database)`; returns those that the server does not take.

    A view may need another one: views are tried until a round brings nothing new. Triggers keep the
    order in which they come, because those of one event run in the order of their making.
    """
    ordered = sorted(codes, key=lambda code: ORDER.index(code.kind))
    refused: list[Refused] = []
    for kind in ORDER:
        refused += _rounds(session, [code for code in ordered if code.kind == kind], target_of)
    return refused


def _rounds(
    session: Session, waiting: Sequence[Code], target_of: Callable[[str], str]
) -> Sequence[Refused]:
    refused: list[Refused] = []
    while waiting:
        refused = [problem for code in waiting if (problem := make_one(session, code, target_of))]
        if len(refused) == len(waiting):
            break
        waiting = [problem.code for problem in refused]
    return refused


def make_one(session: Session, code: Code, target_of: Callable[[str], str]) -> Refused | None:
    database = target_of(code.database)
    session.execute(f"USE {name(database)}")
    assignments = [f"{key} = {code.settings[key]}" for key in KEPT if key in code.settings]
    try:
        with_collation = _collation(session, database, code.settings.get(COLLATION_OF_DATABASE))
        try:
            if assignments:
                session.execute(f"SET SESSION {', '.join(assignments)}")
            session.run(code.statement)
        finally:
            session.execute("SET NAMES utf8mb4")
            session.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
            if with_collation is not None:
                session.execute(f"ALTER DATABASE {name(database)} COLLATE {with_collation}")
    except WireError as why:
        if number(why) in LOST:
            raise
        return Refused(code, why)
    return None


def _collation(session: Session, database: str, collation: str | None) -> str | None:
    """Gives the database another collation for a moment; returns its own.

    Texts in routines, triggers and events have the collation that their database had.
    """
    if collation is None:
        return None
    own = str(
        session.value(
            "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s",
            [database],
        )
    )
    if own == collation:
        return None
    session.execute(f"ALTER DATABASE {name(database)} COLLATE {collation}")
    return own
