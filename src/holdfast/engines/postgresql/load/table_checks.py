"""Counts tables, and has the planner's statistics collected, one by one while others are loaded.

Nobody else knows of a staged database and nothing in it runs by itself, so a table whose data is
in stays as it was counted. Not so where code of the user's runs at a load (see `needs_order`) or
after it: see `refreshes`.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from holdfast.contracts.engine import Skipped
from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.dump.inventory import Name, rows
from holdfast.engines.postgresql.load import load_plan
from holdfast.engines.postgresql.load.planner_statistics import analyse, unless_it_fails

_TABLES = """
SELECT n.nspname, c.relname,
       NOT (c.relispartition
            AND EXISTS (SELECT FROM pg_partitioned_table WHERE partstrat = 'h')),
       NOT c.relispartition AND NOT c.relhassubclass
         AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't'
"""
"""Rows of one partition by hash may come with the data of another."""


class Known(NamedTuple):
    """A table; whether all its rows come with its data, and whether its statistics are its own."""

    name: Name
    alone: bool
    analysable: bool


def tables(session: Session) -> list[Known]:
    return [Known((schema, name), *more) for schema, name, *more in session.execute(_TABLES)]


def alone(session: Session) -> None:
    """For a session beside others: processes that help it would take a processor from them. What
    it writes is durable with the restore: see `Staging`."""
    session.execute("SET max_parallel_workers_per_gather = 0; SET synchronous_commit = off")


class Names:
    """Tables by the lines of their data; not those that a line could be taken for another of."""

    def __init__(self, tables: Iterable[Known]) -> None:
        self._found: dict[str, list[Known]] = defaultdict(list)
        for table in tables:
            self._found[load_plan.words(".".join(table.name))].append(table)

    def get(self, line: str) -> Known | None:
        tables = [table for name in load_plan.names(line) for table in self._found.get(name, ())]
        return tables[0] if len(tables) == 1 else None


@dataclass
class Seen:
    """What has been seen of one database, by several sessions.

    `counts`: is a table's number of rows final when its data is in? `skipped`: what could not be
    made.
    """

    counts: bool = True
    rows: dict[Name, int] = field(default_factory=dict[Name, int])
    analysed: set[Name] = field(default_factory=set[Name])
    skipped: list[Skipped] = field(default_factory=list[Skipped])

    def forget(self) -> None:
        """Rows came after a table was looked at."""
        self.rows.clear()
        self.analysed.clear()

    def look_early(self, session: Session, table: Known) -> None:
        """Where nobody can count it later."""
        with unless_it_fails(session):
            self.rows[table.name] = rows(session, *table.name)

    def look(self, session: Session, table: Known, *, settled: bool) -> None:
        """What cannot be queried now is looked at in the end, in other ways."""
        with unless_it_fails(session):
            if self.counts and table.alone:
                self.rows[table.name] = rows(session, *table.name)
            if settled and table.analysable:
                analyse(session, table.name)
                self.analysed.add(table.name)
