"""Keeps foreign keys of databases that stay pointing at the tables that a restore replaces.

A renamed table takes the foreign keys along that refer to it, also those of other databases. So
they are recorded before the data moves, tried with the new tables, and pointed at those when they
are in place.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from holdfast.domain.errors import PreflightRefused
from holdfast.engines.mysql.client import object_names
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    error_number,
    quote_name,
    quote_qualified,
)
from holdfast.engines.mysql.client.server_errors import LOST, error_text
from holdfast.engines.mysql.dump.script import with_mended_keys

_FOREIGN_KEYS = """
SELECT c.constraint_schema, c.table_name, c.constraint_name, c.unique_constraint_schema,
       c.referenced_table_name
  FROM information_schema.referential_constraints c
 WHERE c.constraint_schema <> c.unique_constraint_schema
 ORDER BY 1, 2, 3
"""
_COLUMNS = """
SELECT column_name, referenced_column_name FROM information_schema.key_column_usage
 WHERE constraint_schema = %s AND table_name = %s AND constraint_name = %s
   AND referenced_column_name IS NOT NULL
 ORDER BY ordinal_position
"""


@dataclass(frozen=True)
class ForeignKey:
    """One foreign key from `database`.`table` to `parent_database`.`parent`."""

    database: str
    table: str
    name: str
    parent_database: str
    parent: str
    definition: str = ""
    columns: Sequence[str] = ()
    parent_columns: Sequence[str] = ()

    def document(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, document: str) -> "ForeignKey":
        return cls(**json.loads(document))

    def clause(self, parent_database: str) -> str:
        """The constraint as the server shows it, with the parent in another database."""
        old_reference, new_reference = (
            f"REFERENCES {quote_name(database)}."
            for database in (self.parent_database, parent_database)
        )
        return self.definition.replace(old_reference, new_reference)

    def sentence(self) -> str:
        return f"table {self.database}.{self.table} refers to {self.parent_database}.{self.parent}"

    def remedy(self) -> str:
        return (
            f"ALTER TABLE {quote_qualified(self.database, self.table)} DROP FOREIGN KEY"
            f" {quote_name(self.name)}"
        )


def referring_to(session: Session, leaving: Collection[str]) -> list[ForeignKey]:
    """Foreign keys of databases that stay to tables of the databases that are `leaving`."""
    return [
        _with_columns(session, key)
        for key in _cross_database_keys(session)
        if key.parent_database in leaving
        and key.database not in leaving
        and not object_names.is_ours(key.database)
    ]


def _cross_database_keys(session: Session) -> list[ForeignKey]:
    return [ForeignKey(*map(str, row)) for row in session.rows(_FOREIGN_KEYS)]


def left_at_stage(session: Session, final_names: Mapping[str, str]) -> list[ForeignKey]:
    """Foreign keys of restored databases that still name a staging database as parent's.

    `final_names` maps each staging database to the one that it became.
    """
    return [
        replace(
            complete,
            parent_database=final_names[key.parent_database],
            definition=complete.clause(final_names[key.parent_database]),
        )
        for key in _cross_database_keys(session)
        if key.parent_database in final_names and key.database in final_names.values()
        for complete in [_with_columns(session, key)]
    ]


def _with_columns(session: Session, key: ForeignKey) -> ForeignKey:
    rows = session.rows(_COLUMNS, [key.database, key.table, key.name])
    columns, referenced = zip(*((str(a), str(b)) for a, b in rows), strict=True)
    row = session.row(f"SHOW CREATE TABLE {quote_qualified(key.database, key.table)}")
    shown = with_mended_keys(str(row[1]).encode()).decode()
    opening = f"CONSTRAINT {quote_name(key.name)} FOREIGN KEY"
    (line,) = (
        shown_line for shown_line in shown.splitlines() if shown_line.strip().startswith(opening)
    )
    definition = line.strip().removeprefix(f"CONSTRAINT {quote_name(key.name)} ").removesuffix(",")
    return replace(key, definition=definition, columns=columns, parent_columns=referenced)


def require_parents(keys: Iterable[ForeignKey], tables: Collection[tuple[str, str]]) -> None:
    """PreflightRefused where tables of other databases refer to tables that the backup lacks."""
    lost = [key for key in keys if (key.parent_database, key.parent) not in tables]
    if lost:
        raise PreflightRefused(
            "; ".join(
                f"{key.sentence()}, which the backup lacks: it would lose it. To restore all the"
                f" same, first run: {key.remedy()}"
                for key in lost[:5]
            )
        )


def rehearse(
    session: Session,
    keys: Iterable[ForeignKey],
    staged_names: Mapping[str, str],
    scratch_database: str,
    say: Callable[[str], None],
) -> None:
    """Creates each foreign key once between an empty copy of its table and the new parent.

    The copies are made in `scratch_database`. PreflightRefused when the server refuses one.
    """
    for key in keys:
        copy = f"{quote_name(scratch_database)}.`link`"
        session.execute("SET SESSION foreign_key_checks = 1")
        try:
            session.execute(f"CREATE TABLE {copy} LIKE {quote_qualified(key.database, key.table)}")
            staged = staged_names[key.parent_database]
            session.execute(f"ALTER TABLE {copy} ADD {key.clause(staged)}")
        except WireError as error:
            raise PreflightRefused(
                f"{key.sentence()}, which is another in the backup: {error_text(error)}. To"
                f" restore all the same, first run: {key.remedy()}"
            ) from error
        finally:
            session.execute("SET SESSION foreign_key_checks = 0")
            session.execute(f"DROP TABLE IF EXISTS {copy}")
        orphans = _orphans(session, key, staged)
        if orphans:
            say(
                f"{key.sentence()}: {orphans} of its rows refer to rows that the backup lacks;"
                " they stay, as after any load with foreign_key_checks = 0"
            )


def _orphans(session: Session, key: ForeignKey, staged: str) -> int:
    pairs = zip(key.columns, key.parent_columns, strict=True)
    joined = " AND ".join(f"c.{quote_name(a)} = p.{quote_name(b)}" for a, b in pairs)
    not_null = " AND ".join(f"c.{quote_name(column)} IS NOT NULL" for column in key.columns)
    child = quote_qualified(key.database, key.table)
    parent = quote_qualified(staged, key.parent)
    query = (
        f"SELECT count(*) FROM {child} c WHERE {not_null}"  # noqa: S608 - quoted
        f" AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {joined})"
    )
    return int(session.value(query))


def repoint(session: Session, keys: Iterable[ForeignKey], say: Callable[[str], None]) -> None:
    """Makes each foreign key refer to the table that is in place now. Repeatable."""
    session.execute("SET SESSION foreign_key_checks = 0")
    for key in keys:
        table = quote_qualified(key.database, key.table)
        present = session.rows(
            "SELECT unique_constraint_schema, referenced_table_name"
            " FROM information_schema.referential_constraints"
            " WHERE constraint_schema = %s AND table_name = %s AND constraint_name = %s",
            [key.database, key.table, key.name],
        )
        if present == [(key.parent_database, key.parent)]:
            continue
        try:
            if present:
                session.execute(f"ALTER TABLE {table} DROP FOREIGN KEY {quote_name(key.name)}")
            session.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {quote_name(key.name)}"
                f" {key.clause(key.parent_database)}"
            )
        except WireError as error:
            if error_number(error) in LOST:
                raise
            say(f"{key.sentence()}: its foreign key {key.name} is lost: {error_text(error)}")
