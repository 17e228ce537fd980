"""Reads everything that a dump reads, without its rows: what this user may not read shows."""

import time
from collections.abc import Iterator

from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.connection import Session, WireError, name
from holdfast.engines.mysql.client.connection import code as number
from holdfast.engines.mysql.client.server_errors import PRIVILEGE, said
from holdfast.engines.mysql.dump import stored_code

_LONGEST_SECONDS = 5.0
"""A server with very many tables is not looked through to its end: its dump will say the rest."""
_MAY_NOT_EXECUTE = 1370


def denied(session: Session, databases: list[str]) -> list[tuple[str, str]]:
    """Privilege and reason for each object that may not be read; the privilege is empty where only
    the reason tells."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    refusals: list[tuple[str, str]] = []
    for database in databases:
        for shown, statement in _statements(session, database):
            if time.monotonic() > deadline:
                return refusals
            try:
                rows = session.rows(statement)
            except WireError as error:
                if number(error) in PRIVILEGE:
                    needed = "EXECUTE" if number(error) == _MAY_NOT_EXECUTE else ""
                    refusals.append((needed, f"{shown}: {said(error)}"))
                continue
            if rows and statement.startswith("SHOW CREATE") and None in rows[0][:3]:
                refusals.append(("", f"{shown}: the server does not show its body"))
    return refusals


def _statements(session: Session, database: str) -> Iterator[tuple[str, str]]:
    for table in facts.tables(session, database):
        quoted = f"{name(database)}.{name(table['name'])}"
        shown = f"{database}.{table['name']}"
        if table["type"] == "VIEW":
            yield shown, f"SHOW FIELDS FROM {quoted}"
            yield shown, f"SHOW CREATE VIEW {quoted}"
        elif table["engine"] not in facts.NO_DATA:
            yield shown, f"SELECT * FROM {quoted} LIMIT 0"  # noqa: S608 - quoted
    for kind, object_name in stored_code.present(session, database):
        if kind != "views":
            yield f"{database}.{object_name}", stored_code.shown(database, kind, object_name)
