"""Wild databases have the same content after a restore, and count as many rows as were counted.

What a restore refuses, or changes with a warning, is `test_wild.py`'s matter.
"""

import shutil
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from fixtures.mysql import MySQLServer
from fixtures.mysql import restore as restore_mysql
from fixtures.mysql import take as take_mysql
from fixtures.mysql import url_of as mysql_url_of
from fixtures.postgres import Log, PostgresServer, Taken, restore, take, url_of
from fixtures.sqlite_files import SqliteFiles
from holdfast.contracts.drills import Content
from holdfast.contracts.engine import Inventory
from holdfast.domain.errors import Failure
from wild import mysql, postgresql, sqlite
from wild.test_wild import seeds

Key = tuple[str | None, str]


def contents_of(engine: Any, taken: Any) -> dict[Key, Content]:
    return {
        (member.database, name): content
        for member in taken.dump.members
        for name, content in engine.content(member, taken.fetch(member.name)).items()
    }


def counted(taken: Any, *, one_member: bool) -> Mapping[Key, int]:
    return {
        (None, f"{database}.{name}") if one_member else (database, name): count
        for (database, name), count in rows_by_table(taken.dump.inventory).items()
    }


def differences(
    before: Mapping[Key, Content], after: Mapping[Key, Content], rows: Mapping[Key, int]
) -> list[str]:
    return [
        *(f"{key}: {before.get(key)} became {after.get(key)}" for key in sorted_keys(before, after)
          if before.get(key) != after.get(key)),
        *(f"{key}: {count} rows counted, {before.get(key)}" for key, count in rows.items()
          if count != getattr(before.get(key), "rows", 0)),
    ]  # fmt: skip


def rows_by_table(inventory: Inventory) -> Mapping[Key, int]:
    rows: Counter[Key] = Counter()
    for table in inventory.tables:
        rows[table.database, table.root or table.name] += table.rows
    return rows


def sorted_keys(one: Mapping[Key, Content], other: Mapping[Key, Content]) -> list[Key]:
    return sorted(one.keys() | other.keys(), key=str)


@pytest.mark.timeout(0)
def test_postgresql(start_postgres: Any) -> None:
    source: PostgresServer = start_postgres(15, "wild-source")
    target: PostgresServer = start_postgres(17, "wild-target")
    violations: list[str] = []
    for seed in seeds():
        source.wipe()
        target.wipe()
        used = postgresql.fill(url_of(source, "main"), seed, powerful=True)
        try:
            taken = take(source.engine, source.address)
            loaded = restore(target.engine, target.address, taken, Log())
        except Failure:
            continue
        if rows_by_table(loaded) != rows_by_table(taken.dump.inventory):
            continue  # a job would refuse it
        again: Taken = take(target.engine, target.address)
        found = differences(
            contents_of(source.engine, taken),
            contents_of(source.engine, again),
            counted(taken, one_member=False),
        )
        violations += [f"seed {seed}: {each} ({', '.join(used)})" for each in found]
    assert not violations, "\n".join(violations)


@pytest.mark.timeout(0)
def test_mariadb(mariadb: MySQLServer, other_mariadb: MySQLServer) -> None:
    violations: list[str] = []
    for seed in seeds():
        mariadb.wipe()
        other_mariadb.wipe()
        used = mysql.fill(mysql_url_of(mariadb), seed, powerful=True)
        try:
            taken = take_mysql(mariadb.engine, mariadb.address)
            restore_mysql(mariadb.engine, other_mariadb.address, taken, Log())
        except Failure:
            continue
        again = take_mysql(mariadb.engine, other_mariadb.address)
        found = differences(
            contents_of(mariadb.engine, taken),
            contents_of(mariadb.engine, again),
            counted(taken, one_member=True),
        )
        violations += [f"seed {seed}: {each} ({', '.join(used)})" for each in found]
    assert not violations, "\n".join(violations)


@pytest.mark.timeout(0)
def test_sqlite(sqlite_files: SqliteFiles) -> None:
    violations: list[str] = []
    for seed in seeds():
        shutil.rmtree(sqlite_files.home)
        sqlite_files.home.mkdir()
        used = sqlite.fill(f"sqlite://{sqlite_files.home / 'a.db'}", seed, powerful=True)
        (sqlite_files.home / "b.db").touch()
        try:
            taken = sqlite_files.take("a.db")
            sqlite_files.put(taken, "b.db", f"op{seed}")
        except (Failure, AssertionError):  # another order of tables
            continue
        found = differences(
            contents_of(sqlite_files.engine, taken),
            contents_of(sqlite_files.engine, sqlite_files.take("b.db")),
            counted(taken, one_member=False),
        )
        violations += [f"seed {seed}: {each} ({', '.join(used)})" for each in found]
    assert not violations, "\n".join(violations)
