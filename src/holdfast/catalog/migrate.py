"""Brings the catalogue to this version's schema; several processes may start at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from holdfast.catalog.session import Catalog

_LOCK = 7341


def config() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return settings


def migrate(catalog: Catalog) -> None:
    """One process migrates, the others wait: an advisory lock, or SQLite's write lock."""
    with catalog.engine.begin() as connection:
        if not catalog.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
