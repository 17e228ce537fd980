"""A catalogue with very many backups, written straight into it beside a fresh data directory.

The addons are attached and never asked for anything; the rows are as finished backups leave them.
"""

import sqlite3
import uuid
from pathlib import Path

from sqlalchemy import insert

from holdfast.bootstrap.parts import Parts
from holdfast.catalog.schema import Addon, Backup, Copy, Operation, Project
from holdfast.settings import Settings

PROJECT = "archive"
ADDON = "shop"
_DAY = 86_400_000
_FIRST = 1_700_000_000_000
_AT_ONCE = 10_000


def fill_catalogue(data_dir: Path, count: int, addons: int = 1, database_url: str = "") -> None:
    """Backups `backup-1` to `backup-<count>`, the last one the newest, of each addon its share.

    `database_url` as the setting: empty is SQLite, in the data directory.
    """
    parts = Parts(Settings(data_dir=data_dir, database_url=database_url))
    # Without its key and its store nothing starts where secrets and backups are.
    catalog, _, store = parts.catalog, parts.master, parts.store(None)
    upload = store.begin("made")
    upload.write(b"made")
    upload.commit()
    with catalog.write() as session:
        project = Project(id=PROJECT, name="Archive", created=_FIRST, updated=_FIRST)
        session.add(project)
        session.flush()
        rows = [_addon(project.pk, number) for number in range(addons)]
        session.add_all(rows)
        session.flush()
        pks = [row.pk for row in rows]
        for first in range(1, count + 1, _AT_ONCE):
            owned = [
                (pks[number % addons], number, _FIRST + number * _DAY // 24)
                for number in range(first, min(first + _AT_ONCE, count + 1))
            ]
            session.execute(insert(Backup), [backup_row(*each) for each in owned])
            session.execute(insert(Copy), [copy_row(*each) for each in owned])
            session.execute(insert(Operation), [operation_row(*each) for each in owned])
    if catalog.is_sqlite:
        with sqlite3.connect(data_dir / "holdfast.db") as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    else:
        with catalog.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                "VACUUM ANALYZE"
            )
    catalog.close()


def _addon(project_pk: int, number: int) -> Addon:
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
        created=_FIRST,
        updated=_FIRST,
    )


def backup_row(addon_pk: int, number: int, began: int) -> dict[str, object]:
    uid = str(uuid.UUID(int=number))
    return {
        "pk": number,
        "uid": uid,
        "addon_pk": addon_pk,
        "id": f"backup-{number}",
        "name": f"Backup {number}",
        "type": "dump",
        "source": "user",
        "compression": "zstd",
        "status": "completed",
        "size": 80_000_000 + number,
        "version": "15.18",
        "retained": False,
        "evidence": _evidence(number),
        "operation": f"{number:024x}",
        "created": began,
        "completed": began + 4_000,
    }


def copy_row(addon_pk: int, number: int, began: int) -> dict[str, object]:
    """Where its bytes are: in the platform's store."""
    return {
        "backup_pk": number,
        "addon_pk": addon_pk,
        "additional": False,
        "status": "completed",
        "tries": 0,
        "size": 80_000_000 + number,
        "objects": f"dumps/{PROJECT}/{ADDON}/{uuid.UUID(int=number)}/1/",
        "created": began,
        "completed": began + 4_000,
    }


def operation_row(addon_pk: int, number: int, began: int) -> dict[str, object]:
    """What made it, long over."""
    return {
        "id": f"{number:024x}",
        "addon_pk": addon_pk,
        "kind": "backup",
        "lane": "any",
        "priority": 5,
        "status": "completed",
        "fence": 1,
        "attempt": 1,
        "worker": "nobody",
        "arguments": {"backup": number, "project": PROJECT},
        "record": {},
        "litter": False,
        "created": began,
        "started": began,
        "ended": began + 4_000,
    }


def _evidence(number: int) -> dict[str, object]:
    """About as large as that of a small database."""
    tables = [{"database": "shop", "name": f"public.t{t}", "rows": number} for t in range(12)]
    checks = [
        {"name": f"check {c}", "passed": True, "found": f"sha256 {number:064x}"} for c in range(14)
    ]
    return {
        "manifestSha256": f"{number:064x}",
        "members": [],
        "checks": checks,
        "inventory": {"tables": tables, "objects": {"shop": {"tables": 12}}},
    }
