"""Migrates the catalogue to this version's schema; several processes may start at once.

Every start asks, and mostly there is nothing to do. Then only the revision is read: alembic is not
loaded, and millions of rows are not searched for dangling references.
"""

from importlib import import_module
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from holdfast.catalog.database.deadlines import hurried
from holdfast.catalog.database.session import Catalog

_LOCK = 7341
_VERSIONS = Path(__file__).parents[1] / "migrations" / "versions"
_UPGRADING = "holdfast.catalog.database.upgrading"


def newest() -> str:
    """The latest revision among this version's files: `v0001_first.py` is 0001."""
    return max(path.name[1:5] for path in _VERSIONS.glob("v[0-9]*.py"))


def migrate(catalog: Catalog) -> None:
    """Migrates under an advisory lock, or SQLite's write lock, so that other processes wait."""
    with hurried(None), catalog.engine.connect() as connection:
        with connection.begin():
            has_schema = inspect(connection).has_table("alembic_version")
            revision = text("SELECT version_num FROM alembic_version")
            if has_schema and connection.execute(revision).scalar() == newest():
                return
        if catalog.is_sqlite:
            _check_references(connection, on=False)
        with connection.begin():
            if not catalog.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            import_module(_UPGRADING).upgrade(connection)
            if catalog.is_sqlite:
                dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                if dangling:
                    raise RuntimeError(f"the migration broke references: {dangling[:5]}")
        if catalog.is_sqlite:
            _check_references(connection, on=True)


def _check_references(connection: Connection, *, on: bool) -> None:
    """Switches SQLite's check of references, because it changes a table by making it anew: while
    the old one is gone, references dangle.

    The switch works outside transactions only, so it goes to the driver itself.
    """
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
    cursor.close()
