"""Puts waiting tables in place of the old ones by one RENAME TABLE, all or none.

A table with triggers cannot leave its database, so in that statement it only gets another name
there: its triggers go on with it, and at no moment is it written to without them. Out of the way,
it loses them and follows the others. Names of constraints are unique in a database; where an old
table with triggers has one that a new table brings, the new tables come by a second statement.
Views that are in the way of a table get other names, too. None of this can be half done, also when
the server crashes, and nothing of it is to be put back when it did not happen.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines.mysql.client import facts, object_names
from holdfast.engines.mysql.client.connection import Session, WireError, code, name
from holdfast.engines.mysql.restore import foreign_keys
from holdfast.engines.mysql.restore.ledger import AFTER, BEFORE, Book, Placement, Resting

_TRIES = 5
_WAIT_SECONDS = 3
_LOCKED = (1205, 1213)

_WITH_TRIGGERS = """
SELECT DISTINCT event_object_table FROM information_schema.triggers WHERE trigger_schema = %s
"""
_CONSTRAINTS = """
SELECT table_name, constraint_name FROM information_schema.table_constraints
 WHERE constraint_schema = %s AND constraint_type IN ('FOREIGN KEY', 'CHECK')
"""
_GENERATED = r"{table}_(?:ibfk|chk)_\d+"
"""Such a name follows when its table is renamed."""

Renames = Sequence[tuple[str, str]]


def move(session: Session, book: Book, op: str, leaving: Sequence[str]) -> None:
    """Tables of `leaving` go aside, those of the book's plan come in their place, unless a name of
    a constraint forbids both at once: then `finish` brings them."""
    plan = book.plan()
    for placement in plan:
        if placement.final not in leaving:
            book.note_fresh(placement.final)
            session.execute(f"CREATE DATABASE IF NOT EXISTS {name(placement.final)}")
    book.keep_links(foreign_keys.into(session, set(leaving)))
    book.keep_resting(_resting(session, op, leaving))
    away = list(_away(session, book, op, leaving, plan))
    coming = [] if _constraints_collide(session, book) else list(_coming(session, plan))
    marker = (book.table(BEFORE), book.table(AFTER))
    _insist(session, leaving, lambda: rename(session, [*away, *coming, marker]))


def finish(session: Session, book: Book) -> None:
    """What `move` left over. Repeatable."""
    for table in book.resting():
        for trigger in _triggers_of(session, table):
            session.execute(f"DROP TRIGGER IF EXISTS {name(table.final)}.{name(trigger)}")
    present = {
        (final, table["name"])
        for final in {old_table.final for old_table in book.resting()}
        for table in facts.tables(session, final)
    }
    resting = [
        (
            _quoted(old_table.final, old_table.temporary),
            _quoted(old_table.aside, old_table.original),
        )
        for old_table in book.resting()
        if (old_table.final, old_table.temporary) in present
    ]
    rename(session, [*resting, *_coming(session, book.plan())])


def rename(session: Session, renames: Renames) -> None:
    if renames:
        listed = ", ".join(f"{old} TO {new}" for old, new in renames)
        session.execute(f"RENAME TABLE {listed}")


def aside(op: str, leaving: Sequence[str]) -> dict[str, str]:
    """The database in which the old tables of each will be."""
    prefix = object_names.old_prefix(op)
    return {database: f"{prefix}{index}" for index, database in enumerate(leaving)}


def _resting(session: Session, op: str, leaving: Sequence[str]) -> list[Resting]:
    return [
        Resting(database, f"{away}_{number}", str(table), away)
        for database, away in aside(op, leaving).items()
        for number, (table,) in enumerate(session.rows(_WITH_TRIGGERS, [database]))
    ]


def _away(
    session: Session, book: Book, op: str, leaving: Sequence[str], plan: Sequence[Placement]
) -> Iterator[tuple[str, str]]:
    resting = {(each.final, each.original): each.temporary for each in book.resting()}
    new = {
        (each.final, table["name"]) for each in plan for table in facts.tables(session, each.staged)
    }
    for database, away in aside(op, leaving).items():
        session.execute(f"CREATE DATABASE IF NOT EXISTS {name(away)}")
        for number, table in enumerate(facts.tables(session, database)):
            key = (database, table["name"])
            if key in resting:
                yield _quoted(*key), _quoted(database, resting[key])
            elif table["type"] != "VIEW":
                yield _quoted(*key), _quoted(away, table["name"])
            elif key in new:
                yield _quoted(*key), _quoted(database, f"{away}_view_{number}")


def _coming(session: Session, plan: Sequence[Placement]) -> Iterator[tuple[str, str]]:
    for placement in plan:
        for table in facts.tables(session, placement.staged):
            yield _quoted(placement.staged, table["name"]), _quoted(placement.final, table["name"])


def _constraints_collide(session: Session, book: Book) -> bool:
    resting = {(old_table.final, old_table.original) for old_table in book.resting()}
    for placed in book.plan():
        old = {
            constraint
            for table, constraint in _constraints(session, placed.final)
            if (placed.final, table) in resting
        }
        if old & {constraint for _, constraint in _constraints(session, placed.staged)}:
            return True
    return False


def _constraints(session: Session, database: str) -> Iterator[tuple[str, str]]:
    for table, constraint in session.rows(_CONSTRAINTS, [database]):
        if not re.fullmatch(_GENERATED.format(table=re.escape(str(table))), str(constraint)):
            yield str(table), str(constraint).lower()


def _triggers_of(session: Session, table: Resting) -> list[str]:
    rows = session.rows(
        "SELECT trigger_name FROM information_schema.triggers"
        " WHERE event_object_schema = %s AND event_object_table = %s",
        [table.final, table.temporary],
    )
    return [str(row[0]) for row in rows]


def _quoted(database: str, table: str) -> str:
    return f"{name(database)}.{name(table)}"


def _insist(session: Session, databases: Sequence[str], action: Callable[[], None]) -> None:
    """Ends sessions of others that hold a table in these databases for too long."""
    session.execute(f"SET SESSION foreign_key_checks = 0, lock_wait_timeout = {_WAIT_SECONDS}")
    for remaining in reversed(range(_TRIES)):
        try:
            action()
            break
        except WireError as error:
            if code(error) not in _LOCKED:
                raise
            if remaining == 0:
                raise AddonUnavailable(
                    f"sessions of others hold the tables and do not let go: {error.args[-1]}",
                    reason="lock",
                ) from error
            _send_away(session, databases)
    session.execute("SET SESSION lock_wait_timeout = 60")


def _send_away(session: Session, databases: Sequence[str]) -> None:
    if not databases:
        return
    marks = ", ".join(["%s"] * len(databases))
    for (thread,) in session.rows(
        f"SELECT id FROM information_schema.processlist WHERE db IN ({marks})"  # noqa: S608
        " AND id <> connection_id()",
        list(databases),
    ):
        try:
            session.execute(f"KILL {int(thread)}")
        except WireError as error:
            if code(error) == 1095:
                raise AddonRefused(
                    "sessions of others hold the tables, and this user may not end them",
                    reason="lock",
                ) from error
