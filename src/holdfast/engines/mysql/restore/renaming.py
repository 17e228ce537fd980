"""Replaces old tables by staged ones with one RENAME TABLE, all or none.

A table with triggers cannot leave its database, so that statement only gives it another name there:
its triggers stay with it, and it is never written to without them. `finish` then drops the triggers
and moves the table. Names of constraints are unique in a database; where an old table with triggers
has one that a new table brings, a second statement moves the new tables. Views in the way of a
table get other names, too. RENAME TABLE is atomic, also when the server crashes, so there is
nothing to put back when it did not happen.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from holdfast.domain.errors import AddonRefused, AddonUnavailable
from holdfast.engines import staging_names
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    error_number,
    quote_name,
    quote_qualified,
)
from holdfast.engines.mysql.restore import foreign_keys
from holdfast.engines.mysql.restore.ledger import AFTER, BEFORE, Ledger, Placement, TriggeredTable

_MAX_TRIES = 5
_WAIT_SECONDS = 3
_LOCKED = (1205, 1213)

_WITH_TRIGGERS = """
SELECT DISTINCT event_object_table FROM information_schema.triggers WHERE trigger_schema = %s
"""
_TRIGGERS_OF = """
SELECT trigger_name FROM information_schema.triggers
 WHERE event_object_schema = %s AND event_object_table = %s
"""
_CONSTRAINTS = """
SELECT table_name, constraint_name FROM information_schema.table_constraints
 WHERE constraint_schema = %s AND constraint_type IN ('FOREIGN KEY', 'CHECK')
"""
_GENERATED = r"{table}_(?:ibfk|chk)_\d+"
"""Constraint names that the server changes when the table is renamed."""

Renames = Sequence[tuple[str, str]]


def move(session: Session, ledger: Ledger, op: str, leaving: Sequence[str]) -> None:
    """Moves the tables of `leaving` aside and those of the ledger's plan in their place.

    Where constraint names collide the new tables wait for `finish`.
    """
    plan = ledger.plan()
    for placement in plan:
        if placement.final not in leaving:
            ledger.record_new_database(placement.final)
            session.execute(f"CREATE DATABASE IF NOT EXISTS {quote_name(placement.final)}")
    ledger.record_foreign_keys(foreign_keys.referring_to(session, set(leaving)))
    ledger.record_triggered_tables(
        TriggeredTable(database, f"{away}_{number}", str(table), away)
        for database, away in old_databases(op, leaving).items()
        for number, (table,) in enumerate(session.rows(_WITH_TRIGGERS, [database]))
    )
    away = list(_old_renames(session, ledger, op, leaving, plan))
    coming = [] if _constraints_collide(session, ledger) else list(_new_renames(session, plan))
    marker = (ledger.table(BEFORE), ledger.table(AFTER))
    _with_lock_retries(session, leaving, lambda: rename(session, [*away, *coming, marker]))


def finish(session: Session, ledger: Ledger) -> None:
    """Does what `move` had to leave. Repeatable."""
    for table in ledger.triggered_tables():
        for (trigger,) in session.rows(_TRIGGERS_OF, [table.final, table.temporary]):
            session.execute(f"DROP TRIGGER IF EXISTS {quote_qualified(table.final, str(trigger))}")
    present = {
        (final, table["name"])
        for final in {old_table.final for old_table in ledger.triggered_tables()}
        for table in facts.tables(session, final)
    }
    triggered_tables = [
        (
            quote_qualified(old_table.final, old_table.temporary),
            quote_qualified(old_table.aside, old_table.original),
        )
        for old_table in ledger.triggered_tables()
        if (old_table.final, old_table.temporary) in present
    ]
    rename(session, [*triggered_tables, *_new_renames(session, ledger.plan())])


def rename(session: Session, renames: Renames) -> None:
    if renames:
        listed = ", ".join(f"{old} TO {new}" for old, new in renames)
        session.execute(f"RENAME TABLE {listed}")


def old_databases(op: str, leaving: Sequence[str]) -> dict[str, str]:
    """Maps each database to the one that will hold its old tables."""
    prefix = staging_names.old_prefix(op)
    return {database: f"{prefix}{index}" for index, database in enumerate(leaving)}


def _old_renames(
    session: Session, ledger: Ledger, op: str, leaving: Sequence[str], plan: Sequence[Placement]
) -> Iterator[tuple[str, str]]:
    temporary_names = {
        (table.final, table.original): table.temporary for table in ledger.triggered_tables()
    }
    new = {
        (placement.final, table["name"])
        for placement in plan
        for table in facts.tables(session, placement.staged)
    }
    for database, away in old_databases(op, leaving).items():
        session.execute(f"CREATE DATABASE IF NOT EXISTS {quote_name(away)}")
        for number, table in enumerate(facts.tables(session, database)):
            key = (database, table["name"])
            if key in temporary_names:
                yield quote_qualified(*key), quote_qualified(database, temporary_names[key])
            elif table["type"] != "VIEW":
                yield quote_qualified(*key), quote_qualified(away, table["name"])
            elif key in new:
                yield quote_qualified(*key), quote_qualified(database, f"{away}_view_{number}")


def _new_renames(session: Session, plan: Sequence[Placement]) -> Iterator[tuple[str, str]]:
    for placement in plan:
        for table in facts.tables(session, placement.staged):
            yield (
                quote_qualified(placement.staged, table["name"]),
                quote_qualified(placement.final, table["name"]),
            )


def _constraints_collide(session: Session, ledger: Ledger) -> bool:
    triggered_tables = {
        (old_table.final, old_table.original) for old_table in ledger.triggered_tables()
    }
    for placed in ledger.plan():
        old = {
            constraint
            for table, constraint in _constraints(session, placed.final)
            if (placed.final, table) in triggered_tables
        }
        if old & {constraint for _, constraint in _constraints(session, placed.staged)}:
            return True
    return False


def _constraints(session: Session, database: str) -> Iterator[tuple[str, str]]:
    for table, constraint in session.rows(_CONSTRAINTS, [database]):
        if not re.fullmatch(_GENERATED.format(table=re.escape(str(table))), str(constraint)):
            yield str(table), str(constraint).lower()


def _with_lock_retries(
    session: Session, databases: Sequence[str], action: Callable[[], None]
) -> None:
    """Repeats `action` while tables are locked, ending other sessions in these databases."""
    session.execute(f"SET SESSION foreign_key_checks = 0, lock_wait_timeout = {_WAIT_SECONDS}")
    for remaining in reversed(range(_MAX_TRIES)):
        try:
            action()
            break
        except WireError as error:
            if error_number(error) not in _LOCKED:
                raise
            if remaining == 0:
                raise AddonUnavailable(
                    f"sessions of others hold the tables and do not let go: {error.args[-1]}",
                    reason="lock",
                ) from error
            _end_sessions_in(session, databases)
    session.execute("SET SESSION lock_wait_timeout = 60")


def _end_sessions_in(session: Session, databases: Sequence[str]) -> None:
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
            if error_number(error) == 1095:
                raise AddonRefused(
                    "sessions of others hold the tables, and this user may not end them",
                    reason="lock",
                ) from error
