"""Lets a server check its own tables and indexes with amcheck, in every user database.

amcheck is part of PostgreSQL's contrib. Its functions are made in transactions that are rolled
back, so the databases stay as they were; several sessions share the tables and indexes of one. It
compares values as the owner of the table does, with the owner's rights; the administrator's own
rights never run what an owner may have written:

- Of an index over expressions only the structure is checked when its table belongs to a superuser,
  because looking up the table's rows would run them with these rights.
- A function of an index that cannot run under our search path leaves that index half checked, which
  is said. It is no damage.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import psycopg
from psycopg.sql import SQL, Composed, Literal

from holdfast.contracts.engine import Address
from holdfast.domain.evidence import Check
from holdfast.engines.drill_answers import listed
from holdfast.engines.postgresql.client import facts
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.databases import cancelled_on_stop
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.physical.amcheck import make_functions
from holdfast.kit.processes.guard import Guard

_MAX_SESSIONS = min(4, os.cpu_count() or 1)
_SEVERAL_SESSIONS_PAGES = 2_000
"""Fewer pages, 16 MB, are checked sooner than more sessions are opened."""

_AVAILABLE = "SELECT FROM pg_available_extensions WHERE name = 'amcheck'"
_RELATIONS = """
SELECT c.oid, c.oid::regclass::text, false, false, c.relpages FROM pg_class c
 WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence IN ('p', 'u')
   AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'heap')
UNION ALL
SELECT c.oid, c.oid::regclass::text, true,
       (i.indexprs IS NULL AND i.indpred IS NULL) OR NOT r.rolsuper, c.relpages + t.relpages
  FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
  JOIN pg_class t ON t.oid = i.indrelid JOIN pg_roles r ON r.oid = t.relowner
 WHERE c.relkind = 'i' AND c.relpersistence IN ('p', 'u') AND i.indisvalid AND i.indisready
   AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
 ORDER BY 5 DESC, 1
"""
_DAMAGE = (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted)


def check_data(address: Address, guard: Guard) -> Sequence[Check]:
    """One check per database."""
    with translated(guard), connect(address) as session:
        names = [str(database["name"]) for database in facts.databases(session)]
    return [_check_database(address, name, guard) for name in names]


class _Relation(NamedTuple):
    oid: int
    name: str
    is_index: bool
    may_look_up: bool
    """Whether an index may be compared with its table's rows."""

    pages: int
    """Of an index with those of its table, about."""


@dataclass
class _Findings:
    tables: int = 0
    indexes: int = 0
    damage: list[str] = field(default_factory=list[str])
    unchecked: list[str] = field(default_factory=list[str])

    def add(self, other: "_Findings") -> None:
        self.tables += other.tables
        self.indexes += other.indexes
        self.damage += other.damage
        self.unchecked += other.unchecked

    def check_table(self, session: Session, table: _Relation) -> None:
        self.tables += 1
        statement = SQL("SELECT msg FROM pg_temp.verify_heapam({}::regclass) LIMIT 1")
        try:
            complaint = _in_savepoint(session, statement.format(Literal(table.oid)))
        except _DAMAGE as error:
            complaint = _words(error)
        if complaint:
            self.damage.append(f"table {table.name}: {complaint}")

    def check_index(self, session: Session, index: _Relation) -> None:
        """Checks an index with its table's rows, or its structure alone where that cannot be
        done."""
        self.indexes += 1
        for look_up in (True, False) if index.may_look_up else (False,):
            statement = SQL("SELECT pg_temp.bt_index_check({}::regclass, {}::boolean)::text")
            try:
                _in_savepoint(session, statement.format(Literal(index.oid), Literal(look_up)))
            except _DAMAGE as error:
                self.damage.append(f"index {index.name}: {_words(error)}")
                return
            except psycopg.Error as error:
                if session.broken or isinstance(error, psycopg.errors.QueryCanceled):
                    raise
                if not look_up:
                    self.damage.append(f"index {index.name} cannot be read: {_words(error)}")
            else:
                if not look_up:
                    self.unchecked.append(index.name)
                return

    def sentences(self) -> Iterator[str]:
        if self.damage:
            yield f"damaged: {listed(sorted(self.damage, reverse=True))}"
        yield f"{self.tables} tables and {self.indexes} indexes checked"
        if self.unchecked:
            yield f"rows could not be looked up in {listed(sorted(self.unchecked))}"


def _check_database(address: Address, database: str, guard: Guard) -> Check:
    check = f"amcheck of {database}"
    with translated(guard), connect(address, database) as session:
        if session.execute(_AVAILABLE).fetchone() is None:
            return Check(
                check, True, "amcheck is not installed on this machine (postgresql-contrib)"
            )
        relations = deque(_Relation(*row) for row in session.execute(_RELATIONS).fetchall())
    pages = sum(relation.pages for relation in relations)
    count = _MAX_SESSIONS if pages >= _SEVERAL_SESSIONS_PAGES else 1
    findings = _Findings()
    with translated(guard), ThreadPoolExecutor(count, "amcheck") as pool:
        sessions = [
            pool.submit(_check_relations, address, database, relations, guard) for _ in range(count)
        ]
        try:
            for checking in sessions:
                findings.add(checking.result())
        except psycopg.errors.InsufficientPrivilege:
            return Check(check, True, f"amcheck needs a superuser; {address.user} is none")
        finally:
            relations.clear()  # after a failure the other sessions end after theirs
    return Check(check, not findings.damage, "; ".join(findings.sentences()))


def _check_relations(
    address: Address, database: str, relations: deque[_Relation], guard: Guard
) -> _Findings:
    """Checks relations, in a session of its own, until there are none left."""
    findings = _Findings()
    with (
        connect(address, database) as session,
        cancelled_on_stop(session, guard),
        session.transaction(force_rollback=True),
    ):
        make_functions(session)
        while True:
            guard.check()
            guard.moved(0)
            try:
                relation = relations.popleft()
            except IndexError:
                return findings
            check = findings.check_index if relation.is_index else findings.check_table
            check(session, relation)


def _in_savepoint(session: Session, statement: Composed) -> str | None:
    with session.transaction():
        row = session.execute(statement).fetchone()
    return None if row is None else row[0]


def _words(error: psycopg.Error) -> str:
    return " ".join(str(error).split())[:300]
