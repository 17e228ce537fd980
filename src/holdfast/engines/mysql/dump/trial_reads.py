"""Finds what this user may not read, by reading all that a dump reads but the rows."""

import time
from collections.abc import Iterator

from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    error_number,
    quote_qualified,
)
from holdfast.engines.mysql.client.server_errors import PRIVILEGE, error_text
from holdfast.engines.mysql.dump import stored_code

_MAX_SECONDS = 5.0
"""Trial reads of very many tables stop here: the dump itself reports the rest."""
_MAY_NOT_EXECUTE = 1370


def denied(session: Session, databases: list[str]) -> list[tuple[str, str]]:
    """Missing privilege and reason for each object that may not be read.

    The privilege is empty where only the server's message tells.
    """
    deadline = time.monotonic() + _MAX_SECONDS
    refusals: list[tuple[str, str]] = []
    for database in databases:
        for label, statement in _statements(session, database):
            if time.monotonic() > deadline:
                return refusals
            try:
                rows = session.rows(statement)
            except WireError as error:
                if error_number(error) in PRIVILEGE:
                    needed = "EXECUTE" if error_number(error) == _MAY_NOT_EXECUTE else ""
                    refusals.append((needed, f"{label}: {error_text(error)}"))
                continue
            if rows and statement.startswith("SHOW CREATE") and None in rows[0][:3]:
                refusals.append(("", f"{label}: the server does not show its body"))
    return refusals


def _statements(session: Session, database: str) -> Iterator[tuple[str, str]]:
    for table in facts.tables(session, database):
        quoted = quote_qualified(database, table["name"])
        label = f"{database}.{table['name']}"
        if table["type"] == "VIEW":
            yield label, f"SHOW FIELDS FROM {quoted}"
            yield label, f"SHOW CREATE VIEW {quoted}"
        elif table["engine"] not in facts.NO_DATA:
            yield label, f"SELECT * FROM {quoted} LIMIT 0"  # noqa: S608 - quoted
    for kind, object_name in stored_code.list_objects(session, database):
        if kind != "views":
            yield f"{database}.{object_name}", stored_code.show_create(database, kind, object_name)
