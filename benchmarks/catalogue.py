"""A catalogue with very many backups, written straight into it beside a fresh data directory.

The addons are attached, with a daily schedule, and never asked for anything; the rows are as
finished backups leave them. The database makes them itself out of a series of numbers: a million in
one minute on SQLite, in two on PostgreSQL.
"""

import json
import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, String, cast, func, insert, literal, select

from holdfast.bootstrap.parts import Parts
from holdfast.catalog import protection
from holdfast.catalog.database.session import Catalog, WriteSession
from holdfast.catalog.schema import (
    Addon,
    Backup,
    Copy,
    Occurrence,
    Operation,
    Project,
    Schedule,
    Table,
)
from holdfast.domain.units import DAY_MS, HOUR_MS
from holdfast.kit.clock import SystemClock
from holdfast.settings import Settings

PROJECT = "archive"
ADDON = "shop"
_LONGEST_MS = 500 * DAY_MS
"""All backups are taken within this time, or an hour apart if there are few."""
_DAYS_SHOWN = 14
_ADDONS_AT_ONCE = 200
_BACKUPS_AT_ONCE = 100_000  # more make SQLite's log as large as its file
_NUMBER = "@"
"""Stands for the number of the backup in a text that is otherwise the same."""

Number = ColumnElement[Any]
"""The number of a backup, from 1, as the database counts it."""


def fill_catalogue(data_dir: Path, count: int, addons: int = 1, database_url: str = "") -> None:
    """Backups `backup-1` to `backup-<count>`, the last one the newest, of each addon its share,
    and the rows of protection that the transactions would have written that end backups.

    `database_url` as the setting: empty is SQLite, in the data directory.
    """
    parts = Parts(Settings(data_dir=data_dir, database_url=database_url))
    # Without its key and its store nothing starts where secrets and backups are.
    catalog, _, store = parts.catalog, parts.master, parts.store(None)
    upload = store.begin("made")
    upload.write(b"made")
    upload.commit()
    now = SystemClock().now()
    step = min(HOUR_MS, _LONGEST_MS // count)
    with catalog.write() as session:
        project = Project(id=PROJECT, name="Archive", created=now, updated=now)
        session.add(project)
        session.flush()
        rows = [_addon(project.pk, number, now) for number in range(addons)]
        session.add_all(rows)
        session.flush()
        first_pk = rows[0].pk
    for first in range(1, count + 1, _BACKUPS_AT_ONCE):
        number = numbers(first, min(first + _BACKUPS_AT_ONCE - 1, count))
        began = now - (count - number) * step
        with catalog.write() as session:
            insert_backups(session, first_pk + number % addons, number, began)
    with catalog.write() as session:
        number = numbers(1, addons)
        insert_rows(session, Schedule, _schedule(number, first_pk + number % addons, now))
        number = numbers(max(1, count - addons * _DAYS_SHOWN), count)
        began = now - (count - number) * step
        schedule = func.coalesce(func.nullif(number % addons, 0), addons)
        insert_rows(session, Occurrence, _occurrence(schedule, number, began))
    pks = range(first_pk, first_pk + addons)
    for first in range(0, addons, _ADDONS_AT_ONCE):
        with catalog.write() as session:
            protection.refresh(session, pks[first : first + _ADDONS_AT_ONCE], all_days=True)
    settle(catalog)
    catalog.close()


def settle(catalog: Catalog) -> None:
    """Leaves the catalogue as one that has been there for a while."""
    if catalog.is_sqlite:
        with sqlite3.connect(str(catalog.url.database)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    with catalog.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        for table in (Backup, Schedule):  # their keys were given, so the sequences know nothing
            name = table.__tablename__
            sequence = func.pg_get_serial_sequence(name, "pk")
            connection.execute(select(func.setval(sequence, func.max(table.pk))))
        connection.exec_driver_sql("VACUUM ANALYZE")


def _addon(project_pk: int, number: int, now: int) -> Addon:
    return Addon(
        uid=str(uuid.uuid4()),
        project_pk=project_pk,
        id=f"{ADDON}-{number}" if number else ADDON,
        name="Shop",
        kind="postgresql",
        version="15.18",
        managed=False,
        desired="running",
        status="running",
        host="127.0.0.1",
        port=5432,
        user="nobody",
        database="shop",
        options={},
        sealed_password="",
        tags=[],
        spec={},
        created=now - _LONGEST_MS,
        updated=now - _LONGEST_MS,
    )


def numbers(first: int, last: int) -> Number:
    """Each of them is a row of the statement that the number is used in."""
    series = select(literal(first, BigInteger).label("number")).cte("numbers", recursive=True)
    column = series.c.number
    series = series.union_all(select(column + 1).where(column < last))
    return series.c.number


def insert_backups(session: WriteSession, addon_pk: Number, number: Number, began: Number) -> None:
    """A finished backup of each number: its row, its copy, its operation."""
    for table, values in (
        (Operation, _operation(addon_pk, number, began)),
        (Backup, _backup(addon_pk, number, began)),
        (Copy, _copy(addon_pk, number, began)),
    ):
        insert_rows(session, table, values)


def insert_rows(session: WriteSession, table: type[Table], values: Mapping[str, Any]) -> None:
    """A row for each number that the values depend on; others are the same in every row."""
    columns = table.__table__.c
    selected: list[Any] = [
        value if isinstance(value, ColumnElement) else literal(value, columns[name].type)
        for name, value in values.items()
    ]
    session.execute(insert(table).from_select(list(values), select(*selected)))


def _backup(addon_pk: Number, number: Number, began: Number) -> dict[str, Any]:
    return {
        "pk": number,
        "uid": _uid(number),
        "addon_pk": addon_pk,
        "id": "backup-" + _text(number),
        "name": "Backup " + _text(number),
        "type": "dump",
        "source": "user",
        "compression": "zstd",
        "status": "completed",
        "size": 80_000_000 + number,
        "version": "15.18",
        "retained": False,
        "evidence": _document(_evidence(), number),
        "operation": padded(number, 24),
        "created": began,
        "completed": began + 4_000,
    }


def _copy(addon_pk: Number, number: Number, began: Number) -> dict[str, Any]:
    """Where its bytes are: in the platform's store."""
    return {
        "backup_pk": number,
        "addon_pk": addon_pk,
        "additional": False,
        "status": "completed",
        "tries": 0,
        "size": 80_000_000 + number,
        "objects": f"dumps/{PROJECT}/{ADDON}/" + _uid(number) + "/1/",
        "created": began,
        "completed": began + 4_000,
    }


def _operation(addon_pk: Number, number: Number, began: Number) -> dict[str, Any]:
    """What made it, long over."""
    return {
        "id": padded(number, 24),
        "addon_pk": addon_pk,
        "kind": "backup",
        "lane": "any",
        "priority": 5,
        "status": "completed",
        "fence": 1,
        "attempt": 1,
        "worker": "nobody",
        "arguments": _document({"backup": _NUMBER, "project": PROJECT}, number),
        "record": {},
        "litter": False,
        "created": began,
        "started": began,
        "ended": began + 4_000,
    }


def _schedule(number: Number, addon_pk: Number, now: int) -> dict[str, Any]:
    """Daily, next due after everything was measured: its addon has no server."""
    return {
        "pk": number,
        "id": padded(number, 24),
        "addon_pk": addon_pk,
        "type": "dump",
        "compression": "zstd",
        "additional": [],
        "interval": "daily",
        "minute": [7],
        "hour": [3],
        "day": [],
        "retention": 600,
        "next_due": now + DAY_MS,
        "created": now - _LONGEST_MS,
        "updated": now - _LONGEST_MS,
    }


def _occurrence(schedule_pk: Number, number: Number, began: Number) -> dict[str, Any]:
    return {
        "schedule_pk": schedule_pk,
        "instant": began,
        "since": began,
        "count": 1,
        "outcome": "fired",
        "reason": "",
        "backup_pk": number,
        "decided": began,
    }


def _evidence() -> dict[str, object]:
    """About as large as that of a small database."""
    digest = f"{'0' * 57}{_NUMBER}"
    tables = [{"database": "shop", "name": f"public.t{t}", "rows": _NUMBER} for t in range(12)]
    checks = [
        {"name": f"check {c}", "passed": True, "found": f"sha256 {digest}"} for c in range(14)
    ]
    return {
        "manifestSha256": digest,
        "members": [],
        "checks": checks,
        "inventory": {"tables": tables, "objects": {"shop": {"tables": 12}}},
    }


def _document(document: Mapping[str, object], number: Number) -> ColumnElement[Any]:
    """A document with the number in place of `_NUMBER`, not as a text where it is alone."""
    text = json.dumps(document).replace(f'"{_NUMBER}"', _NUMBER)
    return func.json(func.replace(text, _NUMBER, _text(number)))


def _text(number: Number) -> ColumnElement[str]:
    return cast(number, String)


def padded(number: Number, length: int) -> ColumnElement[str]:
    """The number with zeros before it; its digits are a hexadecimal number as well."""
    return func.substr("0" * length + _text(number), func.length(_text(number)) + 1)


def _uid(number: Number) -> ColumnElement[str]:
    return "00000000-0000-0000-0000-" + padded(number, 12)
