"""Counts and analyses tables of a staged database one by one, while others are loaded.

No other session uses a staged database and nothing in it runs by itself, so a table whose data is
in stays as it was counted. Not so where the user's code runs during a load (see `needs_order`) or
after it (see `has_refresh`).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from holdfast.contracts.engine import Skipped
from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.dump.inventory import Name, count_rows
from holdfast.engines.postgresql.load import load_plan
from holdfast.engines.postgresql.load.planner_statistics import analyse, tolerate_failure

_TABLES = """
SELECT n.nspname, c.relname,
       NOT (c.relispartition
            AND EXISTS (SELECT FROM pg_partitioned_table WHERE partstrat = 'h')),
       NOT c.relispartition AND NOT c.relhassubclass
         AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
"""
"""The data of one hash partition may hold rows of another."""


class LoadedTable(NamedTuple):
    """A table; `complete`: all its rows come with its data; `analysable`: its statistics are its
    own."""

    name: Name
    complete: bool
    analysable: bool


def tables(session: Session) -> list[LoadedTable]:
    return [LoadedTable((schema, name), *more) for schema, name, *more in session.execute(_TABLES)]


def limit_session(session: Session) -> None:
    """Settings of a session that works beside others: parallel workers would take a processor
    from them.

    What it writes becomes durable at the end of the restore: see `Staging`.
    """
    session.execute("SET max_parallel_workers_per_gather = 0; SET synchronous_commit = off")


class TablesByLine:
    """Finds tables by the lines of their data in pg_restore's list.

    A line that could name two tables finds none.
    """

    def __init__(self, tables: Iterable[LoadedTable]) -> None:
        self._by_name: dict[str, list[LoadedTable]] = defaultdict(list)
        for table in tables:
            self._by_name[load_plan.words(".".join(table.name))].append(table)

    def get(self, line: str) -> LoadedTable | None:
        names = load_plan.names(line)
        tables = [table for name in names for table in self._by_name.get(name, ())]
        return tables[0] if len(tables) == 1 else None


@dataclass
class TableChecks:
    """Rows counted and tables analysed in one database, by several sessions.

    `final`: is a table's number of rows final when its data is in? `skipped`: objects that could
    not be made.
    """

    final: bool = True
    rows: dict[Name, int] = field(default_factory=dict[Name, int])
    analysed: set[Name] = field(default_factory=set[Name])
    skipped: list[Skipped] = field(default_factory=list[Skipped])

    def forget(self) -> None:
        """Drops all counts: rows were added to tables that were counted."""
        self.rows.clear()
        self.analysed.clear()

    def count_now(self, session: Session, table: LoadedTable) -> None:
        """Counts a table that only a superuser could count later."""
        with tolerate_failure(session):
            self.rows[table.name] = count_rows(session, *table.name)

    def check(self, session: Session, table: LoadedTable, *, settled: bool) -> None:
        """Counts and analyses a table. One that cannot be queried now is counted at the end."""
        with tolerate_failure(session):
            if self.final and table.complete:
                self.rows[table.name] = count_rows(session, *table.name)
            if settled and table.analysable:
                analyse(session, table.name)
                self.analysed.add(table.name)
