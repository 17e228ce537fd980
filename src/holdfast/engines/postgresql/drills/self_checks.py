"""Lets a server check its own tables and indexes with amcheck, in every user database.

amcheck is part of PostgreSQL's contrib. It is made in a transaction that is rolled back, so the
databases stay as they were. It compares values as the owner of the table does, with the owner's
rights; the administrator's own rights never run what an owner may have written:

- Of an index over expressions only the structure is checked when its table belongs to a superuser,
  because looking up the table's rows would run them with these rights.
- A function of an index that cannot run under our search path leaves that index half checked, which
  is said. It is no damage.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL, Composed, Literal

from holdfast.contracts.engine import Address
from holdfast.domain.evidence import Check
from holdfast.engines.drill_answers import listed
from holdfast.engines.postgresql.client import facts
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import cancelled_on_stop
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.physical.amcheck import install
from holdfast.kit.processes.guard import Guard

_AVAILABLE = "SELECT FROM pg_available_extensions WHERE name = 'amcheck'"
_TABLES = """
SELECT c.oid, c.oid::regclass::text FROM pg_class c
 WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence IN ('p', 'u')
   AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'heap')
 ORDER BY c.oid
"""
_INDEXES = """
SELECT c.oid, c.oid::regclass::text,
       (i.indexprs IS NULL AND i.indpred IS NULL) OR NOT r.rolsuper
  FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
  JOIN pg_class t ON t.oid = i.indrelid JOIN pg_roles r ON r.oid = t.relowner
 WHERE c.relkind = 'i' AND c.relpersistence IN ('p', 'u') AND i.indisvalid AND i.indisready
   AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
 ORDER BY c.oid
"""
_DAMAGE = (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted)


def check_data(address: Address, guard: Guard) -> Sequence[Check]:
    """One check per database."""
    with translated(guard), connect(address) as session:
        names = [str(database["name"]) for database in facts.databases(session)]
    checks: list[Check] = []
    for name in names:
        with (
            translated(guard),
            connect(address, name) as session,
            cancelled_on_stop(session, guard),
        ):
            checks.append(_check_database(session, name, guard))
    return checks


@dataclass
class _Findings:
    tables: int = 0
    indexes: int = 0
    damage: list[str] = field(default_factory=list[str])
    unchecked: list[str] = field(default_factory=list[str])

    def check_index(self, session: Session, oid: int, name: str, *, may_look_up: bool) -> None:
        """Checks an index with its table's rows, or its structure alone where that cannot be
        done."""
        self.indexes += 1
        for look_up in (True, False) if may_look_up else (False,):
            statement = SQL("SELECT pg_catalog.bt_index_check({}::regclass, {}::boolean)::text")
            try:
                _in_savepoint(session, statement.format(Literal(oid), Literal(look_up)))
            except _DAMAGE as error:
                self.damage.append(f"index {name}: {_words(error)}")
                return
            except psycopg.Error as error:
                if session.broken or isinstance(error, psycopg.errors.QueryCanceled):
                    raise
                if not look_up:
                    self.damage.append(f"index {name} cannot be read: {_words(error)}")
            else:
                if not look_up:
                    self.unchecked.append(name)
                return

    def sentences(self) -> Iterator[str]:
        if self.damage:
            yield f"damaged: {listed(self.damage)}"
        yield f"{self.tables} tables and {self.indexes} indexes checked"
        if self.unchecked:
            yield f"rows could not be looked up in {listed(self.unchecked)}"


def _check_database(session: Session, database: str, guard: Guard) -> Check:
    check = f"amcheck of {database}"
    if session.execute(_AVAILABLE).fetchone() is None:
        return Check(check, True, "amcheck is not installed on this machine (postgresql-contrib)")
    findings = _Findings()
    with session.transaction(force_rollback=True):
        try:
            install(session)
        except psycopg.errors.InsufficientPrivilege:
            return Check(check, True, f"amcheck needs a superuser; {session.info.user} is none")
        for oid, name in session.execute(_TABLES).fetchall():
            guard.check()
            guard.moved(0)
            statement = SQL("SELECT msg FROM pg_catalog.verify_heapam({}::regclass) LIMIT 1")
            try:
                complaint = _in_savepoint(session, statement.format(Literal(oid)))
            except _DAMAGE as error:
                complaint = _words(error)
            findings.tables += 1
            if complaint:
                findings.damage.append(f"table {name}: {complaint}")
        for oid, name, may_look_up in session.execute(_INDEXES).fetchall():
            guard.check()
            guard.moved(0)
            findings.check_index(session, oid, name, may_look_up=may_look_up)
    return Check(check, not findings.damage, "; ".join(findings.sentences()))


def _in_savepoint(session: Session, statement: Composed) -> str | None:
    with session.transaction():
        row = session.execute(statement).fetchone()
    return None if row is None else row[0]


def _words(error: psycopg.Error) -> str:
    return " ".join(str(error).split())[:300]
