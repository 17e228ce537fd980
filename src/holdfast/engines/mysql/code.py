"""Views, routines, triggers and events: what names its database and cannot be moved to another.

A restore keeps their statements until the tables are in place and makes them there, with the
settings they were made with.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.engines.mysql.judging import KEPT
from holdfast.engines.mysql.wire import Session, WireError, name

ORDER = ("packages", "functions", "procedures", "views", "triggers", "events")
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

_PRESENT = """
SELECT 'views', table_name FROM information_schema.views WHERE table_schema = %s
UNION ALL SELECT 'triggers', trigger_name FROM information_schema.triggers
 WHERE trigger_schema = %s
UNION ALL SELECT 'events', event_name FROM information_schema.events WHERE event_schema = %s
UNION ALL SELECT CASE routine_type WHEN 'FUNCTION' THEN 'functions'
                 WHEN 'PROCEDURE' THEN 'procedures' ELSE 'packages' END, routine_name
 FROM information_schema.routines WHERE routine_schema = %s
   AND routine_type IN ('FUNCTION', 'PROCEDURE', 'PACKAGE')
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
    """What the server did not take, and why."""

    code: Code
    why: WireError

    def sentence(self) -> str:
        return f"{self.code.kind[:-1]} {self.code.database}.{self.code.name}: {self.why.args[-1]}"


def present(session: Session, database: str) -> list[tuple[str, str]]:
    """Kind and name of everything of this sort in a database, what depends on others first."""
    found = [(str(kind), str(each)) for kind, each in session.rows(_PRESENT, [database] * 4)]
    return sorted(found, key=lambda each: (-ORDER.index(each[0]), each[1]))


def drop(session: Session, database: str, kinds: Sequence[str] = ORDER) -> None:
    """All of these kinds. Repeatable."""
    for kind, each in present(session, database):
        if kind in kinds:
            session.execute(f"DROP {_WORD[kind]} IF EXISTS {name(database)}.{name(each)}")


def read(session: Session, database: str, kinds: Sequence[str]) -> Iterator[Code]:
    """As they are now, so that they can be made again."""
    session.execute(f"USE {name(database)}")
    for kind, each in present(session, database):
        if kind in kinds:
            row = session.row(f"SHOW CREATE {_WORD[kind]} {name(each)}")
            settings = {"character_set_client": "utf8mb4"}
            if kind != "views":
                settings["sql_mode"] = session.literal(str(row[1]))
            yield Code(database, kind, each, settings, str(row[_COLUMN[kind]]).encode())


def make(session: Session, codes: Iterable[Code], place: Callable[[str], str]) -> Sequence[Refused]:
    """Makes all of them, each in `place(database)`; says what the server did not take.

    A view may need another one: they are tried until a round brings nothing new.
    """
    waiting = sorted(codes, key=lambda code: (ORDER.index(code.kind), code.name))
    refused: list[Refused] = []
    while waiting:
        refused = [problem for code in waiting if (problem := _make(session, code, place))]
        if len(refused) == len(waiting):
            break
        waiting = [problem.code for problem in refused]
    return refused


def _make(session: Session, code: Code, place: Callable[[str], str]) -> Refused | None:
    session.execute(f"USE {name(place(code.database))}")
    given = [f"{key} = {code.settings[key]}" for key in KEPT if key in code.settings]
    try:
        if given:
            session.execute(f"SET SESSION {', '.join(given)}")
        session.run(code.statement)
    except WireError as why:
        return Refused(code, why)
    finally:
        session.execute("SET NAMES utf8mb4")
        session.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
    return None
