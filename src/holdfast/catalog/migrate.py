"""Brings the catalogue to this version's schema; several processes may start at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from holdfast.catalog.session import Catalog

_LOCK = 7341


def config() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return settings


def migrate(catalog: Catalog) -> None:
    """One process migrates, the others wait: an advisory lock, or SQLite's write lock."""
    with catalog.engine.connect() as connection:
        if catalog.is_sqlite:
            _check_references(connection, on=False)
        with connection.begin():
            if not catalog.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            settings = config()
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
            if catalog.is_sqlite:
                _require_references(connection)
        if catalog.is_sqlite:
            _check_references(connection, on=True)


def _check_references(connection: Connection, *, on: bool) -> None:
    """SQLite changes a table by making it anew; while the old one is gone, references dangle.

    The switch works outside transactions only, so it goes to the driver itself.
    """
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
    cursor.close()


def _require_references(connection: Connection) -> None:
    dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if dangling:
        raise RuntimeError(f"the migration broke references: {dangling[:5]}")
