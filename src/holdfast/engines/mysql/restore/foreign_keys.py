"""Foreign keys from databases that stay to tables that a restore replaces.

A table that is renamed takes the foreign keys along that refer to it, also those of other
databases. So they are noted before the data moves, tried with the tables that come, and pointed at
those when they are in place.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from holdfast.domain.errors import PreflightRefused
from holdfast.engines.mysql.client import object_names
from holdfast.engines.mysql.client.connection import Session, WireError, code, name
from holdfast.engines.mysql.client.server_errors import LOST, said
from holdfast.engines.mysql.dump.script import with_mended_keys

_LINKS = """
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
class Link:
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
    def parse(cls, document: str) -> "Link":
        return cls(**json.loads(document))

    def clause(self, parent_database: str) -> str:
        """As the server shows it, with a parent in this database."""
        old_reference, new_reference = (
            f"REFERENCES {name(database)}." for database in (self.parent_database, parent_database)
        )
        return self.definition.replace(old_reference, new_reference)

    def sentence(self) -> str:
        return f"table {self.database}.{self.table} refers to {self.parent_database}.{self.parent}"

    def remedy(self) -> str:
        return (
            f"ALTER TABLE {name(self.database)}.{name(self.table)} DROP FOREIGN KEY"
            f" {name(self.name)}"
        )


def into(session: Session, leaving: Collection[str]) -> list[Link]:
    """Foreign keys from databases that are not among `leaving` to tables of those that are."""
    return [
        _with_columns(session, link)
        for link in _all(session)
        if link.parent_database in leaving
        and link.database not in leaving
        and not object_names.is_ours(link.database)
    ]


def _all(session: Session) -> list[Link]:
    return [Link(*map(str, row)) for row in session.rows(_LINKS)]


def stranded(session: Session, homes: Mapping[str, str]) -> list[Link]:
    """Foreign keys of databases that are in place to tables that are nowhere: they still name the
    database in which theirs waited. `homes`: the database that each of those has become."""
    return [
        replace(
            whole,
            parent_database=homes[link.parent_database],
            definition=whole.clause(homes[link.parent_database]),
        )
        for link in _all(session)
        if link.parent_database in homes and link.database in homes.values()
        for whole in [_with_columns(session, link)]
    ]


def _with_columns(session: Session, link: Link) -> Link:
    rows = session.rows(_COLUMNS, [link.database, link.table, link.name])
    columns, referenced = zip(*((str(a), str(b)) for a, b in rows), strict=True)
    row = session.row(f"SHOW CREATE TABLE {name(link.database)}.{name(link.table)}")
    shown = with_mended_keys(str(row[1]).encode()).decode()
    opening = f"CONSTRAINT {name(link.name)} FOREIGN KEY"
    (line,) = (
        shown_line for shown_line in shown.splitlines() if shown_line.strip().startswith(opening)
    )
    definition = line.strip().removeprefix(f"CONSTRAINT {name(link.name)} ").removesuffix(",")
    return replace(link, definition=definition, columns=columns, parent_columns=referenced)


def require_parents(links: Iterable[Link], tables: Collection[tuple[str, str]]) -> None:
    """PreflightRefused for tables of others that would lose what they refer to."""
    lost = [link for link in links if (link.parent_database, link.parent) not in tables]
    if lost:
        raise PreflightRefused(
            "; ".join(
                f"{link.sentence()}, which the backup lacks: it would lose it. To restore all the"
                f" same, first run: {link.remedy()}"
                for link in lost[:5]
            )
        )


def try_beside(
    session: Session,
    links: Iterable[Link],
    places: Mapping[str, str],
    room: str,
    say: Callable[[str], None],
) -> None:
    """Makes each foreign key once between an empty copy of its table and the parent that comes.

    `room` is a database for these copies. PreflightRefused when the server does not take one.
    """
    for link in links:
        copy = f"{name(room)}.`link`"
        session.execute("SET SESSION foreign_key_checks = 1")
        try:
            session.execute(f"CREATE TABLE {copy} LIKE {name(link.database)}.{name(link.table)}")
            staged = places[link.parent_database]
            session.execute(f"ALTER TABLE {copy} ADD {link.clause(staged)}")
        except WireError as error:
            raise PreflightRefused(
                f"{link.sentence()}, which is another in the backup: {said(error)}. To restore all"
                f" the same, first run: {link.remedy()}"
            ) from error
        finally:
            session.execute("SET SESSION foreign_key_checks = 0")
            session.execute(f"DROP TABLE IF EXISTS {copy}")
        orphans = _orphans(session, link, staged)
        if orphans:
            say(
                f"{link.sentence()}: {orphans} of its rows refer to rows that the backup lacks;"
                " they stay, as after any load with foreign_key_checks = 0"
            )


def _orphans(session: Session, link: Link, staged: str) -> int:
    pairs = zip(link.columns, link.parent_columns, strict=True)
    joined = " AND ".join(f"c.{name(a)} = p.{name(b)}" for a, b in pairs)
    not_null = " AND ".join(f"c.{name(column)} IS NOT NULL" for column in link.columns)
    query = (
        f"SELECT count(*) FROM {name(link.database)}.{name(link.table)} c WHERE {not_null}"  # noqa: S608
        f" AND NOT EXISTS (SELECT 1 FROM {name(staged)}.{name(link.parent)} p WHERE {joined})"
    )
    return int(session.value(query))


def point(session: Session, links: Iterable[Link], say: Callable[[str], None]) -> None:
    """Makes each refer to the table that is in place now. Repeatable."""
    session.execute("SET SESSION foreign_key_checks = 0")
    for link in links:
        table = f"{name(link.database)}.{name(link.table)}"
        present = session.rows(
            "SELECT unique_constraint_schema, referenced_table_name"
            " FROM information_schema.referential_constraints"
            " WHERE constraint_schema = %s AND table_name = %s AND constraint_name = %s",
            [link.database, link.table, link.name],
        )
        if present == [(link.parent_database, link.parent)]:
            continue
        try:
            if present:
                session.execute(f"ALTER TABLE {table} DROP FOREIGN KEY {name(link.name)}")
            session.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {name(link.name)}"
                f" {link.clause(link.parent_database)}"
            )
        except WireError as error:
            if code(error) in LOST:
                raise
            say(f"{link.sentence()}: its foreign key {link.name} is lost: {said(error)}")
